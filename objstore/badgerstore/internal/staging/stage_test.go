package staging

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/extent"
	"github.com/etagfs/etagfs/objstore/blockhash"
)

func (e *engine) stage(base *committed) *Stage {
	if base == nil {
		return e.session.NewStage(objstore.Owner{Path: "f", Object: 7}, nil)
	}
	return e.session.NewStage(objstore.Owner{Path: "f", Object: 7, Base: "1"}, base)
}

// staged lists the files of the session.
func (e *engine) staged() []string {
	e.t.Helper()
	names, err := e.fs.ReadDir(e.session.dir)
	if err != nil {
		e.t.Fatal(err)
	}
	return names
}

func filled(n int, b byte) []byte { return bytes.Repeat([]byte{b}, n) }

// A small file costs no file in staging, and none in the blob tree.
func TestSmallStagesShareOneFile(t *testing.T) {
	e := newEngine(t)
	for range 100 {
		st := e.stage(nil)
		e.write(st, 0, filled(testInlineBytes-5, 'x'))
		e.write(st, testInlineBytes-5, filled(5, 'y'))
		se := e.seal(st)
		if !se.Whole || len(se.Inline) != testInlineBytes || len(se.Blobs) != 0 {
			t.Fatalf("sealed %+v", se)
		}
		if names := e.staged(); !slices.Equal(names, []string{slotsName}) {
			t.Fatalf("staged files: %q", names)
		}
		if err := errors.Join(se.Committed(objstore.Owner{}, e.build(se, nil)), st.Close()); err != nil {
			t.Fatal(err)
		}
	}
	if e.session.slotsUsed != 1 {
		t.Errorf("%d slots for one stage at a time", e.session.slotsUsed)
	}
}

// A content over the inline limit is one blob, whatever the order of its writes, and
// is nothing but its bytes from a mebibyte on.
func TestLargeContentIsOneBlob(t *testing.T) {
	e := newEngine(t)
	const size = 3*blockBytes + 777
	want := randomBytes(rand.New(rand.NewPCG(1, 1)), size)
	st := e.stage(nil)
	const piece = 50_000
	order := rand.New(rand.NewPCG(1, 1)).Perm(size/piece + 1)
	for _, i := range order {
		e.write(st, int64(i*piece), want[i*piece:min((i+1)*piece, size)])
	}
	se := e.seal(st)
	if len(se.Blobs) != 1 || !se.Blobs[0].Ref.Bare || len(se.Edit.Changes) != 1 || len(se.Edit.Blocks) != 0 || se.FromBase {
		t.Fatalf("sealed %+v", se)
	}
	c := e.build(se, nil)
	if _, ok := c.content.Run(); !ok {
		t.Errorf("content %+v is not one run", c.content)
	}
	e.check(c, se.Hash, want)
	if err := errors.Join(se.Committed(objstore.Owner{}, c), st.Close()); err != nil {
		t.Fatal(err)
	}
	if names := e.staged(); !slices.Equal(names, []string{slotsName}) {
		t.Errorf("left in staging: %q", names)
	}
	e.check(c, se.Hash, want)
}

// readCounter counts what is read of a base.
type readCounter struct {
	Base
	bytes int
}

func (r *readCounter) ReadAt(ctx context.Context, p []byte, off int64) (int, error) {
	r.bytes += len(p)
	return r.Base.ReadAt(ctx, p, off)
}

// A small change of a large content reads the block it lies in, and stores only itself.
func TestSmallChangeOfLargeContentIsSmall(t *testing.T) {
	e := newEngine(t)
	want := randomBytes(rand.New(rand.NewPCG(1, 1)), 20*blockBytes)
	st := e.stage(nil)
	e.write(st, 0, want)
	base := e.commit(st, nil)
	counted := &readCounter{Base: base}
	st = e.session.NewStage(objstore.Owner{}, counted)
	e.write(st, 7*blockBytes+100, filled(4096, 'x'))
	copy(want[7*blockBytes+100:], filled(4096, 'x'))
	se := e.seal(st)
	if len(se.Inline) != 4096 || se.Whole || len(se.Blobs) != 0 || len(se.Edit.Blocks) != 1 || !se.FromBase || se.Appended {
		t.Errorf("sealed %+v", se.Edit)
	}
	if counted.bytes > blockBytes {
		t.Errorf("%d bytes of the base were read", counted.bytes)
	}
	c := e.build(se, base)
	e.check(c, se.Hash, want)
	se.Failed()
}

// Who appends, commit by commit, reads nothing again but the tail, once.
func TestAppendsDoNotReadWhatIsThere(t *testing.T) {
	e := newEngine(t)
	want := randomBytes(rand.New(rand.NewPCG(1, 1)), blockBytes+blockBytes/2)
	st := e.stage(nil)
	e.write(st, 0, want)
	base := e.commit(st, nil)
	counted := &readCounter{Base: base}
	st = e.session.NewStage(objstore.Owner{}, counted)
	for range 50 {
		line := filled(100, 'l')
		e.write(st, int64(len(want)), line)
		want = append(want, line...)
		se := e.seal(st)
		if !se.Appended || len(se.Inline) != 100 {
			t.Fatalf("appended %v, %d inline bytes", se.Appended, len(se.Inline))
		}
		base = e.build(se, base)
		counted.Base = base
		e.check(base, se.Hash, want)
		if err := se.Committed(objstore.Owner{}, counted); err != nil {
			t.Fatal(err)
		}
	}
	if counted.bytes > blockBytes {
		t.Errorf("%d bytes of the base were read", counted.bytes)
	}
}

// extents counts the extents of a content.
func (c *committed) extents() (n int) {
	_ = c.Extents(0, c.Size(), func(extent.Extent) error {
		n++
		return nil
	})
	return n
}

// However many small changes a block has seen, it is in few extents, and so is its log-like growth.
func TestSmallChangesAreWrittenTogether(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for name, place := range map[string]func(size int64) int64{
		"appended":  func(size int64) int64 { return size },
		"scattered": func(int64) int64 { return rng.Int64N(1<<20/512) * 512 },
	} {
		e := newEngine(t)
		want := randomBytes(rng, 1<<20)
		st := e.stage(nil)
		e.write(st, 0, want)
		base := e.commit(st, nil)
		most := 0
		for i := range 700 {
			p := randomBytes(rng, 1+rng.IntN(400))
			off := place(int64(len(want)))
			e.write(st, off, p)
			want = grown(want, off+int64(len(p)))
			copy(want[off:], p)
			se := e.seal(st)
			if se.Appended != (name == "appended") {
				t.Fatal("appended")
			}
			c := e.build(se, base)
			if i%50 == 0 {
				e.check(c, se.Hash, want)
			}
			if i%10 == 7 {
				se.Failed()
				se = e.seal(st)
				c = e.build(se, base)
			}
			if err := se.Committed(objstore.Owner{}, c); err != nil {
				t.Fatal(err)
			}
			base = c
			most = max(most, base.extents())
		}
		if most > 4*extentsMax {
			t.Errorf("%s: %d extents", name, most)
		}
		if names := e.staged(); !slices.Equal(names, []string{slotsName}) {
			t.Errorf("%s: left in staging: %q", name, names)
		}
	}
}

// The largest object is 16 TiB; a byte at its end costs next to nothing.
func TestLargestObject(t *testing.T) {
	e := newEngine(t)
	st := e.stage(nil)
	if _, err := st.WriteAt(t.Context(), []byte("xy"), objstore.ObjectBytesMax-1); !errors.Is(err, objstore.ErrTooLarge) {
		t.Errorf("write beyond: %v", err)
	}
	if err := st.Truncate(t.Context(), objstore.ObjectBytesMax+1); !errors.Is(err, objstore.ErrTooLarge) {
		t.Errorf("truncate beyond: %v", err)
	}
	if st.Changed() || st.Size() != 0 {
		t.Error("refused, and changed")
	}
	last := filled(testInlineBytes+1, 'z')
	e.write(st, objstore.ObjectBytesMax-int64(len(last)), last)
	se := e.seal(st)
	c := e.build(se, nil)
	got := make([]byte, len(last)+5)
	if n, err := c.ReadAt(t.Context(), got, objstore.ObjectBytesMax-int64(len(last))-5); n != len(got) || err != nil || !bytes.Equal(got[5:], last) {
		t.Errorf("read %d, %v", n, err)
	}
	if err := se.Committed(objstore.Owner{}, c); err != nil {
		t.Fatal(err)
	}
	e.write(st, 5, []byte("here too"))
	c = e.commit(st, c)
	data, err := st.NextData(t.Context(), blockBytes)
	if data != objstore.ObjectBytesMax-int64(len(last)) || err != nil {
		t.Errorf("next data at %d, %v", data, err)
	}
	if err := st.Allocate(t.Context(), 0, objstore.ObjectBytesMax, objstore.PunchHole); err != nil {
		t.Fatal(err)
	}
	if c = e.commit(st, c); !(c.content.Root == extent.Slot{}) {
		t.Errorf("all punched: %+v", c.content)
	}
}

// A write without space is ErrNoSpace, and nothing has changed.
func TestNoSpaceChangesNothing(t *testing.T) {
	refused := &objstore.Error{Op: "reserve", Kind: objstore.ErrNoSpace}
	var full atomic.Bool // write-back asks from elsewhere
	fs := disk.Hooked(disk.OS{}, func(op disk.Op) error {
		if full.Load() && (op.Kind == disk.OpWrite || op.Kind == disk.OpCreate) {
			return unix.ENOSPC
		}
		return nil
	})
	for _, n := range []int{10, 3 * testInlineBytes} {
		for _, by := range []string{"the guard", "the disk"} {
			e := newEngineOn(t, fs, t.TempDir())
			st := e.stage(nil)
			want := filled(n, 'a')
			e.write(st, 0, want)
			if full.Store(by == "the disk"); !full.Load() {
				e.space.err = refused
			}
			for _, size := range []int{5, 2 * grantBytes} {
				if _, err := st.WriteAt(t.Context(), filled(size, 'b'), int64(n)); !errors.Is(err, objstore.ErrNoSpace) {
					if by == "the guard" && size < 2*grantBytes {
						continue // admitted before
					}
					t.Errorf("refused by %s: %v", by, err)
				}
			}
			full.Store(false)
			e.space.err = nil
			got := make([]byte, 2*n+100)
			m, err := st.ReadAt(t.Context(), got, 0)
			if err != io.EOF || !bytes.Equal(got[:n], want) || by == "the disk" && m != n {
				t.Errorf("after no space by %s: %d bytes of %d, %v", by, m, n, err)
			}
			se := e.seal(st)
			e.check(e.build(se, nil), se.Hash, got[:m])
			se.Failed()
		}
	}
}

// Concurrent reads, writes, commits and failures: each byte of a commit is one that was written.
func TestConcurrentUse(t *testing.T) {
	e := newEngine(t)
	st := e.stage(nil)
	const parts, partBytes = 4, 300_000
	var wait sync.WaitGroup
	for part := range parts {
		wait.Go(func() {
			rng := rand.New(rand.NewPCG(1, uint64(part)))
			for i := range 60 {
				n := 1 + rng.IntN(partBytes/2)
				off := part*partBytes + rng.IntN(partBytes-n)
				p := filled(n, byte(i))
				if _, err := st.WriteAt(context.Background(), p, int64(off)); err != nil {
					t.Error(err)
				}
				got := make([]byte, n)
				if _, err := st.ReadAt(context.Background(), got, int64(off)); err != nil || !bytes.Equal(got, p) {
					t.Errorf("read back %d at %d: %v", n, off, err)
				}
			}
		})
	}
	var base *committed
	for i := range 30 {
		se := e.seal(st)
		c := e.build(se, base)
		content := make([]byte, c.Size())
		if _, err := c.ReadAt(context.Background(), content, 0); err != nil && err != io.EOF {
			t.Fatal(err)
		}
		var h blockhash.Hasher
		h.Write(content)
		if h.Sum() != se.Hash {
			t.Fatal("wrong hash")
		}
		if i%3 == 0 {
			se.Failed()
			continue
		}
		if err := se.Committed(objstore.Owner{}, c); err != nil {
			t.Fatal(err)
		}
		base = c
	}
	wait.Wait()
}

// A sweep leaves the sessions of living processes alone, finds what is changed in
// others, again if it could not be kept, and nothing the third time.
func TestSweepFindsWhatDeadProcessesLeft(t *testing.T) {
	e := newEngine(t)
	large := e.stage(nil)
	e.write(large, 0, filled(100_000, 'l'))
	small := e.stage(nil)
	e.write(small, 3, []byte("small"))
	e.stage(nil) // unchanged
	closed := e.stage(nil)
	e.write(closed, 0, []byte("dropped"))
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	sweep := func(keep error) (sizes []int64) {
		err := e.session.Sweep(keeper{func(Found) (Base, error) { return nil, nil }, func(f Found, st *Stage) error {
			sizes = append(sizes, st.Size())
			return keep
		}})
		if !errors.Is(err, keep) {
			t.Errorf("sweep: %v", err)
		}
		slices.Sort(sizes)
		return sizes
	}
	alive := e.session
	var err error
	e.session, err = OpenSession(e.fs, filepath.Join(e.dir, "staging"), alive.opt)
	if err != nil {
		t.Fatal(err)
	}
	if got := sweep(nil); len(got) != 0 {
		t.Errorf("in a living session: %d", got)
	}
	alive.lock.Close()
	want := []int64{8, 100_000}
	if got := sweep(errors.New("no room to keep it")); !slices.Equal(got, want) {
		t.Errorf("found %d, want %d", got, want)
	}
	if got := sweep(nil); !slices.Equal(got, want) {
		t.Errorf("found again %d, want %d", got, want)
	}
	if got := sweep(nil); len(got) != 0 {
		t.Errorf("found once more: %d", got)
	}
	names, _ := e.fs.ReadDir(filepath.Join(e.dir, "staging"))
	if len(names) != 2 || !strings.HasPrefix(names[0], filepath.Base(e.session.dir)) {
		t.Errorf("left in staging: %q", names)
	}
}

// A record torn by the death of the process is not taken for one, those before it are.
func TestTornRecordIsRecognised(t *testing.T) {
	e := newEngine(t)
	st := e.stage(nil)
	e.write(st, 0, filled(1000, 'a'))
	before := st.log.used
	e.write(st, 1000, filled(1000, 'b'))
	// What a kill in the middle of the second write leaves.
	if _, err := e.session.slots.WriteAt(make([]byte, 700), e.session.slotOffset(0)+before+400); err != nil {
		t.Fatal(err)
	}
	e.crash()
	found := 0
	err := e.session.Sweep(keeper{func(Found) (Base, error) { return nil, nil }, func(_ Found, st *Stage) error {
		found++
		got := make([]byte, 3000)
		if n, err := st.ReadAt(t.Context(), got, 0); err != io.EOF || !bytes.Equal(got[:n], filled(1000, 'a')) {
			t.Errorf("found %d bytes, %v", n, err)
		}
		return nil
	}})
	if err != nil || found != 1 {
		t.Errorf("found %d, %v", found, err)
	}
}

// A slot used again does not show what was in it before, though the old records are whole.
func TestReusedSlotHasNoOldRecords(t *testing.T) {
	e := newEngine(t)
	st := e.stage(nil)
	for i := range 10 {
		e.write(st, int64(i)*100, filled(100, 'o'))
	}
	base := e.commit(st, nil)
	e.write(st, 0, filled(100, 'n'))
	want := append(filled(100, 'n'), filled(900, 'o')...)
	e.crash()
	err := e.session.Sweep(keeper{func(Found) (Base, error) { return base, nil }, func(f Found, st *Stage) error {
		got := make([]byte, 2000)
		if n, err := st.ReadAt(t.Context(), got, 0); err != io.EOF || !bytes.Equal(got[:n], want) {
			t.Errorf("found %d bytes, %v", n, err)
		}
		if len(st.view.blocks[0].segments) != 1 {
			t.Errorf("segments %+v", st.view.blocks[0].segments)
		}
		return nil
	}})
	if err != nil {
		t.Error(err)
	}
}

// What was kept of a stage, a blob made of its file, is not touched when the stage is found after a crash and kept again.
func TestBlobOfFoundStageIsNotWrittenAgain(t *testing.T) {
	for _, n := range []int{100_000, 3 << 20} {
		e := newEngine(t)
		want := randomBytes(rand.New(rand.NewPCG(1, 1)), n)
		st := e.stage(nil)
		e.write(st, 0, want)
		kept := e.seal(st)
		c := e.build(kept, nil)
		kept.Failed()
		e.crash()
		err := e.session.Sweep(keeper{func(Found) (Base, error) { return nil, nil }, func(_ Found, st *Stage) error {
			se := e.seal(st)
			e.check(e.build(se, nil), se.Hash, want)
			se.Failed()
			return nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		e.check(c, kept.Hash, want)
		if err := e.blobs.Verify(t.Context(), kept.Blobs[0].Ref, kept.Blobs[0].Check); err != nil {
			t.Error(err)
		}
	}
}

// A stage found after its process died in the middle of a commit says which, unless there is more in it.
func TestFoundStageNamesItsCommit(t *testing.T) {
	for _, later := range []bool{false, true} {
		for _, n := range []int{100, 100_000} {
			e := newEngine(t)
			st := e.stage(nil)
			e.write(st, 0, filled(n, 'x'))
			se, err := st.Seal(t.Context(), 7, 99)
			if err != nil {
				t.Fatal(err)
			}
			if later {
				e.write(st, 5, []byte("later"))
			}
			e.crash()
			found := 0
			err = e.session.Sweep(keeper{func(f Found) (Base, error) {
				found++
				if f.Object == 7 == later || f.Version == 99 == later {
					t.Errorf("found %+v", f)
				}
				return nil, nil
			}, func(_ Found, st *Stage) error {
				if st.Size() != int64(n) {
					t.Errorf("%d bytes, want %d", st.Size(), n)
				}
				return nil
			}})
			if err != nil || found != 1 {
				t.Errorf("found %d: %v", found, err)
			}
			se.Failed()
		}
	}
}

// Any bytes are a log as far as they are one.
func FuzzReadLog(f *testing.F) {
	owner := appendOwner(nil, objstore.Owner{Path: "p", Object: 5, Base: "1f", Host: "h"})
	b := appendRecord(nil, logRecord{kind: recordOpen, a: 3, d: hosted, data: owner}, 0)
	b = appendRecord(b, logRecord{kind: recordData, a: 10, data: []byte("hello")}, 3)
	b = appendRecord(b, logRecord{kind: recordZero, a: 2, b: 5}, 3)
	b = appendRecord(b, logRecord{kind: recordSize, a: 2}, 3)
	f.Add(b)
	e := newEngine(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		l, ok, err := e.session.readLog(e.dir, b)
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			return
		}
		r := e.session.newReplay(&l, nil)
		if err := r.run(); err != nil && objstore.KindOf(err) == 0 {
			t.Fatal(err)
		}
		r.lost()
		_ = r.st.abandon()
	})
}
