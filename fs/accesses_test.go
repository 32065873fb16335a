package fs

import (
	"testing"
	"time"
)

// tickAccesses has m store its atimes: once the second tick is taken, the first is done.
func (m *mounted) tickAccesses() {
	m.storing <- time.Time{}
	m.storing <- time.Time{}
}

// atime is what stat(2) shows.
func (m *mounted) atime(name string) time.Time {
	m.t.Helper()
	e, err := m.Lookup(m.ctx, alice, m.Root(), name)
	if err != nil {
		m.t.Fatal(err)
	}
	return e.Attr.Atime
}

// opens opens name and closes it, and reports whether that moved its atime.
func (m *mounted) opens(name string, mode OpenMode) (moved bool) {
	m.t.Helper()
	before := m.atime(name)
	m.later.Add(int64(2 * accessPause))
	h := m.open(alice, name, mode)
	moved = !m.atime(name).Equal(before)
	if h.Accessed() != moved {
		m.t.Errorf("atime of %s moved: %v, but its handle says otherwise", name, moved)
	}
	m.close(h)
	return moved
}

func isolations() map[string]IsolationMode {
	return map[string]IsolationMode{"handle": IsolateHandles, "mount": IsolateMount}
}

// Opening a file to read it moves atime if (1) it is not after mtime and ctime, or (2) it is a day old, and else not.
func TestOpeningToReadMovesAtimeAsRelatimeHasIt(t *testing.T) {
	for name, isolation := range isolations() {
		t.Run(name, func(t *testing.T) {
			m := newWorld(t).mount(Options{Isolation: isolation, Relatime: true})
			m.put("f", "text")
			if !m.opens("f", readOnly) {
				t.Error("(1) atime did not move after a commit")
			}
			if m.opens("f", readOnly) {
				t.Error("atime moved twice")
			}
			m.tickAccesses()
			if m.opens("f", readOnly) {
				t.Error("atime moved once more when it was stored")
			}
			m.later.Add(int64(accessAge))
			if !m.opens("f", readOnly) {
				t.Error("(2) atime is a day old and did not move")
			}
		})
	}
}

// (1) stat shows it at once, and the store has it later. (2) Neither ctime nor mtime, version or ETag moves. (3) The kernel need not be
// told when the store has it. (4) A writer that has the file open does not lose.
func TestAtimeIsStoredBehindAndMovesNothingElse(t *testing.T) {
	for name, isolation := range isolations() {
		t.Run(name, func(t *testing.T) {
			m := newWorld(t).mount(Options{Isolation: isolation, Relatime: true})
			m.put("f", "text")
			before := m.storedInfo("f")
			m.opens("f", readOnly)
			shown := m.atime("f")
			if !m.storedInfo("f").Attr.Atime.Equal(before.Attr.Atime) {
				t.Error("(1) the open waited for the store")
			}
			writer := m.open(bob, "f", readWrite)
			m.tickAccesses()
			after := m.storedInfo("f")
			if !after.Attr.Atime.Equal(shown) || !m.atime("f").Equal(shown) {
				t.Errorf("(1) stat showed %v, the store has %v, and stat shows %v", shown, after.Attr.Atime, m.atime("f"))
			}
			if !after.Attr.Ctime.Equal(before.Attr.Ctime) || !after.Attr.Mtime.Equal(before.Attr.Mtime) || after.ETag != before.ETag {
				t.Errorf("(2) it was %+v, %v, and is %+v, %v", before.Attr, before.ETag, after.Attr, after.ETag)
			}
			m.notices.drain(m.ctx)
			if m.kernel.told("attr", "") {
				t.Error("(3) the kernel was told when the store had it")
			}
			m.write(writer, 0, "more")
			m.close(writer)
			m.want("(4)", m.stored("f"), "more")
		})
	}
}

func TestAtimeStaysWhereItIsToStay(t *testing.T) {
	w := newWorld(t)
	m := w.mount(Options{Relatime: true})
	m.put("f", "text")
	for what, open := range map[string]struct {
		options Options
		mode    OpenMode
	}{
		"mounted without":          {Options{}, readOnly},
		"mounted with ro":          {Options{ReadOnly: true, Relatime: true}, readOnly},
		"opened with O_NOATIME":    {Options{Relatime: true}, OpenMode{Read: true, NoAtime: true}},
		"opened to read and write": {Options{Relatime: true}, readWrite},
	} {
		if w.mount(open.options).opens("f", open.mode) {
			t.Errorf("%s: atime moved", what)
		}
	}
}

// What utimensat sets is what atime is, and be it what it was before the file was read: so archivers put it back.
func TestAtimeThatIsSetIsNotMovedByWhatWasReadBefore(t *testing.T) {
	for _, stored := range []bool{false, true} {
		w := newWorld(t)
		m, other := w.mount(Options{Relatime: true}), w.mount(Options{Relatime: true})
		m.put("f", "text")
		was := m.atime("f")
		for _, by := range []*mounted{m, other} {
			if !m.opens("f", readOnly) {
				t.Fatal("atime did not move")
			}
			if stored {
				m.tickAccesses()
			}
			when := was
			if by == other {
				when = was.Add(-time.Hour)
			}
			e, err := by.Lookup(w.ctx, alice, by.Root(), "f")
			if err != nil {
				t.Fatal(err)
			}
			by.setattr(alice, e.View, nil, Change{Atime: &when})
			m.tickAccesses()
			if shown := m.atime("f"); !shown.Equal(when) || !m.storedAttr("f").Atime.Equal(when) {
				t.Errorf("stored before: %v: set to %v, shown as %v, stored as %v", stored, when, shown, m.storedAttr("f").Atime)
			}
		}
	}
}

func TestUnmountStoresAtimes(t *testing.T) {
	w := newWorld(t)
	m := w.mount(Options{Relatime: true})
	m.put("f", "text")
	m.opens("f", readOnly)
	shown := m.atime("f")
	if err := m.Close(w.ctx); err != nil {
		t.Fatal(err)
	}
	if stored := m.storedAttr("f").Atime; !stored.Equal(shown) {
		t.Errorf("shown as %v, stored as %v", shown, stored)
	}
}

func TestAtimeOfAFileFromTheFutureDoesNotMoveAtEveryOpen(t *testing.T) {
	a, now := newAccesses(), time.Unix(1000, 0)
	attr := Attr{Object: 7, Atime: now, Mtime: now.Add(time.Hour)}
	for _, trial := range []struct {
		after time.Duration
		moves bool
	}{{0, true}, {accessPause - 1, false}, {accessPause, true}, {accessPause + 1, false}} {
		if moved := a.note(&attr, now.Add(trial.after)); moved != trial.moves {
			t.Errorf("after %v it moved: %v", trial.after, moved)
		}
	}
}
