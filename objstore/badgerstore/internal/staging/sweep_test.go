package staging

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
)

// sweepOne lets the process die and returns what the next one finds, which must be one stage.
func (e *engine) sweepOne(resume func(Found) (Base, error)) (found Found, content []byte) {
	e.t.Helper()
	e.crash()
	n := 0
	err := e.session.Sweep(keeper{resume, func(f Found, st *Stage) error {
		n++
		found, content = f, make([]byte, st.Size())
		if _, err := st.ReadAt(e.t.Context(), content, 0); err != nil && err != io.EOF {
			return err
		}
		return nil
	}})
	if err != nil || n != 1 {
		e.t.Fatalf("found %d: %v", n, err)
	}
	return found, content
}

// keeper is a Keeper of two functions, and has nothing to settle.
type keeper struct {
	resume func(Found) (Base, error)
	keep   func(Found, *Stage) error
}

func (k keeper) Resume(f Found) (Base, error)  { return k.resume(f) }
func (k keeper) Keep(f Found, st *Stage) error { return k.keep(f, st) }
func (keeper) Settle() error                   { return nil }

func noBase(Found) (Base, error) { return nil, nil }

// baseOf commits p.
func (e *engine) baseOf(p []byte) *committed {
	e.t.Helper()
	st := e.stage(nil)
	e.write(st, 0, p)
	c := e.commit(st, nil)
	if err := st.Close(); err != nil {
		e.t.Fatal(err)
	}
	return c
}

// What a base said of itself is found with the stage, also if it is as large as a base in the log can
// be, and the changes as well.
func TestFoundStageHasWhatItsBaseSaid(t *testing.T) {
	for _, n := range []int{10, testInlineBytes, 100_000} {
		for _, changed := range []int{5, testInlineBytes - 100, 50_000} {
			e := newEngine(t)
			base := &talkative{e.baseOf(filled(n, 'b')), filled(min(n, testInlineBytes), 'd')}
			st := e.session.NewStage(objstore.Owner{Path: "f", Object: 7, Base: "1"}, base)
			e.write(st, 3, filled(changed, 'c'))
			found, got := e.sweepOne(func(Found) (Base, error) { return base, nil })
			if !bytes.Equal(found.Base, base.words) || len(found.Lost) > 0 {
				t.Errorf("%d bytes changed over %d: found %d bytes of description, lost %v", changed, n, len(found.Base), found.Lost)
			}
			want := append(filled(3, 'b'), filled(changed, 'c')...)
			if len(want) < n {
				want = append(want, filled(n-len(want), 'b')...)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("%d bytes changed over %d: differs at %d", changed, n, diff(got, want))
			}
		}
	}
}

// talkative is a base that says much of itself.
type talkative struct {
	*committed
	words []byte
}

func (b *talkative) Describe(p []byte) []byte { return append(p, b.words...) }

// Of a base that is lost, what was not overwritten reads as zeros, and is said to be lost.
func TestBytesOfALostBaseAreNamed(t *testing.T) {
	tests := []struct {
		name string
		do   func(e *engine, st *Stage) error
		lost []Range
	}{
		{"a write", func(e *engine, st *Stage) error { e.write(st, 10, filled(20, 'w')); return nil }, []Range{{0, 10}, {30, 1000}}},
		{"an append", func(e *engine, st *Stage) error { e.write(st, 1000, filled(20, 'w')); return nil }, []Range{{0, 1000}}},
		{"a large write", func(e *engine, st *Stage) error { e.write(st, 500, filled(90_000, 'w')); return nil }, []Range{{0, 500}}},
		{"a truncation", func(e *engine, st *Stage) error { return st.Truncate(e.t.Context(), 300) }, []Range{{0, 300}}},
		{"shorter and longer", func(e *engine, st *Stage) error {
			if err := st.Truncate(e.t.Context(), 300); err != nil {
				return err
			}
			return st.Truncate(e.t.Context(), 2000)
		}, []Range{{0, 300}}},
		{"emptied", func(e *engine, st *Stage) error {
			e.write(st, 5, filled(10, 'w'))
			return st.Truncate(e.t.Context(), 0)
		}, nil},
		{"zeros", func(e *engine, st *Stage) error {
			return st.Allocate(e.t.Context(), 100, 400, objstore.PunchHole)
		}, []Range{{0, 100}, {500, 1000}}},
		{"all of it", func(e *engine, st *Stage) error { e.write(st, 0, filled(1000, 'w')); return nil }, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			e := newEngine(t)
			st := e.stage(e.baseOf(filled(1000, 'b')))
			if err := test.do(e, st); err != nil {
				t.Fatal(err)
			}
			want := make([]byte, st.Size())
			if _, err := st.ReadAt(t.Context(), want, 0); err != nil && err != io.EOF {
				t.Fatal(err)
			}
			for _, r := range test.lost {
				clear(want[r.Off:r.End])
			}
			found, got := e.sweepOne(noBase)
			if !slices.Equal(found.Lost, test.lost) || !bytes.Equal(got, want) {
				t.Errorf("lost %v, want %v; as expected but for that: %t", found.Lost, test.lost, bytes.Equal(got, want))
			}
		})
	}
}

// What was in a file that is gone, as after a loss of power, is said to be lost; what the
// log had of it before it was moved there is not.
func TestBytesOfALostFileAreNamed(t *testing.T) {
	e := newEngine(t)
	st := e.stage(e.baseOf(filled(1000, 'b')))
	e.write(st, 0, filled(100, 'm'))                 // in the log, then moved
	e.write(st, 200, filled(2*testInlineBytes, 'w')) // in the file alone
	e.write(st, 300, filled(50, 'z'))                // over it
	if err := st.Truncate(t.Context(), 20_000); err != nil {
		t.Fatal(err)
	}
	base := st.view.base
	if err := os.Remove(st.current.file.Name()); err != nil {
		t.Fatal(err)
	}
	found, got := e.sweepOne(func(Found) (Base, error) { return base, nil })
	if want := []Range{{200, 20_000}}; !slices.Equal(found.Lost, want) {
		t.Errorf("lost %v, want %v", found.Lost, want)
	}
	want := append(append(filled(100, 'm'), filled(100, 'b')...), make([]byte, 20_000-200)...)
	if !bytes.Equal(got, want) {
		t.Errorf("differs at %d", diff(got, want))
	}
}

// A stage goes on from a commit with what was written since. At no moment does a log name a file that is gone.
func TestNoLogNamesAFileThatIsGone(t *testing.T) {
	removed := 0
	var e *engine
	e = newEngineOn(t, watched{disk.OS{}, func(name string) {
		if e == nil || filepath.Ext(name) != "" {
			return
		}
		removed++
		logs, err := e.session.readLogs(e.session.dir)
		if err != nil {
			t.Error(err)
		}
		for _, l := range logs {
			for _, r := range l.records {
				if (r.kind == recordRange || r.kind == recordWhole) && layerName(l.dir, r.c) == name {
					t.Errorf("%s goes while a log names it", name)
				}
			}
		}
	}}, t.TempDir())
	st := e.stage(nil)
	e.write(st, 0, filled(100_000, 'a'))
	se := e.seal(st)
	e.write(st, 50, filled(50_000, 'b'))
	if err := se.Committed(objstore.Owner{Path: "f", Object: 7, Base: "2"}, e.build(se, nil)); err != nil {
		t.Fatal(err)
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	if removed < 2 {
		t.Errorf("%d files removed: this shows nothing", removed)
	}
}

// A session that died before it had a directory leaves nothing for ever.
func TestLockWithoutASessionGoes(t *testing.T) {
	e := newEngine(t)
	name := filepath.Join(e.dir, "staging", "1-0"+lockSuffix)
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := e.session.Sweep(keeper{noBase, nil}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(name); !os.IsNotExist(err) {
		t.Errorf("it is still there: %v", err)
	}
}

// watched tells of files before they are removed.
type watched struct {
	disk.FS
	removing func(name string)
}

func (w watched) Remove(name string) error {
	w.removing(name)
	return w.FS.Remove(name)
}

// C4: a stage that had nothing, or little, gets its first file while a commit is under way. What is written there once that has
// ended is found like all before it.
func TestFileMadeDuringACommitIsFoundWhole(t *testing.T) {
	for _, committed := range []int{0, 100} {
		e := newEngine(t)
		st := e.stage(nil)
		want := filled(committed, 'a')
		e.write(st, 0, want)
		se := e.seal(st)
		write := func(b byte) {
			p := filled(100_000, b)
			e.write(st, int64(len(want)), p)
			want = append(want, p...)
		}
		write('b')
		c := e.build(se, nil)
		if err := se.Committed(st.Owner(), c); err != nil {
			t.Fatal(err)
		}
		write('c')
		if _, found := e.sweepOne(func(Found) (Base, error) { return c, nil }); !bytes.Equal(found, want) {
			t.Errorf("after a commit of %d bytes %d are found of %d", committed, len(found), len(want))
		}
	}
}

// What is known of an owner is found, of one in a log without a host, too, as the first had it.
func TestFoundStageHasItsOwner(t *testing.T) {
	e := newEngine(t)
	owner := objstore.Owner{Path: "d/f", Object: 7, UID: 1, GID: 2, Mode: 0o640, PID: 3, Host: "there", Base: "5"}
	e.write(e.session.NewStage(owner, e.baseOf(nil)), 0, []byte("x"))
	if found, _ := e.sweepOne(func(Found) (Base, error) { return e.baseOf(nil), nil }); found.Owner != owner {
		t.Errorf("found %+v, want %+v", found.Owner, owner)
	}
	owner.Host = ""
	data := appendOwner(nil, owner)
	data = append(data[:len(data)-1], "base"...)
	slot := appendRecord(nil, logRecord{kind: recordOpen, a: 1, data: data}, 0)
	if l, ok, err := e.session.readLog(e.dir, slot); err != nil || !ok || l.owner != owner || string(l.base) != "base" {
		t.Errorf("of an old log: %+v, %q, %v, %v", l.owner, l.base, ok, err)
	}
}
