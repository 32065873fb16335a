package staging

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/blob"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/extent"
	"github.com/etagfs/etagfs/objstore/blockhash"
)

// loan is a content of the engine that is lent.
type loan struct {
	*committed
	released int
	read     atomic.Int64 // bytes
}

func (l *loan) File(s extent.Source) string {
	return l.e.blobs.Path(blob.Ref{ID: s.ID, Bare: s.Kind == extent.Bare})
}

func (l *loan) ReadBlob(ctx context.Context, s extent.Source, p []byte) error {
	if l.released > 0 {
		return objstore.ErrClosed
	}
	l.read.Add(int64(len(p)))
	_, err := l.e.blobs.ReadAt(ctx, blob.Ref{ID: s.ID, Bare: s.Kind == extent.Bare}, p, s.Off)
	return err
}

func (l *loan) BlockDigests(s extent.Source, n int64) ([]blockhash.Digest, error) {
	return l.e.BlockDigests(s, n)
}

func (l *loan) Release() { l.released++ }

// lent is a committed content of random bytes.
func (e *engine) lent(n int) (*loan, []byte) {
	p := randomBytes(rand.New(rand.NewPCG(uint64(n), 5)), n)
	st := e.stage(nil)
	e.write(st, 0, p)
	c := e.commit(st, nil)
	if err := st.Close(); err != nil {
		e.t.Fatal(err)
	}
	return &loan{committed: c}, p
}

// What is borrowed is read, hashed and committed as if it had been written, and moves no bytes; blocks that are the lender's as a
// whole are not even read.
func TestBorrowedBytesAreNotMoved(t *testing.T) {
	for name, at := range map[string]struct {
		from, n, to int64
		reads       bool
		pages       int // blocks that need one: the others are one run
	}{
		"whole blocks":        {blockBytes, 2 * blockBytes, 3 * blockBytes, false, 0},
		"to the end":          {2 * blockBytes, 10 * blockBytes, blockBytes, true, 1}, // there the stage goes on
		"not block on block":  {100, 2 * blockBytes, 7, true, 3},
		"with parts of two":   {blockBytes - 70000, blockBytes + 140000, blockBytes - 70000, true, 2},
		"beyond the base":     {0, 3*blockBytes + 777, 8 * blockBytes, false, 0},
		"over what was there": {0, 2 * blockBytes, 0, false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEngine(t)
			l, source := e.lent(3*blockBytes + 777)
			base, want := e.lent(5 * blockBytes)
			st := e.stage(base.committed)
			wrote := e.lastID
			n, err := st.Borrow(t.Context(), l, at.from, at.n, at.to)
			if copied := min(at.n, int64(len(source))-at.from); err != nil || n != copied {
				t.Fatalf("borrowed %d, want %d: %v", n, copied, err)
			}
			want = grown(want, at.to+n)
			copy(want[at.to:], source[at.from:at.from+n])
			se := e.seal(st)
			if len(se.Blobs) > 0 || len(se.Inline) > 0 || wrote+1 != e.lastID { // a version
				t.Errorf("sealed %d blobs, %d bytes inline", len(se.Blobs), len(se.Inline))
			}
			if at.reads != (l.read.Load() > 0) || len(se.Edit.Blocks) != at.pages {
				t.Errorf("read %d bytes of the lender, %d blocks have digests of their own", l.read.Load(), len(se.Edit.Blocks))
			}
			c := e.build(se, base.committed)
			e.check(c, se.Hash, want)
			if l.released > 0 {
				t.Error("released before the commit")
			}
			if err := se.Committed(objstore.Owner{}, c); err != nil || l.released != 1 || st.Changed() {
				t.Errorf("%v, released %d times, changed: %v", err, l.released, st.Changed())
			}
			if names := e.staged(); len(names) != 1 {
				t.Errorf("left in staging: %q", names)
			}
			if err := errors.Join(st.Close()); err != nil || l.released != 1 {
				t.Errorf("%v, released %d times", err, l.released)
			}
		})
	}
}

// A piece of a blob that is small is written, and so is what is inline: a block keeps few extents.
func TestLittleIsNotBorrowed(t *testing.T) {
	e := newEngine(t)
	l, source := e.lent(blockBytes)
	st := e.stage(nil)
	if n, err := st.Borrow(t.Context(), l, 5, borrowBytesMin-1, 0); n != borrowBytesMin-1 || err != nil || l.released != 1 {
		t.Fatalf("borrowed %d, released %d times, %v", n, l.released, err)
	}
	small, bytesOf := e.lent(100)
	if n, err := st.Borrow(t.Context(), small, 90, 1000, borrowBytesMin); n != 10 || err != nil || small.released != 1 {
		t.Fatalf("borrowed %d, released %d times, %v", n, small.released, err)
	}
	want := grown(bytes.Clone(source[5:borrowBytesMin+4]), borrowBytesMin)
	e.check(e.commit(st, nil), blockhash.Of(append(want, bytesOf[90:]...)), append(want, bytesOf[90:]...))
}

// One call does not hold a stage for as long as a large copy takes.
func TestBorrowingIsShortIfItIsMuchWork(t *testing.T) {
	e := newEngine(t)
	st := e.stage(nil)
	var want []byte
	for i := range 3 * borrowExtentsMax {
		want = append(want, filled(1000, byte(i))...)
		want = append(want, make([]byte, 4096)...)
		e.write(st, int64(i*5096), filled(1000, byte(i)))
	}
	want = want[:len(want)-4096]
	if err := st.Allocate(t.Context(), 1000, 4096, objstore.PunchHole); err != nil {
		t.Fatal(err)
	}
	l := &loan{committed: e.commit(st, nil)}
	to := e.stage(nil)
	copied, calls := int64(0), 0
	for ; copied < int64(len(want)); calls++ {
		l.released = 0
		n, err := to.Borrow(t.Context(), l, copied, 1<<40, copied)
		if err != nil || n == 0 {
			t.Fatalf("%d after %d: %v", n, copied, err)
		}
		copied += n
	}
	e.check(e.commit(to, nil), blockhash.Content(blocks(want)), want)
	if calls < 2 {
		t.Errorf("%d calls", calls)
	}
}

func blocks(p []byte) (all []blockhash.Digest) {
	for ; len(p) > 0; p = p[min(len(p), blockBytes):] {
		all = append(all, blockhash.Of(p[:min(len(p), blockBytes)]))
	}
	return all
}

// What cannot be borrowed, out of range or after the end, changes nothing and is released.
func TestNothingIsBorrowedThatIsNotThere(t *testing.T) {
	e := newEngine(t)
	l, _ := e.lent(blockBytes)
	st := e.stage(nil)
	for i, at := range [][2]int64{{-1, 0}, {0, -1}, {blockBytes + 1, 0}, {0, objstore.ObjectBytesMax - 5}} {
		if n, err := st.Borrow(t.Context(), l, at[0], 100, at[1]); n != 0 || err == nil || l.released != i+1 {
			t.Errorf("from %d to %d: %d, %v", at[0], at[1], n, err)
		}
	}
	if n, err := st.Borrow(t.Context(), l, blockBytes, 100, 0); n != 0 || err != nil || l.released != 5 || st.Changed() {
		t.Errorf("from the end: %d, %v", n, err)
	}
}

// C4: what is borrowed over bytes of the stage's first file, of whose ranges no log says anything, is found over them, and what
// is written there later over that.
func TestBorrowedOverAWholeFileIsFound(t *testing.T) {
	e := newEngine(t)
	l, source := e.lent(2 * blockBytes)
	st := e.stage(nil)
	want := filled(300_000, 'a')
	e.write(st, 0, want)
	if n, err := st.Borrow(t.Context(), l, 10, 200_000, 5); n != 200_000 || err != nil {
		t.Fatalf("borrowed %d: %v", n, err)
	}
	copy(want[5:], source[10:200_010])
	e.write(st, 100_000, filled(50_000, 'b'))
	copy(want[100_000:], filled(50_000, 'b'))
	if _, found := e.sweepOne(noBase); !bytes.Equal(found, want) {
		t.Errorf("%d bytes are found, which differ at %d", len(found), diff(want, found))
	}
}

// C4: after a crash a stage with a little of a large blob is made anew of that little: neither what is written then nor what is kept is
// as large as the blob.
func TestOfALenderFoundAfterACrashOnlyWhatIsSeenIsCopied(t *testing.T) {
	var written atomic.Int64
	e := newEngineOn(t, disk.Hooked(disk.OS{}, func(op disk.Op) error {
		if op.Kind == disk.OpWrite {
			written.Add(op.Length)
		}
		return nil
	}), t.TempDir())
	const lent = 12 * blockBytes
	l, source := e.lent(lent)
	ranges := []struct{ from, n, to int64 }{{5*blockBytes + 7, 100_000, 9}, {3 * blockBytes, blockBytes, blockBytes}, {lent - 70_000, 70_000, 3 * blockBytes}}
	st := e.stage(nil)
	var want []byte
	for _, r := range ranges {
		if n, err := st.Borrow(t.Context(), l, r.from, r.n, r.to); n != r.n || err != nil {
			t.Fatalf("borrowed %d: %v", n, err)
		}
		want = grown(want, r.to+r.n)
		copy(want[r.to:], source[r.from:r.from+r.n])
	}
	over := filled(2*testInlineBytes, 'o')
	e.write(st, 2*blockBytes-testInlineBytes, over)
	copy(want[2*blockBytes-testInlineBytes:], over)
	e.crash()
	written.Store(0)
	err := e.session.Sweep(keeper{noBase, func(_ Found, st *Stage) error {
		seen := int64(100_000 + blockBytes + 70_000 + testInlineBytes)
		se := e.seal(st)
		if n := written.Load(); n > seen+seen/8 {
			t.Errorf("%d bytes are written, %d are seen", n, seen)
		}
		c := e.build(se, nil)
		e.check(c, se.Hash, want)
		for _, b := range se.Blobs {
			if info, err := e.fs.Stat(e.blobs.Path(b.Ref)); err != nil || info.BytesAllocated > seen+seen/4 {
				t.Errorf("a blob takes %d bytes, %d are seen: %v", info.BytesAllocated, seen, err)
			}
		}
		return se.Committed(st.Owner(), c)
	}})
	if err != nil {
		t.Fatal(err)
	}
	e.check(l.committed, blockhash.Content(blocks(source)), source)
}
