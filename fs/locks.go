package fs

import (
	"context"
	"slices"
	"sync"

	"github.com/etagfs/etagfs/objstore"
)

// LockOwner is who holds a lock: for fcntl(2) a process or, with OFD locks, an
// open file; for flock(2) an open file. The two kinds do not see each other.
type LockOwner struct {
	ID    uint64
	Flock bool
}

// Lock is a lock on the bytes from Start to End, both included.
type Lock struct {
	Owner      LockOwner
	Start, End uint64
	Exclusive  bool
	Process    uint32 // for F_GETLK
}

func (k Lock) overlaps(other Lock) bool { return k.Start <= other.End && other.Start <= k.End }

func (k Lock) conflicts(other Lock) bool {
	return k.Owner.Flock == other.Owner.Flock && k.Owner != other.Owner &&
		(k.Exclusive || other.Exclusive) && k.overlaps(other)
}

// Locks are the file locks of a mount. They belong to objects, so handles exclude each
// other whatever versions they show; they are advisory and end with the mount.
// A deadlock of waiters is not detected: a wait ends with its context.
type Locks struct {
	mu sync.Mutex
	// Guarded by mu.
	held    map[objstore.ID][]Lock
	changed chan struct{} // closed when a lock is released, and replaced
}

// NewLocks returns a set without locks.
func NewLocks() *Locks {
	return &Locks{held: make(map[objstore.ID][]Lock), changed: make(chan struct{})}
}

// Conflict is a lock that stands in k's way, if there is one.
func (l *Locks) Conflict(object objstore.ID, k Lock) (Lock, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.conflict(object, k)
}

func (l *Locks) conflict(object objstore.ID, k Lock) (Lock, bool) {
	i := slices.IndexFunc(l.held[object], k.conflicts)
	if i < 0 {
		return Lock{}, false
	}
	return l.held[object][i], true
}

// TryLock takes k, in place of what its owner held in that range, unless another's lock stands in the way.
func (l *Locks) TryLock(object objstore.ID, k Lock) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.try(object, k)
}

func (l *Locks) try(object objstore.ID, k Lock) bool {
	if _, found := l.conflict(object, k); found {
		return false
	}
	l.cut(object, k)
	l.held[object] = append(l.held[object], k)
	return true
}

// Lock is TryLock that waits. It fails only with the context.
func (l *Locks) Lock(ctx context.Context, object objstore.ID, k Lock) error {
	for {
		l.mu.Lock()
		taken, changed := l.try(object, k), l.changed
		l.mu.Unlock()
		if taken {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Unlock releases what k's owner holds in k's range.
func (l *Locks) Unlock(object objstore.ID, k Lock) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut(object, k)
}

// UnlockAll releases everything owner holds on object.
func (l *Locks) UnlockAll(object objstore.ID, owner LockOwner) {
	l.Unlock(object, Lock{Owner: owner, End: ^uint64(0)})
}

// cut takes k's range out of the locks of its owner and wakes who waits, also
// for a downgrade. mu is held.
func (l *Locks) cut(object objstore.ID, k Lock) {
	held := l.held[object]
	touched := func(other Lock) bool { return other.Owner == k.Owner && other.overlaps(k) }
	if !slices.ContainsFunc(held, touched) {
		return
	}
	var left []Lock
	for _, other := range held {
		if !touched(other) {
			left = append(left, other)
			continue
		}
		if before := other; other.Start < k.Start {
			before.End = k.Start - 1
			left = append(left, before)
		}
		if after := other; other.End > k.End {
			after.Start = k.End + 1
			left = append(left, after)
		}
	}
	if len(left) == 0 {
		delete(l.held, object)
	} else {
		l.held[object] = left
	}
	close(l.changed)
	l.changed = make(chan struct{})
}
