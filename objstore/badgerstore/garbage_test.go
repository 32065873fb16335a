package badgerstore

import (
	"bytes"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/extent"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/record"
)

// roomDisk says how much space there is.
type roomDisk struct {
	disk.FS
	free *atomic.Int64
}

// ampleBytes is more than any reserve.
const ampleBytes = 1 << 39

// newRoomDisk has so much space, until something else is stored in free.
func newRoomDisk(bytes int64) roomDisk {
	d := roomDisk{disk.OS{}, new(atomic.Int64)}
	d.free.Store(bytes)
	return d
}

func (d roomDisk) Space(name string) (disk.Space, error) {
	s, err := d.FS.Space(name)
	s.BytesTotal, s.BytesFree = 2*ampleBytes, d.free.Load()
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
	room := newRoomDisk(ampleBytes)
	var passed atomic.Int64 // by which the clock is ahead: what the disk said is believed for a moment
	parts := testParts(t)
	parts.Clock = func() time.Time { return time.Now().Add(time.Duration(passed.Load())) }
	parts.Disk = room
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
	resume := e.collector.pause() // or the file goes before the disk is full
	if err := b.Delete(t.Context(), "f", objstore.Unconditional(), objstore.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	room.free.Store(0)
	passed.Store(int64(time.Second))
	resume()
	collectAll(t, e)
	if n := len(blobNames(t, e)); n != 1 {
		t.Fatalf("%d files while the disk is full", n)
	}
	room.free.Store(ampleBytes)
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

// TestEndOfAReadWakesTheCollectorOnlyForWhatItHeld: (1) no garbage waits, and the end of a read is nothing to the
// collector; (2) garbage waits for a read, and its end wakes the collector; (3) it has been collected, and (1) again.
func TestEndOfAReadWakesTheCollectorOnlyForWhatItHeld(t *testing.T) {
	e := openTest(t, testDir(t), Options{Create: true})
	b := mainBucket(t, e)
	putSmall(t, b, "k", "bytes")
	apart := &Engine{syncer: e.syncer} // with a collector that nobody runs and nothing else wakes
	apart.pins.counts = map[uint64]map[uint64]int{}
	c := newCollector(apart)
	apart.collector = c
	p := &pinned{e: apart, lineage: 7, version: 1, content: refersTo(t, b, "k")}
	read := func() {
		p.holders.Store(1)
		apart.pins.add(p.lineage, p.version)
	}
	ended := func() (woken bool) {
		p.release()
		woken = len(c.work) > 0
		select {
		case <-c.work:
		default:
		}
		return woken
	}
	read()
	if ended() {
		t.Error("woken though no garbage waits")
	}
	read()
	c.note(0, []pending{{number: 1, lineage: p.lineage, died: 2}})
	if batch := c.take(); len(batch) > 0 {
		t.Fatalf("%v is taken while it is read", batch)
	}
	if !ended() {
		t.Error("not woken by the end of the read that garbage waits for")
	}
	if batch := c.take(); len(batch) != 1 {
		t.Fatalf("%v is taken after the read", batch)
	}
	read()
	if ended() {
		t.Error("woken though no garbage waits any more")
	}
}

// refersTo is the content of a key: one that refers to something.
func refersTo(t *testing.T, b *Bucket, key objstore.Key) extent.Content {
	t.Helper()
	v := b.e.view()
	defer v.close()
	o, err := v.objectAt(b.root, key)
	must(t, err)
	x, err := extentsOf(o.Content)
	must(t, err)
	if len(x.Refs()) == 0 {
		t.Fatalf("%s refers to nothing", key)
	}
	return x
}
