package remote_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/memstore"
	"github.com/etagfs/etagfs/objstore/remote"
	"github.com/etagfs/etagfs/objstore/s3server"
)

// serveAt is the address of a server whose clock is ahead by apart, and which says so, or gives another time.
func serveAt(t *testing.T, apart, said time.Duration) (url string) {
	t.Helper()
	engine := memstore.New(memstore.Options{})
	if err := engine.CreateBucket(t.Context(), "box"); err != nil {
		t.Fatal(err)
	}
	handler, err := s3server.New(s3server.Options{
		Buckets: engine, Users: users(), Now: func() time.Time { return time.Now().Add(apart) },
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", time.Now().Add(said).UTC().Format(http.TimeFormat))
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		handler.Drain()
		server.Close()
		handler.Close()
	})
	return server.URL
}

// A clock that is an hour from the server's is no reason to be refused: what is signed is signed by the server's.
func TestClocksMayBeApart(t *testing.T) {
	for _, apart := range []time.Duration{time.Hour, -time.Hour} {
		t.Run(apart.String(), func(t *testing.T) {
			store, err := remote.Open(t.Context(), remote.Options{Endpoint: serveAt(t, apart, apart), Bucket: "box"},
				remote.Parts{Credentials: credentials(), Clock: hasty{}})
			if err != nil {
				t.Fatal(err)
			}
			defer store.Close()
			for _, size := range []int{10, 3 << 20} { // the larger one is streamed
				body := strings.NewReader(strings.Repeat("x", size))
				if _, err := store.Put(t.Context(), "f", body, objstore.Unconditional(), objstore.PutOptions{}); err != nil {
					t.Errorf("%d bytes: %v", size, err)
				}
			}
		})
	}
}

// A server that refuses its own time is not asked for ever.
func TestServerThatRefusesItsOwnTime(t *testing.T) {
	_, err := remote.Open(t.Context(), remote.Options{Endpoint: serveAt(t, 2*time.Hour, time.Hour), Bucket: "box"},
		remote.Parts{Credentials: credentials(), Clock: hasty{}})
	if objstore.KindOf(err) != objstore.ErrPermission || !strings.Contains(err.Error(), "RequestTimeTooSkewed") {
		t.Errorf("%v", err)
	}
}
