package fs

import (
	"errors"
	"strings"
	"testing"

	"github.com/etagfs/etagfs/objstore"
)

// cloned opens what cp opens: a source to read and a new file to write.
func (m *mounted) cloned(source, target string) (from, to *Handle) {
	return m.open(alice, source, readOnly), m.createMode(bob, target, OpenMode{Write: true, Exclusive: true})
}

// C2, C3: a copy by reference is the content of the copy alone, and committed as what is written is.
func TestCopyByReferenceIsAContentOfItsOwn(t *testing.T) {
	m := newMount(t)
	text := strings.Repeat("0123456789", 1000)
	m.put("source", text)
	from, to := m.cloned("source", "copy")
	if n, err := to.CopyFrom(m.ctx, from, 0, 1<<31, 0, false); err != nil || n != int64(len(text)) {
		t.Fatalf("%d bytes, %v", n, err)
	}
	m.want("the copy", m.read(to), text)
	m.want("committed before its close", m.stored("copy"), "")
	m.put("source", "other")
	m.close(to)
	m.close(from)
	m.want("the copy", m.stored("copy"), text)
	m.want("the source", m.stored("source"), "other")
}

// C3, C4: who copies onto a file that somebody else commits meanwhile loses, and what was to be its content is kept.
func TestC3CopyByReferenceIsConditional(t *testing.T) {
	m := newMount(t)
	m.put("source", "from the source")
	m.put("copy", "old")
	from, to := m.open(alice, "source", readOnly), m.open(bob, "copy", OpenMode{Write: true, Truncate: true})
	if _, err := to.CopyFrom(m.ctx, from, 0, 100, 0, false); err != nil {
		t.Fatal(err)
	}
	m.put("copy", "first")
	c := m.loses(to)
	m.close(from)
	m.want("the copy", m.stored("copy"), "first")
	m.want("mine", m.side(c.ID, objstore.SideMine), "from the source")
	m.want("base", m.side(c.ID, objstore.SideBase), "old")
}

// Programs copy a piece at a time: each takes the copy on, as long as it is the beginning of the source and nothing else.
func TestCopyByReferenceGoesOnWhereItEnded(t *testing.T) {
	m := newMount(t)
	m.put("source", "0123456789")
	from, to := m.cloned("source", "copy")
	for _, step := range []struct{ off, n, copied int64 }{{0, 3, 3}, {3, 4, 4}, {7, 100, 3}} {
		if n, err := to.CopyFrom(m.ctx, from, step.off, step.n, step.off, false); err != nil || n != step.copied {
			t.Fatalf("%d from %d: %d, %v", step.n, step.off, n, err)
		}
	}
	m.close(to)
	m.want("the copy", m.stored("copy"), "0123456789")

	m.close(from)
}

// What is no beginning of a committed file is copied all the same, from what is committed and from what is not.
func TestCopyOfARangeIsTheBytesOfTheRange(t *testing.T) {
	m := newMount(t)
	m.put("source", "0123456789")
	m.put("copy", "abcdefghij")
	from := m.open(alice, "source", readOnly)
	to := m.open(bob, "copy", readWrite)
	for _, step := range []struct {
		from, n, to, copied int64
		want                string
	}{
		{2, 3, 1, 3, "a234efghij"},
		{0, 1, 9, 1, "a234efghi0"},
		{7, 100, 11, 3, "a234efghi0\x00789"},
	} {
		if n, err := to.CopyFrom(m.ctx, from, step.from, step.n, step.to, false); err != nil || n != step.copied {
			t.Fatalf("%+v: %d, %v", step, n, err)
		}
		m.want("the copy", m.read(to), step.want)
	}
	own := m.open(alice, "source", readWrite)
	m.write(own, 0, "new")
	if n, err := own.CopyFrom(m.ctx, own, 0, 3, 7, false); n != 3 || err != nil {
		t.Fatalf("within what was changed: %d, %v", n, err)
	}
	m.want("changed", m.read(own), "new3456new")
	if n, err := to.CopyFrom(m.ctx, own, 0, 4, 0, false); n != 4 || err != nil {
		t.Fatalf("of what was changed: %d, %v", n, err)
	}
	m.want("the copy", m.read(to), "new3efghi0\x00789")
	for _, h := range []*Handle{from, to, own} {
		m.close(h)
	}
	m.want("the copy", m.stored("copy"), "new3efghi0\x00789")
	m.want("the source", m.stored("source"), "new3456new")
}

// Ranges of one file may touch, and not overlap, whichever handles they are named by; at the end, and beyond it, there is nothing.
func TestCopyOntoItselfIsRefused(t *testing.T) {
	m := newMount(t)
	m.put("file", "0123456789")
	from, to := m.open(alice, "file", readOnly), m.open(alice, "file", readWrite)
	for _, h := range []*Handle{from, to} {
		for _, at := range [][3]int64{{0, 5, 4}, {4, 5, 0}, {3, 1, 3}, {0, 100, 9}} {
			if _, err := to.CopyFrom(m.ctx, h, at[0], at[1], at[2], false); !errors.Is(err, objstore.ErrInvalid) {
				t.Errorf("%d bytes from %d to %d: %v", at[1], at[0], at[2], err)
			}
		}
		for _, off := range []int64{10, 50} {
			if _, err := to.CopyFrom(m.ctx, h, off, 5, 100, false); !errors.Is(err, objstore.ErrUnsupported) {
				t.Errorf("from %d on: %v", off, err)
			}
		}
	}
	if n, err := to.CopyFrom(m.ctx, from, 0, 5, 5, false); n != 5 || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	if _, err := from.CopyFrom(m.ctx, to, 0, 3, 7, false); KindOf(err) != ErrBadHandle {
		t.Errorf("to a reader: %v", err)
	}
	m.close(from)
	m.close(to)
	m.want("the file", m.stored("file"), "0123401234")
}
