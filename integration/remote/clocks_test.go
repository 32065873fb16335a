package remote

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"github.com/etagfs/etagfs/fs"
	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore"
	"github.com/etagfs/etagfs/objstore/locks"
	"github.com/etagfs/etagfs/objstore/remote"
	"github.com/etagfs/etagfs/objstore/s3server"
)

// ahead is a clock that is wrong by so much.
func ahead(by time.Duration) func() time.Time {
	return func() time.Time { return time.Now().Add(by) }
}

// machine is a client of a server, with a clock of its own.
type machine struct {
	t     *testing.T
	store *remote.Store
	fs    *fs.FS
}

var root = fs.Caller{}

// machinesApart are a server whose clock is wrong, and two clients: one whose clock is an hour ahead, and one an hour behind.
func machinesApart(t *testing.T, wrong time.Duration) (a, b *machine) {
	t.Helper()
	parts := badgerstore.Parts{Clock: ahead(wrong)}
	engine, err := badgerstore.Open(t.Context(), filepath.Join(t.TempDir(), "store"), badgerstore.Options{Create: true}, parts)
	must(t, err)
	all := []string{"*"}
	handler, err := s3server.New(s3server.Options{
		Buckets: engine, Clients: engine, Now: ahead(wrong), Locks: locks.NewBuckets(),
		Users: s3server.Users{Users: []s3server.User{{Name: "all", AccessKey: "key", SecretKey: "secret", Admin: all}}},
	})
	must(t, err)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", ahead(wrong)().UTC().Format(http.TimeFormat))
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		handler.Drain()
		server.Close()
		handler.Close()
		must(t, engine.Close())
	})
	open := func(by time.Duration) *machine {
		store, err := remote.Open(t.Context(), remote.Options{Endpoint: server.URL, Bucket: badgerstore.MainBucket},
			remote.Parts{Credentials: &remote.Credentials{AccessKey: "key", SecretKey: "secret"}})
		must(t, err)
		m := &machine{t: t, store: store}
		m.fs, err = fs.New(t.Context(), fs.Config{Namespace: store, Clock: ahead(by)})
		must(t, err)
		t.Cleanup(func() { must(t, errors.Join(m.fs.Close(context.Background()), store.Close())) })
		return m
	}
	return open(time.Hour), open(-time.Hour)
}

// open opens a file to write it, and makes it if there is none.
func (m *machine) open(name string) *fs.Handle {
	m.t.Helper()
	mode := fs.OpenMode{Read: true, Write: true}
	entry, err := m.fs.Lookup(m.t.Context(), root, m.store.Root(), name)
	if errors.Is(err, objstore.ErrNotFound) {
		h, _, err := m.fs.Create(m.t.Context(), root, m.store.Root(), name, mode, 0o644)
		must(m.t, err)
		return h
	}
	must(m.t, err)
	h, _, err := m.fs.Open(m.t.Context(), root, entry.View, mode)
	must(m.t, err)
	return h
}

// write writes to a handle and commits that, which is closed then.
func (m *machine) write(h *fs.Handle, text string) error {
	m.t.Helper()
	ctx := m.t.Context()
	_, err := h.WriteAt(ctx, []byte(text), 0, fs.WriteMode{})
	must(m.t, err)
	err = h.Flush(ctx, root)
	h.Release(ctx)
	return err
}

// read is what a file has now, and when it was modified.
func (m *machine) read(name string) (text string, modified time.Time) {
	m.t.Helper()
	ctx := m.t.Context()
	entry, err := m.fs.Lookup(ctx, root, m.store.Root(), name)
	must(m.t, err)
	h, entry, err := m.fs.Open(ctx, root, entry.View, fs.OpenMode{Read: true})
	must(m.t, err)
	defer h.Release(ctx)
	p := make([]byte, entry.Attr.Size)
	n, err := h.ReadAt(ctx, p, 0)
	must(m.t, err)
	return string(p[:n]), entry.Attr.Mtime
}

// C3, C5, C6: of two machines whose clocks are two hours apart, on a server whose clock is wrong too, (1) each sees what the other
// has committed, and a file is never modified earlier than it was before: the times are the server's; (2) who opened before the
// other committed is told EBUSY; (3) of two that make one name one does; (4) a lock one has the other has not, until it is given up.
func TestMachinesWhoseClocksAreApartAgree(t *testing.T) {
	for _, wrong := range []time.Duration{0, time.Hour, -time.Hour} {
		t.Run(fmt.Sprint("server ", wrong), func(t *testing.T) {
			a, b := machinesApart(t, wrong)
			var last time.Time
			for i, m := range []*machine{a, b, a, b, b, a} {
				want := fmt.Sprint("commit ", i)
				must(t, m.write(m.open("f"), want))
				for _, reader := range []*machine{a, b} {
					text, modified := reader.read("f")
					if text != want || modified.Before(last) || modified.Sub(ahead(wrong)()).Abs() > 10*time.Minute {
						t.Errorf("after %q: %q, modified %v, before %v, by a clock that is wrong by %v", want, text, modified, last, wrong)
					}
					last = modified
				}
			}
			for _, pair := range [][2]*machine{{a, b}, {b, a}} {
				loser := pair[0].open("f")
				must(t, pair[1].write(pair[1].open("f"), "wins"))
				if err := pair[0].write(loser, "loses"); !errors.Is(err, fs.ErrBusy) {
					t.Errorf("it lost, and is told %v", err)
				}
			}
			if kept, err := a.store.ListConflicts(t.Context()); err != nil || len(kept) != 2 {
				t.Errorf("%d are kept, %v", len(kept), err)
			}
			checkExclusion(t, a, b)
		})
	}
}

// checkExclusion has both make a name and take a lock.
func checkExclusion(t *testing.T, a, b *machine) {
	t.Helper()
	made := 0
	for _, m := range []*machine{a, b} {
		h, _, err := m.fs.Create(t.Context(), root, m.store.Root(), "once", fs.OpenMode{Write: true, Exclusive: true}, 0o644)
		if err == nil {
			made++
			h.Release(t.Context())
		} else if !errors.Is(err, fs.ErrExists) {
			t.Errorf("create: %v", err)
		}
	}
	if made != 1 {
		t.Errorf("made %d times", made)
	}
	lock := func(owner uint64) locks.Lock {
		return locks.Lock{Owner: locks.Owner{ID: owner}, Start: 0, End: 9, Exclusive: true, Process: uint32(owner)}
	}
	must(t, a.store.Locks().TryLock(t.Context(), 7, lock(1)))
	if err := b.store.Locks().TryLock(t.Context(), 7, lock(2)); !errors.Is(err, locks.ErrHeld) {
		t.Errorf("both have the lock: %v", err)
	}
	must(t, a.store.Locks().Unlock(t.Context(), 7, lock(1)))
	must(t, b.store.Locks().TryLock(t.Context(), 7, lock(2)))
	must(t, b.store.Locks().Unlock(t.Context(), 7, lock(2)))
}
