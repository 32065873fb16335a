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
	all      ranking
	making   ranking            // of all, those that began when the file did not exist
	deferred writers            // of all, those that have answered a flush before its commit
	opened   map[uint32]writers // all by the process that opened them; 0: nobody has asked which that is
}

// writers is a set of transactions.
type writers map[*transaction]struct{}

// fewWriters may each be asked who has opened them.
const fewWriters = 8

// listing is where a transaction stands among those of its file.
type listing struct {
	open bool // a handle is; guarded by transaction.mu, as the next is
	standing
	opener uint32 // in opened; guarded by uncommitted.mu
}

// standing says among which of its file's a transaction is.
type standing struct {
	changed   bool // all
	making    bool
	postponed bool // deferred
}

// newest is the newest of them, nil if there is none.
func (u *uncommitted) newest() *transaction {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.all.newest()
}

// newestMaker is the newest that began when the file did not exist, nil if there is none.
func (u *uncommitted) newestMaker() *transaction {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.making.newest()
}

// few is all of them, if they are few.
func (u *uncommitted) few() (all []*transaction, few bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.all.Len() > fewWriters {
		return nil, false
	}
	return slices.Clone(u.all.all), true
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

// put has t, whose mu is held, stand as it does now.
func (u *uncommitted) put(t *transaction, now standing) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.all.put(t, now.changed)
	u.making.put(t, now.making)
	switch {
	case now.changed && !t.listing.changed:
		u.addOpener(t)
	case !now.changed && t.listing.changed:
		u.removeOpener(t)
	}
	switch {
	case now.postponed && !t.listing.postponed:
		if u.deferred == nil {
			u.deferred = make(writers)
		}
		u.deferred[t] = struct{}{}
	case !now.postponed && t.listing.postponed:
		delete(u.deferred, t)
	}
	t.listing.standing = now
}

// tell lets the file know how t stands, and unlocks mu: it ends whatever may change that.
func (t *transaction) tell() {
	defer t.mu.Unlock()
	changed := t.listing.open && t.state == txOpen && t.changed()
	now := standing{changed: changed, making: changed && t.base.Version == "", postponed: changed && t.deferred}
	if now != t.listing.standing {
		t.file.uncommitted.put(t, now)
	}
}

// opens lets the file know whether a handle is open on t.
func (t *transaction) opens(open bool) {
	t.mu.Lock()
	defer t.tell()
	t.listing.open = open
}

// newestWriter is the newest transaction of f that may still commit something, nil if there is none.
func (fs *FS) newestWriter(f *file) *transaction {
	for f != nil {
		t := f.uncommitted.newest()
		if t == nil || t.uncommitted() { // else it has just ceased to be one of them
			return t
		}
	}
	return nil
}
