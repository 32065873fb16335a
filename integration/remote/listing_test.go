package remote

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// counted has what is asked of a bucket go through a proxy that counts it.
func (b *bucket) counted() *atomic.Int64 {
	b.t.Helper()
	to, err := url.Parse(b.url)
	must(b.t, err)
	var requests atomic.Int64
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		requests.Add(1)
		r.SetURL(to)
		r.Out.Host = r.In.Host // it is signed
	}}
	server := httptest.NewServer(http.Handler(proxy))
	b.t.Cleanup(server.Close)
	b.url = server.URL
	return &requests
}

// A mount of a bucket asks our server once for a thousand names, and a few times for each listing.
func TestListingABucketTakesARequestForAThousandNames(t *testing.T) {
	if os.Getenv(foreignVariable) != "" {
		t.Skip("needs our server: others do not describe what they list")
	}
	b := serve(t)
	m := b.mount()
	const names, makers = 1100, 8
	must(t, os.Mkdir(m.path("many"), 0o755))
	var making sync.WaitGroup
	for maker := range makers {
		making.Go(func() {
			for i := maker; i < names; i += makers {
				if err := os.Symlink("x", m.path("many", "a-"+strconv.Itoa(i))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	making.Wait()
	requests := b.counted()
	other := b.mount()
	before := requests.Load()
	entries, err := os.ReadDir(other.path("many"))
	must(t, err)
	const pages, more = 2, 12
	asked := requests.Load() - before
	if len(entries) != names || asked > pages+more {
		t.Errorf("%d names were listed with %d requests", len(entries), asked)
	}
	for _, e := range entries {
		if e.Type() != os.ModeSymlink || !strings.HasPrefix(e.Name(), "a-") {
			t.Fatalf("%s is listed as %v", e.Name(), e.Type())
		}
	}
	t.Logf("%d names, %d requests", len(entries), asked)
}
