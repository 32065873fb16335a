package badgerstore

import (
	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/marks"
)

// verifier verifies, once and in the background, the tables that were too many to be verified when the
// store was opened. Until it is done Badger does not compact.
type verifier struct {
	e    *Engine
	stop chan struct{}
	done chan struct{}
}

// newVerifier begins to verify tables, if there are any.
func newVerifier(e *Engine, tables []uint64) *verifier {
	v := &verifier{e: e, stop: make(chan struct{}), done: make(chan struct{})}
	if len(tables) == 0 {
		close(v.done)
		return v
	}
	e.compactions.hold()
	go v.run(tables)
	return v
}

func (v *verifier) run(tables []uint64) {
	defer close(v.done)
	defer v.e.compactions.release()
	for _, id := range tables {
		select {
		case <-v.stop:
			return
		default:
		}
		r, err := inspectTable(v.e.path(badgerName), id, v.e.badgerOptions(nil), true)
		switch {
		case err != nil:
			v.e.distrust(disk.Error("verify "+tableName(id), err))
			return
		case r.unusable != "":
			v.e.distrust(damaged("%s", r.unusable))
			return
		case r.damaged != "":
			v.e.log.Error("a table is damaged, in a record at least: a check lists what is lost", "damage", r.damaged)
		}
	}
}

// close waits for the table that is being read.
func (v *verifier) close() {
	close(v.stop)
	<-v.done
}

// caught, deferred as the function of that name, makes an error of a panic of Badger's, after which the store takes
// no more writes.
func (e *Engine) caught(onFault bool, err *error) {
	if cause := recovered(onFault, recover()); cause != nil {
		*err = cause
		e.distrust(cause)
	}
}

// distrust stops the store over tables that cannot be read. Reads go on: what cannot be read is ErrCorrupt. The
// next open verifies all tables.
func (e *Engine) distrust(why error) {
	if e.opt.ReadOnly {
		return
	}
	e.committer.fail(why)
	if !e.marks.Get().Suspect {
		if err := e.marks.Update(true, func(m *marks.Marks) { m.Suspect = true }); err != nil {
			e.log.Error("it cannot be noted that a table is damaged", "error", err)
		}
	}
	e.compactions.forbid()
}

// refuseDamage is the error for a store that cannot be opened for writing; for reading it is only noted.
func (e *Engine) refuseDamage(damage string) error {
	if damage == "" {
		return nil
	}
	e.damage = damage
	if e.opt.ReadOnly {
		e.log.Error("the store is damaged", "damage", damage)
		return nil
	}
	if !e.marks.Get().Clean && e.db == nil {
		return e.refuseForGood()
	}
	return problem(objstore.ErrCorrupt, "%s: restore a copy of the store; what is left can be read if it is opened read-only, and a check lists what is lost", damage)
}

// noteCompaction makes the syncer look at the manifest.
func (e *Engine) noteCompaction() {
	select {
	case e.compacted <- struct{}{}:
	default:
	}
}

// refuseForGood is the error for a damaged store with logs that nobody can repair: Badger does not open those to be read.
func (e *Engine) refuseForGood() error {
	return problem(objstore.ErrCorrupt, "%s: restore a copy of the store", e.damage)
}
