package fs

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

func TestLocksExcludeByRangeOwnerAndKind(t *testing.T) {
	held := Lock{Owner: LockOwner{ID: 1}, Start: 10, End: 19, Exclusive: true}
	for _, c := range []struct {
		name string
		want bool
		lock Lock
	}{
		{"the same owner", true, Lock{Owner: LockOwner{ID: 1}, Start: 0, End: 99, Exclusive: true}},
		{"before", true, Lock{Owner: LockOwner{ID: 2}, Start: 0, End: 9, Exclusive: true}},
		{"after", true, Lock{Owner: LockOwner{ID: 2}, Start: 20, End: 29, Exclusive: true}},
		{"first byte", false, Lock{Owner: LockOwner{ID: 2}, Start: 0, End: 10, Exclusive: true}},
		{"last byte", false, Lock{Owner: LockOwner{ID: 2}, Start: 19, End: 29, Exclusive: true}},
		{"shared under exclusive", false, Lock{Owner: LockOwner{ID: 2}, Start: 12, End: 12}},
		{"flock beside fcntl", true, Lock{Owner: LockOwner{ID: 2, Flock: true}, Start: 0, End: 99, Exclusive: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := NewLocks()
			l.TryLock(7, held)
			if got := l.TryLock(7, c.lock); got != c.want {
				t.Errorf("TryLock = %v, want %v", got, c.want)
			}
			if !l.TryLock(8, c.lock) {
				t.Error("a lock on another object is in the way")
			}
		})
	}
}

func TestUnlockInTheMiddleKeepsBothEnds(t *testing.T) {
	l := NewLocks()
	l.TryLock(7, Lock{Owner: LockOwner{ID: 1}, Start: 0, End: 99, Exclusive: true})
	l.Unlock(7, Lock{Owner: LockOwner{ID: 1}, Start: 40, End: 59})
	other := LockOwner{ID: 2}
	for _, c := range []struct {
		start, end uint64
		want       bool
	}{{39, 39, false}, {60, 60, false}, {40, 59, true}} {
		_, found := l.Conflict(7, Lock{Owner: other, Start: c.start, End: c.end})
		if found == c.want {
			t.Errorf("bytes %d to %d free: %v, want %v", c.start, c.end, !found, c.want)
		}
	}
}

func TestSharedLocksCoexistAndUpgradeAlone(t *testing.T) {
	l := NewLocks()
	a, b := Lock{Owner: LockOwner{ID: 1}, End: 9}, Lock{Owner: LockOwner{ID: 2}, End: 9}
	if !l.TryLock(7, a) || !l.TryLock(7, b) {
		t.Fatal("shared locks exclude each other")
	}
	a.Exclusive = true
	if l.TryLock(7, a) {
		t.Fatal("upgraded beside another's shared lock")
	}
	l.UnlockAll(7, b.Owner)
	if !l.TryLock(7, a) {
		t.Fatal("not upgraded though alone")
	}
}

func TestLockWaitEndsWithItsContext(t *testing.T) {
	l := NewLocks()
	l.TryLock(7, Lock{Owner: LockOwner{ID: 1}, End: 9, Exclusive: true})
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	err := l.Lock(ctx, 7, Lock{Owner: LockOwner{ID: 2}, End: 9})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Lock = %v", err)
	}
}

func TestLockIsMutualExclusionAmongWaiters(t *testing.T) {
	l := NewLocks()
	var workers sync.WaitGroup
	inside := 0
	for id := range uint64(8) {
		workers.Go(func() {
			for range 100 {
				k := Lock{Owner: LockOwner{ID: id}, Start: rand.Uint64N(5), End: 5 + rand.Uint64N(5), Exclusive: true}
				if err := l.Lock(context.Background(), 7, k); err != nil {
					t.Error(err)
					return
				}
				inside++ // every range has byte 5: the race detector sees two at once
				l.UnlockAll(7, k.Owner)
			}
		})
	}
	workers.Wait()
	if inside != 800 || len(l.held) != 0 {
		t.Errorf("%d turns and %d objects still locked", inside, len(l.held))
	}
}
