package remote_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/locks"
	"github.com/etagfs/etagfs/objstore/memstore"
	"github.com/etagfs/etagfs/objstore/remote"
	"github.com/etagfs/etagfs/objstore/s3server"
)

// lockers are two clients of a server whose locks have a lease, and its own table.
func lockers(t *testing.T, lease time.Duration, clock remote.Clock) (a, b *remote.Store, own *locks.Session) {
	t.Helper()
	engine, tables := memstore.New(memstore.Options{}), locks.NewBuckets()
	if err := engine.CreateBucket(t.Context(), "box"); err != nil {
		t.Fatal(err)
	}
	handler, err := s3server.New(s3server.Options{Buckets: engine, Users: users(), Locks: tables, Limits: s3server.Limits{LockLease: lease}})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	open := func() *remote.Store {
		store, err := remote.Open(t.Context(), remote.Options{Endpoint: server.URL, Bucket: "box"}, remote.Parts{Credentials: credentials(), Clock: clock})
		if err != nil {
			t.Fatal(err)
		}
		return store
	}
	a, b = open(), open()
	t.Cleanup(func() {
		a.Close()
		b.Close()
		handler.Drain()
		server.Close()
		handler.Close()
	})
	return a, b, tables.Table("box").Open()
}

func exclusive(owner uint64) locks.Lock {
	return locks.Lock{Owner: locks.Owner{ID: owner}, Start: 3, End: 9, Exclusive: true, Process: uint32(owner)}
}

func TestLocksOfClientsAndServerExclude(t *testing.T) {
	ctx := t.Context()
	a, b, own := lockers(t, time.Hour, stopped{})
	if err := a.Locks().TryLock(ctx, 7, exclusive(1)); err != nil {
		t.Fatal(err)
	}
	for name, l := range map[string]locks.Locker{"client": b.Locks(), "server": own} {
		if err := l.TryLock(ctx, 7, exclusive(1)); !errors.Is(err, locks.ErrHeld) {
			t.Errorf("%s: %v", name, err)
		}
		other, found, err := l.Conflict(ctx, 7, exclusive(1))
		if err != nil || !found || other.Start != 3 || other.End != 9 || !other.Exclusive || other.Process != 1 {
			t.Errorf("%s: in the way is %+v, %v, %v", name, other, found, err)
		}
	}
	got := make(chan error)
	go func() { got <- b.Locks().Lock(ctx, 7, exclusive(2)) }()
	if err := a.Locks().Unlock(ctx, 7, exclusive(1)); err != nil {
		t.Fatal(err)
	}
	if err := <-got; err != nil {
		t.Errorf("the wait: %v", err)
	}
	if held, alone := b.Locks().Holds(7, exclusive(2)); !held || !alone {
		t.Error("the client does not know what it holds")
	}
}

func TestCircleOfClientsIsADeadlock(t *testing.T) {
	ctx := t.Context()
	a, b, _ := lockers(t, time.Hour, stopped{})
	if err := errors.Join(a.Locks().TryLock(ctx, 7, exclusive(1)), b.Locks().TryLock(ctx, 8, exclusive(2))); err != nil {
		t.Fatal(err)
	}
	ends := make(chan error, 2)
	go func() { ends <- a.Locks().Lock(ctx, 8, exclusive(1)) }()
	go func() { ends <- b.Locks().Lock(ctx, 7, exclusive(2)) }()
	if err := <-ends; !errors.Is(err, locks.ErrDeadlock) { // whichever came second
		t.Fatalf("the first to end: %v", err)
	}
	if err := errors.Join(a.Locks().Unlock(ctx, 7, exclusive(1)), b.Locks().Unlock(ctx, 8, exclusive(2))); err != nil {
		t.Fatal(err)
	}
	if err := <-ends; err != nil {
		t.Errorf("the other: %v", err)
	}
}

func TestCancelledWaitIsWithdrawn(t *testing.T) {
	a, b, own := lockers(t, time.Hour, stopped{})
	if err := a.Locks().TryLock(t.Context(), 7, exclusive(1)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.Locks().Lock(ctx, 7, exclusive(2)); !errors.Is(err, context.Canceled) {
		t.Fatalf("the wait: %v", err)
	}
	if err := a.Locks().Unlock(t.Context(), 7, exclusive(1)); err != nil {
		t.Fatal(err)
	}
	if err := own.TryLock(t.Context(), 7, exclusive(3)); err != nil {
		t.Errorf("the wait that was given up has the lock: %v", err)
	}
}

// C3: a commit under a lock that is held no more is refused, even if nothing was committed since.
func TestC3FenceOfALockWhoseLeaseRanOutRefusesTheCommit(t *testing.T) {
	ctx := t.Context()
	a, _, own := lockers(t, 50*time.Millisecond, stopped{})
	info, err := a.Put(ctx, "f", strings.NewReader(""), objstore.IfAbsent(), objstore.PutOptions{})
	if err != nil {
		t.Fatal(err)
	}
	commit := func() error {
		r, err := a.Open(ctx, info.ID, "")
		if err != nil {
			return err
		}
		defer r.Close()
		stage, err := a.NewStage(ctx, objstore.StageSpec{Base: r})
		if err != nil {
			return err
		}
		defer stage.Close()
		if _, err := stage.WriteAt(ctx, []byte("text"), 0); err != nil {
			return err
		}
		_, err = stage.Commit(ctx, objstore.CommitRequest{Target: objstore.Target{ID: info.ID}, Cond: objstore.IfVersion(r.Info().Version)})
		return err
	}
	if err := a.Locks().TryLock(ctx, info.ID, exclusive(1)); err != nil {
		t.Fatal(err)
	}
	if err := own.Lock(ctx, info.ID, exclusive(2)); err != nil { // once the lease has run out
		t.Fatal(err)
	}
	for range 2 {
		if err := commit(); !errors.Is(err, objstore.ErrPrecondition) {
			t.Errorf("commit under the lost lock: %v", err)
		}
	}
	if err := a.Locks().Unlock(ctx, info.ID, exclusive(1)); err != nil {
		t.Fatal(err)
	}
	if err := commit(); err != nil {
		t.Errorf("commit without a lock: %v", err)
	}
}

func TestGoodbyeReleasesLocks(t *testing.T) {
	a, b, _ := lockers(t, time.Hour, stopped{})
	if err := a.Locks().TryLock(t.Context(), 7, exclusive(1)); err != nil {
		t.Fatal(err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if err := b.Locks().TryLock(t.Context(), 7, exclusive(1)); err != nil {
		t.Error(err)
	}
}
