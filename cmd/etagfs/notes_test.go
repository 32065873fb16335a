package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/memstore"
	"github.com/etagfs/etagfs/objstore/s3server"
)

// A command that changes a bucket confirms what the one before found out about it, until the bucket does not do what that was;
// doctor tries out all.
func TestCommandsProbeABucketOnce(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} {
		t.Setenv(name, "none")
	}
	engine := memstore.New(memstore.Options{})
	if err := engine.CreateBucket(t.Context(), "box"); err != nil {
		t.Fatal(err)
	}
	handler, err := s3server.New(s3server.Options{Buckets: engine, Users: s3server.Users{
		Users: []s3server.User{{Name: "u", AccessKey: "none", SecretKey: "none", Admin: []string{"*"}}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	var requests atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		handler.ServeHTTP(w, r)
	}))
	defer handler.Close()
	defer server.Close()
	store := "s3://box?region=us-east-1&endpoint=" + url.QueryEscape(server.URL)
	put := func() int64 {
		t.Helper()
		before := requests.Load()
		l := location{bucket: bucketDefault}
		err := l.with(t.Context(), store, func(bucket objstore.Store) error {
			_, err := bucket.Put(t.Context(), "k", strings.NewReader("x"), objstore.Unconditional(), objstore.PutOptions{})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return requests.Load() - before
	}
	const few = 12 // 8 that confirm, and the put's own
	if n := put(); n <= 2*few {
		t.Errorf("the first took %d requests, which are no probe", n)
	}
	if n := put(); n > few {
		t.Errorf("the second took %d requests", n)
	}
	if err := (&location{bucket: bucketDefault}).with(t.Context(), store, func(objstore.Store) error {
		return &objstore.Error{Kind: objstore.ErrUnsupported}
	}); objstore.KindOf(err) != objstore.ErrUnsupported {
		t.Error(err)
	}
	if n := put(); n <= 2*few {
		t.Errorf("after a contradiction it took %d requests, which are no probe", n)
	}
	before := requests.Load()
	if _, err := openS3(t.Context(), store, false, true); err != nil {
		t.Fatal(err)
	}
	if n := requests.Load() - before; n <= 2*few {
		t.Errorf("doctor made %d requests, which are no probe", n)
	}
}

// There are notes of one build of the program at most, and those are whole or not there.
func TestProbeNotesAreOfOneBuild(t *testing.T) {
	dir := t.TempDir()
	old, notes := probeNotes{name: filepath.Join(dir, notesPrefix+"old")}, probeNotes{name: filepath.Join(dir, notesPrefix+"new")}
	if text, err := notes.Read(); len(text) > 0 || err != nil {
		t.Errorf("%q, %v", text, err)
	}
	for _, n := range []probeNotes{old, notes} {
		if err := n.Write([]byte(n.name)); err != nil {
			t.Fatal(err)
		}
	}
	if text, err := notes.Read(); !bytes.Equal(text, []byte(notes.name)) || err != nil {
		t.Errorf("%q, %v", text, err)
	}
	if files, err := os.ReadDir(dir); len(files) != 1 || err != nil {
		t.Errorf("%v, %v", files, err)
	}
	for range 2 {
		if err := notes.Remove(); err != nil {
			t.Error(err)
		}
	}
}
