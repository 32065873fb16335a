package badgerstore

import (
	"bytes"
	"io"
	"path/filepath"
	"sync"
	"testing"

	"github.com/etagfs/etagfs/objstore"
)

// Garbage that nobody reads is gone when Collect returns; what somebody reads stays, and is counted.
func TestCollectRemovesWhatNobodyReads(t *testing.T) {
	e := openTest(t, filepath.Join(testDir(t), "store"), Options{Create: true})
	b := mainBucket(t, e)
	old := bytes.Repeat([]byte("old"), 40<<10)
	mustPut(t, b, "read", old)
	mustPut(t, b, "other", old)
	r, err := b.Get(t.Context(), "read", objstore.Unconditional())
	must(t, err)
	mustPut(t, b, "read", []byte("new"))
	mustPut(t, b, "other", []byte("new"))
	c, err := e.Collect(t.Context())
	if err != nil || c.Waiting == 0 {
		t.Errorf("%+v, %v", c, err)
	}
	if files := filesIn(t, filepath.Join(e.dir, blobsName)); len(files) != 1 {
		t.Errorf("%d files", len(files))
	}
	body := r.Stream(t.Context(), 0, -1)
	got, err := io.ReadAll(body)
	if err != nil || !bytes.Equal(got, old) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	must(t, body.Close())
	must(t, r.Close())
	c, err = e.Collect(t.Context())
	if err != nil || c.Waiting != 0 {
		t.Errorf("%+v, %v", c, err)
	}
	if files := filesIn(t, filepath.Join(e.dir, blobsName)); len(files) != 0 {
		t.Errorf("%d files", len(files))
	}
	must(t, e.checkInvariants())
}

// Compacting while others write loses nothing.
func TestCompactUnderLoadLosesNothing(t *testing.T) {
	parts := testParts(t)
	parts.sizes = smallSizes()
	e, err := Open(t.Context(), filepath.Join(testDir(t), "store"), Options{Create: true}, parts)
	must(t, err)
	load := &tableLoad{e: e, b: mainBucket(t, e), want: map[objstore.Key]byte{}}
	must(t, load.until(func() bool { return load.n >= 2100 })) // three versions of each
	must(t, e.Close())
	e, err = Open(t.Context(), e.dir, Options{}, parts)
	must(t, err)
	load.e, load.b = e, mainBucket(t, e)
	begun, done := make(chan struct{}), make(chan struct{})
	var working sync.WaitGroup
	working.Go(func() {
		close(begun)
		for range 100 {
			end := load.n + 2
			if err := load.until(func() bool { return load.n == end }); err != nil {
				t.Error(err)
			}
		}
		close(done)
	})
	<-begun
	c, err := e.Compact(t.Context())
	must(t, err)
	<-done
	working.Wait()
	if t.Logf("%+v", c); c.TablesBefore == 0 || c.TablesAfter == 0 {
		t.Errorf("%+v", c)
	}
	e.cache.empty()
	if n := load.missed(t); n > 0 {
		t.Errorf("%d are lost", n)
	}
	must(t, e.checkInvariants())
	must(t, e.Close())
	wantWhole(t, e.dir)
}

// C11: a damaged table is found before anything is rewritten.
func TestCompactRefusesADamagedTable(t *testing.T) {
	e, dir := openWithTable(t)
	name, size := oneTable(t, dir)
	flip(t, name, size-10) // of the index
	if _, err := e.Compact(t.Context()); objstore.KindOf(err) != objstore.ErrCorrupt {
		t.Errorf("%v", err)
	}
	if _, err := e.Compact(t.Context()); objstore.KindOf(err) != objstore.ErrCorrupt {
		t.Errorf("again: %v", err)
	}
	_ = e.Close() // a store that was stopped is not clean
}
