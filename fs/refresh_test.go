package fs

import (
	"testing"

	"github.com/etagfs/etagfs/objstore"
)

// refresh refreshes a handle and reports how often the kernel was asked to forget.
func (m *mounted) refresh(h *Handle, during func()) (forgotten int) {
	m.t.Helper()
	view, err := h.Refresh(m.ctx, func() {
		if forgotten++; during != nil && forgotten == 1 {
			during()
		}
	})
	if err != nil || view != h.View() {
		m.t.Fatalf("refresh: %v, %v", view, err)
	}
	return forgotten
}

func TestRefreshMovesAnUnchangedHandleOn(t *testing.T) {
	for name, mode := range map[string]OpenMode{"reader": readOnly, "writer": readWrite, "appender": {Read: true, Write: true, Append: true}} {
		t.Run(name, func(t *testing.T) {
			m := newMount(t)
			m.put("f", "one")
			h := m.open(alice, "f", mode)
			if n := m.refresh(h, nil); n != 0 {
				t.Errorf("the kernel was asked %d times to forget what is current", n)
			}
			m.put("f", "and two")
			n := m.refresh(h, func() { m.want("read while the kernel forgets", m.read(h), "and two") })
			if n != 1 {
				t.Errorf("the kernel was asked %d times to forget", n)
			}
			m.want("after the refresh", m.read(h), "and two")
			if attr, err := h.Attr(m.ctx); err != nil || attr.Size != 7 {
				t.Errorf("%+v, %v", attr, err)
			}
			h.Release(m.ctx)
		})
	}
}

// C3: two handles that take turns lose nothing, again and again.
func TestC3RefreshedWriterCommitsOnWhatItSaw(t *testing.T) {
	m := newMount(t)
	m.put("f", "")
	a, b := m.open(alice, "f", readWrite), m.open(bob, "f", readWrite)
	want := ""
	for range 3 {
		for _, h := range []*Handle{a, b} {
			m.refresh(h, nil)
			m.want("before the write", m.read(h), want)
			m.write(h, int64(len(want)), "x")
			want += "x"
			if err := h.Commit(m.ctx, h.opener()); err != nil {
				t.Fatal(err)
			}
		}
	}
	m.close(a)
	m.close(b)
	m.want("stored", m.stored("f"), want)
}

// C3: who made a file and who opened it before its first commit take turns under a lock.
func TestC3MakersThatTakeTurnsLoseNothing(t *testing.T) {
	m := newMount(t)
	a := m.createMode(alice, "f", readWrite)
	b, c := m.open(bob, "f", readWrite), m.open(bob, "f", readWrite)
	want := ""
	for range 3 {
		for _, h := range []*Handle{b, c, a} {
			m.refresh(h, nil)
			m.want("before the write", m.read(h), want)
			m.write(h, int64(len(want)), "x")
			want += "x"
			if err := h.Commit(m.ctx, h.opener()); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, h := range []*Handle{a, b, c} {
		m.close(h)
	}
	m.want("stored", m.stored("f"), want)
}

// C3: a store through a mapping comes in while the kernel forgets what the maker's empty file was.
func TestC3MakerThatWritesDuringARefreshLoses(t *testing.T) {
	m := newMount(t)
	a := m.createMode(alice, "f", readWrite)
	b := m.open(bob, "f", readWrite)
	m.write(b, 0, "two")
	if err := b.Commit(m.ctx, b.opener()); err != nil {
		t.Fatal(err)
	}
	if n := m.refresh(a, func() { m.write(a, 0, "ONE") }); n != 2 {
		t.Errorf("the kernel was asked %d times to forget, want again what it read meanwhile", n)
	}
	m.want("after the refresh", m.read(a), "ONE")
	m.loses(a)
	m.close(b)
	m.want("stored", m.stored("f"), "two")
}

// C2, C3: base and visible bytes never part.
func TestC3ChangedHandleIsNotRefreshed(t *testing.T) {
	m := newMount(t)
	m.put("f", "one")
	h := m.open(alice, "f", readWrite)
	m.write(h, 3, " mine")
	m.put("f", "two")
	if n := m.refresh(h, nil); n != 0 {
		t.Errorf("the kernel was asked %d times to forget a working copy", n)
	}
	m.want("after the refresh", m.read(h), "one mine")
	kept := m.loses(h)
	m.want("kept", m.side(kept.ID, objstore.SideMine), "one mine")
	m.want("stored", m.stored("f"), "two")
}

// C3: a store into an old page through a mapping comes in while the kernel forgets it.
func TestC3ChangeDuringARefreshKeepsTheOldBase(t *testing.T) {
	m := newMount(t)
	m.put("f", "one")
	h := m.open(alice, "f", readWrite)
	m.put("f", "two")
	if n := m.refresh(h, func() { m.write(h, 0, "ONE") }); n != 2 {
		t.Errorf("the kernel was asked %d times to forget, want again what it read meanwhile", n)
	}
	m.want("after the refresh", m.read(h), "ONE")
	m.loses(h)
	m.want("stored", m.stored("f"), "two")
}

// Readers follow a file that is made, and so does the look-up of whoever is about to open it: they have read nothing of it.
func TestC3FollowedMakerTakesItsTurn(t *testing.T) {
	for name, exclusive := range map[string]bool{"pending": false, "exclusive": true} {
		t.Run(name, func(t *testing.T) {
			m := newMount(t)
			h := m.createMode(alice, "f", OpenMode{Read: true, Write: true, Exclusive: exclusive})
			child := m.open(bob, "f", readOnly)
			if child.View() != h.View() {
				t.Fatalf("the child shows %v, not %v", child.View(), h.View())
			}
			b := m.open(bob, "f", readWrite)
			m.write(b, 0, "theirs")
			if err := b.Commit(m.ctx, b.opener()); err != nil {
				t.Fatal(err)
			}
			if n := m.refresh(h, nil); n != 1 {
				t.Errorf("the kernel was asked %d times to forget", n)
			}
			m.want("the writer", m.read(h), "theirs")
			m.want("who follows it", m.read(child), "theirs")
			m.write(h, 6, " and mine")
			m.close(h)
			m.want("who followed it", m.read(child), "theirs and mine")
			m.want("stored", m.stored("f"), "theirs and mine")
			child.Release(m.ctx)
			m.close(b)
		})
	}
}

// C2, C3: a look-up holds what it found, which reads nothing; who has read of a version goes on with it.
func TestC3OnlyWhoReadsAWritersBytesKeepsItFromItsTurn(t *testing.T) {
	for name, reads := range map[string]bool{"held": false, "read": true} {
		t.Run(name, func(t *testing.T) {
			m := newMount(t)
			m.put("f", "one")
			h := m.open(alice, "f", readWrite)
			follower, _, err := m.Open(m.ctx, bob, h.View(), OpenMode{Read: true, Pinned: true})
			if err != nil {
				t.Fatal(err)
			}
			want := "and two"
			if reads {
				m.want("before", m.read(follower), "one")
				want = "one"
			}
			m.put("f", "and two")
			m.refresh(h, nil)
			m.want("the writer", m.read(h), want)
			m.want("who follows it", m.read(follower), want)
			follower.Release(m.ctx)
			h.Release(m.ctx)
		})
	}
}

func TestRefreshOfAFileThatIsGoneShowsWhatItWas(t *testing.T) {
	m := newMount(t)
	m.put("f", "one")
	reader, writer := m.open(alice, "f", readOnly), m.open(bob, "f", readWrite)
	if err := m.Unlink(m.ctx, alice, m.Root(), "f"); err != nil {
		t.Fatal(err)
	}
	m.refresh(reader, nil)
	m.refresh(writer, nil)
	m.want("the reader", m.read(reader), "one")
	m.want("the writer", m.read(writer), "one")
	reader.Release(m.ctx)
	m.close(writer)
}

// A reader that was moved on sees later appends like any other.
func TestC2RefreshedReaderGrows(t *testing.T) {
	m := newMount(t)
	m.put("f", "one")
	reader := m.open(alice, "f", readOnly)
	m.put("f", "two")
	m.refresh(reader, nil)
	h := m.open(bob, "f", appending)
	m.write(h, 0, " and more")
	m.close(h)
	m.want("the reader", m.read(reader), "two and more")
	reader.Release(m.ctx)
}
