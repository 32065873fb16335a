package s3server_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/etagfs/etagfs/objstore/memstore"
	"github.com/etagfs/etagfs/objstore/s3server"
)

// discard is a writer of answers nobody looks at.
type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(int)             {}

// What the handler itself costs: no network, no disk, no signature.
func BenchmarkHandler(b *testing.B) {
	engine := memstore.New(memstore.Options{Clock: time.Now})
	server, err := s3server.New(s3server.Options{Buckets: engine, Users: s3server.Users{Anonymous: everything()}})
	if err != nil {
		b.Fatal(err)
	}
	content := strings.Repeat("x", 4096)
	for _, r := range []struct{ name, method, body, condition string }{
		{"put", "PUT", content, ""}, {"put if absent", "PUT", content, "*"}, {"get", "GET", "", ""}, {"head", "HEAD", "", ""},
	} {
		b.Run(r.name, func(b *testing.B) {
			b.ReportAllocs()
			for range b.N {
				req := httptest.NewRequest(r.method, "/main/key", strings.NewReader(r.body))
				if r.condition != "" {
					req.Header.Set("If-None-Match", r.condition)
				}
				server.ServeHTTP(&discard{make(http.Header)}, req)
			}
		})
	}
}
