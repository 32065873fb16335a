package blob

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
)

// memory is a disk whose files are in the page cache or not, as the test has it.
type memory struct {
	disk.FS
	cached *bool
}

func (m memory) Open(name string) (disk.File, error) {
	f, err := m.FS.Open(name)
	if err != nil {
		return nil, err
	}
	return inMemory{f, m.cached}, nil
}

type inMemory struct {
	disk.File
	cached *bool
}

func (f inMemory) Cached() bool { return *f.cached }

// C11: checksums are taken of bytes on their way into memory, and what has been there since is given away without another look: for as
// long after its adoption as after a look. It is asked once, before anything is read.
func TestBytesThatNeverLeftMemoryAreGivenAway(t *testing.T) {
	const size = LookBytesMax + 100 // too many for a look of its own
	whole := piece{0, randomBytes(1, size)}
	other := Ref{ID: 100}
	for _, c := range []struct {
		name    string
		pieces  []piece
		evicted bool
		between func(fx *fixture, s *Store, ref Ref, cached *bool) error
		later   time.Duration
		want    bool
	}{
		{name: "in memory", want: true},
		{name: "in memory, at the last moment", later: trusted - 1, want: true},
		{name: "in memory, too late", later: trusted},
		{name: "not in memory", evicted: true},
		{name: "with a hole", pieces: []piece{{0, randomBytes(1, BareBytes)}, {2 * BareBytes, randomBytes(1, size)}}},
		{name: "written since", between: func(fx *fixture, s *Store, ref Ref, _ *bool) error {
			return os.Chtimes(s.Path(ref), time.Time{}, time.Now().Add(time.Minute))
		}},
		{name: "exported", between: func(fx *fixture, s *Store, ref Ref, _ *bool) error {
			return s.Export(fx.t.Context(), ref, func([]byte) error { return nil })
		}},
		{name: "in memory again", evicted: true, between: func(fx *fixture, s *Store, ref Ref, cached *bool) error {
			_, err := s.ReadAt(fx.t.Context(), ref, make([]byte, 1), 0)
			*cached = true
			return err
		}},
		{name: "in memory when it was first opened, and opened again", want: true, between: func(fx *fixture, s *Store, ref Ref, cached *bool) error {
			_, err := s.ReadAt(fx.t.Context(), ref, make([]byte, 1), 0)
			if err == nil {
				_, err = s.ReadAt(fx.t.Context(), other, make([]byte, 1), 0) // there is one descriptor
			}
			*cached = false
			return err
		}},
		{name: "in memory, and dropped", between: func(_ *fixture, s *Store, ref Ref, _ *bool) error {
			s.DropCache(ref)
			return nil
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			cached := !c.evicted
			fx := newFixture(t, memory{disk.OS{}, &cached})
			now := time.Unix(1_000_000, 0)
			s, err := Open(fx.fs, filepath.Join(fx.dir, "blobs"), Options{OpenMax: 1, CheckedLasts: trusted, Now: func() time.Time { return now }})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			fx.store = s
			fx.add(other.ID, piece{0, []byte("x")})
			if c.pieces == nil {
				c.pieces = []piece{whole}
			}
			ref := fx.add(1, c.pieces...)
			if c.between != nil {
				if err := c.between(fx, s, ref, &cached); err != nil {
					t.Fatal(err)
				}
			}
			now = now.Add(c.later)
			if got := gives(t, s, ref, 0, size); got != c.want {
				t.Errorf("given away: %v", got)
			}
		})
	}
}
