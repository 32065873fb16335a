package s3store_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/memstore"
	"github.com/etagfs/etagfs/objstore/s3store"
)

// refused answers a request without handing it on.
func refused(status int, code string) func(*http.Request) (*http.Response, error) {
	return func(r *http.Request) (*http.Response, error) {
		text := "<Error><Code>" + code + "</Code></Error>"
		return &http.Response{StatusCode: status, Request: r, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(text))}, nil
	}
}

// Whoever is asked to come again does, with a part and with the completion of an upload too.
func TestRefusedForNowIsTriedAgain(t *testing.T) {
	for _, row := range []struct {
		status int
		code   string
	}{
		{http.StatusConflict, "ConditionalRequestConflict"},
		{http.StatusConflict, "OperationAborted"},
		{http.StatusServiceUnavailable, "SlowDown"},
		{http.StatusTooManyRequests, "TooManyRequests"},
		{http.StatusConflict, "ExistingObjectIsDirectory"}, // somebody deleted the last key beside it, and with it their directory
	} {
		for _, request := range []struct{ method, query, text string }{
			{http.MethodPut, "", "text"},
			{http.MethodPost, "uploadId", strings.Repeat("L", large)},
		} {
			t.Run(fmt.Sprintf("%s/%s", row.code, request.method), func(t *testing.T) {
				b := newBench(t, foreign)
				b.wire.once(request.method, request.query, refused(row.status, row.code))
				put(t, b.store, "k", request.text, objstore.IfAbsent())
				want(t, b.other, "k", request.text)
			})
		}
	}
}

// A key that stays a directory is one, which is said after a bounded number of requests.
func TestDirectoriesAreNotWrittenTo(t *testing.T) {
	b := newBench(t, foreign)
	asked := 0
	var refuse func(*http.Request) (*http.Response, error)
	refuse = func(r *http.Request) (*http.Response, error) {
		asked++
		b.wire.next(http.MethodPut, refuse)
		return refused(http.StatusConflict, "ExistingObjectIsDirectory")(r)
	}
	b.wire.next(http.MethodPut, refuse)
	_, err := b.store.Put(t.Context(), "k", strings.NewReader("text"), objstore.IfAbsent(), objstore.PutOptions{})
	if objstore.KindOf(err) != objstore.ErrIsDir || asked != 4 {
		t.Errorf("after %d requests: %v", asked, err)
	}
	b.wire.next("", nil)
	if _, err := b.other.Head(t.Context(), "k"); objstore.KindOf(err) != objstore.ErrNotFound {
		t.Errorf("afterwards: %v", err)
	}
}

// A refusal of the condition ends it: 412, and 404 where an object was demanded.
func TestLostConditionsAreNotTriedAgain(t *testing.T) {
	for status, row := range map[int]struct {
		code string
		kind objstore.Kind
	}{
		http.StatusPreconditionFailed: {"PreconditionFailed", objstore.ErrPrecondition},
		http.StatusNotFound:           {"NoSuchKey", objstore.ErrNotFound},
	} {
		b := newBench(t, foreign)
		base := put(t, b.store, "k", "base", objstore.IfAbsent())
		b.wire.next(http.MethodPut, refused(status, row.code))
		_, err := b.store.Put(t.Context(), "k", strings.NewReader("text"), objstore.IfVersion(base.Version), objstore.PutOptions{})
		if objstore.KindOf(err) != row.kind || !objstore.IsLostCondition(err) {
			t.Errorf("%d: %v", status, err)
		}
		want(t, b.other, "k", "base")
	}
}

// A key that was written with the same bytes while its parts were sent keeps the ETag, and the upload from being completed. A
// new one is.
func TestKeyThatChangedDuringAnUploadIsAConflict(t *testing.T) {
	b := newBench(t, foreignMD5)
	base := put(t, b.store, "k", "base", objstore.IfAbsent())
	b.wire.once(http.MethodPut, "partNumber=2", func(r *http.Request) (*http.Response, error) {
		put(t, b.other, "k", "base", objstore.IfVersion(base.Version))
		return b.wire.send(r)
	})
	update := func() error {
		_, err := b.store.Put(t.Context(), "k", strings.NewReader(strings.Repeat("L", large)), objstore.IfVersion(base.Version), objstore.PutOptions{})
		return err
	}
	if err := update(); objstore.KindOf(err) != objstore.ErrConflict || !errors.Is(err, objstore.KeyChanged) {
		t.Errorf("the first upload: %v", err)
	}
	want(t, b.other, "k", "base")
	if err := update(); err != nil {
		t.Errorf("the second upload: %v", err)
	}
}

// Old uploads of this program are aborted; young ones, and those of others, are not.
func TestSweepAbortsOurOldUploads(t *testing.T) {
	b := newBench(t, foreign)
	reply, err := http.Post(b.url+"/box/others?uploads", "", nil)
	if err != nil || reply.StatusCode != http.StatusOK {
		t.Fatalf("%v %v", reply, err)
	}
	reply.Body.Close()
	sweep := func(before time.Time, want int) {
		t.Helper()
		if n, err := b.other.SweepUploads(t.Context(), before); err != nil || n != want {
			t.Errorf("%d uploads were aborted (%v), want %d", n, err, want)
		}
	}
	b.wire.once(http.MethodPost, "uploadId", func(r *http.Request) (*http.Response, error) {
		sweep(time.Now().Add(-time.Hour), 0)
		sweep(time.Now().Add(time.Hour), 1)
		return b.wire.send(r)
	})
	_, err = b.store.Put(t.Context(), "k", strings.NewReader(strings.Repeat("L", large)), objstore.IfAbsent(), objstore.PutOptions{})
	if objstore.KindOf(err) != objstore.ErrUnavailable {
		t.Errorf("a put whose upload was aborted: %v", err)
	}
	sweep(time.Now().Add(time.Hour), 0)
	reply, err = http.Get(b.url + "/box?uploads")
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	if text, err := io.ReadAll(reply.Body); err != nil || !strings.Contains(string(text), "<Key>others</Key>") {
		t.Errorf("the upload of another program is gone: %s %v", text, err)
	}
}

// deletesNothing answers the conditional delete of a missing object as if it had been there, as Ceph does.
func deletesNothing(store http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodDelete && r.Header.Get("If-Match") != "" {
			seen := httptest.NewRecorder()
			store.ServeHTTP(seen, httptest.NewRequestWithContext(r.Context(), http.MethodHead, r.URL.Path, nil))
			if seen.Code == http.StatusNotFound {
				w.WriteHeader(http.StatusNoContent)
				return
			}
		}
		store.ServeHTTP(w, r)
	})
}

// Where a store does not tell, who deletes too late is told nevertheless, and what differs is not deleted.
func TestDeletesOfWhatIsGoneAreLost(t *testing.T) {
	handler, err := boxHandler(t.Context(), memstore.New(memstore.Options{}))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(deletesNothing(handler))
	t.Cleanup(server.Close)
	store, err := open(t.Context(), server.URL, &wire{foreign: true})
	if err != nil {
		t.Fatal(err)
	}
	if caps := store.Capabilities(); caps.OneDelete || !caps.Delete.Has(objstore.IfVersion("v")) {
		t.Errorf("%+v", caps)
	}
	remove := func(s *s3store.Store, v objstore.Version) objstore.Kind {
		return objstore.KindOf(s.Delete(t.Context(), "k", objstore.IfVersion(v), objstore.DeleteOptions{}))
	}
	first := put(t, store, "k", "1", objstore.IfAbsent())
	second := put(t, store, "k", "2", objstore.IfVersion(first.Version))
	if kind := remove(store, first.Version); kind != objstore.ErrPrecondition {
		t.Errorf("delete of another version: %v", kind)
	}
	if kind := remove(store, second.Version); kind != 0 {
		t.Errorf("delete of the version: %v", kind)
	}
	if kind := remove(store, second.Version); kind != objstore.ErrNotFound {
		t.Errorf("delete of what is gone: %v", kind)
	}
}
