package remote_test

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/remote"
	protocol "github.com/etagfs/etagfs/objstore/wire"
)

// asking is a transport that counts requests by their methods.
type asking struct {
	t  *testing.T
	mu sync.Mutex
	n  map[protocol.Method]int
}

// RoundTrip implements [http.RoundTripper].
func (a *asking) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	frame, err := protocol.ReadFrame(bytes.NewReader(body), nil)
	if err != nil {
		return nil, err
	}
	var head protocol.Head
	if _, err := protocol.DecodeHead(frame, &head); err != nil {
		return nil, err
	}
	a.mu.Lock()
	a.n[head.Method]++
	a.mu.Unlock()
	return http.DefaultTransport.RoundTrip(r)
}

// since is what was asked since before, but for what nobody waits for: releases, and what renews leases.
func (a *asking) since(before map[protocol.Method]int) map[protocol.Method]int {
	a.mu.Lock()
	defer a.mu.Unlock()
	asked := make(map[protocol.Method]int)
	for m, n := range a.n {
		if n -= before[m]; n > 0 && m != protocol.MethodRelease && m != protocol.MethodLease && m != protocol.MethodPing {
			asked[m] = n
		}
	}
	return asked
}

func (a *asking) now() map[protocol.Method]int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return maps.Clone(a.n)
}

func (s *shared) counted() (*remote.Store, *asking) {
	a := &asking{t: s.t, n: make(map[protocol.Method]int)}
	holder := s.holderOver(a, nothing)
	awaitTrust(s.t, holder)
	return holder, a
}

// create makes a file as a mount does: the names on its path are looked up, then its content is committed.
func create(t *testing.T, store *remote.Store, dir objstore.ID, name string) objstore.Info {
	t.Helper()
	if _, err := store.Stat(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Lookup(t.Context(), dir, name); objstore.KindOf(err) != objstore.ErrNotFound {
		t.Fatalf("%s: %v", name, err)
	}
	id, err := store.NewID(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	stage, err := store.NewStage(t.Context(), objstore.StageSpec{Owner: objstore.Owner{Path: name, Object: id}})
	if err != nil {
		t.Fatal(err)
	}
	defer stage.Close()
	if _, err := stage.WriteAt(t.Context(), []byte("content"), 0); err != nil {
		t.Fatal(err)
	}
	res, err := stage.Commit(t.Context(), objstore.CommitRequest{
		Target: objstore.Target{ID: id, Parent: dir, Name: name, Attr: objstore.NewAttr{Mode: 0o644}}, Cond: objstore.IfAbsent(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return res.Info
}

// A file made in a directory that was made or listed here costs one request, besides one for many ids, and what it has changed is known
// without another: the directory, the name, the attributes.
func TestCreateIsOneRequest(t *testing.T) {
	s := newShared(t, time.Hour)
	listed, err := s.direct.Make(t.Context(), dirNamed(s.direct.Root(), "listed"))
	if err != nil {
		t.Fatal(err)
	}
	holder, asked := s.counted()
	made, err := holder.Make(t.Context(), dirNamed(holder.Root(), "made"))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := holder.ReadDir(t.Context(), listed.ID, "", 100); err != nil {
		t.Fatal(err)
	}
	const files = 100
	for what, dir := range map[string]objstore.ID{"a directory made here": made.ID, "a directory listed here": listed.ID} {
		if _, err := holder.Stat(t.Context(), dir); err != nil {
			t.Fatal(err)
		}
		before := asked.now()
		for i := range files {
			info := create(t, holder, dir, strconv.Itoa(i))
			found, err := holder.Lookup(t.Context(), dir, strconv.Itoa(i))
			if err != nil || found.Version != info.Version || found.Size != info.Size {
				t.Fatal(found, err)
			}
		}
		got := asked.since(before)
		if got[protocol.MethodNewIDs] > files/50 {
			t.Errorf("%s: %d requests for ids", what, got[protocol.MethodNewIDs])
		}
		delete(got, protocol.MethodNewIDs)
		if want := map[protocol.Method]int{protocol.MethodPush: files}; !maps.Equal(got, want) {
			t.Errorf("%s: %d files cost %v requests by method, want %v", what, files, got, want)
		}
	}
}

// What one mount changes another knows without asking, but for names that went.
func TestForeignChangesBringWhatTheyChanged(t *testing.T) {
	s := newShared(t, time.Hour)
	holder, asked := s.counted()
	dir, err := holder.Make(t.Context(), dirNamed(holder.Root(), "dir"))
	if err != nil {
		t.Fatal(err)
	}
	other := s.open()
	before := asked.now()
	for i := range 20 {
		name := strconv.Itoa(i)
		info := create(t, other, dir.ID, name)
		if found, err := holder.Lookup(t.Context(), dir.ID, name); err != nil || found.Version != info.Version {
			t.Fatal(found, err)
		}
		if found, err := holder.Stat(t.Context(), dir.ID); err != nil || found.Attr.Mtime.Before(info.Attr.Mtime) {
			t.Fatal(found, err)
		}
	}
	if got := asked.since(before); len(got) > 0 {
		t.Errorf("%v requests by method", got)
	}
}

// Nobody is told of what one mount changes alone but itself: that costs no request for its lease.
func TestOwnChangesAreNotAcknowledged(t *testing.T) {
	s := newShared(t, time.Hour)
	holder, asked := s.counted()
	before := asked.now()[protocol.MethodLease]
	for i := range 100 {
		if _, err := holder.Make(t.Context(), dirNamed(holder.Root(), strconv.Itoa(i))); err != nil {
			t.Fatal(err)
		}
	}
	// One was perhaps under way, another wanted before that.
	if n := asked.now()[protocol.MethodLease] - before; n > 2 {
		t.Errorf("%d requests", n)
	}
}

// C5: whatever is done to a tree, by whom, and in whatever order it is told, who has a lease finds each name as it is once that was
// acknowledged.
func TestC5RecordsAreTheTree(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	s := newShared(t, time.Hour)
	old, err := s.direct.Make(t.Context(), dirNamed(s.direct.Root(), "c"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.direct.Make(t.Context(), dirNamed(old.ID, "c")); err != nil {
		t.Fatal(err)
	}
	holder, _ := s.counted()
	other := s.open()
	m := &treeChanges{t: t, random: random, stores: []*remote.Store{holder, other}, dirs: []objstore.ID{holder.Root(), old.ID}}
	for round := range 600 {
		what := m.change()
		m.compare(holder, other, fmt.Sprintf("round %d, %s", round, what))
		if t.Failed() {
			return
		}
	}
}

// treeChanges makes random changes of a small tree.
type treeChanges struct {
	t      *testing.T
	random *rand.Rand
	stores []*remote.Store
	dirs   []objstore.ID
}

var treeNames = []string{"a", "b", "c", objstore.EscapeName("a", true)}

// change makes one, if that can be.
func (m *treeChanges) change() string {
	ctx, store := m.t.Context(), m.stores[m.random.IntN(len(m.stores))]
	dir, to := m.dirs[m.random.IntN(len(m.dirs))], m.dirs[m.random.IntN(len(m.dirs))]
	name, toName := treeNames[m.random.IntN(3)], treeNames[m.random.IntN(3)]
	switch m.random.IntN(7) {
	case 0:
		if len(m.dirs) == 6 { // another takes its place, which nothing is known of
			m.dirs[1+m.random.IntN(5)] = m.dirs[5]
			m.dirs = m.dirs[:5]
		}
		if info, err := store.Make(ctx, dirNamed(dir, name)); err == nil {
			m.dirs = append(m.dirs, info.ID)
		}
		return "mkdir"
	case 1:
		_, err := store.Rmdir(ctx, dir, name, 0)
		return fmt.Sprint("rmdir ", err)
	case 2:
		_, err := store.Unlink(ctx, dir, name, objstore.Unconditional(), 0)
		return fmt.Sprint("unlink ", err)
	case 3, 4:
		req := objstore.MoveRequest{
			Parent: dir, Name: name, NewParent: to, NewName: toName, Cond: objstore.Unconditional(), NewCond: objstore.Unconditional(),
		}
		if m.random.IntN(2) == 0 {
			req.Mode = objstore.RenameExchange
		}
		_, err := store.Move(ctx, req)
		return fmt.Sprint("move ", err)
	case 5:
		if info, err := store.Lookup(ctx, to, toName); err == nil {
			_, err = store.Link(ctx, info.ID, dir, name, 0)
			return fmt.Sprint("link ", err)
		}
		return "no link"
	default:
		key := objstore.Key(name)
		if m.random.IntN(2) == 0 {
			key += "/" + objstore.Key(toName)
		}
		_, err := store.Put(ctx, key, bytes.NewReader([]byte(toName)), objstore.Unconditional(), objstore.PutOptions{})
		return fmt.Sprint("put ", key, " ", err)
	}
}

// compare looks each name up in two stores, the second of which asks the server.
func (m *treeChanges) compare(holder, asks *remote.Store, after string) {
	m.t.Helper()
	if holder.Trust() == 0 {
		m.t.Fatal("there is no lease")
	}
	for _, dir := range slices.Clone(m.dirs) {
		for _, name := range treeNames {
			if m.random.IntN(4) > 0 {
				continue // what was never asked for is another case
			}
			got, gotErr := holder.Lookup(m.t.Context(), dir, name)
			want, wantErr := asks.Lookup(m.t.Context(), dir, name)
			if got.ID != want.ID || got.Version != want.Version || got.Nlink != want.Nlink || (gotErr == nil) != (wantErr == nil) {
				m.t.Errorf("after %s: %d/%s is %d, version %s, %d links (%v), want %d, version %s, %d links (%v)",
					after, dir, name, got.ID, got.Version, got.Nlink, gotErr, want.ID, want.Version, want.Nlink, wantErr)
			}
		}
		if m.random.IntN(8) == 0 {
			_, _, _ = holder.ReadDir(m.t.Context(), dir, "", 100) // of one that is gone there is nothing to remember
		}
	}
}
