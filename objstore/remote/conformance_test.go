package remote_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore"
	"github.com/etagfs/etagfs/objstore/memstore"
	"github.com/etagfs/etagfs/objstore/objstoretest"
	"github.com/etagfs/etagfs/objstore/remote"
	"github.com/etagfs/etagfs/objstore/s3server"
)

// hasty is a clock that does not wait between attempts.
type hasty struct{}

func (hasty) Sleep(ctx context.Context, d time.Duration) error {
	if d <= 2*time.Second {
		return ctx.Err()
	}
	<-ctx.Done() // signs of life are not needed for so short a time
	return ctx.Err()
}

// server is one with a bucket "box" for one user.
type server struct {
	handler *s3server.Server
	http    *httptest.Server
}

func serve(ctx context.Context, engine objstore.Buckets) (*server, error) {
	handler, err := s3server.New(s3server.Options{
		Buckets: engine,
		Users:   s3server.Users{Users: []s3server.User{{Name: "u", AccessKey: "key", SecretKey: "secret", Read: []string{"box"}, Write: []string{"box"}}}},
	})
	if err != nil {
		return nil, err
	}
	if err := engine.CreateBucket(ctx, "box"); err != nil {
		return nil, err
	}
	return &server{handler, httptest.NewServer(handler)}, nil
}

func (s *server) close() {
	s.handler.Drain()
	s.http.Close()
	s.handler.Close()
}

func credentials() *remote.Credentials {
	return &remote.Credentials{AccessKey: "key", SecretKey: "secret"}
}

// over opens subjects on engines, through a connection that faults may disturb.
func over(open func(ctx context.Context) (engine objstore.Buckets, closeEngine func() error, err error), disturb func(http.RoundTripper) http.RoundTripper) objstoretest.Opener {
	return func(ctx context.Context) (*objstoretest.Subject, error) {
		engine, closeEngine, err := open(ctx)
		if err != nil {
			return nil, err
		}
		s, err := serve(ctx, engine)
		if err != nil {
			return nil, err
		}
		store, err := remote.Open(ctx, remote.Options{Endpoint: s.http.URL, Bucket: "box"}, remote.Parts{
			Transport: disturb(&http.Transport{MaxIdleConnsPerHost: 16}), Credentials: credentials(), Clock: hasty{},
		})
		if err != nil {
			return nil, err
		}
		return &objstoretest.Subject{Store: store, Namespace: store, Close: func() error {
			err := store.Close()
			s.close()
			if end := closeEngine(); err == nil {
				err = end
			}
			return err
		}}, nil
	}
}

func sound(t http.RoundTripper) http.RoundTripper { return t }

func memory(context.Context) (objstore.Buckets, func() error, error) {
	return memstore.New(memstore.Options{}), func() error { return nil }, nil
}

// inMemory is a directory for a store, where syncs need not wait for a disk.
func inMemory(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "remote-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func embedded(t *testing.T) func(context.Context) (objstore.Buckets, func() error, error) {
	return func(ctx context.Context) (objstore.Buckets, func() error, error) {
		engine, err := badgerstore.Open(ctx, inMemory(t), badgerstore.Options{Create: true}, badgerstore.Parts{})
		if err != nil {
			return nil, nil, err
		}
		return engine, engine.Close, nil
	}
}

func oracle(context.Context) (*objstoretest.Subject, error) {
	engine := memstore.New(memstore.Options{})
	store, err := engine.Bucket(context.Background(), memstore.MainBucket)
	if err != nil {
		return nil, err
	}
	return &objstoretest.Subject{Store: store, Namespace: store.(objstore.Namespace)}, nil
}

func conformance(t *testing.T, opener objstoretest.Opener) {
	objstoretest.Run(t, objstoretest.Config{Open: opener, Oracle: oracle, Sizes: []int64{remote.PrefetchBytes, 1 << 20}})
}

// Nothing of a store is lost on the way: all that is promised of one holds for it behind a connection.
func TestConformanceOverMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("long: the short form has it over connections that break")
	}
	conformance(t, over(memory, sound))
}

func TestConformanceOverBadger(t *testing.T) {
	if testing.Short() {
		t.Skip("long: the short form has it over connections that break")
	}
	conformance(t, over(embedded(t), sound))
}
