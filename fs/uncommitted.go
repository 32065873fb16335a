package fs

import (
	"cmp"
	"slices"
	"sync"
)

// uncommitted are the transactions of a file that may still commit something. Very many may have a file open to write of which few
// have changed anything: what a lookup and an open ask of writers they ask of these. It is safe for concurrent use; its lock is
// below that of a transaction, which enters itself.
type uncommitted struct {
	mu sync.Mutex
	// Guarded by mu.
	all      []*transaction // in no order; each knows its place
	deferred int            // how many of all have answered a flush before its commit
}

// listing is where a transaction stands among those of its file.
type listing struct {
	open      bool // a handle is; guarded by transaction.mu, as the next two are
	changed   bool // it is among them
	postponed bool // and counted as deferred
	place     int  // in uncommitted.all; guarded by uncommitted.mu
}

// list is all of them, in no order.
func (u *uncommitted) list() []*transaction {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.all) == 0 {
		return nil
	}
	return slices.Clone(u.all)
}

func newestFirst(a, b *transaction) int { return cmp.Compare(b.id, a.id) }

func (u *uncommitted) hasDeferred() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.deferred > 0
}

// put makes t, whose mu is held, one of them or none, and counts it.
func (u *uncommitted) put(t *transaction, changed, postponed bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case changed && !t.listing.changed:
		t.listing.place = len(u.all)
		u.all = append(u.all, t)
	case !changed && t.listing.changed:
		end := len(u.all) - 1
		last := u.all[end]
		u.all[t.listing.place], u.all[end] = last, nil
		last.listing.place = t.listing.place
		u.all = u.all[:end]
	}
	switch {
	case postponed && !t.listing.postponed:
		u.deferred++
	case !postponed && t.listing.postponed:
		u.deferred--
	}
	t.listing.changed, t.listing.postponed = changed, postponed
}

// tell lets the file know how t stands, and unlocks mu: it ends whatever may change that.
func (t *transaction) tell() {
	defer t.mu.Unlock()
	changed := t.listing.open && t.state == txOpen && t.changed()
	postponed := changed && t.deferred
	if changed != t.listing.changed || postponed != t.listing.postponed {
		t.file.uncommitted.put(t, changed, postponed)
	}
}

// opens lets the file know whether a handle is open on t.
func (t *transaction) opens(open bool) {
	t.mu.Lock()
	defer t.tell()
	t.listing.open = open
}

// uncommittedOf are the transactions of f that may still commit something, newest first.
func (fs *FS) uncommittedOf(f *file) []*transaction {
	if f == nil {
		return nil
	}
	all := f.uncommitted.list()
	slices.SortFunc(all, newestFirst)
	return all
}
