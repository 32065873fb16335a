package locks

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
)

func record(id uint64, exclusive bool) Lock {
	return Lock{Owner: Owner{ID: id}, Start: 0, End: 9, Exclusive: exclusive, Process: uint32(id)}
}

func opened(id uint64, exclusive bool) Lock {
	k := Whole(Owner{ID: id, Flock: true})
	k.Exclusive, k.Process = exclusive, uint32(id)
	return k
}

func TestLocksExcludeByRangeOwnerAndKind(t *testing.T) {
	held := Lock{Owner: Owner{ID: 1}, Start: 10, End: 19, Exclusive: true}
	for _, c := range []struct {
		name string
		want bool
		lock Lock
	}{
		{"the same owner", true, Lock{Owner: Owner{ID: 1}, Start: 0, End: 99, Exclusive: true}},
		{"before", true, Lock{Owner: Owner{ID: 2}, Start: 0, End: 9, Exclusive: true}},
		{"after", true, Lock{Owner: Owner{ID: 2}, Start: 20, End: 29, Exclusive: true}},
		{"first byte", false, Lock{Owner: Owner{ID: 2}, Start: 0, End: 10, Exclusive: true}},
		{"last byte", false, Lock{Owner: Owner{ID: 2}, Start: 19, End: 29, Exclusive: true}},
		{"shared under exclusive", false, Lock{Owner: Owner{ID: 2}, Start: 12, End: 12}},
		{"flock beside fcntl", true, Lock{Owner: Owner{ID: 2, Flock: true}, Start: 0, End: 99, Exclusive: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := New()
			l.try(7, held)
			if _, got := l.try(7, c.lock); got != c.want {
				t.Errorf("TryLock = %v, want %v", got, c.want)
			}
			if _, taken := l.try(8, c.lock); !taken {
				t.Error("a lock on another object is in the way")
			}
			l.checkInvariants(t)
		})
	}
}

func TestConflictNamesTheWholeLockAndItsProcess(t *testing.T) {
	l := New()
	for _, start := range []uint64{20, 0, 10} { // neighbours are one
		l.try(7, Lock{Owner: Owner{ID: 1}, Start: start, End: start + 9, Exclusive: true, Process: 99})
	}
	got, found := l.conflict(7, Lock{Owner: Owner{ID: 2}, Start: 5, End: 5})
	if !found || got.Start != 0 || got.End != 29 || got.Process != 99 || !got.Exclusive {
		t.Errorf("Conflict = %+v, %v", got, found)
	}
}

func TestConflictIsTheOneThatStartsFirst(t *testing.T) {
	l := New()
	for _, start := range []uint64{10, 30, 1, 20} {
		l.try(7, Lock{Owner: Owner{ID: 1}, Start: start, End: start + 4, Exclusive: true})
	}
	for from, want := range map[uint64]uint64{0: 1, 5: 1, 6: 10, 16: 20} {
		got, found := l.conflict(7, Lock{Owner: Owner{ID: 2}, Start: from, End: 100})
		if !found || got.Start != want {
			t.Errorf("from %d: %+v, %v; want the one at %d", from, got, found, want)
		}
	}
}

func mustWait(t *testing.T, l *Table, k Lock) *Wait {
	t.Helper()
	w, err := l.request(7, k)
	if err != nil {
		t.Fatal(err)
	}
	if isGranted(w) {
		t.Fatalf("%+v does not wait", k)
	}
	return w
}

func isGranted(w *Wait) bool {
	select {
	case <-w.over:
		return true
	default:
		return false
	}
}

func TestSharedLocksDoNotStarveAnExclusiveOne(t *testing.T) {
	l := New()
	l.try(7, record(1, false))
	exclusive := mustWait(t, l, record(2, true))
	late := mustWait(t, l, record(3, false))
	l.unlock(7, Whole(Owner{ID: 1}))
	if !isGranted(exclusive) || isGranted(late) {
		t.Fatalf("exclusive granted: %v, the later shared one: %v", isGranted(exclusive), isGranted(late))
	}
	l.unlock(7, Whole(Owner{ID: 2}))
	if !isGranted(late) {
		t.Fatal("the shared lock waits for nothing")
	}
}

func TestWaitOfAHolderIsNotBehindThoseWhoWaitForIt(t *testing.T) {
	l := New()
	l.try(7, record(1, false))
	mustWait(t, l, record(2, true))
	other := record(1, false)
	other.Owner.ID, other.Start = 11, 5 // another open file of process 1
	if w, err := l.request(7, other); err != nil || !isGranted(w) {
		t.Fatalf("a process that holds a lock waits behind one that waits for it: %v", err)
	}
}

func TestWithdrawnWaitLetsOthersPass(t *testing.T) {
	l := New()
	l.try(7, record(1, false))
	exclusive := mustWait(t, l, record(2, true))
	shared := mustWait(t, l, record(3, false))
	if err := l.withdraw(exclusive, context.Canceled); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if !isGranted(shared) {
		t.Fatal("waits behind one who gave up")
	}
	if err := l.withdraw(shared, context.Canceled); err != nil {
		t.Fatalf("a granted lock was withdrawn: %v", err)
	}
}

func TestCircleOfProcessesIsADeadlock(t *testing.T) {
	l := New()
	at := func(k Lock, b uint64) Lock { k.Start, k.End = b, b; return k }
	const n = 4
	for id := range uint64(n) {
		l.try(7, at(record(id+1, true), id))
	}
	for id := range uint64(n - 1) {
		mustWait(t, l, at(record(id+1, true), id+1))
	}
	if _, err := l.request(7, at(record(n, true), 0)); !errors.Is(err, ErrDeadlock) {
		t.Fatalf("request = %v", err)
	}
	if any, _ := l.holds(7, at(record(n, true), n-1)); !any {
		t.Error("who was told of the deadlock lost its lock")
	}
	l.checkInvariants(t)
}

func TestTwoWhoConvertTheirSharedFlockBothGetIt(t *testing.T) {
	l := New()
	l.try(7, opened(1, false))
	l.try(7, opened(2, false))
	first := mustWait(t, l, opened(1, true))
	second := mustWait(t, l, opened(2, true)) // has given up what the first one waits for
	if !isGranted(first) || isGranted(second) {
		t.Fatalf("granted: %v and %v", isGranted(first), isGranted(second))
	}
	l.unlock(7, Whole(Owner{ID: 1, Flock: true}))
	if !isGranted(second) {
		t.Fatal("the second waits for nothing")
	}
}

func TestUpgradeOfRecordLocksThatWaitForEachOtherIsADeadlock(t *testing.T) {
	l := New()
	l.try(7, record(1, false))
	l.try(7, record(2, false))
	mustWait(t, l, record(1, true))
	if _, err := l.request(7, record(2, true)); !errors.Is(err, ErrDeadlock) {
		t.Fatalf("request = %v", err)
	}
}

func TestWaitEndsWithItsContext(t *testing.T) {
	l := New()
	l.try(7, record(1, true))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := l.Open().Lock(ctx, 7, record(2, false)); !errors.Is(err, context.Canceled) {
		t.Errorf("Lock = %v", err)
	}
	l.checkInvariants(t)
}

func TestLockIsMutualExclusionAmongWaiters(t *testing.T) {
	l := New()
	var workers sync.WaitGroup
	inside := 0
	for id := range uint64(8) {
		workers.Go(func() {
			session := l.Open()
			for range 100 {
				k := Lock{Owner: Owner{ID: id}, Start: rand.Uint64N(5), End: 5 + rand.Uint64N(5), Exclusive: true, Process: uint32(id)}
				if err := session.Lock(context.Background(), 7, k); err != nil {
					t.Error(err)
					return
				}
				inside++ // every range has byte 5: the race detector sees two at once
				if err := session.Unlock(context.Background(), 7, Whole(k.Owner)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	workers.Wait()
	if inside != 800 || len(l.objects) != 0 {
		t.Errorf("%d turns and %d objects still locked", inside, len(l.objects))
	}
	l.checkInvariants(t)
}

func TestEndOfASessionReleasesItsLocksAndEndsItsWaits(t *testing.T) {
	l := New()
	mine, other := l.Open(), l.Open()
	ctx := context.Background()
	if err := errors.Join(mine.TryLock(ctx, 7, record(1, true)), other.TryLock(ctx, 8, record(1, true))); err != nil {
		t.Fatal(err)
	}
	if err := other.TryLock(ctx, 7, record(1, true)); !errors.Is(err, ErrHeld) {
		t.Fatalf("owners of two sessions are one: %v", err)
	}
	waited := make(chan error)
	w, err := l.request(8, mine.own(record(2, false)))
	if err != nil {
		t.Fatal(err)
	}
	go func() { waited <- other.Lock(ctx, 7, record(3, true)) }()
	mine.Close()
	if err := <-waited; err != nil {
		t.Errorf("the lock of an ended session is in the way: %v", err)
	}
	<-w.over
	if !errors.Is(w.err, ErrEnded) {
		t.Errorf("its wait ended with %v", w.err)
	}
	l.checkInvariants(t)
}
