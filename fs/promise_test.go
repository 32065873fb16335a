package fs

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/etagfs/etagfs/objstore"
)

func TestC3FirstCommitWinsSecondIsBusyAndKept(t *testing.T) {
	m := newMount(t)
	m.put("f", "base")
	first, second := m.open(alice, "f", readWrite), m.open(alice, "f", readWrite)
	m.write(first, 0, "first")
	m.write(second, 0, "second")
	m.close(first)
	c := m.loses(second)
	m.want("the file", m.stored("f"), "first")
	m.want("mine", m.side(c.ID, objstore.SideMine), "second")
	m.want("base", m.side(c.ID, objstore.SideBase), "base")
	m.want("theirs", m.side(c.ID, objstore.SideTheirs), "first")
}

func TestC4LaterFlushesOfALoserReplaceItsOnlyKeptCopy(t *testing.T) {
	m := newMount(t)
	m.put("f", "base")
	loser := m.open(bob, "f", readWrite)
	m.write(loser, 0, "one")
	m.put("f", "winner")
	for _, text := range []string{"one!", "two.", "three"} {
		m.write(loser, 0, text)
		for range 2 {
			if err := loser.Flush(m.ctx, bob); !errors.Is(err, ErrBusy) {
				t.Fatalf("flush: %v", err)
			}
		}
		all := m.conflicts()
		if len(all) != 1 {
			t.Fatalf("%d kept copies, want 1", len(all))
		}
		m.want("mine", m.side(all[0].ID, objstore.SideMine), text)
	}
	m.loses(loser)
	m.want("the file", m.stored("f"), "winner")
}

func TestC3FsyncReportsBusyToo(t *testing.T) {
	m := newMount(t)
	m.put("f", "base")
	loser := m.open(bob, "f", readWrite)
	m.write(loser, 0, "loser")
	m.put("f", "winner")
	if err := loser.Sync(m.ctx, bob); !errors.Is(err, ErrBusy) {
		t.Fatalf("fsync: %v", err)
	}
	m.loses(loser)
}

func TestC3TwoPendingCreatesFirstToCloseWins(t *testing.T) {
	m := newMount(t)
	first := m.create(alice, "f")
	second := m.open(bob, "f", readWrite)
	if m.isStored("f") {
		t.Fatal("a pending create is in the store")
	}
	m.write(first, 0, "first")
	m.write(second, 0, "second")
	m.close(second)
	c := m.loses(first)
	m.want("the file", m.stored("f"), "second")
	m.want("mine", m.side(c.ID, objstore.SideMine), "first")
	if c.Base.Exists {
		t.Error("the conflict has a base, though there was no file")
	}
}

func TestC3CreatesOfTwoMountsFirstToCloseWins(t *testing.T) {
	w := newWorld(t)
	a, b := w.mount(Options{}), w.mount(Options{})
	first, second := a.create(alice, "f"), b.create(bob, "f")
	a.write(first, 0, "first")
	b.write(second, 0, "second")
	a.close(first)
	c := b.loses(second)
	w.want("the file", w.stored("f"), "first")
	w.want("theirs", w.side(c.ID, objstore.SideTheirs), "first")
}

// Two of one mount make a file together and a third elsewhere is first: each loser is kept with the name and the mode the file was
// to have, also the one that began to write after the other had lost.
func TestC4EveryLoserOfOneCreateIsKeptUnderItsName(t *testing.T) {
	w := newWorld(t)
	a, b := w.mount(Options{}), w.mount(Options{})
	first := a.create(alice, "f")
	second := a.open(alice, "f", readWrite)
	winner := b.create(bob, "f")
	b.write(winner, 0, "winner")
	b.close(winner)
	for i, h := range []*Handle{first, second} {
		content := []string{"first", "second"}[i]
		a.write(h, 0, content)
		c := a.loses(h)
		w.want("its path", c.Path, "f")
		w.want("theirs", w.side(c.ID, objstore.SideTheirs), "winner")
		w.want("mine", w.side(c.ID, objstore.SideMine), content)
		if c.Mode&0o777 != 0o644 || c.UID != alice.UID {
			t.Errorf("%s is kept with mode %o of %d", content, c.Mode, c.UID)
		}
	}
}

func TestC6ExclusiveCreateIsPublishedAtOnce(t *testing.T) {
	w := newWorld(t)
	a, b := w.mount(Options{}), w.mount(Options{})
	h := a.createMode(alice, "f", OpenMode{Write: true, Exclusive: true})
	if !w.isStored("f") {
		t.Fatal("an exclusive create is not in the store")
	}
	if _, _, err := b.Create(w.ctx, bob, b.Root(), "f", OpenMode{Write: true, Exclusive: true}, 0o644); !errors.Is(err, ErrExists) {
		t.Fatalf("second exclusive create: %v", err)
	}
	a.write(h, 0, "text")
	a.close(h)
	w.want("the file", w.stored("f"), "text")
}

func TestC2HandleKeepsTheVersionItOpened(t *testing.T) {
	m := newMount(t)
	m.put("f", "version 1")
	reader := m.open(bob, "f", readOnly)
	m.put("f", "2nd")
	m.want("the pinned reader", m.read(reader), "version 1")
	if err := m.Rename(m.ctx, alice, m.Root(), "f", m.Root(), "g", objstore.RenameReplace); err != nil {
		t.Fatal(err)
	}
	m.want("after rename", m.read(reader), "version 1")
	if err := m.Unlink(m.ctx, alice, m.Root(), "g"); err != nil {
		t.Fatal(err)
	}
	m.want("after unlink", m.read(reader), "version 1")
	attr, err := reader.Attr(m.ctx)
	if err != nil || attr.Nlink != 0 || attr.Size != 9 {
		t.Errorf("attributes of the unlinked file: %+v, %v", attr, err)
	}
	reader.Release(m.ctx)
}

func TestC10FailureIsOneLineWithAllThatIsNeeded(t *testing.T) {
	m := newMount(t)
	m.put("f", "base")
	loser := m.open(bob, "f", readWrite)
	m.write(loser, 0, "loser")
	m.put("f", "winner")
	c := m.loses(loser)
	lines := m.log.matching("commit failed")
	if len(lines) != 1 {
		t.Fatalf("%d lines: %q", len(lines), lines)
	}
	for _, part := range []string{"level=WARN", "operation=close", "path=f", "base=" + string(c.Base.ETag), "winner=" + string(c.Theirs.ETag), "kept=" + string(c.ID), "uid=2000", "pid=300"} {
		if !strings.Contains(lines[0], part) {
			t.Errorf("the line lacks %q: %s", part, lines[0])
		}
	}
}

// 1. A commit that fails is one line, though fsync, close and the last release each try it.
// 2. It is another line when its bytes could be kept after all, and when there are others to commit.
func TestC10FailedCommitIsOneLineHoweverOftenItIsTried(t *testing.T) {
	m, f := faulty(t)
	h := m.create(alice, "f")
	f.commit, f.keep = objstore.ErrNoSpace, objstore.ErrNoSpace
	try := func(want int) {
		t.Helper()
		for _, try := range []func(context.Context, Caller) error{h.Sync, h.Flush, h.Flush} {
			if err := try(m.ctx, alice); objstore.KindOf(err) != objstore.ErrNoSpace {
				t.Fatal(err)
			}
		}
		if lines := m.log.matching("commit failed"); len(lines) != want {
			t.Fatalf("%d lines instead of %d: %q", len(lines), want, lines)
		}
	}
	m.write(h, 0, "mine")
	try(1)
	m.write(h, 0, "more")
	try(2)
	f.keep = 0
	try(3)
	h.Release(m.ctx)
	if lines := m.log.matching("commit failed"); len(lines) != 3 || !strings.Contains(lines[2], "kept="+string(m.conflicts()[0].ID)) {
		t.Errorf("%q", lines)
	}
}
