package s3store_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/s3store"
)

// swapped is a bucket of one object that is only read. It evaluates the conditions of a request, takes the ETag, and opens the
// object then, as stores over a directory of files do.
type swapped struct {
	mu sync.Mutex
	// Guarded by mu.
	content string
	number  int    // of the version
	between func() // runs once between the conditions and the opening; nil: nothing does
	cutOff  bool   // the next answer ends in its middle
	honest  bool   // the ETag is taken after the opening
}

func (s *swapped) etag() string { return fmt.Sprintf(`"%032x"`, s.number) }

// replace is called with mu held.
func (s *swapped) replace(content string) { s.number, s.content = s.number+1, content }

// ServeHTTP implements [http.Handler].
func (s *swapped) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Has("list-type") {
		_, _ = io.WriteString(w, `<ListBucketResult><Name>box</Name></ListBucketResult>`)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	etag := s.etag()
	if match := r.Header.Get("If-Match"); match != "" && match != etag {
		w.WriteHeader(http.StatusPreconditionFailed)
		return
	}
	r.Header.Del("If-Match")
	if r.Method == http.MethodGet && s.between != nil && !s.cutOff {
		s.between()
		s.between = nil
	}
	if s.honest {
		etag = s.etag()
	}
	w.Header().Set("ETag", etag)
	if s.cutOff {
		s.cutOff = false
		w.Header().Set("Content-Range", fmt.Sprintf("bytes 0-%d/%d", len(s.content)-1, len(s.content)))
		w.Header().Set("Content-Length", fmt.Sprint(len(s.content)))
		w.WriteHeader(http.StatusPartialContent)
		_, _ = io.WriteString(w, s.content[:len(s.content)/2])
		return // the server breaks the connection off
	}
	http.ServeContent(w, r, "", time.Unix(1e9, 0), strings.NewReader(s.content))
}

const swapPrefetchBytes = 4 << 10

func newSwapped(t *testing.T, content string) (*swapped, *s3store.Store) {
	t.Helper()
	box := &swapped{content: content, number: 1}
	server := httptest.NewServer(box)
	t.Cleanup(server.Close)
	store, err := s3store.Open(t.Context(), s3store.Options{
		Bucket: "box", Endpoint: server.URL, Region: "us-east-1", PrefetchBytes: swapPrefetchBytes, ReadOnly: true,
	}, s3store.Parts{Clock: noWait{}, Credentials: aws.AnonymousCredentials{}})
	if err != nil {
		t.Fatal(err)
	}
	return box, store
}

// swap is what an object becomes once a condition was evaluated, and whether the ETag tells.
type swap struct {
	name    string
	content string
	honest  bool
}

func swaps() []swap {
	return []swap{
		{"shorter", strings.Repeat("b", 3<<10), false},
		{"longer", strings.Repeat("b", 200<<10), false},
		{"empty", "", false},
		{"shorter, and says so", strings.Repeat("b", 3<<10), true},
		{"of the same size, and says so", strings.Repeat("b", 100<<10), true},
	}
}

// on makes the swap happen at the next GET; cutOff: at the one after that, as the next ends in its middle.
func (w swap) on(box *swapped, cutOff bool) {
	box.mu.Lock()
	defer box.mu.Unlock()
	box.honest, box.cutOff = w.honest, cutOff
	box.between = func() { box.replace(w.content) }
}

// C2: ranges of an object that was replaced after the store had evaluated their condition are a lost condition, like a 412.
func TestC2SwappedRangesAreALostCondition(t *testing.T) {
	for _, swap := range swaps() {
		for _, span := range []struct{ off, bytes int64 }{{0, 100 << 10}, {0, 10}, {50 << 10, 10 << 10}} {
			t.Run(fmt.Sprintf("%s/%d+%d", swap.name, span.off, span.bytes), func(t *testing.T) {
				box, store := newSwapped(t, strings.Repeat("a", 100<<10))
				r, err := store.Get(t.Context(), "k", objstore.Unconditional())
				if err != nil {
					t.Fatal(err)
				}
				defer r.Close()
				swap.on(box, false)
				n, err := r.ReadAt(t.Context(), make([]byte, span.bytes), span.off)
				if n != 0 || objstore.KindOf(err) != objstore.ErrPrecondition {
					t.Errorf("read %d bytes: %v", n, err)
				}
			})
		}
	}
}

// C1: a small object that is replaced while it is read whole is read again, and refused to who demands the version.
func TestC1SwappedObjectsAreReadAgain(t *testing.T) {
	small := strings.Repeat("a", swapPrefetchBytes)
	for _, swap := range swaps() {
		t.Run(swap.name, func(t *testing.T) {
			box, store := newSwapped(t, small)
			swap.on(box, true)
			if text, err := content(t.Context(), store, "k"); err != nil || text != swap.content {
				t.Errorf("read %d bytes instead of %d: %v", len(text), len(swap.content), err)
			}
			box, store = newSwapped(t, small)
			info, err := store.Head(t.Context(), "k")
			if err != nil {
				t.Fatal(err)
			}
			swap.on(box, true)
			_, err = store.Get(t.Context(), "k", objstore.IfVersion(info.Version))
			if objstore.KindOf(err) != objstore.ErrPrecondition {
				t.Errorf("a version that is gone: %v", err)
			}
		})
	}
}

// An answer that is only odd is no lost condition: nobody has written.
func TestOtherRangesAreUnavailable(t *testing.T) {
	box, store := newSwapped(t, strings.Repeat("a", 100<<10))
	r, err := store.Get(t.Context(), "k", objstore.Unconditional())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	box.mu.Lock()
	box.cutOff = true // which answers with all
	box.mu.Unlock()
	if n, err := r.ReadAt(t.Context(), make([]byte, 10), 10); n != 0 || objstore.KindOf(err) != objstore.ErrUnavailable {
		t.Errorf("read %d bytes: %v", n, err)
	}
}
