package badgerstore

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
)

func blobNames(t *testing.T, e *Engine) []string {
	t.Helper()
	names, err := filepath.Glob(e.path(filepath.Join(blobsName, "*", "*")))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// C4: what was kept stays when a later commit of the same stage fails too and is not kept.
func TestKeptBytesOutliveLaterFailuresOfTheirStage(t *testing.T) {
	ctx := t.Context()
	e := openTest(t, filepath.Join(testDir(t), "store"), Options{Create: true})
	b := mainBucket(t, e)
	mine := bytes.Repeat([]byte("mine"), 25<<10)
	put := func(s string) objstore.Info {
		info, err := b.Put(ctx, "f", strings.NewReader(strings.Repeat(s, 25<<10)), objstore.Unconditional(), objstore.PutOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return info
	}
	base := put("base")
	s := stageOf(t, b, base)
	put("them")
	if _, err := commitAt(t, b, s, base, string(mine), 0); !objstore.IsLostCondition(err) {
		t.Fatalf("first commit: %v", err)
	}
	kept, err := s.Keep(ctx, objstore.Conflict{Reason: objstore.ReasonLost, Path: "f", Object: base.ID})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Commit(ctx, objstore.CommitRequest{
		Target: objstore.Target{ID: base.ID}, Cond: objstore.IfVersion(base.Version)}); !objstore.IsLostCondition(err) {
		t.Fatalf("second commit: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	wantContent(t, b, kept.ID, objstore.SideMine, mine)
}

// C8: a put that could not be made durable is visible, so its bytes are not the put's to remove.
func TestBytesOfAVisiblePutOutliveAFailedSync(t *testing.T) {
	ctx := t.Context()
	var broken atomic.Bool
	parts := testParts(t)
	parts.Disk = disk.Hooked(disk.OS{}, func(op disk.Op) error {
		if broken.Load() && op.Kind == disk.OpSync {
			return errors.New("the disk is broken")
		}
		return nil
	})
	e, err := Open(ctx, filepath.Join(testDir(t), "store"), Options{Create: true}, parts)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close() // it says what failed, too
	b := mainBucket(t, e)
	broken.Store(true)
	want := bytes.Repeat([]byte("0123456789abcdef"), 8<<10)
	if _, err := b.Put(ctx, "f", bytes.NewReader(want), objstore.Unconditional(), objstore.PutOptions{}); err == nil {
		t.Fatal("a put is durable on a broken disk")
	}
	r, err := b.Get(ctx, "f", objstore.Unconditional())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	stream := r.Stream(ctx, 0, -1)
	defer stream.Close()
	if got, err := io.ReadAll(stream); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes of %d, %v", len(got), len(want), err)
	}
}

// C9: a put that is answered from what became of the first leaves nothing of its own.
func TestReplayedPutsLeaveNoFiles(t *testing.T) {
	e := openTest(t, filepath.Join(testDir(t), "store"), Options{Create: true})
	b := mainBucket(t, e)
	for range 3 {
		body := strings.NewReader(strings.Repeat("x", 100<<10))
		opt := objstore.PutOptions{WriteID: "one"}
		if _, err := b.Put(t.Context(), "f", body, objstore.IfAbsent(), opt); err != nil {
			t.Fatal(err)
		}
	}
	if names := blobNames(t, e); len(names) != 1 {
		t.Errorf("files %q", names)
	}
}

// TestBlobInFlightIsFoundAfterACrash: a number that was given out long before its blob comes into the tree keeps
// the mark down from then on: the next open looks for the blob.
func TestBlobInFlightIsFoundAfterACrash(t *testing.T) {
	e := openTest(t, filepath.Join(testDir(t), "store"), Options{Create: true})
	b := mainBucket(t, e)
	id := e.newBlobID()
	mustPut(t, b, "f", []byte("x")) // durable: the mark goes on
	if low := e.marks.Get().LowBlob; low <= id {
		t.Fatalf("mark %d, blob %d: this shows nothing", low, id)
	}
	if err := e.expectBlob(id); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if low := e.marks.Get().LowBlob; low > id {
			t.Errorf("mark %d, blob %d", low, id)
		}
		mustPut(t, b, "f", []byte("y"))
	}
	e.inFlight.remove(id)
	mustPut(t, b, "f", []byte("z"))
	if low := e.marks.Get().LowBlob; low <= id {
		t.Errorf("mark %d after blob %d was committed", low, id)
	}
}

// TestEmptyBlobDirectoriesGo: an open removes those nothing will come into, and no other.
func TestEmptyBlobDirectoriesGo(t *testing.T) {
	dir := filepath.Join(testDir(t), "store")
	e := openTest(t, dir, Options{Create: true})
	b := mainBucket(t, e)
	large := bytes.Repeat([]byte("x"), 100<<10)
	mustPut(t, b, "gone", large)
	mustPut(t, b, "stays", large)
	e.numbers.last.Add(1 << 13) // into another directory
	mustPut(t, b, "later", large)
	mustPut(t, b, "now", []byte("x")) // the mark goes on
	must(t, b.Delete(t.Context(), "gone", objstore.IfPresent(), objstore.DeleteOptions{}))
	collectAll(t, e)
	must(t, e.Close())
	for _, name := range []string{"0", "1"} { // of blobs below
		if err := os.Mkdir(filepath.Join(dir, blobsName, name), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			t.Fatal(err)
		}
	}
	e = openTest(t, dir, Options{})
	b = mainBucket(t, e)
	names, err := e.fs.ReadDir(e.path(blobsName))
	must(t, err)
	if want := []string{"0", "2"}; !slices.Equal(names, want) {
		t.Errorf("directories %v instead of %v", names, want)
	}
	for _, key := range []objstore.Key{"stays", "later"} {
		if p, err := getAll(t.Context(), b, key); err != nil || !bytes.Equal(p, large) {
			t.Errorf("%s: %d bytes, %v", key, len(p), err)
		}
	}
	mustPut(t, b, "new", large)
}
