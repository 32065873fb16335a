package badgerstore

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/etagfs/etagfs/objstore"
)

const trustLasts = time.Hour

// trusted is a store with a bucket, and a time that passes when a test says so.
type trusted struct {
	*Engine
	b      *Bucket
	passed atomic.Bool
	pass   func() // nil: nobody waits for it
}

func openTrusted(t *testing.T, dir string) *trusted {
	t.Helper()
	s := &trusted{}
	parts := testParts(t)
	parts.after = func(d time.Duration, f func()) {
		if d != trustLasts {
			t.Errorf("%v are waited for", d)
		}
		s.pass = func() {
			s.passed.Store(true)
			f()
		}
	}
	var err error
	s.Engine, err = Open(t.Context(), dir, Options{Create: true, TrustLasts: trustLasts}, parts)
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	s.b = mainBucket(t, s.Engine)
	return s
}

// C5: clients of a process that is gone trust for a while what it has told them, and nobody tells them of changes: until
// then none is acknowledged, though all else can see it.
func TestC5NoChangeIsAcknowledgedWhileClientsTrustAnEarlierProcess(t *testing.T) {
	dir := testDir(t)
	s := openTrusted(t, dir)
	putSmall(t, s.b, "old", "content")
	old, err := s.b.Lookup(t.Context(), s.b.Root(), "old")
	must(t, err)
	s.ClientCame()
	must(t, s.Close())

	s = openTrusted(t, dir)
	if s.pass == nil {
		t.Fatal("nobody waits")
	}
	changes := map[string]func() error{
		"a put": func() error {
			_, err := s.b.Put(t.Context(), "put", strings.NewReader("content"), objstore.IfAbsent(), objstore.PutOptions{})
			return err
		},
		"a name": func() error {
			_, err := s.b.Make(t.Context(), objstore.MakeRequest{
				Parent: s.b.Root(), Name: "made", Type: objstore.TypeDir, Attr: objstore.NewAttr{Mode: 0o755},
			})
			return err
		},
		"a mode": func() error {
			mode := uint32(0o600)
			_, err := s.b.SetAttr(t.Context(), old.ID, objstore.AttrChange{Mode: &mode}, objstore.Visible)
			return err
		},
	}
	seen := make(chan struct{}, 100)
	defer s.b.Watch(func(objstore.Change) { seen <- struct{}{} })()
	done := make(chan struct{})
	for what, change := range changes {
		go func() {
			defer func() { done <- struct{}{} }()
			if err := change(); err != nil || !s.passed.Load() {
				t.Errorf("%s was acknowledged (%v); clients have forgotten: %v", what, err, s.passed.Load())
			}
		}()
	}
	for range changes {
		<-seen
	}
	must(t, s.Sync(t.Context())) // takes longer than an answer
	s.pass()
	for range changes {
		<-done
	}
	putSmall(t, s.b, "later", "content")
}

// It is waited for where there may be such clients, and once.
func TestOnlyProcessesAfterOneWithClientsWaitForTheirTrustToEnd(t *testing.T) {
	dir := testDir(t)
	again := func(what string, waits bool) *trusted {
		t.Helper()
		s := openTrusted(t, dir)
		if s.pass != nil != waits {
			t.Errorf("%s: it is waited: %v", what, !waits)
		}
		return s
	}
	s := again("a new store", false)
	s.ClientCame()
	must(t, s.Close())
	must(t, again("after one with clients", true).Close())
	s = again("after one that ended before", true)
	s.pass()
	must(t, s.Close())
	s = again("after it was waited", false)
	if !s.ClientsExpected() {
		t.Error("nobody is expected")
	}
	s.ClientCame()
	must(t, s.Close())
	s = again("after others came", true)
	s.pass()
	s.ClientCame()
	must(t, s.Close())
	s = again("after others came who are there still", true)
	s.ForgetClients()
	must(t, s.Close())
	must(t, again("after they have gone", false).Close())
}
