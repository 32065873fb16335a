package badgerstore

import (
	"errors"
	"io"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
)

// TestCrashDuringAMergeLosesNothing: a process dies before any one of the operations on the disk that a merge and what
// follows it make. The store opens again, the file has its bytes, nothing is kept as a conflict, and nothing is left over.
func TestCrashDuringAMergeLosesNothing(t *testing.T) {
	random := rand.New(rand.NewPCG(testSeed(t), 8))
	c := &crasher{t: t, dir: filepath.Join(testDir(t), "store")}
	c.history.model = map[objstore.Key]string{}
	parts := testParts(t)
	parts.sizes = smallSizes()
	parts.Disk = disk.Hooked(disk.OS{}, c.before)
	e, err := Open(t.Context(), c.dir, Options{Create: true}, parts)
	must(t, err)
	b := mainBucket(t, e)
	ed := newEditor(t, b, "file", noise(random, 1<<20))
	ed.editFile(random, 10, 0, 0)
	must(t, ed.stage.Close())
	must(t, e.Sync(t.Context()))
	c.history.model["file"] = string(ed.want)
	c.arm(true)
	m, err := e.Merge(t.Context(), nil)
	if err != nil || m.Files != 1 {
		t.Errorf("%+v, %v", m, err)
	}
	drain(t, e)
	must(t, e.Close())
	c.arm(false)
	if len(c.problems) > 0 {
		t.Fatalf("%d of %d crashes went wrong, the first: %v", len(c.problems), c.ops, c.problems[0])
	}
	t.Logf("%d crashes", c.ops)
}

// An operation on the disk that fails ends a merge, and leaves the file as it is.
func TestMergeThatFailsChangesNothing(t *testing.T) {
	random := rand.New(rand.NewPCG(testSeed(t), 9))
	failAt, ops := 0, 0
	var mu sync.Mutex
	parts := testParts(t)
	parts.sizes = smallSizes()
	parts.Disk = disk.Hooked(disk.OS{}, func(op disk.Op) error {
		mu.Lock()
		defer mu.Unlock()
		if failAt == 0 || !isOfAMerge(op) {
			return nil
		}
		if ops++; ops == failAt {
			return errors.New("this one fails")
		}
		return nil
	})
	dir := filepath.Join(testDir(t), "store")
	e, err := Open(t.Context(), dir, Options{Create: true}, parts)
	must(t, err)
	b := mainBucket(t, e)
	ed := newEditor(t, b, "file", noise(random, 1<<20))
	ed.editFile(random, 10, 0, 0)
	must(t, ed.stage.Close())
	must(t, e.Sync(t.Context()))
	for n := 1; ; n++ {
		mu.Lock()
		failAt, ops = n, 0
		mu.Unlock()
		m, err := e.Merge(t.Context(), nil)
		mu.Lock()
		failAt = 0
		mu.Unlock()
		must(t, err)
		ed.check()
		must(t, e.checkInvariants())
		if m.Files == 1 {
			t.Logf("%d failures", n-1)
			break
		}
	}
	drain(t, e)
	wantNoDamage(t, e)
	must(t, e.Close())
}

// isOfAMerge reports whether op is one of staging or putting into place.
func isOfAMerge(op disk.Op) bool {
	dir := filepath.Base(filepath.Dir(filepath.Dir(op.Name)))
	return dir == stagingName || dir == blobsName
}

// BenchmarkReadOfManyEdits reads a file of 256 MiB, 10,000 of its places edited one by one, before and after it is merged.
func BenchmarkReadOfManyEdits(b *testing.B) {
	const size, edits = 256 << 20, 10000
	e := openTest(b, testDir(b), Options{Create: true})
	bucket := mainBucket(b, e)
	info, err := bucket.Put(b.Context(), "big", io.LimitReader(pattern{}, size), objstore.IfAbsent(), objstore.PutOptions{})
	must(b, err)
	for i := range edits {
		editOnce(b, bucket, info.ID, int64(i*7919%(size/4096))*4096)
	}
	read := func(b *testing.B) {
		b.SetBytes(size)
		b.ReportMetric(float64(piecesOf(b, e, info.ID)), "pieces")
		for b.Loop() {
			r, err := bucket.Open(b.Context(), info.ID, "")
			must(b, err)
			_, err = io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{r.Stream(b.Context(), 0, -1)}, make([]byte, 128<<10))
			must(b, errors.Join(err, r.Close()))
		}
	}
	b.Run("edited", read)
	m, err := e.Merge(b.Context(), nil)
	must(b, err)
	b.Logf("%+v", m)
	b.Run("merged", read)
}
