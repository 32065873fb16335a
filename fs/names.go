package fs

import (
	"cmp"
	"slices"
	"sync"
)

// nameLocks serialise the operations of this FS on a name, so that a pending
// create and what the store has at its name are seen as one thing. They
// are held over store calls. The zero value is ready.
type nameLocks struct {
	mu   sync.Mutex
	held map[entryKey]*nameLock // guarded by mu
}

type nameLock struct {
	sync.Mutex
	users int // holding or waiting; guarded by nameLocks.mu
}

// lock takes the names, in an order that is the same for all.
func (l *nameLocks) lock(keys ...entryKey) (unlock func()) {
	slices.SortFunc(keys, func(a, b entryKey) int {
		return cmp.Or(cmp.Compare(a.dir, b.dir), cmp.Compare(a.name, b.name))
	})
	keys = slices.Compact(keys)
	for _, key := range keys {
		l.use(key).Lock()
	}
	return func() {
		for _, key := range keys {
			l.release(key)
		}
	}
}

func (l *nameLocks) use(key entryKey) *nameLock {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held == nil {
		l.held = make(map[entryKey]*nameLock)
	}
	lock := l.held[key]
	if lock == nil {
		lock = new(nameLock)
		l.held[key] = lock
	}
	lock.users++
	return lock
}

func (l *nameLocks) release(key entryKey) {
	l.mu.Lock()
	defer l.mu.Unlock()
	lock := l.held[key]
	lock.users--
	if lock.users == 0 {
		delete(l.held, key)
	}
	lock.Unlock()
}
