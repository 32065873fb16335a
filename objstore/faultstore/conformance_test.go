package faultstore

import (
	"context"
	"sync"
	"testing"

	"github.com/etagfs/etagfs/objstore/memstore"
	"github.com/etagfs/etagfs/objstore/objstoretest"
)

func openOracle(context.Context) (*objstoretest.Subject, error) {
	b := memstore.NewBucket(memstore.Options{})
	return &objstoretest.Subject{Store: b, Namespace: b}, nil
}

func openBucket(injector Injector) objstoretest.Opener {
	return func(context.Context) (*objstoretest.Subject, error) {
		inner := memstore.NewBucket(memstore.Options{})
		b := NewBucket(inner, inner, injector)
		return &objstoretest.Subject{Store: b, Namespace: b}, nil
	}
}

func TestConformanceOfAFlatStoreWithoutFaults(t *testing.T) {
	objstoretest.Run(t, objstoretest.Config{Open: func(context.Context) (*objstoretest.Subject, error) {
		return &objstoretest.Subject{Store: New(memstore.NewBucket(memstore.Options{}), None())}, nil
	}})
}

// recorder notes which operations were asked about, at which phases.
type recorder struct {
	mu   sync.Mutex
	seen map[Kind]map[Phase]bool
}

func (r *recorder) Decide(_ context.Context, op Op) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seen[op.Kind] == nil {
		r.seen[op.Kind] = map[Phase]bool{}
	}
	r.seen[op.Kind][op.Phase] = true
	return nil
}

func (r *recorder) String() string { return "(record)" }

// TestConformanceAndEveryOperationCanFail: without faults the store is as good as what is under it, and the suite calls
// everything: each call is decided on before and after it, and bodies also in between.
func TestConformanceAndEveryOperationCanFail(t *testing.T) {
	r := &recorder{seen: map[Kind]map[Phase]bool{}}
	objstoretest.Run(t, objstoretest.Config{Open: openBucket(r), Oracle: openOracle})
	if t.Failed() {
		return
	}
	for _, kind := range Kinds() {
		want := map[Phase]bool{Before: kind != OpStream, After: kind != OpStream, Body: kind == OpPut || kind == OpPutPart || kind == OpAppend || kind == OpStream || kind == OpRead}
		for phase, asked := range want {
			if r.seen[kind][phase] != asked {
				t.Errorf("%v %v: asked %v instead of %v", kind, phase, r.seen[kind][phase], asked)
			}
		}
	}
}
