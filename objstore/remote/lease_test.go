package remote_test

import (
	"context"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/memstore"
	"github.com/etagfs/etagfs/objstore/remote"
	"github.com/etagfs/etagfs/objstore/s3server"
)

// telling is an engine that tells when readers are closed.
type telling struct {
	objstore.Buckets
	closed chan struct{}
}

func (t telling) Bucket(ctx context.Context, name string) (objstore.Store, error) {
	b, err := t.Buckets.Bucket(ctx, name)
	if err != nil {
		return nil, err
	}
	return tellingBucket{b.(*memstore.Bucket), t.closed}, nil
}

type tellingBucket struct {
	*memstore.Bucket
	closed chan struct{}
}

func (b tellingBucket) Open(ctx context.Context, id objstore.ID, want objstore.Version) (objstore.Reader, error) {
	r, err := b.Bucket.Open(ctx, id, want)
	return tellingReader{r, b.closed}, err
}

type tellingReader struct {
	objstore.Reader
	closed chan struct{}
}

func (r tellingReader) Close() error {
	r.closed <- struct{}{}
	return r.Reader.Close()
}

// leased is a store on a server whose sessions end soon, and that tells when it closes a reader.
func leased(t *testing.T, lease time.Duration, clock remote.Clock) (*remote.Store, objstore.Reader, <-chan struct{}) {
	t.Helper()
	engine := telling{memstore.New(memstore.Options{}), make(chan struct{}, 100)}
	if err := engine.CreateBucket(t.Context(), "box"); err != nil {
		t.Fatal(err)
	}
	handler, err := s3server.New(s3server.Options{Buckets: engine, Users: users(), Limits: s3server.Limits{SessionLease: lease}})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	store, err := remote.Open(t.Context(), remote.Options{Endpoint: server.URL, Bucket: "box"}, remote.Parts{Credentials: credentials(), Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		store.Close()
		handler.Drain()
		server.Close()
		handler.Close()
	})
	large := strings.NewReader(strings.Repeat("x", 2*remote.PrefetchBytes))
	info, err := store.Put(t.Context(), "f", large, objstore.IfAbsent(), objstore.PutOptions{})
	if err != nil {
		t.Fatal(err)
	}
	r, err := store.Open(t.Context(), info.ID, "")
	if err != nil {
		t.Fatal(err)
	}
	return store, r, engine.closed
}

// stopped is a clock by which it is never time for anything.
type stopped struct{}

func (stopped) Sleep(ctx context.Context, _ time.Duration) error {
	<-ctx.Done()
	return ctx.Err()
}

// What is held for a client that is not heard of is given back; a client that comes back gets it again.
func TestPinsOfTheSilentAreReleased(t *testing.T) {
	_, r, closed := leased(t, 50*time.Millisecond, stopped{})
	<-closed
	p := make([]byte, 1)
	if _, err := r.ReadAt(t.Context(), p, 0); err != nil || p[0] != 'x' {
		t.Errorf("%q, %v", p, err)
	}
}

// What a client closes is given back soon.
func TestClosedReadersAreReleased(t *testing.T) {
	_, r, closed := leased(t, time.Hour, stopped{})
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	<-closed
}

// What is left when the store is closed is given back at once.
func TestGoodbyeReleasesPins(t *testing.T) {
	store, _, closed := leased(t, time.Hour, stopped{})
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	<-closed
}
