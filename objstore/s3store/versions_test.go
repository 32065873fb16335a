package s3store_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/s3store"
)

// versioned is a bucket that is only read, whose one object keeps its versions, as S3 does.
type versioned struct {
	mu sync.Mutex
	// Guarded by mu. The id of a version is its place; a version without content is a delete marker.
	versions []string
	asked    []string // the ids that were asked for
}

func (v *versioned) put(content string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.versions = append(v.versions, content)
}

// ServeHTTP implements [http.Handler].
func (v *versioned) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Has("list-type") {
		_, _ = io.WriteString(w, `<ListBucketResult><Name>box</Name></ListBucketResult>`)
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	number := len(v.versions) - 1
	if id := r.URL.Query().Get("versionId"); id != "" {
		v.asked = append(v.asked, id)
		number, _ = strconv.Atoi(id)
	}
	content := v.versions[number]
	etag := fmt.Sprintf(`"%032x"`, number)
	switch match := r.Header.Get("If-Match"); {
	case content == "":
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `<Error><Code>NoSuchKey</Code></Error>`)
		return
	case match != "" && match != etag:
		w.WriteHeader(http.StatusPreconditionFailed)
		return
	}
	w.Header().Set("ETag", etag)
	w.Header().Set("x-amz-version-id", strconv.Itoa(number))
	http.ServeContent(w, r, "", time.Unix(1e9, 0), bytes.NewReader([]byte(content)))
}

// C2: in a versioned bucket a reader has all of its version, whatever becomes of the key: bytes it has not asked for before, too.
func TestC2ReadersAreOfAVersionID(t *testing.T) {
	text := func(b byte) string { return string(bytes.Repeat([]byte{b}, 100<<10)) }
	box := &versioned{}
	server := httptest.NewServer(box)
	t.Cleanup(server.Close)
	store, err := s3store.Open(t.Context(), s3store.Options{
		Bucket: "box", Endpoint: server.URL, Region: "us-east-1", PrefetchBytes: 4 << 10, ReadOnly: true,
	}, s3store.Parts{Clock: noWait{}, Credentials: aws.AnonymousCredentials{}})
	if err != nil {
		t.Fatal(err)
	}
	get := func() objstore.Reader {
		t.Helper()
		r, err := store.Get(t.Context(), "k", objstore.Unconditional())
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	box.put(text('a'))
	a := get()
	box.put(text('b'))
	b := get()
	box.put("") // deleted
	for want, r := range map[byte]objstore.Reader{'a': a, 'b': b} {
		got := make([]byte, 100<<10)
		if n, err := r.ReadAt(t.Context(), got, 0); string(got[:n]) != text(want) || err != nil && err != io.EOF {
			t.Errorf("%c: %d bytes (%v), which are not all its own", want, n, err)
		}
	}
	if _, err := store.Get(t.Context(), "k", objstore.Unconditional()); objstore.KindOf(err) != objstore.ErrNotFound {
		t.Errorf("what was deleted is found: %v", err)
	}
	box.mu.Lock()
	defer box.mu.Unlock()
	if len(box.asked) == 0 {
		t.Error("no version was asked for")
	}
}
