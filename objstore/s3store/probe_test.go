package s3store_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/memstore"
)

// A store that ignores a condition is caught by the probe, and writes that need it are refused.
func TestIgnoredConditionsAreNotClaimed(t *testing.T) {
	server, err := serve(t.Context(), memstore.New(memstore.Options{}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	ifVersion := objstore.IfVersion("v")
	for _, row := range []struct {
		header string
		lacks  func(objstore.Capabilities) bool
	}{
		{"If-Match", func(c objstore.Capabilities) bool {
			return !c.Put.Has(ifVersion) && !c.Delete.Has(ifVersion) && !c.CopyTarget.Has(ifVersion) && c.Put.Has(objstore.IfAbsent())
		}},
		{"If-None-Match", func(c objstore.Capabilities) bool {
			return !c.Put.Has(objstore.IfAbsent()) && !c.CopyTarget.Has(objstore.IfAbsent()) && c.Put.Has(ifVersion)
		}},
		{"X-Amz-Copy-Source-If-Match", func(c objstore.Capabilities) bool {
			return !c.CopySource.Has(ifVersion) && c.Put.Has(ifVersion)
		}},
	} {
		store, err := open(t.Context(), server.URL, &wire{foreign: true, ignored: []string{row.header}})
		if err != nil {
			t.Fatalf("%s: %v", row.header, err)
		}
		if caps := store.Capabilities(); !row.lacks(caps) {
			t.Errorf("%s is ignored: %+v", row.header, caps)
		}
		page, err := store.List(t.Context(), objstore.ListOptions{})
		if err != nil || len(page.Entries) > 0 {
			t.Errorf("%s: the probe left %v (%v)", row.header, page.Entries, err)
		}
	}
}

// looksFirst is a store that evaluates the conditions of a put before it reads the body, and writes without them
// afterwards. Of the first two that come with a condition both write.
type looksFirst struct {
	store http.Handler
	mu    sync.Mutex
	met   map[string]chan struct{} // GUARDED_BY(mu): by condition; closed when a second has looked
}

func (l *looksFirst) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	match, noneMatch := r.Header.Get("If-Match"), r.Header.Get("If-None-Match")
	if r.Method != http.MethodPut || match+noneMatch == "" {
		l.store.ServeHTTP(w, r)
		return
	}
	look, seen := httptest.NewRequestWithContext(r.Context(), http.MethodHead, r.URL.Path, nil), httptest.NewRecorder()
	l.store.ServeHTTP(seen, look)
	if is := etagIn(seen.Header()); noneMatch != "" && is != "" || match != "" && is != match {
		w.WriteHeader(http.StatusPreconditionFailed)
		return
	}
	if r.ContentLength > 1<<10 { // one of a race
		l.meet(match + noneMatch)
	}
	r.Header.Del("If-Match")
	r.Header.Del("If-None-Match")
	l.store.ServeHTTP(w, r)
}

// etagIn is the ETag of a header that was not sent yet, in whatever case.
func etagIn(h http.Header) string {
	for name, values := range h {
		if strings.EqualFold(name, "etag") {
			return values[0]
		}
	}
	return ""
}

// meet lets the first who looked with a condition wait for the second.
func (l *looksFirst) meet(cond string) {
	l.mu.Lock()
	met, second := l.met[cond]
	if !second {
		met = make(chan struct{})
		l.met[cond] = met
		l.mu.Unlock()
		<-met
		return
	}
	defer l.mu.Unlock()
	select {
	case <-met:
	default:
		close(met)
	}
}

// A store that looks first and then writes is caught: it honours conditions, unless two come at once.
func TestStoreThatLooksFirstIsCaught(t *testing.T) {
	handler, err := boxHandler(t.Context(), memstore.New(memstore.Options{}))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(&looksFirst{store: handler, met: make(map[string]chan struct{})})
	t.Cleanup(server.Close)
	store, err := open(t.Context(), server.URL, &wire{foreign: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range store.Findings() {
		switch {
		case strings.HasPrefix(f.Name, "put with") && !f.OK:
			t.Errorf("%s: %s", f.Name, f.Detail)
		case strings.HasPrefix(f.Name, "of concurrent") && (f.OK || !f.Vital):
			t.Errorf("%s: not caught", f.Name)
		}
	}
	if put := store.Capabilities().Put; put.Has(objstore.IfAbsent()) || put.Has(objstore.IfVersion("v")) {
		t.Error("conditional puts are claimed")
	}
	if err := store.Writable(); objstore.KindOf(err) != objstore.ErrUnsupported || !strings.Contains(err.Error(), "looks first") {
		t.Errorf("writable: %v", err)
	}
}
