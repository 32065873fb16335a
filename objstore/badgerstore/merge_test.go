package badgerstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/extent"
	"github.com/etagfs/etagfs/objstore/blockhash"
)

// openMerging opens a new store in which all that is in pieces is worth merging, but nothing is merged by itself.
func openMerging(t *testing.T) *Engine {
	t.Helper()
	parts := testParts(t)
	sizes := ProfileMount.sizes()
	sizes.mergeQuiet, sizes.mergePiecesMin = time.Hour, 1
	parts.sizes = &sizes
	e, err := Open(t.Context(), filepath.Join(testDir(t), "store"), Options{Create: true}, parts)
	must(t, err)
	t.Cleanup(func() { must(t, e.Close()) })
	return e
}

// editFile makes n commits of eight small changes each, in the blocks of the file from first to last.
func (ed *editor) editFile(random *rand.Rand, n int, first, last int64) {
	ed.t.Helper()
	for range n {
		for range 8 {
			p := noise(random, 1+random.IntN(3000))
			from := first * blockhash.BlockBytes
			room := min(int64(len(ed.want)), (last+1)*blockhash.BlockBytes) - from - int64(len(p))
			ed.write(from+random.Int64N(room), p)
		}
		if err := ed.commit(objstore.IfVersion(ed.info.Version)); err != nil {
			ed.t.Fatal(err)
		}
	}
}

// eachExtent calls look for every extent of the content of an object.
func eachExtent(t testing.TB, e *Engine, id objstore.ID, look func(extent.Extent)) {
	t.Helper()
	v := e.view()
	defer v.close()
	o, err := v.object(uint64(id))
	must(t, err)
	x, err := extentsOf(o.Content)
	must(t, err)
	must(t, x.Extents(pages{v.tree}, 0, x.Size, func(x extent.Extent) error { look(x); return nil }))
}

// piecesOf is how many extents the content of an object has.
func piecesOf(t testing.TB, e *Engine, id objstore.ID) (n int) {
	t.Helper()
	eachExtent(t, e, id, func(extent.Extent) { n++ })
	return n
}

// scatter goes on editing blocks of the file, from first to last, until each is in pieces: the commit that finds a block in more than 128
// writes it whole by itself, and that may have been one of the last.
func (ed *editor) scatter(random *rand.Rand, e *Engine, first, last int64) {
	ed.t.Helper()
	const piecesMin = 40
	for block := first; block <= last; {
		pieces := 0
		eachExtent(ed.t, e, ed.id, func(x extent.Extent) {
			if x.Off/blockhash.BlockBytes == block {
				pieces++
			}
		})
		if pieces >= piecesMin {
			block++
			continue
		}
		ed.editFile(random, 1, block, block)
	}
}

// wantSameInfo wants all that is told of an object to be as it was.
func wantSameInfo(t *testing.T, b *Bucket, key objstore.Key, before objstore.Info) {
	t.Helper()
	after, err := b.Head(t.Context(), key)
	must(t, err)
	if got, want := fmt.Sprintf("%+v", after), fmt.Sprintf("%+v", before); got != want {
		t.Errorf("it was\n%s\nand is\n%s", want, got)
	}
}

// wantNoDamage wants nothing to be found by a check that reads every byte.
func wantNoDamage(t *testing.T, e *Engine) {
	t.Helper()
	all, err := e.findings(CheckOptions{Payload: true})
	must(t, err)
	for _, f := range all {
		t.Errorf("%s", f)
	}
}

// A file that was edited often is in few pieces after it was merged. (1) Its bytes, ETag, version and times, and how much it takes, are what
// they were; (2) what is not needed any more is gone; (3) merging again does nothing.
func TestMergedFileIsTheSameInFewerPieces(t *testing.T) {
	for _, row := range []struct {
		name  string
		size  int
		edits int
		large int64 // blocks that do not go inline
		most  int   // pieces
	}{
		{"one block", 3 << 20, 20, 1, 1},
		{"blocks and a short one", 9<<20 + 12_345, 20, 3, 3},
		{"a short last block that goes inline", 4<<20 + 9000, 20, 1, 2},
		{"more than one step", (mergeBlocksMax + 2) << 22, 50, mergeBlocksMax + 2, 2},
	} {
		t.Run(row.name, func(t *testing.T) {
			random := rand.New(rand.NewPCG(testSeed(t), 1))
			e := openMerging(t)
			b := mainBucket(t, e)
			ed := newEditor(t, b, "file", noise(random, row.size))
			last := blockhash.BlockCount(int64(row.size)) - 1
			ed.editFile(random, row.edits, 0, last)
			if last > 0 {
				ed.editFile(random, 5, last, last)
			}
			ed.scatter(random, e, 0, row.large-1)
			before, err := b.Head(t.Context(), "file")
			must(t, err)
			scattered := piecesOf(t, e, ed.id)
			m, err := e.Merge(t.Context(), nil)
			must(t, err)
			if n := piecesOf(t, e, ed.id); m.Files != 1 || m.Failed != 0 || n > row.most || scattered < 20*n {
				t.Errorf("%+v: %d pieces of %d", m, n, scattered)
			}
			ed.check()
			wantSameInfo(t, b, "file", before)
			must(t, ed.stage.Close()) // it holds on to what it was based on
			drain(t, e)
			wantNoDamage(t, e)
			if m, err = e.Merge(t.Context(), nil); err != nil || m != (Merged{}) {
				t.Errorf("again: %+v, %v", m, err)
			}
		})
	}
}

// Holes stay holes, and blocks that were hardly changed stay where they are.
func TestMergeLeavesHolesAndWholeBlocks(t *testing.T) {
	random := rand.New(rand.NewPCG(testSeed(t), 2))
	e := openMerging(t)
	b := mainBucket(t, e)
	ed := newEditor(t, b, "file", noise(random, 9<<20))
	ed.truncate(40 << 20)
	must(t, ed.commit(objstore.IfVersion(ed.info.Version)))
	for i := range 60 { // pieces of 4 KiB, three next to each other, and holes between these
		ed.write(20<<20+int64(i/3*32+i%3*4)<<10, noise(random, 4<<10))
		must(t, ed.commit(objstore.IfVersion(ed.info.Version)))
	}
	before, err := b.Head(t.Context(), "file")
	must(t, err)
	m, err := e.Merge(t.Context(), nil)
	if err != nil || m.Files != 1 || m.Blocks != 1 {
		t.Errorf("%+v, %v", m, err)
	}
	ed.check()
	wantSameInfo(t, b, "file", before)
	if m, err = e.Merge(t.Context(), nil); err != nil || m.Files != 0 {
		t.Errorf("again: %+v, %v", m, err)
	}
	must(t, ed.stage.Close())
	drain(t, e)
	wantNoDamage(t, e)
}

// A reader that was open before, and a stage that started before, go on with the bytes they had; the stage's
// next commit is not told of a change. C2, C9
func TestMergeBesideReadersAndWriters(t *testing.T) {
	random := rand.New(rand.NewPCG(testSeed(t), 3))
	e := openMerging(t)
	b := mainBucket(t, e)
	ed := newEditor(t, b, "file", noise(random, 6<<20))
	ed.editFile(random, 40, 0, 1)
	r, err := b.Get(t.Context(), "file", objstore.Unconditional())
	must(t, err)
	old := bytes.Clone(ed.want)
	_, err = e.Merge(t.Context(), nil)
	must(t, err)
	pieces := piecesOf(t, e, ed.id)
	drained(t, e)
	got, err := io.ReadAll(r.Stream(t.Context(), 0, -1))
	if err != nil || !bytes.Equal(got, old) || pieces != 1 {
		t.Errorf("%d bytes, %v; %d pieces", len(got), err, pieces)
	}
	ed.editFile(random, 3, 0, 1) // from the base it had before
	ed.check()
	got, err = io.ReadAll(r.Stream(t.Context(), 0, -1))
	if err != nil || !bytes.Equal(got, old) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	must(t, r.Close())
	must(t, ed.stage.Close())
	drain(t, e)
	wantNoDamage(t, e)
}

// drained has removed what can be removed while somebody reads.
func drained(t *testing.T, e *Engine) {
	t.Helper()
	_, err := e.Collect(t.Context(), nil)
	must(t, err)
}

// late ends the first pause of a merge with what somebody does meanwhile.
func late(meanwhile func()) func(int) error {
	var once sync.Once
	return func(int) error {
		once.Do(meanwhile)
		return nil
	}
}

// A merge of a file whose content is replaced meanwhile changes nothing; whatever happens to its name and its attributes does not
// keep it from being merged.
func TestMergeOfAFileThatChangesMeanwhile(t *testing.T) {
	rename := func(b *Bucket, _ *editor) error {
		_, err := b.Rename(context.Background(), objstore.RenameRequest{Src: "file", SrcCond: objstore.IfPresent(), Dst: "dir/other", DstCond: objstore.IfAbsent()})
		return err
	}
	remove := func(b *Bucket, _ *editor) error {
		return b.Delete(context.Background(), "file", objstore.IfPresent(), objstore.DeleteOptions{})
	}
	link := func(b *Bucket, ed *editor) error {
		_, err := b.Link(context.Background(), ed.id, b.Root(), "second", objstore.Visible)
		return err
	}
	chmod := func(b *Bucket, ed *editor) error {
		mode := uint32(0o600)
		_, err := b.SetAttr(context.Background(), ed.id, objstore.AttrChange{Mode: &mode}, objstore.Visible)
		return err
	}
	overwrite := func(_ *Bucket, ed *editor) error {
		ed.write(5, []byte("new"))
		return ed.commit(objstore.IfVersion(ed.info.Version))
	}
	replace := func(b *Bucket, _ *editor) error {
		_, err := b.Put(context.Background(), "file", bytes.NewReader(nil), objstore.IfPresent(), objstore.PutOptions{})
		return err
	}
	for _, row := range []struct {
		name      string
		meanwhile func(*Bucket, *editor) error
		late      bool
		key       objstore.Key // where the bytes are then; empty: nowhere
	}{
		{"rename", rename, false, "dir/other"}, {"link", link, false, "second"}, {"chmod", chmod, false, "file"},
		{"overwrite", overwrite, true, "file"}, {"delete", remove, true, ""}, {"put", replace, true, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			random := rand.New(rand.NewPCG(testSeed(t), 4))
			e := openMerging(t)
			b := mainBucket(t, e)
			ed := newEditor(t, b, "file", noise(random, 2<<20))
			ed.editFile(random, 10, 0, 0)
			_, err := e.mergeFile(t.Context(), uint64(ed.id), late(func() { must(t, row.meanwhile(b, ed)) }))
			if isLate := errors.Is(err, errMergeLate); isLate != row.late || !row.late && err != nil {
				t.Errorf("%v", err)
			}
			if row.key != "" {
				ed.key = row.key
				ed.check()
			}
			must(t, ed.stage.Close())
			drain(t, e)
			wantNoDamage(t, e)
		})
	}
}

// C11: a block whose bytes are not those that were written stays as it is and is reported by every check and scrub
// afterwards: no merge gives it a new checksum.
func TestMergeLeavesDamageWhereItIs(t *testing.T) {
	random := rand.New(rand.NewPCG(testSeed(t), 5))
	dir := filepath.Join(testDir(t), "store")
	e, err := Open(t.Context(), dir, Options{Create: true}, testParts(t))
	must(t, err)
	ed := newEditor(t, mainBucket(t, e), "file", noise(random, 2<<20))
	ed.editFile(random, 10, 0, 0)
	must(t, ed.stage.Close())
	path, off := filePiece(t, e, ed.id)
	must(t, e.Close())
	flip(t, path, off)
	e = openTest(t, dir, Options{}) // which remembers nothing of what was read
	before := piecesOf(t, e, ed.id)
	m, err := e.Merge(t.Context(), nil)
	if n := piecesOf(t, e, ed.id); err != nil || m.Failed != 1 || m.Blocks != 0 || n != before {
		t.Errorf("%+v, %v, %d pieces of %d", m, err, n, before)
	}
	all, err := e.findings(CheckOptions{Payload: true})
	must(t, err)
	if len(all) != 1 || !all[0].Kind.IsDamage() {
		t.Errorf("%v", all)
	}
}

// filePiece is where the first piece of a content is that is in a file.
func filePiece(t *testing.T, e *Engine, id objstore.ID) (path string, off int64) {
	t.Helper()
	eachExtent(t, e, id, func(x extent.Extent) {
		if path == "" && (x.Source.Kind == extent.Blob || x.Source.Kind == extent.Bare) {
			path, off = e.blobs.Path(blobOf(extent.RefKind(x.Source.Kind), x.Source.ID)), x.Source.Off
		}
	})
	return path, off
}

// A copy shares its payloads with the file, so that neither is merged; once the other is gone it is.
func TestSharedBlocksAreNotMerged(t *testing.T) {
	random := rand.New(rand.NewPCG(testSeed(t), 6))
	e := openMerging(t)
	b := mainBucket(t, e)
	ed := newEditor(t, b, "file", noise(random, 2<<20))
	ed.editFile(random, 10, 0, 0)
	must(t, ed.stage.Close())
	_, err := b.Copy(t.Context(), objstore.CopyRequest{Src: "file", SrcCond: objstore.IfPresent(), Dst: "copy", DstCond: objstore.IfAbsent()})
	must(t, err)
	if m, err := e.Merge(t.Context(), nil); err != nil || m != (Merged{}) {
		t.Errorf("%+v, %v", m, err)
	}
	must(t, b.Delete(t.Context(), "file", objstore.IfPresent(), objstore.DeleteOptions{}))
	drain(t, e)
	if m, err := e.Merge(t.Context(), nil); err != nil || m.Files != 1 {
		t.Errorf("%+v, %v", m, err)
	}
	ed.key, ed.info.Version = "copy", ""
	drain(t, e)
	wantNoDamage(t, e)
}

// A file that is left alone is merged by itself.
func TestFileThatIsLeftAloneIsMerged(t *testing.T) {
	random := rand.New(rand.NewPCG(testSeed(t), 7))
	parts := testParts(t)
	parts.sizes = mergingSizes()
	e, err := Open(t.Context(), filepath.Join(testDir(t), "store"), Options{Create: true}, parts)
	must(t, err)
	b := mainBucket(t, e)
	ed := newEditor(t, b, "file", noise(random, 2<<20))
	ed.editFile(random, 5, 0, 0)
	must(t, ed.stage.Close())
	for e.merger.waiting() > 0 || piecesOf(t, e, ed.id) > 1 {
		if t.Context().Err() != nil {
			t.Fatal("it is not merged")
		}
	}
	ed.check()
	must(t, e.checkInvariants())
	must(t, e.Close())
}

// A file that somebody has open waits until it is closed.
func TestFileThatIsOpenIsNotMergedByItself(t *testing.T) {
	random := rand.New(rand.NewPCG(testSeed(t), 10))
	e := openMerging(t)
	b := mainBucket(t, e)
	ed := newEditor(t, b, "file", noise(random, 2<<20))
	ed.editFile(random, 5, 0, 0)
	must(t, ed.stage.Close())
	r, err := b.Get(t.Context(), "file", objstore.Unconditional())
	must(t, err)
	e.merger.merge(uint64(ed.id))
	if n := piecesOf(t, e, ed.id); n == 1 || e.merger.waiting() != 1 {
		t.Errorf("%d pieces, %d files wait", n, e.merger.waiting())
	}
	must(t, r.Close())
	e.merger.merge(uint64(ed.id))
	if n := piecesOf(t, e, ed.id); n != 1 {
		t.Errorf("%d pieces", n)
	}
}

// waiting is how many files wait to be merged.
func (m *merger) waiting() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.due)
}

// mergingSizes are small sizes with which a file is merged at once.
func mergingSizes() *sizes {
	s := smallSizes()
	s.mergeQuiet, s.mergePiecesMin = 0, 1
	return s
}
