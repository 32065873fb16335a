package staging

import (
	"context"
	"errors"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
)

// Whatever file operation fails, a write that is not acknowledged has changed nothing,
// and what was acknowledged is sealed once the disk works again.
func TestEveryFailureOfTheDiskIsSurvived(t *testing.T) {
	for name, openMax := range map[string]int{"enough descriptors": 0, "one descriptor": 1} {
		t.Run(name, func(t *testing.T) { checkEveryFailure(t, openMax) })
	}
}

func checkEveryFailure(t *testing.T, openMax int) {
	for nth := 1; ; nth++ {
		count, failed, armed := 0, false, false
		fs := disk.Hooked(disk.OS{}, func(op disk.Op) error {
			if op.Kind == disk.OpWriteback || !armed { // those come when they please
				return nil
			}
			if count++; count == nth {
				failed = true
				return unix.EIO
			}
			return nil
		})
		e := newEngineOf(t, fs, t.TempDir(), openMax)
		st := e.stage(nil)
		armed = true
		want := e.scribble(st)
		e.crowd()
		se, err := st.Seal(t.Context(), 7, 8)
		if err != nil {
			se = e.seal(st)
		}
		for _, b := range se.Blobs {
			if e.blobs.Adopt(b) != nil {
				break
			}
		}
		armed = false
		c := e.build(se, nil)
		e.check(c, se.Hash, want)
		armed = true
		// What fails from here on leaves files for the sweep, and is told.
		if err := errors.Join(se.Committed(objstore.Owner{}, c), st.Close()); err != nil && !errors.Is(err, unix.EIO) {
			t.Fatalf("operation %d: %v", nth, err)
		}
		armed = false
		if !failed {
			t.Logf("%d operations", nth)
			return
		}
	}
}

// scribble writes this and that and returns what is there, given which calls failed.
func (e *engine) scribble(st *Stage) []byte {
	var want []byte
	write := func(off int, p []byte) {
		e.crowd()
		if _, err := st.WriteAt(context.Background(), p, int64(off)); err != nil {
			return
		}
		want = grown(want, int64(off+len(p)))
		copy(want[off:], p)
	}
	write(0, filled(1000, 'a'))
	write(5000, filled(1000, 'b'))
	write(3000, filled(20000, 'c'))
	write(100_000, filled(5_000_000, 'd'))
	e.crowd()
	if st.Truncate(context.Background(), 2_000_000) == nil {
		want = grown(want, 2_000_000)[:2_000_000]
	}
	e.crowd()
	if st.Allocate(context.Background(), 50_000, 1_000_000, objstore.PunchHole) == nil && len(want) > 50_000 {
		clear(want[50_000:min(len(want), 1_050_000)])
	}
	return want
}
