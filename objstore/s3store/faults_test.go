package s3store_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/memstore"
	"github.com/etagfs/etagfs/objstore/s3store"
)

var errReplyLost = errors.New("the reply was lost")

// wire is a transport that fails once, as it is told, for the first request of a kind.
type wire struct {
	foreign bool     // requests and replies lose what only a server of this program understands
	ignored []string // headers that the store does not see

	mu     sync.Mutex
	fault  func(*http.Request) (*http.Response, error) // nil: none
	method string
	query  string // that the request must have; empty: any
}

// next makes fault answer the next request of a method.
func (w *wire) next(method string, fault func(*http.Request) (*http.Response, error)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.method, w.query, w.fault = method, "", fault
}

// once is next for a request whose query contains a word.
func (w *wire) once(method, query string, fault func(*http.Request) (*http.Response, error)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.method, w.query, w.fault = method, query, fault
}

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	w.mu.Lock()
	fault := w.fault
	if fault != nil && r.Method == w.method && strings.Contains(r.URL.RawQuery, w.query) {
		w.fault = nil
	} else {
		fault = w.send
	}
	w.mu.Unlock()
	return fault(r)
}

func (w *wire) send(r *http.Request) (*http.Response, error) {
	if w.foreign {
		r = r.Clone(r.Context())
		for name := range r.Header {
			if strings.HasPrefix(name, "X-Etagfs-") {
				r.Header.Del(name)
			}
		}
	}
	for _, name := range w.ignored {
		r = r.Clone(r.Context())
		r.Header.Del(name)
	}
	reply, err := http.DefaultTransport.RoundTrip(r)
	if err == nil && w.foreign {
		reply.Header.Del("x-etagfs-version")
		reply.Header.Del("Server")
	}
	return reply, err
}

// lost sends the request, lets something happen and loses the reply.
func (w *wire) lost(then func()) func(*http.Request) (*http.Response, error) {
	return func(r *http.Request) (*http.Response, error) {
		reply, err := w.send(r)
		if err != nil {
			return nil, err
		}
		reply.Body.Close()
		then()
		return nil, errReplyLost
	}
}

// kind is a kind of store.
type kind int

const (
	ours       kind = iota
	oursMD5         // with ETags that follow the content
	foreign         // without anything beyond S3
	foreignMD5      // and its ETags follow the content, as those of most
)

func (k kind) String() string { return []string{"ours", "ours, MD5", "foreign", "foreign, MD5"}[k] }

// serveKind serves an empty store of a kind; what foreign ones lack is up to the wire.
func serveKind(ctx context.Context, k kind) (*httptest.Server, error) {
	server, err := serve(ctx, memstore.New(memstore.Options{}))
	if err != nil || k == ours || k == foreign {
		return server, err
	}
	body := `{"etag":"md5"}`
	r, err := http.NewRequestWithContext(ctx, http.MethodPut, server.URL+"/box?etagfs-options", strings.NewReader(body))
	if err == nil {
		sum := md5.Sum([]byte(body))
		r.Header.Set("Content-MD5", base64.StdEncoding.EncodeToString(sum[:]))
		var reply *http.Response
		if reply, err = http.DefaultClient.Do(r); err == nil {
			err = reply.Body.Close()
			if reply.StatusCode != http.StatusOK {
				err = errors.New(reply.Status)
			}
		}
	}
	if err != nil {
		server.Close()
	}
	return server, err
}

// bench is a store over a wire, and another over a sound one.
type bench struct {
	url   string
	wire  *wire
	store *s3store.Store
	other *s3store.Store
}

func newBench(t *testing.T, k kind) *bench {
	t.Helper()
	server, err := serveKind(t.Context(), k)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	foreign := k == foreign || k == foreignMD5
	b := &bench{url: server.URL, wire: &wire{foreign: foreign}}
	if b.store, err = open(t.Context(), server.URL, b.wire); err != nil {
		t.Fatal(err)
	}
	if b.other, err = open(t.Context(), server.URL, &wire{foreign: foreign}); err != nil {
		t.Fatal(err)
	}
	return b
}

func put(t *testing.T, s *s3store.Store, key objstore.Key, text string, cond objstore.Cond) objstore.Info {
	t.Helper()
	info, err := s.Put(t.Context(), key, strings.NewReader(text), cond, objstore.PutOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return info
}

func content(ctx context.Context, s *s3store.Store, key objstore.Key) (string, error) {
	r, err := s.Get(ctx, key, objstore.Unconditional())
	if err != nil {
		return "", err
	}
	defer r.Close()
	in := r.Stream(ctx, 0, -1)
	defer in.Close()
	text, err := io.ReadAll(in)
	return string(text), err
}

func want(t *testing.T, s *s3store.Store, key objstore.Key, text string) {
	t.Helper()
	if got, err := content(t.Context(), s, key); err != nil || got != text {
		t.Errorf("%s is %.40q (%v), want %.40q", key, got, err, text)
	}
}

func TestTornBodyLeavesNothing(t *testing.T) {
	torn := errors.New("torn")
	for _, size := range []int{10, 20 << 10} {
		b := newBench(t, ours)
		body := io.MultiReader(bytes.NewReader(make([]byte, size)), errorReader{torn})
		_, err := b.store.Put(t.Context(), "k", body, objstore.Unconditional(), objstore.PutOptions{})
		if !errors.Is(err, torn) || objstore.KindOf(err).Applied() != objstore.NotApplied {
			t.Errorf("%d bytes: %v", size, err)
		}
		if _, err := b.other.Head(t.Context(), "k"); objstore.KindOf(err) != objstore.ErrNotFound {
			t.Errorf("%d bytes: head: %v", size, err)
		}
	}
}

type errorReader struct{ err error }

func (e errorReader) Read([]byte) (int, error) { return 0, e.err }

// Answers that break off are continued: of small objects, of large ones, in the middle.
func TestTruncatedAnswerIsContinued(t *testing.T) {
	for _, size := range []int{100, 64 << 10} {
		b := newBench(t, ours)
		text := strings.Repeat("x", size-1) + "y"
		put(t, b.store, "k", text, objstore.IfAbsent())
		b.wire.next(http.MethodGet, func(r *http.Request) (*http.Response, error) {
			reply, err := b.wire.send(r)
			if err == nil {
				reply.Body = struct {
					io.Reader
					io.Closer
				}{io.MultiReader(io.LimitReader(reply.Body, 50), errorReader{io.ErrUnexpectedEOF}), reply.Body}
			}
			return reply, err
		})
		want(t, b.store, "k", text)
	}
}
