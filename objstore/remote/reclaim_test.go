package remote_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/locks"
	"github.com/etagfs/etagfs/objstore/memstore"
	"github.com/etagfs/etagfs/objstore/remote"
	"github.com/etagfs/etagfs/objstore/s3server"
)

// remembering is a store that has every version that was opened, until it forgets.
type remembering struct {
	*memstore.Engine
	forgotten atomic.Bool
	clients   atomic.Int64

	mu  sync.Mutex
	old map[objstore.Version]objstore.Reader // guarded by mu
}

func (r *remembering) Bucket(ctx context.Context, name string) (objstore.Store, error) {
	b, err := r.Engine.Bucket(ctx, name)
	if err != nil {
		return nil, err
	}
	return rememberingBucket{b.(*memstore.Bucket), r}, nil
}

func (r *remembering) ClientCame() { r.clients.Add(1) }
func (r *remembering) ClientWent() { r.clients.Add(-1) }

type rememberingBucket struct {
	*memstore.Bucket
	r *remembering
}

func (b rememberingBucket) Open(ctx context.Context, id objstore.ID, want objstore.Version) (objstore.Reader, error) {
	reader, err := b.Bucket.Open(ctx, id, want)
	if err == nil {
		again, err := b.Bucket.Open(ctx, id, reader.Info().Version)
		if err != nil {
			return nil, errors.Join(err, reader.Close())
		}
		b.r.mu.Lock()
		defer b.r.mu.Unlock()
		b.r.old[reader.Info().Version] = again
	}
	return reader, err
}

// Reopen lends what is remembered: closing it does nothing.
func (b rememberingBucket) Reopen(ctx context.Context, id objstore.ID, version objstore.Version) (objstore.Reader, error) {
	b.r.mu.Lock()
	defer b.r.mu.Unlock()
	if r := b.r.old[version]; r != nil && !b.r.forgotten.Load() {
		return lent{r}, nil
	}
	return b.Bucket.Open(ctx, id, version)
}

type lent struct{ objstore.Reader }

func (lent) Close() error { return nil }

// reborn is a server that begins anew when it is told to, and whose file locks are then expected back until they are settled.
type reborn struct {
	t       *testing.T
	store   *remembering
	handler atomic.Pointer[s3server.Server]
	tables  *locks.Buckets
	http    *httptest.Server
}

func newReborn(t *testing.T) *reborn {
	t.Helper()
	r := &reborn{t: t, store: &remembering{Engine: memstore.New(memstore.Options{}), old: make(map[objstore.Version]objstore.Reader)}}
	if err := r.store.CreateBucket(t.Context(), "box"); err != nil {
		t.Fatal(err)
	}
	r.begin(locks.NewBuckets())
	r.http = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) { r.handler.Load().ServeHTTP(w, q) }))
	t.Cleanup(func() {
		r.handler.Load().Drain()
		r.http.Close()
		r.handler.Load().Close()
	})
	return r
}

func (r *reborn) begin(tables *locks.Buckets) {
	r.t.Helper()
	handler, err := s3server.New(s3server.Options{Buckets: r.store, Users: users(), Locks: tables, Clients: r.store})
	if err != nil {
		r.t.Fatal(err)
	}
	r.tables = tables
	if old := r.handler.Swap(handler); old != nil {
		old.Drain()
		old.Close()
	}
}

// again makes the server begin anew, and expect its clients.
func (r *reborn) again() {
	r.t.Helper()
	tables := locks.NewBuckets()
	tables.Expect()
	r.begin(tables)
}

// client is one that asks only when it is told to.
func (r *reborn) client() *remote.Store {
	r.t.Helper()
	store, err := remote.Open(r.t.Context(), remote.Options{Endpoint: r.http.URL, Bucket: "box"}, remote.Parts{Credentials: credentials(), Clock: stopped{}})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		if err := store.Close(); err != nil {
			r.t.Error(err)
		}
	})
	return store
}

// put makes or replaces a file.
func put(t *testing.T, s *remote.Store, name, content string) objstore.Info {
	t.Helper()
	info, err := s.Put(t.Context(), objstore.Key(name), strings.NewReader(content), objstore.Unconditional(), objstore.PutOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return info
}

// C2: a server that began anew is asked for what was being read before anything else is asked of it: it need not remember
// that for longer.
func TestC2ReadersAreReclaimedFirstFromAServerThatBeganAnew(t *testing.T) {
	r := newReborn(t)
	s, other := r.client(), r.client()
	old := strings.Repeat("old ", remote.PrefetchBytes)
	replaced := put(t, s, "replaced", old)
	reader, err := s.Open(t.Context(), replaced.ID, "")
	if err != nil {
		t.Fatal(err)
	}
	dropped, err := s.Open(t.Context(), replaced.ID, "")
	if err != nil {
		t.Fatal(err)
	}
	put(t, other, "replaced", "new")
	r.again()
	if _, err := s.Stat(t.Context(), replaced.ID); err != nil {
		t.Fatal(err)
	}
	r.store.forgotten.Store(true)
	if err := dropped.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(reader.Stream(t.Context(), 0, -1))
	if err != nil || string(got) != old {
		t.Errorf("%d bytes were read: %v", len(got), err)
	}
	r.again()
	if _, err := reader.ReadAt(t.Context(), make([]byte, 1), 0); !errors.Is(err, objstore.ErrUnavailable) {
		t.Errorf("what is gone was read: %v", err)
	}
}

// writes stages text for an object and commits it in place of a version.
func writes(ctx context.Context, s *remote.Store, info objstore.Info) error {
	stage, err := s.NewStage(ctx, objstore.StageSpec{})
	if err != nil {
		return err
	}
	defer stage.Close()
	if _, err := stage.WriteAt(ctx, []byte("text"), 0); err != nil {
		return err
	}
	_, err = stage.Commit(ctx, objstore.CommitRequest{Target: objstore.Target{ID: info.ID}, Cond: objstore.IfVersion(info.Version)})
	return err
}

// C9: who held a lock has it in the next server too, before anybody else has it, and can commit what it wrote under it.
func TestC9LocksAreReclaimedFirstFromAServerThatBeganAnew(t *testing.T) {
	ctx := t.Context()
	r := newReborn(t)
	s, other := r.client(), r.client()
	locked, also := put(t, s, "locked", ""), put(t, s, "also", "")
	if err := errors.Join(s.Locks().TryLock(ctx, locked.ID, exclusive(1)), s.Locks().TryLock(ctx, also.ID, exclusive(1))); err != nil {
		t.Fatal(err)
	}
	r.again()
	tried := make(chan error)
	go func() { tried <- other.Locks().TryLock(ctx, locked.ID, exclusive(2)) }()
	if err := writes(ctx, s, locked); err != nil {
		t.Errorf("commit under a lock that was reclaimed: %v", err)
	}
	r.tables.Settle()
	if err := <-tried; !errors.Is(err, locks.ErrHeld) {
		t.Errorf("the lock of another: %v", err)
	}
	// This server expects nobody: whoever asks first may have the lock.
	r.begin(locks.NewBuckets())
	if err := other.Locks().TryLock(ctx, also.ID, exclusive(2)); err != nil {
		t.Fatal(err)
	}
	if err := writes(ctx, s, also); !objstore.IsLostCondition(err) {
		t.Errorf("commit under a lock that is lost: %v", err)
	}
}

func TestServerIsToldOfClientsThatGoAndNotOfThoseItLeaves(t *testing.T) {
	r := newReborn(t)
	s := r.client()
	if got := r.store.clients.Load(); got != 1 {
		t.Errorf("%d clients came", got)
	}
	r.again()
	if got := r.store.clients.Load(); got != 1 {
		t.Errorf("after the server has gone %d are left", got)
	}
	put(t, s, "f", "")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if got := r.store.clients.Load(); got != 1 {
		t.Errorf("of two sessions, one of which has said goodbye, %d are left", got)
	}
}
