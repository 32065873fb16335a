package fs

import (
	"cmp"
	"maps"
	"slices"
	"sync"
)

// uncommitted are the transactions of a file that may still commit something. Very many may have a file open to write of which few
// have changed anything: what a lookup and an open ask of writers they ask of these. It is safe for concurrent use; its lock is
// below that of a transaction, which enters itself.
type uncommitted struct {
	mu sync.Mutex
	// Guarded by mu.
	all      []*transaction     // in no order; each knows its place
	deferred writers            // of all, those that have answered a flush before its commit
	opened   map[uint32]writers // all by the process that opened them; 0: nobody has asked which that is
}

// writers is a set of transactions.
type writers map[*transaction]struct{}

// fewWriters may each be asked who has opened them.
const fewWriters = 8

// listing is where a transaction stands among those of its file.
type listing struct {
	open      bool // a handle is; guarded by transaction.mu, as the next two are
	changed   bool // it is among them
	postponed bool // and counted as deferred
	// Guarded by uncommitted.mu.
	place  int    // in all
	opener uint32 // in opened
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

// few is all of them, if they are few.
func (u *uncommitted) few() (all []*transaction, few bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.all) > fewWriters {
		return nil, false
	}
	return slices.Clone(u.all), true
}

// openedBy are those that the asker's process may have opened, in no order: its own and those nobody has asked about. How many others
// have opened does not matter.
func (u *uncommitted) openedBy(a *asker) []*transaction {
	if all, few := u.few(); few {
		return all
	}
	process, known := a.ask()
	u.mu.Lock()
	defer u.mu.Unlock()
	all := slices.Collect(maps.Keys(u.opened[0]))
	if known && process != 0 {
		all = slices.AppendSeq(all, maps.Keys(u.opened[process]))
	}
	return all
}

// know notes which process has opened t, for good.
func (u *uncommitted) know(t *transaction, process uint32) {
	u.mu.Lock()
	defer u.mu.Unlock()
	t.process.Store(process)
	if _, listed := u.opened[t.listing.opener][t]; listed && t.listing.opener != process {
		u.removeOpener(t)
		u.addOpener(t)
	}
}

// addOpener requires mu, as removeOpener does.
func (u *uncommitted) addOpener(t *transaction) {
	t.listing.opener = t.process.Load()
	if u.opened == nil {
		u.opened = make(map[uint32]writers)
	}
	if u.opened[t.listing.opener] == nil {
		u.opened[t.listing.opener] = make(writers)
	}
	u.opened[t.listing.opener][t] = struct{}{}
}

func (u *uncommitted) removeOpener(t *transaction) {
	of := u.opened[t.listing.opener]
	delete(of, t)
	if len(of) == 0 {
		delete(u.opened, t.listing.opener)
	}
}

func newestFirst(a, b *transaction) int { return cmp.Compare(b.id, a.id) }

func (u *uncommitted) hasDeferred() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.deferred) > 0
}

// listDeferred are those that have answered a flush before its commit, newest first.
func (u *uncommitted) listDeferred() []*transaction {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.SortedFunc(maps.Keys(u.deferred), newestFirst)
}

// put makes t, whose mu is held, one of them or none, and counts it.
func (u *uncommitted) put(t *transaction, changed, postponed bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case changed && !t.listing.changed:
		t.listing.place = len(u.all)
		u.all = append(u.all, t)
		u.addOpener(t)
	case !changed && t.listing.changed:
		end := len(u.all) - 1
		last := u.all[end]
		u.all[t.listing.place], u.all[end] = last, nil
		last.listing.place = t.listing.place
		u.all = u.all[:end]
		u.removeOpener(t)
	}
	switch {
	case postponed && !t.listing.postponed:
		if u.deferred == nil {
			u.deferred = make(writers)
		}
		u.deferred[t] = struct{}{}
	case !postponed && t.listing.postponed:
		delete(u.deferred, t)
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
