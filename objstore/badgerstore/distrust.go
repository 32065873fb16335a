package badgerstore

import (
	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/marks"
)

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
		return e.refuseForGood(restoreOrRepair)
	}
	return problem(objstore.ErrCorrupt, "%s: %s; what is left can be read if it is opened read-only, and a check lists what is lost", damage, restoreOrRepair)
}

// noteCompaction makes the syncer look at the manifest.
func (e *Engine) noteCompaction() {
	select {
	case e.compacted <- struct{}{}:
	default:
	}
}

// The ways out for the owner of a damaged store.
const (
	restoreOnly     = "restore a copy of the store"
	restoreOrRepair = "restore a copy of the store, or let a repair keep what can be read"
)

// refuseForGood is the error for a damaged store that cannot be opened even to be read.
func (e *Engine) refuseForGood(wayOut string) error {
	return problem(objstore.ErrCorrupt, "%s: %s", e.damage, wayOut)
}
