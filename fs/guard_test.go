package fs

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/etagfs/etagfs/objstore"
)

// twoGuarded are two mounts of a store that has file f.
func twoGuarded(t *testing.T) (here, there *mounted) {
	w := newWorld(t)
	here, there = w.mount(Options{Guard: GuardProcess}), w.mount(Options{Guard: GuardProcess})
	here.put("f", "first")
	return here, there
}

// reads has a process read a file to its end.
func (m *mounted) reads(c Caller, name string) {
	m.t.Helper()
	m.cat(c, name)
}

// replaces is what sed -i does after it has read name.
func (m *mounted) replaces(c Caller, name, text string) error {
	m.t.Helper()
	h := m.create(c, name+".new")
	m.write(h, 0, text)
	m.close(h)
	err := m.Rename(m.ctx, c, m.Root(), name+".new", m.Root(), name, objstore.RenameReplace)
	if err != nil && m.Unlink(m.ctx, c, m.Root(), name+".new") != nil {
		m.t.Fatalf("the new file is gone after %v", err)
	}
	return err
}

// rewrites is what an editor does that empties a file and writes it anew.
func (m *mounted) rewrites(name string, mode OpenMode) error {
	h := m.open(alice, name, mode)
	defer h.Release(m.ctx)
	if !mode.Truncate {
		if err := h.Truncate(m.ctx, 0); err != nil {
			m.t.Fatal(err)
		}
	}
	m.write(h, 0, "written anew")
	return h.Flush(m.ctx, alice)
}

func (m *mounted) mustReplace(c Caller, name, text string) {
	m.t.Helper()
	if err := m.replaces(c, name, text); err != nil {
		m.t.Fatalf("replace %s: %v", name, err)
	}
}

func TestC3SecondOfTwoProcessesThatReplaceWhatTheyReadIsBusyAndKept(t *testing.T) {
	here, there := twoGuarded(t)
	here.reads(alice, "f")
	there.reads(bob, "f")
	here.mustReplace(alice, "f", "alice's")
	err := there.replaces(bob, "f", "bob's")
	if !errors.Is(err, ErrBusy) {
		t.Fatalf("the second replaces it: %v, want ErrBusy", err)
	}
	var e *Error
	if !errors.As(err, &e) || e.Kept == "" {
		t.Fatalf("%v does not say where the bytes are", err)
	}
	here.want("the file", here.stored("f"), "alice's")
	here.want("what is kept of the loser", here.side(e.Kept, objstore.SideMine), "bob's")
	c, err := here.store.Conflict(here.ctx, e.Kept)
	if err != nil || c.Path != "f" || c.Reason != objstore.ReasonLost || c.PID != 300 || c.UID != bob.UID {
		t.Errorf("the copy is of %+v, %v", c, err)
	}
	if lines := there.log.matching("not what the process had read"); len(lines) != 1 {
		t.Errorf("%d lines in the log: %q", len(lines), lines)
	}
	if info, err := KeepMine(here.ctx, here.store, e.Kept); err != nil || info.Size != 5 {
		t.Errorf("keep-mine: %+v, %v", info, err)
	}
	here.want("after keep-mine", here.stored("f"), "bob's")
}

// What a process has read decides, not what others have, nor what it did itself since.
func TestGuardedProcessGoesOnFromWhatItDid(t *testing.T) {
	here, there := twoGuarded(t)
	here.reads(alice, "f")
	for i := range 3 {
		here.mustReplace(aliceThread, "f", fmt.Sprint("turn ", i))
	}
	h := here.open(alice, "f", truncate)
	here.write(h, 0, "emptied and written")
	here.close(h)
	h = here.open(alice, "f", readWrite)
	here.write(h, 0, "E")
	here.close(h)
	here.mustReplace(alice, "f", "again")
	there.mustReplace(bob, "f", "bob has read nothing")
	if err := here.replaces(alice, "f", "alice's"); !errors.Is(err, ErrBusy) {
		t.Errorf("a change between is overwritten: %v", err)
	}
	here.later.Add(int64(refusedTime))
	here.reads(alice, "f")
	here.mustReplace(aliceOther, "f", "another process of hers has read nothing")
	if err := here.replaces(alice, "f", "alice's"); !errors.Is(err, ErrBusy) {
		t.Errorf("a change of another process is overwritten: %v", err)
	}
}

func TestGuardedChangesOfANameThatHasMovedOn(t *testing.T) {
	for what, change := range map[string]func(m *mounted) error{
		"rename away": func(m *mounted) error {
			return m.Rename(m.ctx, alice, m.Root(), "f", m.Root(), "f~", objstore.RenameReplace)
		},
		"exchange": func(m *mounted) error {
			m.put("g", "")
			return m.Rename(m.ctx, alice, m.Root(), "g", m.Root(), "f", objstore.RenameExchange)
		},
		"unlink": func(m *mounted) error { return m.Unlink(m.ctx, alice, m.Root(), "f") },
		"cut":    func(m *mounted) error { return m.rewrites("f", writeOnly) },
		"empty":  func(m *mounted) error { return m.rewrites("f", truncate) },
	} {
		t.Run(what, func(t *testing.T) {
			here, there := twoGuarded(t)
			here.reads(alice, "f")
			there.mustReplace(bob, "f", "second")
			if err := change(here); !errors.Is(err, ErrBusy) {
				t.Errorf("%v, want ErrBusy", err)
			}
			here.want("the file", here.stored("f"), "second")
			here.reads(alice, "f")
			if err := change(here); !errors.Is(err, ErrBusy) {
				t.Errorf("at once in another way: %v, want ErrBusy", err)
			}
			here.later.Add(int64(refusedTime))
			here.reads(alice, "f")
			if err := change(here); err != nil {
				t.Errorf("after it was read again: %v", err)
			}
		})
	}
}

// An editor that moves the file aside and makes it anew: nobody may have come between.
func TestGuardedNameThatWasMovedAside(t *testing.T) {
	here, there := twoGuarded(t)
	aside := func() {
		t.Helper()
		if err := here.Rename(here.ctx, alice, here.Root(), "f", here.Root(), "f~", objstore.RenameReplace); err != nil {
			t.Fatal(err)
		}
	}
	here.reads(alice, "f")
	aside()
	h := here.create(alice, "f")
	here.write(h, 0, "made anew")
	here.close(h)
	aside()
	there.put("f", "bob's")
	h = here.open(alice, "f", truncate)
	here.write(h, 0, "alice's")
	c := here.loses(h)
	here.want("what is kept of the loser", here.side(c.ID, objstore.SideMine), "alice's")
	here.want("the file", here.stored("f"), "bob's")
}

func TestGuardedCreateOfANameOthersHaveTakenAway(t *testing.T) {
	here, there := twoGuarded(t)
	here.reads(alice, "f")
	if err := there.Unlink(there.ctx, bob, there.Root(), "f"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := here.Create(here.ctx, alice, here.Root(), "f", writeOnly, 0o644); !errors.Is(err, ErrBusy) {
		t.Errorf("it is made again by who had read it: %v", err)
	}
	if err := here.replaces(alice, "f", "alice's"); !errors.Is(err, ErrBusy) {
		t.Errorf("it is replaced by who had read it: %v", err)
	}
	h := here.create(bob, "f")
	here.close(h)
}

// What has taken the place of a file is no file that was read.
func TestGuardKnowsOnlyFiles(t *testing.T) {
	here, _ := twoGuarded(t)
	here.reads(alice, "f")
	if err := here.Unlink(here.ctx, alice, here.Root(), "f"); err != nil {
		t.Fatal(err)
	}
	if _, err := here.Symlink(here.ctx, alice, here.Root(), "f", "elsewhere"); err != nil {
		t.Fatal(err)
	}
	here.mustReplace(alice, "f", "a file again")
	here.want("the file", here.stored("f"), "a file again")
}

// Numbers of processes are used again, and what is remembered has an end.
func TestGuardForgets(t *testing.T) {
	var g guard
	running := func(p actor) bool { return p.process%2 == 0 }
	ref := objstore.ContentRef{Exists: true, Version: "v"}
	for i := range uint32(2 * guardSweepMin) {
		g.learn(actor{i, 1}, entryKey{1, "f"}, ref, time.Time{}.Add(time.Hour), running)
	}
	if n := len(g.known); n > 3*guardSweepMin/2 {
		t.Errorf("%d programs are remembered, half of which have ended", n)
	}
	if _, known := g.recall(actor{2, 2}, entryKey{1, "f"}); known {
		t.Error("a process knows what an earlier one of its number had read")
	}
	p := actor{2, 1}
	for i := range guardedNamesMax + 10 {
		g.learn(p, entryKey{2, fmt.Sprint(i)}, ref, time.Time{}.Add(time.Hour), running)
	}
	if n := len(g.known[p].names); n != guardedNamesMax {
		t.Errorf("%d names are remembered", n)
	}
	if _, known := g.recall(p, entryKey{2, fmt.Sprint(guardedNamesMax)}); !known {
		t.Error("the newest name is forgotten")
	}
}
