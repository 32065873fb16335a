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
	if n, err := to.CopyFrom(m.ctx, from, 0, 1<<31, false); err != nil || n != int64(len(text)) {
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
	if _, err := to.CopyFrom(m.ctx, from, 0, 100, false); err != nil {
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
		if n, err := to.CopyFrom(m.ctx, from, step.off, step.n, false); err != nil || n != step.copied {
			t.Fatalf("%d from %d: %d, %v", step.n, step.off, n, err)
		}
	}
	m.close(to)
	m.want("the copy", m.stored("copy"), "0123456789")

	to = m.open(bob, "copy", OpenMode{Write: true, Truncate: true})
	if _, err := to.CopyFrom(m.ctx, from, 0, 5, false); err != nil {
		t.Fatal(err)
	}
	m.write(to, 1, "x")
	for _, off := range []int64{0, 3, 5, 10} {
		if _, err := to.CopyFrom(m.ctx, from, off, 5, false); !errors.Is(err, objstore.ErrUnsupported) {
			t.Errorf("from %d on what was changed: %v", off, err)
		}
	}
	m.close(to)
	m.close(from)
	m.want("the copy", m.stored("copy"), "0x234")
}

// What is not committed has no content to refer to.
func TestCopyByReferenceTakesWhatIsCommitted(t *testing.T) {
	m := newMount(t)
	m.put("source", "old")
	from := m.open(alice, "source", readWrite)
	to := m.createMode(bob, "copy", OpenMode{Write: true})
	m.write(from, 0, "new")
	if _, err := to.CopyFrom(m.ctx, from, 0, 3, false); !errors.Is(err, objstore.ErrUnsupported) {
		t.Errorf("of a working copy: %v", err)
	}
	if _, err := from.CopyFrom(m.ctx, to, 0, 3, false); !errors.Is(err, objstore.ErrUnsupported) {
		t.Errorf("of a pending create: %v", err)
	}
	reader := m.open(alice, "source", readOnly)
	if _, err := reader.CopyFrom(m.ctx, from, 0, 3, false); KindOf(err) != ErrBadHandle {
		t.Errorf("to a reader: %v", err)
	}
	for _, h := range []*Handle{reader, from, to} {
		m.close(h)
	}
}
