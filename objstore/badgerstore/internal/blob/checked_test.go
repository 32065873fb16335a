package blob

import (
	"bytes"
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
)

const trusted = time.Hour

// trusting opens the store of a fixture so that files are given away for an hour after a look.
func (fx *fixture) trusting(now func() time.Time) *Store {
	fx.t.Helper()
	s, err := Open(fx.fs, filepath.Dir(filepath.Dir(fx.store.Path(Ref{}))), Options{CheckedLasts: trusted, Now: now})
	if err != nil {
		fx.t.Fatal(err)
	}
	fx.t.Cleanup(func() { s.Close() })
	return s
}

// gives reports whether the bytes of a range are given away.
func gives(t *testing.T, s *Store, ref Ref, off, length int64) bool {
	t.Helper()
	f, ok := s.OpenChecked(t.Context(), ref, off, length)
	if ok {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
	return ok
}

// C11: a file is given away for what was verified, and for as long as that is trusted.
func TestOnlyVerifiedBytesAreGivenAway(t *testing.T) {
	fx := newFixture(t, disk.OS{})
	const size = LookBytesMax + 5*SumBytes + 100 // too many for a look of its own
	want := randomBytes(1, size)
	ref := fx.add(1, piece{0, want})
	small := fx.add(2, piece{0, want[:BareBytes-1]})
	now := time.Unix(1_000_000, 0)
	s := fx.trusting(func() time.Time { return now })
	buf := make([]byte, size)
	read := func(ref Ref, off, length int64) {
		t.Helper()
		if n, err := s.ReadAt(context.Background(), ref, buf[:length], off); int64(n) != length || !bytes.Equal(buf[:n], want[off:off+length]) {
			t.Fatalf("%d bytes, %v", n, err)
		}
	}
	if gives(t, s, ref, 0, size) {
		t.Error("what nobody read is given away")
	}
	read(ref, 0, 3*SumBytes)
	read(ref, 4*SumBytes, size-4*SumBytes)
	if gives(t, s, ref, 0, size) {
		t.Error("given away without one unit that nobody read")
	}
	read(ref, 3*SumBytes+5, 1)
	if !gives(t, s, ref, 0, size) || !gives(t, s, ref, size-1, 1) || gives(t, s, ref, size-1, 2) || gives(t, s, ref, 0, -1) || gives(t, s, ref, -1, 2) {
		t.Error("what was read to its end")
	}
	read(small, 0, BareBytes-1)
	if gives(t, s, small, 0, 100) {
		t.Error("a file with checksums in it is given away")
	}
	now = now.Add(trusted / 2)
	read(ref, 0, size)
	now = now.Add(trusted / 2)
	if gives(t, s, ref, 0, size) {
		t.Error("given away after the time of the first look")
	}
	read(ref, 0, SumBytes)
	if gives(t, s, ref, 0, size) {
		t.Error("a new look counts for more than was looked at")
	}
	read(ref, 0, size)
	s.DropCache(ref)
	if gives(t, s, ref, 0, size) {
		t.Error("given away after the cache was dropped")
	}
}

// C11: what nobody read is verified before it is given away, and again once that is no longer trusted.
func TestDamagedBytesAreNotGivenAway(t *testing.T) {
	fx := newFixture(t, disk.OS{})
	const size = BareBytes + 100
	want := randomBytes(1, size)
	ref := fx.add(1, piece{0, want})
	now := time.Unix(1_000_000, 0)
	s := fx.trusting(func() time.Time { return now })
	flip(t, fx.store.Path(ref), 8*5*SumBytes)
	if _, err := s.ReadAt(context.Background(), ref, make([]byte, size), 0); err == nil {
		t.Fatal("damage was read")
	}
	for _, c := range []struct {
		off, length int64
		want        bool
	}{
		{0, size, false}, {5 * SumBytes, 1, false}, {5*SumBytes - 1, 2, false}, {6*SumBytes - 1, 1, false},
		{0, 5 * SumBytes, true}, {6 * SumBytes, size - 6*SumBytes, true}, {size - 1, 1, true}, {size - 1, 2, false},
	} {
		if got := gives(t, s, ref, c.off, c.length); got != c.want {
			t.Errorf("%d bytes from %d on: %v", c.length, c.off, got)
		}
	}
	flip(t, fx.store.Path(ref), 8*7*SumBytes)
	now = now.Add(trusted)
	if gives(t, s, ref, 7*SumBytes, 1) {
		t.Error("damage is given away once the look before it is no longer trusted")
	}
}

func TestALookThatIsCancelledGivesNothingAway(t *testing.T) {
	fx := newFixture(t, disk.OS{})
	ref := fx.add(1, piece{0, randomBytes(1, BareBytes)})
	s := fx.trusting(nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if f, ok := s.OpenChecked(ctx, ref, 0, BareBytes); ok {
		t.Error("given away", f.Close())
	}
}

func TestNothingIsGivenAwayUnlessThatIsAskedFor(t *testing.T) {
	fx := newFixture(t, disk.OS{})
	ref := fx.add(1, piece{0, randomBytes(1, BareBytes)})
	if _, err := fx.store.ReadAt(context.Background(), ref, make([]byte, BareBytes), 0); err != nil {
		t.Fatal(err)
	}
	if gives(t, fx.store, ref, 0, 1) {
		t.Error("given away")
	}
}
