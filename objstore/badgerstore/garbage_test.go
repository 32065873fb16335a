package badgerstore

import (
	"bytes"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/extent"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/record"
)

// fullDisk says that there is no space while full is set.
type fullDisk struct {
	disk.FS
	full *atomic.Bool
}

func (f fullDisk) Space(name string) (disk.Space, error) {
	s, err := f.FS.Space(name)
	if f.full.Load() {
		s.BytesFree = 0
	}
	return s, err
}

// collectAll removes what garbage can go. What is durable may.
func collectAll(t *testing.T, e *Engine) {
	t.Helper()
	if err := e.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	e.syncer.marked.Store(e.published.Load())
	for range 4 { // the epoch turns with each
		for e.collector.collect() {
		}
	}
}

func TestGarbageThatFoundNoSpaceGoesLater(t *testing.T) {
	var full atomic.Bool
	parts := testParts(t)
	parts.Disk = fullDisk{disk.OS{}, &full}
	e, err := Open(t.Context(), filepath.Join(testDir(t), "store"), Options{Create: true}, parts)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	b := mainBucket(t, e)
	body := strings.NewReader(strings.Repeat("x", 100<<10))
	if _, err := b.Put(t.Context(), "f", body, objstore.Unconditional(), objstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := b.Delete(t.Context(), "f", objstore.Unconditional(), objstore.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	full.Store(true)
	collectAll(t, e)
	if n := len(blobNames(t, e)); n != 1 {
		t.Fatalf("%d files while the disk is full", n)
	}
	full.Store(false)
	collectAll(t, e)
	if names := blobNames(t, e); len(names) != 0 {
		t.Errorf("files %q", names)
	}
}

// What one record of garbage stands for may be more than one mutation can end.
func TestGarbageOfManyPartsGoesInParts(t *testing.T) {
	const parts = 5 * unlinkAtOnce
	e := openTest(t, filepath.Join(testDir(t), "store"), Options{Create: true})
	var blobs []extent.Ref
	for n := 0; n < parts; n += 500 {
		err := e.commit(t.Context(), objstore.Visible, false, func(t *tx) error {
			g := &record.Garbage{}
			for range 500 {
				id, err := t.e.numbers.next()
				if err != nil {
					return err
				}
				ref := extent.Ref{Kind: extent.RefBlob, ID: id}
				t.setRefs(ref, record.Refs{Count: 1})
				blobs = append(blobs, ref)
			}
			if len(blobs) < parts {
				return nil
			}
			for _, ref := range blobs {
				g.Dropped = append(g.Dropped, record.PayloadRef{Kind: uint8(ref.Kind), ID: ref.ID})
			}
			_, err := t.addGarbage(g)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	collectAll(t, e)
	v := e.view()
	defer v.close()
	for _, ref := range blobs {
		if refs, err := v.refs(ref); err != nil || refs != (record.Refs{}) {
			t.Fatalf("blob %d has %v, %v", ref.ID, refs, err)
		}
	}
	if n := countOf(t, v, record.GarbagePrefix()); n != 0 {
		t.Errorf("%d records of garbage are left", n)
	}
}

// TestBlobWhoseCountIsLostStays: (1) nobody gains a reference to it; (2) the end of the last reference that
// is known does not remove its file, which another may refer to; (3) the collector goes on. C11
func TestBlobWhoseCountIsLostStays(t *testing.T) {
	e := openTest(t, filepath.Join(testDir(t), "store"), Options{Create: true})
	b := mainBucket(t, e)
	mustPut(t, b, "f", []byte(strings.Repeat("x", 100<<10)))
	files := blobNames(t, e)
	if len(files) == 0 {
		t.Fatal("no blob")
	}
	err := e.commit(t.Context(), objstore.Durable, true, func(t *tx) error {
		return t.ov.base.scan([]byte{record.TagRefs}, func(key []byte, _ any) (bool, error) {
			t.set(bytes.Clone(key), nil)
			return true, nil
		})
	})
	must(t, err)
	_, err = b.Copy(t.Context(), objstore.CopyRequest{Src: "f", SrcCond: objstore.IfPresent(), Dst: "g", DstCond: objstore.Unconditional()})
	if !errors.Is(err, objstore.ErrCorrupt) {
		t.Errorf("copy: %v", err)
	}
	must(t, b.Delete(t.Context(), "f", objstore.Unconditional(), objstore.DeleteOptions{}))
	mustPut(t, b, "h", []byte(strings.Repeat("y", 100<<10)))
	must(t, b.Delete(t.Context(), "h", objstore.Unconditional(), objstore.DeleteOptions{}))
	collectAll(t, e)
	if left := blobNames(t, e); !slices.Equal(left, files) {
		t.Errorf("blobs %v instead of %v", left, files)
	}
}
