package s3store_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
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
}

// next makes fault answer the next request of a method.
func (w *wire) next(method string, fault func(*http.Request) (*http.Response, error)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.method, w.fault = method, fault
}

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	w.mu.Lock()
	fault := w.fault
	if fault != nil && r.Method == w.method {
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
		r.Header.Del("x-etagfs-write-id")
	}
	for _, name := range w.ignored {
		r = r.Clone(r.Context())
		r.Header.Del(name)
	}
	reply, err := http.DefaultTransport.RoundTrip(r)
	if err == nil && w.foreign {
		reply.Header.Del("x-etagfs-version")
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

// bench is a store over a wire, and another over a sound one.
type bench struct {
	wire  *wire
	store *s3store.Store
	other *s3store.Store
}

func newBench(t *testing.T, foreign bool) *bench {
	t.Helper()
	server, err := serve(t.Context(), memstore.New(memstore.Options{}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	b := &bench{wire: &wire{foreign: foreign}}
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

// A reply is lost, and nobody else writes: a conditional write succeeds as if it had arrived, on every kind of store.
func TestLostReplyOfConditionalPutIsResolved(t *testing.T) {
	for _, foreign := range []bool{false, true} {
		for _, text := range []string{"small", strings.Repeat("large", 4000)} {
			b := newBench(t, foreign)
			base := put(t, b.store, "k", "base", objstore.IfAbsent())
			method := http.MethodPut
			if len(text) > 8<<10 {
				method = http.MethodPost // the first creates the upload; the SDK repeats it
			}
			b.wire.next(method, b.wire.lost(func() {}))
			info := put(t, b.store, "k", text, objstore.IfVersion(base.Version))
			want(t, b.other, "k", text)
			if head, err := b.other.Head(t.Context(), "k"); err != nil || head.Version != info.Version {
				t.Errorf("foreign %v: head is %v (%v), put said %v", foreign, head.Version, err, info.Version)
			}
		}
	}
}

// A reply is lost and a second writer replaces what was written: the first still learns that it was applied,
// and does not undo the second.
func TestLostReplyAndSecondWriterIsResolved(t *testing.T) {
	for _, foreign := range []bool{false, true} {
		for _, conditional := range []bool{false, true} {
			b := newBench(t, foreign)
			base := put(t, b.store, "k", "base", objstore.IfAbsent())
			cond := objstore.Unconditional()
			if conditional {
				cond = objstore.IfVersion(base.Version)
			}
			var first objstore.Info
			b.wire.next(http.MethodPut, b.wire.lost(func() {
				first, _ = b.other.Head(t.Context(), "k")
				put(t, b.other, "k", "second", objstore.IfVersion(first.Version))
			}))
			info := put(t, b.store, "k", "first", cond)
			if first.Version == "" || info.Version != first.Version {
				t.Errorf("foreign %v, %v: put said %v, made %v", foreign, cond, info.Version, first.Version)
			}
			want(t, b.other, "k", "second")
		}
	}
}

// The request never arrived and a second writer did: the first learns that it lost.
func TestLostRequestAndSecondWriterIsALostCondition(t *testing.T) {
	for _, foreign := range []bool{false, true} {
		b := newBench(t, foreign)
		base := put(t, b.store, "k", "base", objstore.IfAbsent())
		b.wire.next(http.MethodPut, func(*http.Request) (*http.Response, error) {
			put(t, b.other, "k", "second", objstore.IfVersion(base.Version))
			return nil, errReplyLost
		})
		_, err := b.store.Put(t.Context(), "k", strings.NewReader("first"), objstore.IfVersion(base.Version), objstore.PutOptions{})
		if objstore.KindOf(err) != objstore.ErrPrecondition {
			t.Errorf("foreign %v: %v", foreign, err)
		}
		want(t, b.other, "k", "second")
	}
}

// A writer that keeps no lineage hides the first write: that is unknown, and nothing is sent again.
func TestHiddenWriteIsUnknown(t *testing.T) {
	b := newBench(t, true)
	put(t, b.store, "k", "base", objstore.IfAbsent())
	b.wire.next(http.MethodPut, b.wire.lost(func() {
		if err := b.other.Delete(t.Context(), "k", objstore.Unconditional(), objstore.DeleteOptions{}); err != nil {
			t.Error(err)
		}
		put(t, b.other, "k", "second", objstore.IfAbsent())
	}))
	_, err := b.store.Put(t.Context(), "k", strings.NewReader("first"), objstore.Unconditional(), objstore.PutOptions{})
	if objstore.KindOf(err) != objstore.ErrUnknown {
		t.Error(err)
	}
	want(t, b.other, "k", "second")
}

func TestLostReplyOfDelete(t *testing.T) {
	for _, row := range []struct {
		name    string
		foreign bool
		second  bool
		want    objstore.Kind
	}{
		{"ours", false, false, 0},
		{"ours, made again", false, true, 0},
		{"foreign: who deleted it is not to be seen", true, false, objstore.ErrUnknown},
		{"foreign, made again", true, true, objstore.ErrUnknown},
	} {
		b := newBench(t, row.foreign)
		base := put(t, b.store, "k", "base", objstore.IfAbsent())
		b.wire.next(http.MethodDelete, b.wire.lost(func() {
			if row.second {
				put(t, b.other, "k", "second", objstore.IfAbsent())
			}
		}))
		err := b.store.Delete(t.Context(), "k", objstore.IfVersion(base.Version), objstore.DeleteOptions{})
		if objstore.KindOf(err) != row.want {
			t.Errorf("%s: %v", row.name, err)
		}
		if row.second {
			want(t, b.other, "k", "second")
		}
	}
}

func TestLostReplyOfRenameIsResolved(t *testing.T) {
	for _, second := range []bool{false, true} {
		b := newBench(t, false)
		put(t, b.store, "k", "base", objstore.IfAbsent())
		b.wire.next(http.MethodPut, b.wire.lost(func() {
			if second {
				put(t, b.other, "k", "second", objstore.IfAbsent())
			}
		}))
		req := objstore.RenameRequest{Src: "k", SrcCond: objstore.Unconditional(), Dst: "l", DstCond: objstore.IfAbsent()}
		if _, err := b.store.Rename(t.Context(), req); err != nil {
			t.Errorf("second writer %v: %v", second, err)
		}
		want(t, b.other, "l", "base")
		if second {
			want(t, b.other, "k", "second")
		}
	}
}

func TestConflictIsTriedAgain(t *testing.T) {
	b := newBench(t, true)
	b.wire.next(http.MethodPut, func(r *http.Request) (*http.Response, error) {
		text := "<Error><Code>ConditionalRequestConflict</Code></Error>"
		return &http.Response{
			StatusCode: http.StatusConflict, Request: r, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(text)),
		}, nil
	})
	put(t, b.store, "k", "text", objstore.IfAbsent())
	want(t, b.other, "k", "text")
}

func TestTornBodyLeavesNothing(t *testing.T) {
	torn := errors.New("torn")
	for _, size := range []int{10, 20 << 10} {
		b := newBench(t, false)
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
		b := newBench(t, false)
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

// The reply to the request that ends an upload is lost, alone and with a second writer.
func TestLostReplyOfCompleteIsResolved(t *testing.T) {
	for _, foreign := range []bool{false, true} {
		for _, second := range []bool{false, true} {
			b := newBench(t, foreign)
			base := put(t, b.store, "k", "base", objstore.IfAbsent())
			text := strings.Repeat("large", 4000)
			var first objstore.Info
			b.wire.next(http.MethodPost, func(r *http.Request) (*http.Response, error) {
				b.wire.next(http.MethodPost, b.wire.lost(func() {
					first, _ = b.other.Head(t.Context(), "k")
					if second {
						put(t, b.other, "k", "second", objstore.IfVersion(first.Version))
					}
				}))
				return b.wire.send(r)
			})
			info := put(t, b.store, "k", text, objstore.IfVersion(base.Version))
			if first.Version == "" || info.Version != first.Version {
				t.Errorf("foreign %v, second %v: put said %v, made %v", foreign, second, info.Version, first.Version)
			}
			if second {
				text = "second"
			}
			want(t, b.other, "k", text)
		}
	}
}

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
		store, err := open(t.Context(), server.URL, &wire{ignored: []string{row.header}})
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
