package remote_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/memstore"
	"github.com/etagfs/etagfs/objstore/remote"
	"github.com/etagfs/etagfs/objstore/s3server"
)

// shared is a server whose leases last for a term, and what its store is without it.
type shared struct {
	t       *testing.T
	handler *s3server.Server
	http    *httptest.Server
	direct  *memstore.Bucket
}

func newShared(t *testing.T, term time.Duration) *shared {
	t.Helper()
	engine := memstore.New(memstore.Options{})
	if err := engine.CreateBucket(t.Context(), "box"); err != nil {
		t.Fatal(err)
	}
	direct, err := engine.Bucket(t.Context(), "box")
	if err != nil {
		t.Fatal(err)
	}
	handler, err := s3server.New(s3server.Options{
		Buckets: engine, Limits: s3server.Limits{CacheLease: term},
		Users: s3server.Users{Anonymous: &s3server.User{Admin: []string{"*"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	s := &shared{t, handler, httptest.NewServer(handler), direct.(*memstore.Bucket)}
	t.Cleanup(func() {
		handler.Drain()
		s.http.Close()
		handler.Close()
	})
	return s
}

func (s *shared) open() *remote.Store { return s.openOver(nil) }

func (s *shared) openOver(transport http.RoundTripper) *remote.Store {
	s.t.Helper()
	store, err := remote.Open(s.t.Context(), remote.Options{Endpoint: s.http.URL, Bucket: "box"}, remote.Parts{Transport: transport})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		if err := store.Close(); err != nil {
			s.t.Error(err)
		}
	})
	return store
}

// holder is a store with leases. settled is part of what the server waits for.
func (s *shared) holder(settled func(context.Context) error) *remote.Store {
	return s.holderOver(nil, settled)
}

func (s *shared) holderOver(transport http.RoundTripper, settled func(context.Context) error) *remote.Store {
	store := s.openOver(transport)
	s.t.Cleanup(store.Watch(func(objstore.Change) {}))
	store.Hold(0, settled)
	return store
}

// awaitTrust returns once there is a lease.
func awaitTrust(t *testing.T, store *remote.Store) {
	t.Helper()
	for store.Trust() == 0 {
		if err := store.Sync(t.Context()); err != nil { // takes a moment
			t.Fatal(err)
		}
	}
}

func nothing(context.Context) error { return nil }

// wanted is how a name is found.
func (s *shared) wanted(store *remote.Store, name string, there bool) {
	s.t.Helper()
	_, err := store.Lookup(s.t.Context(), store.Root(), name)
	if there && err != nil || !there && !errors.Is(err, objstore.ErrNotFound) {
		s.t.Fatalf("%s: %v; it is there: %v", name, err, there)
	}
}

func dirNamed(parent objstore.ID, name string) objstore.MakeRequest {
	return objstore.MakeRequest{Parent: parent, Name: name, Type: objstore.TypeDir, Attr: objstore.NewAttr{Mode: 0o755}}
}

// makers are how somebody else makes a directory.
func (s *shared) makers() map[string]func(name string) {
	other := s.open()
	request := func(method, path string) {
		s.t.Helper()
		r, err := http.NewRequestWithContext(s.t.Context(), method, s.http.URL+"/box/"+path, strings.NewReader(""))
		if err != nil {
			s.t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			s.t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode >= http.StatusBadRequest {
			s.t.Fatal(response.Status)
		}
	}
	return map[string]func(string){
		"another client": func(name string) {
			if _, err := other.Make(s.t.Context(), dirNamed(other.Root(), name)); err != nil {
				s.t.Fatal(err)
			}
		},
		"S3": func(name string) { request(http.MethodPut, name+"/") },
		"the process of the server": func(name string) {
			if _, err := s.direct.Make(s.t.Context(), dirNamed(s.direct.Root(), name)); err != nil {
				s.t.Fatal(err)
			}
			s.handler.Settle()
		},
	}
}

// C5: what was remembered is forgotten before a change of it is acknowledged to who made it, and so is what others remembered
// that the store was used for.
func TestC5HoldersForgetBeforeAChangeIsAcknowledged(t *testing.T) {
	s := newShared(t, time.Hour)
	var asked atomic.Pointer[remote.Store]
	var told, forgotten atomic.Int64
	holder := s.holder(func(ctx context.Context) error {
		n, in := told.Load(), asked.Load()
		for i := 0; i < 3 && in != nil; i++ { // takes longer than an answer to who made the change
			if err := in.Sync(ctx); err != nil {
				return err
			}
		}
		forgotten.Store(n)
		return nil
	})
	asked.Store(holder)
	s.t.Cleanup(holder.Watch(func(objstore.Change) { told.Add(1) }))
	for way, make := range s.makers() {
		awaitTrust(t, holder)
		for i := range 100 {
			name := way[:2] + strconv.Itoa(i)
			s.wanted(holder, name, false)
			before := told.Load()
			make(name)
			if forgotten.Load() <= before {
				t.Fatalf("%s: round %d was acknowledged too early", way, i)
			}
			if holder.Trust() == 0 {
				t.Fatalf("%s: there is no lease in round %d", way, i)
			}
			s.wanted(holder, name, true)
		}
	}
}

// What is remembered is not asked for again: names that are there and that are not, attributes, and all of a listing.
func TestHolderAnswersFromWhatItRemembers(t *testing.T) {
	s := newShared(t, time.Hour)
	holder, asked := s.counted()
	for i := range 10 {
		if _, err := holder.Make(t.Context(), dirNamed(holder.Root(), strconv.Itoa(i))); err != nil {
			t.Fatal(err)
		}
	}
	first, more, err := holder.ReadDir(t.Context(), holder.Root(), "", 3)
	if err != nil || len(first) != 3 || !more {
		t.Fatal(len(first), more, err)
	}
	before := asked.now()
	s.wanted(holder, "absent", false) // however little of the listing was asked for
	if got := asked.since(before); len(got) > 0 {
		t.Errorf("%v requests by method for a name that is not there", got)
	}
	entries, more, err := holder.ReadDir(t.Context(), holder.Root(), first[2].Name, 100)
	if err != nil || len(entries) != 7 || more {
		t.Fatal(len(entries), more, err)
	}
	entries = append(entries, first...)
	for _, e := range entries {
		if _, err := holder.Path(t.Context(), e.Info.ID); err != nil {
			t.Fatal(err)
		}
	}
	before = asked.now()
	for _, e := range entries {
		s.wanted(holder, e.Name, true)
		s.wanted(holder, "absent", false)
		if info, err := holder.Stat(t.Context(), e.Info.ID); err != nil || info.ID != e.Info.ID {
			t.Error(info, err)
		}
		if path, err := holder.Path(t.Context(), e.Info.ID); err != nil || path != e.Name {
			t.Error(path, err)
		}
	}
	if got := asked.since(before); len(got) > 0 {
		t.Errorf("%v requests by method", got)
	}
}

// A path is asked for again once a directory on it has another name, and not for what happens to other files.
func TestPathsAreForgottenWhenADirectoryMoves(t *testing.T) {
	s := newShared(t, time.Hour)
	holder, other := s.holder(nothing), s.open()
	awaitTrust(t, holder)
	dir, err := other.Make(t.Context(), dirNamed(other.Root(), "d0"))
	if err != nil {
		t.Fatal(err)
	}
	inner, err := other.Make(t.Context(), dirNamed(dir.ID, "inner"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 50 {
		want := "d" + strconv.Itoa(i) + "/inner"
		for range 2 {
			if path, err := holder.Path(t.Context(), inner.ID); err != nil || path != want {
				t.Fatalf("%q (%v), want %q", path, err, want)
			}
		}
		if _, err := other.Move(t.Context(), objstore.MoveRequest{
			Parent: other.Root(), Name: "d" + strconv.Itoa(i), NewParent: other.Root(), NewName: "d" + strconv.Itoa(i+1),
			Cond: objstore.Unconditional(), NewCond: objstore.Unconditional(),
		}); err != nil {
			t.Fatal(err)
		}
	}
}

// A holder that does not say that it was told delays others until its lease has run out, and then no more; it does not answer
// from what it remembered meanwhile.
func TestHangingHolderLosesItsLease(t *testing.T) {
	s := newShared(t, 50*time.Millisecond)
	hangs := make(chan struct{})
	var hang atomic.Bool
	holder := s.holder(func(ctx context.Context) error {
		if hang.Load() {
			<-hangs
		}
		return nil
	})
	other := s.open()
	awaitTrust(t, holder)
	s.wanted(holder, "0", false)
	hang.Store(true)
	for i := range 20 {
		begun := time.Now()
		if _, err := other.Make(t.Context(), dirNamed(other.Root(), strconv.Itoa(i))); err != nil {
			t.Fatal(err)
		}
		t.Log("a change took", time.Since(begun))
		s.wanted(holder, strconv.Itoa(i), true)
	}
	close(hangs)
	hang.Store(false)
	awaitTrust(t, holder)
	s.wanted(holder, "0", true)
}
