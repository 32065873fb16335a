package staging

import (
	"errors"
	"math/rand/v2"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/extent"
)

// sprayed is a content of some blocks and a stage over it with as many pieces in each, and what the stage has.
func (e *engine) sprayed(rng *rand.Rand, blocks, pieces int) (base *committed, st *Stage, want []byte) {
	e.t.Helper()
	want = randomBytes(rng, blocks*blockBytes)
	first := e.stage(nil)
	e.write(first, 0, want)
	base = e.commit(first, nil)
	if err := first.Close(); err != nil {
		e.t.Fatal(err)
	}
	st = e.stage(base)
	e.spray(rng, st, want, pieces)
	return base, st, want
}

// spray changes as many pieces of 4 KiB in each block.
func (e *engine) spray(rng *rand.Rand, st *Stage, want []byte, pieces int) {
	e.t.Helper()
	e.session.checks = false // once, when it is sealed, is enough
	defer func() { e.session.checks = true }()
	for range pieces {
		for k := range len(want) / blockBytes {
			off := k*blockBytes + rng.IntN(blockBytes/4096)*4096
			p := randomBytes(rng, 4096)
			e.write(st, int64(off), p)
			copy(want[off:], p)
		}
	}
}

// Many small pieces of a commit lie behind each other in its blob, in the order of the content, with nothing between them; so
// they do if the commit before failed, and the stage goes on as if they had not been moved.
func TestManySmallPiecesAreGathered(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	e := newEngine(t)
	base, st, want := e.sprayed(rng, 3, 40)
	for attempt := range 3 {
		se := e.seal(st)
		c := e.build(se, base)
		e.check(c, se.Hash, want)
		wantGathered(t, se)
		if attempt < 2 {
			se.Failed()
			continue
		}
		if err := se.Committed(objstore.Owner{}, c); err != nil {
			t.Fatal(err)
		}
		e.spray(rng, st, want, 1)
		last := e.seal(st)
		e.check(e.build(last, c), last.Hash, want)
		last.Failed()
	}
}

func wantGathered(t *testing.T, se *Sealed) {
	t.Helper()
	if len(se.Blobs) != 1 {
		t.Fatalf("%d blobs", len(se.Blobs))
	}
	end := int64(0)
	for _, x := range se.Edit.Changes {
		if x.Source.Kind == extent.Hole || x.Source.Off != end {
			t.Fatalf("the piece at %d is at %d of the blob, want %d", x.Off, x.Source.Off, end)
		}
		end += x.Len
	}
}

// What is sealed that cannot be gathered, because there is no room, is committed from where it is.
func TestPiecesStayWithoutRoomToGatherThem(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 3))
	for _, by := range []string{"the guard", "the disk"} {
		full := false
		e := newEngineOn(t, disk.Hooked(disk.OS{}, func(op disk.Op) error {
			if op.Kind == disk.OpWrite && full { // write-backs come when they please
				return unix.ENOSPC
			}
			return nil
		}), t.TempDir())
		base, st, want := e.sprayed(rng, 2, 40)
		switch by {
		case "the guard":
			st.session.granted, st.session.left = st.session.granted-st.session.left, 0
			e.space.err = &objstore.Error{Op: "reserve", Kind: objstore.ErrNoSpace}
		default:
			full = true
		}
		se, err := st.Seal(t.Context(), 7, 8)
		full, e.space.err = false, nil
		if err != nil {
			if by == "the disk" && errors.Is(err, objstore.ErrNoSpace) {
				se = e.seal(st) // the blob's sums had no room either
			} else {
				t.Fatal(by, err)
			}
		}
		e.check(e.build(se, base), se.Hash, want)
		se.Failed()
	}
}

// Whatever file operation fails while pieces are gathered, what is sealed next has them all.
func TestEveryFailureOfGatheringIsSurvived(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 5))
	for nth, failed := 1, true; failed; nth++ {
		armed, count := false, 0
		e := newEngineOn(t, disk.Hooked(disk.OS{}, func(op disk.Op) error {
			if op.Kind == disk.OpWriteback || !armed {
				return nil
			}
			if count++; count == nth {
				return unix.EIO
			}
			return nil
		}), t.TempDir())
		base, st, want := e.sprayed(rng, 2, 40)
		armed = true
		se, err := st.Seal(t.Context(), 7, 8)
		failed, armed = count >= nth, false
		if err != nil {
			se = e.seal(st)
		}
		e.check(e.build(se, base), se.Hash, want)
		se.Failed()
	}
}

// A commit that changes a little of every block of a large content writes a bounded multiple of what it changes, however many
// pieces there are from commits before: and no block comes to more than so many.
func TestCommitWritesABoundedMultipleOfWhatItChanges(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 4))
	const blocks, pieces = 8, 20
	e := newEngine(t)
	base, st, want := e.sprayed(rng, blocks, pieces)
	for range 15 {
		se := e.seal(st)
		var written int64
		for _, x := range se.Edit.Changes {
			written += x.Len
		}
		changed := int64(blocks * pieces * 4096)
		if most := changed + max(rewriteBytesMin, rewriteShare*changed); written > most {
			t.Errorf("%d bytes were written for %d that changed", written, changed)
		}
		c := e.build(se, base)
		e.check(c, se.Hash, want)
		if err := se.Committed(objstore.Owner{}, c); err != nil {
			t.Fatal(err)
		}
		base = c
		if n := c.extents(); n > blocks*2*extentsLast*extentsMax {
			t.Errorf("%d extents", n)
		}
		e.spray(rng, st, want, pieces)
	}
}
