package remote_test

import (
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/remote"
	"github.com/etagfs/etagfs/objstore/s3server"
	frames "github.com/etagfs/etagfs/objstore/wire"
)

// watchGate holds up who asks to be told of changes in any session but the first that did.
type watchGate struct {
	arrived chan struct{} // closed when somebody is held up
	open    chan struct{} // closed by release
	release func()        // lets all through
	silent  atomic.Bool   // nobody hears of changes until it is open

	mu    sync.Mutex
	first string // guarded by mu
	held  bool   // guarded by mu
}

func newWatchGate() *watchGate {
	g := &watchGate{arrived: make(chan struct{}), open: make(chan struct{})}
	g.release = sync.OnceFunc(func() { close(g.open) })
	return g
}

// RoundTrip implements [http.RoundTripper].
func (g *watchGate) RoundTrip(r *http.Request) (*http.Response, error) {
	head, err := headOf(r)
	if err != nil {
		return nil, err
	}
	if head.Method == frames.MethodWatch && g.holds(head.Session) {
		<-g.open
	}
	response, err := http.DefaultTransport.RoundTrip(r)
	if err == nil && head.Method == frames.MethodWatch {
		response.Body = &silenced{response.Body, g}
	}
	return response, err
}

// headOf is what a request is about.
func headOf(r *http.Request) (head frames.Head, err error) {
	body, err := r.GetBody()
	if err != nil {
		return head, err
	}
	frame, err := frames.ReadFrame(body, nil)
	if err == nil {
		_, err = frames.DecodeHead(frame, &head)
	}
	return head, err
}

// silenced is a stream that stands still once its gate is silent.
type silenced struct {
	io.ReadCloser
	gate *watchGate
}

func (s *silenced) Read(p []byte) (int, error) {
	n, err := s.ReadCloser.Read(p)
	if s.gate.silent.Load() {
		<-s.gate.open
	}
	return n, err
}

func (g *watchGate) holds(session string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.first == "" {
		g.first = session
	}
	if session == g.first {
		return false
	}
	if !g.held {
		g.held = true
		close(g.arrived)
	}
	return true
}

// removers are how a file of the root goes.
func (b *bench) removers(store *remote.Store) map[string]func(name string) error {
	return map[string]func(string) error{
		"by the store itself": func(name string) error {
			_, err := store.Unlink(b.t.Context(), store.Root(), name, objstore.Unconditional(), objstore.Visible)
			return err
		},
		"by another": func(name string) error {
			_, err := b.direct.Unlink(b.t.Context(), b.direct.Root(), name, objstore.Unconditional(), objstore.Visible)
			return err
		},
	}
}

// holder opens a store that has a lease and has found "f".
func (b *bench) holder(transport http.RoundTripper) *remote.Store {
	b.t.Helper()
	b.file = b.create("f", "base")
	store, err := b.open(*credentials(), transport)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() {
		if err := store.Close(); err != nil {
			b.t.Error(err)
		}
	})
	b.t.Cleanup(store.Watch(func(objstore.Change) {}))
	store.Hold(0, nothing)
	awaitTrust(b.t, store)
	b.finds(store, true)
	return store
}

// finds fails the test unless "f" is found, or not.
func (b *bench) finds(store *remote.Store, there bool) {
	b.t.Helper()
	_, err := store.Lookup(b.t.Context(), store.Root(), "f")
	if there && err != nil || !there && objstore.KindOf(err) != objstore.ErrNotFound {
		b.t.Fatalf("%v; it is there: %t", err, there)
	}
}

// C5: the server begins anew. What was found before it tells of changes again, and is gone by then, is not remembered.
func TestC5NothingIsRememberedFromBeforeTheServerTellsOfChanges(t *testing.T) {
	for _, who := range []string{"by the store itself", "by another"} {
		t.Run(who, func(t *testing.T) {
			b, gate := newBench(t), newWatchGate()
			store := b.holder(gate)
			defer gate.release()
			b.begin()
			b.finds(store, true)
			<-gate.arrived
			b.finds(store, true)
			if err := b.removers(store)[who]("f"); err != nil {
				t.Fatal(err)
			}
			gate.release()
			awaitTrust(t, store)
			b.finds(store, false)
		})
	}
}

// C5: who has been told that the server began anew answers from nothing the one before has let it remember, though nobody has
// told it yet that the stream of changes is over.
func TestC5LeaseEndsWithItsSession(t *testing.T) {
	for _, who := range []string{"by the store itself", "by another"} {
		t.Run(who, func(t *testing.T) {
			b, gate := newBench(t), newWatchGate()
			store := b.holder(gate)
			defer gate.release()
			gate.silent.Store(true)
			handler, err := s3server.New(s3server.Options{Buckets: b.engine, Users: users()})
			if err != nil {
				t.Fatal(err)
			}
			before := b.handler.Swap(handler)
			t.Cleanup(func() {
				before.Drain()
				before.Close()
			})
			if err := b.removers(store)[who]("f"); err != nil {
				t.Fatal(err)
			}
			if err := store.Sync(t.Context()); err != nil {
				t.Fatal(err)
			}
			b.finds(store, false)
		})
	}
}
