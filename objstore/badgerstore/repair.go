package badgerstore

import (
	"context"
	"errors"
	"slices"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/record"
)

const (
	// repairRoundsMax is how often a store is walked at most: what is repaired can show more.
	repairRoundsMax = 64
	// curesAtOnce is how many findings of one walk are repaired.
	curesAtOnce = 1 << 16
)

// Repaired is one line of a [Repair].
type Repaired struct {
	Finding
	Left bool // it is as it was
}

// Repair mends in a closed store what [Engine.Check] finds and can be mended without guessing, and reports each finding
// it has dealt with; at last those that are left, for which Remedy is empty. REPAIR.md says what becomes of what. Bytes of users are never
// removed: what belongs to nothing becomes a kept copy, and records that say nothing any more are set aside in a file.
//
// Repair can be interrupted at any point, and be run again. It needs the store to itself: ErrInUse.
func Repair(ctx context.Context, dir string, opt CheckOptions, parts Parts, report func(Repaired) error) error {
	opening := parts
	opening.salvaged = func(f Finding) error { return report(Repaired{Finding: f}) }
	e, err := Open(ctx, dir, Options{repairing: true}, opening)
	if err != nil {
		return err
	}
	m := &mending{e: e, ctx: ctx, progress: opt.Progress, report: report}
	if err := errors.Join(m.run(), e.Close()); err != nil {
		return named("repair store", dir, err)
	}
	if e, err = Open(ctx, dir, Options{}, parts); err != nil { // keeps what was staged
		return err
	}
	err = e.settled(ctx)
	if err == nil {
		err = e.Check(ctx, opt, func(f Finding) error { return report(Repaired{f, true}) })
	}
	return errors.Join(err, e.Close())
}

// settled waits for garbage that can go: it refers to what may be lost.
func (e *Engine) settled(ctx context.Context) error {
	_, err := e.Collect(ctx, nil)
	return err
}

// cure is what can be done about a finding. The zero cure is nothing.
type cure struct {
	stage  stageOfCure
	remedy string // for people
	// apply looks again whether there is anything to be done, does it, and reports whether it has.
	apply func(m *mending) (done bool, err error)
}

// stageOfCure orders cures. Later ones rely on what earlier ones leave: nothing is called
// lost before all that could refer to it has been mended.
type stageOfCure int

const (
	stageRecords     stageOfCure = iota + 1
	stageBuckets                 // their directories
	stageEntries                 // what they lead to, and back
	stageDirectories             // that entries are in
	stagePlaces                  // of directories and files without any
	stageCircles
	stageOwners     // of what is not in the tree
	stageReferences // and how many there are
	stageLost       // what nothing refers to
	stageTotals
)

// mending is one Repair of an engine that was opened for it. One goroutine has the store to itself.
type mending struct {
	e        *Engine
	ctx      context.Context // of the one call this lives for
	progress Progress
	report   func(Repaired) error
}

// found is a finding with its cure.
type found struct {
	Finding
	cure
}

// run walks the store, applies the cures of the first stage that has any, and begins again, until
// no walk shows one that has an effect.
func (m *mending) run() error {
	var spent stageOfCure // nothing up to it has an effect
	for range repairRoundsMax {
		cures, err := m.first(spent)
		if err != nil || len(cures) == 0 {
			return err
		}
		any, err := m.apply(cures)
		if err != nil {
			return err
		}
		if spent = 0; !any {
			spent = cures[0].stage
		}
	}
	return nil // the check that follows says what is left
}

// first is what a walk finds and has cures of the first stage after one.
func (m *mending) first(after stageOfCure) (cures []found, err error) {
	m.e.collector.working.Lock()
	defer m.e.collector.working.Unlock()
	v := m.e.view()
	defer v.close()
	c := newChecker(m.ctx, v, CheckOptions{Progress: m.progress}, tallyMax)
	c.report = func(f Finding, cure cure) error {
		if cure.apply == nil || cure.stage <= after {
			return nil
		}
		if len(cures) > 0 && cure.stage < cures[0].stage {
			cures = cures[:0]
		}
		if len(cures) == 0 || cure.stage == cures[0].stage && len(cures) < curesAtOnce {
			cures = append(cures, found{f, cure})
		}
		return nil
	}
	err = c.whole()
	return cures, err
}

func (m *mending) apply(cures []found) (any bool, err error) {
	for _, f := range cures {
		if err := cancelled(m.ctx); err != nil {
			return any, err
		}
		done, err := f.apply(m)
		if readable(err) != nil {
			return any, err
		}
		if !done || err != nil { // something it needs is damaged as well
			continue
		}
		any = true
		if err := m.report(Repaired{Finding: f.Finding}); err != nil {
			return any, err
		}
	}
	return any, nil
}

// commit is one batch.
func (m *mending) commit(f func(*tx) error) error {
	return m.e.commit(m.ctx, objstore.Visible, true, f)
}

// set is a batch that changes one record; nil: none.
func (m *mending) set(key []byte, value any) error {
	return m.commit(func(t *tx) error {
		t.set(key, value)
		return nil
	})
}

// touch is a batch that changes nothing but what every batch writes.
func (m *mending) touch() error { return m.set([]byte{0}, nil) }

// get is the value under a key, and nil if there is none.
func (m *mending) get(key []byte) (any, error) {
	v := m.e.view()
	defer v.close()
	return v.read(key)
}

// keys are the keys with a prefix.
func (m *mending) keys(prefix []byte) (all [][]byte, err error) {
	v := m.e.view()
	defer v.close()
	err = v.scanKeys(prefix, func(key []byte) (bool, error) {
		all = append(all, slices.Clone(key))
		return true, cancelled(m.ctx)
	})
	return all, err
}

// lostRoot is the bucket for what is of none: the main one, or else the first.
func (m *mending) lostRoot() (uint64, error) {
	v := m.e.view()
	defer v.close()
	if rec, err := v.bucket(MainBucket); err == nil {
		return rec.Root, nil
	}
	root := uint64(0)
	err := v.scan(record.BucketPrefix(), func(_ []byte, value any) (bool, error) {
		rec, ok := value.(record.Bucket)
		root = rec.Root
		return !ok, nil
	})
	if err == nil && root == 0 {
		err = problem(objstore.ErrCorrupt, "no bucket is left")
	}
	return root, err
}
