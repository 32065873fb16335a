package remote_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/memstore"
	"github.com/etagfs/etagfs/objstore/remote"
	"github.com/etagfs/etagfs/objstore/s3server"
)

// bench is a store behind a wire that can break and a server that can begin anew, and the same store without.
type bench struct {
	t       *testing.T
	engine  objstore.Buckets
	handler atomic.Pointer[s3server.Server]
	http    *httptest.Server
	wire    *wire
	store   *remote.Store
	direct  *memstore.Bucket

	file objstore.Info // "f"
	next func()        // what happens before a reply is lost
}

func users() s3server.Users {
	all := []string{"box"}
	return s3server.Users{Users: []s3server.User{
		{Name: "writer", AccessKey: "key", SecretKey: "secret", Read: all, Write: all},
		{Name: "reader", AccessKey: "reads", SecretKey: "secret", Read: all},
		{Name: "partial", AccessKey: "part", SecretKey: "secret", Read: []string{"box/a/"}, Write: []string{"box/a/"}},
	}}
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, engine: memstore.New(memstore.Options{}), wire: &wire{}}
	if err := b.engine.CreateBucket(t.Context(), "box"); err != nil {
		t.Fatal(err)
	}
	direct, err := b.engine.Bucket(t.Context(), "box")
	if err != nil {
		t.Fatal(err)
	}
	b.direct = direct.(*memstore.Bucket)
	b.begin()
	b.http = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { b.handler.Load().ServeHTTP(w, r) }))
	if b.store, err = b.open(*credentials(), b.wire); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.store.Close(); err != nil {
			t.Error(err)
		}
		b.handler.Load().Drain()
		b.http.Close()
		b.handler.Load().Close()
	})
	return b
}

// begin makes the server begin anew: it knows nothing of what it was asked before.
func (b *bench) begin() {
	b.t.Helper()
	handler, err := s3server.New(s3server.Options{Buckets: b.engine, Users: users()})
	if err != nil {
		b.t.Fatal(err)
	}
	if old := b.handler.Swap(handler); old != nil {
		old.Drain()
		old.Close()
	}
}

func (b *bench) open(c remote.Credentials, transport http.RoundTripper) (*remote.Store, error) {
	return remote.Open(b.t.Context(), remote.Options{Endpoint: b.http.URL, Bucket: "box"}, remote.Parts{
		Transport: transport, Credentials: &c, Clock: hasty{},
	})
}

// create makes a file without the wire.
func (b *bench) create(name, content string) objstore.Info {
	b.t.Helper()
	info, err := b.direct.Put(b.t.Context(), objstore.Key(name), strings.NewReader(content), objstore.IfAbsent(), objstore.PutOptions{})
	if err != nil {
		b.t.Fatal(err)
	}
	return info
}

// content is that of a file without the wire; empty: there is none.
func (b *bench) content(name string) string {
	b.t.Helper()
	r, err := b.direct.Get(b.t.Context(), objstore.Key(name), objstore.IfPresent())
	if err != nil {
		return ""
	}
	defer r.Close()
	p := make([]byte, r.Info().Size)
	if _, err := r.ReadAt(b.t.Context(), p, 0); err != nil && len(p) > 0 {
		b.t.Fatal(err)
	}
	return string(p)
}

// wire loses the reply to the next request but those about sessions and handles, when it is told to.
type wire struct {
	mu    sync.Mutex
	after func() // guarded by mu; what happens before the reply is lost; nil: none is lost
}

// lose makes the next reply get lost, after something happened.
func (w *wire) lose(after func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.after = after
}

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := http.DefaultTransport.RoundTrip(r)
	w.mu.Lock()
	after := w.after
	w.after = nil
	w.mu.Unlock()
	if after == nil || err != nil {
		return response, err
	}
	response.Body.Close()
	after()
	return nil, errBroken
}
