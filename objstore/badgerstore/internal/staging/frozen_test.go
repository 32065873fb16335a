package staging

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/blob"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
)

// during seals st, and calls f when the content is frozen and not a byte of it has been read.
func (e *engine) during(st *Stage, f func()) (*Sealed, error) {
	st.token <- struct{}{}
	s := st.newSealing(blob.Meta{Object: 7, Version: e.id()})
	err := st.freeze(s)
	if err == nil {
		f()
		err = s.finish(context.Background())
	}
	if err != nil {
		s.Failed()
	}
	return s.Sealed, err
}

// C1: what is sealed never changes, however little is left of a content that was large: its bytes are in a file then.
func TestNothingThatComesDuringASealIsInIt(t *testing.T) {
	changes := map[string]func(st *Stage) error{
		"a write": func(st *Stage) error {
			_, err := st.WriteAt(context.Background(), filled(500, 'x'), 100)
			return err
		},
		"a truncation": func(st *Stage) error { return st.Truncate(context.Background(), 10) },
		"a hole": func(st *Stage) error {
			return st.Allocate(context.Background(), 0, 8192, objstore.PunchHole)
		},
	}
	for _, over := range []int{0, 200_000} { // bytes of a base: then the bytes sealed are a part of the content
		for name, change := range changes {
			t.Run(fmt.Sprintf("%s over %d", name, over), func(t *testing.T) {
				e := newEngine(t)
				var base *committed
				want := filled(1000, 'a')
				if over > 0 {
					base = e.baseOf(filled(over, 'b'))
					want = append(want, filled(over-len(want), 'b')...)
				}
				st := e.stage(base)
				for i := range 20 { // more than the log takes
					e.write(st, 0, filled(1000, 'a'+byte(19-i)))
				}
				se, err := e.during(st, func() {
					if err := change(st); err != nil {
						t.Error(err)
					}
				})
				if err != nil {
					t.Fatal(err)
				}
				c := e.build(se, base)
				e.check(c, se.Hash, want)
				if err := se.Committed(st.Owner(), c); err != nil {
					t.Fatal(err)
				}
			})
		}
	}
}

// C4: what is written after a seal that failed, for whatever operation of the disk, is found after the death of the process.
func TestWhatIsWrittenAfterASealThatFailedIsFound(t *testing.T) {
	for nth := 1; ; nth++ {
		count, failed, armed := 0, false, false
		fs := disk.Hooked(disk.OS{}, func(op disk.Op) error {
			if op.Kind == disk.OpWriteback || !armed {
				return nil
			}
			if count++; count == nth {
				failed = true
				return unix.EIO
			}
			return nil
		})
		e := newEngineOn(t, fs, t.TempDir())
		st := e.stage(nil)
		want := filled(100_000, 'a')
		e.write(st, 0, want)
		armed = true
		se, err := st.Seal(t.Context(), 7, 8)
		armed = false
		if err == nil {
			se.Failed()
		}
		for _, n := range []int{1000, 50_000} {
			copy(want[n:], filled(n, 'b'))
			e.write(st, int64(n), filled(n, 'b'))
		}
		if _, found := e.sweepOne(noBase); !bytes.Equal(found, want) {
			t.Errorf("operation %d: what is found differs at %d of %d", nth, diff(found, want), len(want))
		}
		if !failed {
			t.Logf("%d operations", nth-1)
			return
		}
	}
}

// C4: and so it is after seals of which the first found the stage emptied.
func TestWhatIsWrittenAfterSealsOfAnEmptiedStageIsFound(t *testing.T) {
	e := newEngine(t)
	st := e.stage(nil)
	e.write(st, 0, filled(100_000, 'a'))
	if err := st.Truncate(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	e.seal(st).Failed()
	e.write(st, 0, filled(100_000, 'b'))
	e.seal(st).Failed()
	want := filled(100_000, 'c')
	e.write(st, 0, want)
	if _, found := e.sweepOne(noBase); !bytes.Equal(found, want) {
		t.Errorf("what is found differs at %d of %d", diff(found, want), len(want))
	}
}
