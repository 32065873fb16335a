package objstoretest

import (
	"context"
	"errors"
	"testing"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/memstore"
)

// mutant is a store that is broken in one way, and the case that must say so.
type mutant struct {
	name     string
	caughtBy string
	open     func(b *memstore.Bucket) subjectStore
}

// subjectStore is both halves of a subject.
type subjectStore interface {
	objstore.Store
	objstore.Namespace
}

func caseNamed(t *testing.T, name string) Case {
	for _, c := range Cases() {
		if c.Name == name {
			return c
		}
	}
	t.Fatalf("there is no case %s", name)
	return Case{}
}

// config opens the mutant; a crash leaves it as it is, unless it says what is lost.
func (m mutant) config() Config {
	open := func(context.Context) (*Subject, error) {
		survivor := &survivor{Bucket: memstore.NewBucket(memstore.Options{}), stages: map[*ownedStage]bool{}}
		store := m.open(survivor.Bucket)
		subject := &Subject{Store: store, Namespace: store}
		subject.Reopen = func(ctx context.Context) (*Subject, error) {
			if c, ok := store.(crasher); ok {
				c.crash(ctx)
			}
			return subject, survivor.crash(ctx)
		}
		return subject, nil
	}
	return Config{Open: open, Oracle: openMemstore}
}

// crasher loses something in a crash.
type crasher interface{ crash(context.Context) }

func TestMutantsAreCaught(t *testing.T) {
	var all []mutant
	all = append(all, conditionMutants()...)
	all = append(all, storeMutants()...)
	all = append(all, namespaceMutants()...)
	all = append(all, stageMutants()...)
	all = append(all, crashMutants()...)
	all = append(all, uploadMutants()...)
	all = append(all, objectMutants()...)
	for _, m := range all {
		t.Run(m.name, func(t *testing.T) {
			err := caseNamed(t, m.caughtBy).Check(t.Context(), m.config())
			if err == nil || errors.Is(err, ErrSkipped) {
				t.Fatalf("%s did not catch it: %v", m.caughtBy, err)
			}
			t.Log(err)
		})
	}
}
