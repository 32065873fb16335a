package badgerstore

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"

	"github.com/dgraph-io/badger/v4"

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
	c, err := e.Collect(t.Context(), nil)
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
	c, err = e.Collect(t.Context(), nil)
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
	c, err := e.Compact(t.Context(), nil)
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
	if _, err := e.Compact(t.Context(), nil); objstore.KindOf(err) != objstore.ErrCorrupt {
		t.Errorf("%v", err)
	}
	if _, err := e.Compact(t.Context(), nil); objstore.KindOf(err) != objstore.ErrCorrupt {
		t.Errorf("again: %v", err)
	}
	_ = e.Close() // a store that was stopped is not clean
}

// Tables that nothing was merged into yet stay as they are, and who asked is told so.
func TestCompactSaysThatTablesOfOneLevelStay(t *testing.T) {
	e, err := Open(t.Context(), filepath.Join(testDir(t), "store"), Options{Create: true}, testParts(t))
	must(t, err)
	b := mainBucket(t, e)
	mustPut(t, b, "k", []byte("text"))
	must(t, b.Delete(t.Context(), "k", objstore.IfPresent(), objstore.DeleteOptions{}))
	c, err := e.Compact(t.Context(), nil)
	must(t, err)
	if !c.OneLevel || c.TablesAfter < c.TablesBefore {
		t.Errorf("%+v", c)
	}
	must(t, e.Close())
}

// Of a store of which most was replaced or deleted, and a file of which was edited in thousands of places, compacting leaves what
// is in use: the tables take at most a quarter more than the records that are left, and 64 KiB for what was committed last;
// the files at most a tenth more than the contents in them.
func TestCompactShrinksAStore(t *testing.T) {
	const objects, left, bodyBytes, fileBytes = 1000, 100, 1500, 5 << 20
	random := rand.New(rand.NewPCG(testSeed(t), 1))
	parts := testParts(t)
	parts.sizes = smallSizes()
	dir := filepath.Join(testDir(t), "store")
	e, err := Open(t.Context(), dir, Options{Create: true}, parts)
	must(t, err)
	b := mainBucket(t, e)
	for i := 0; i < 2*objects || !hasLowerLevel(e); i++ {
		mustPut(t, b, objstore.Key(fmt.Sprint(i%objects)), noise(random, bodyBytes))
	}
	for i := left; i < objects; i++ {
		must(t, b.Delete(t.Context(), objstore.Key(fmt.Sprint(i)), objstore.IfPresent(), objstore.DeleteOptions{Durability: objstore.Visible}))
	}
	ed := newEditor(t, b, "file", noise(random, fileBytes))
	ed.editFile(random, 100, 0, 1)
	must(t, ed.stage.Close())
	must(t, e.Close())
	e, err = Open(t.Context(), dir, Options{}, parts)
	must(t, err)
	_, err = e.Merge(t.Context(), nil)
	must(t, err)
	drain(t, e)
	must(t, e.Close())
	e, err = Open(t.Context(), dir, Options{}, parts)
	must(t, err)
	before := bytesIn(t, filepath.Join(dir, blobsName))
	c, err := e.Compact(t.Context(), nil)
	must(t, err)
	files := bytesIn(t, filepath.Join(dir, blobsName))
	t.Logf("%+v; files %d, %d", c, before, files)
	if c.OneLevel {
		t.Errorf("%+v: nothing was merged", c)
	}
	if most := int64(left*(bodyBytes+512)*5/4 + 64<<10); c.BytesAfter > most {
		t.Errorf("tables: %+v, wanted at most %d", c, most)
	}
	if files > fileBytes*11/10 {
		t.Errorf("files: %d bytes", files)
	}
	must(t, e.checkInvariants())
	must(t, e.Close())
}

// hasLowerLevel reports whether tables have been compacted: those of one level stay as they are.
func hasLowerLevel(e *Engine) bool {
	return slices.ContainsFunc(e.compactions.levels(), func(l badger.LevelInfo) bool { return l.Level > 0 && l.NumTables > 0 })
}

// bytesIn is what the files below a directory take of the disk.
func bytesIn(t *testing.T, dir string) (bytes int64) {
	t.Helper()
	for _, name := range filesIn(t, dir) {
		var st syscall.Stat_t
		must(t, syscall.Stat(name, &st))
		bytes += st.Blocks * 512
	}
	return bytes
}
