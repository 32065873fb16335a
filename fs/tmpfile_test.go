package fs

import (
	"errors"
	"testing"

	"github.com/etagfs/etagfs/objstore"
)

func TestNamelessFileGoesWithItsHandleOrIsCommittedByALink(t *testing.T) {
	for _, options := range []Options{{}, {Isolation: IsolateMount}} {
		m := newWorld(t).mount(options)
		nameless := func() *Handle {
			h, e, err := m.Tmpfile(m.ctx, alice, m.Root(), readWrite, 0o640)
			if err != nil || e.Attr.Nlink != 0 || e.Attr.Mode != 0o640 {
				t.Fatalf("%+v, %v", e.Attr, err)
			}
			m.write(h, 0, "text")
			return h
		}
		gone := nameless()
		m.close(gone)
		if entries, _, err := m.ns.ReadDir(m.ctx, m.Root(), "", 10); err != nil || len(entries) != 0 {
			t.Errorf("left behind: %v, %v", entries, err)
		}

		m.put("taken", "other")
		h := nameless()
		if _, err := m.Link(m.ctx, alice, h.View(), m.Root(), "taken"); !errors.Is(err, ErrExists) {
			t.Errorf("link over a file: %v", err)
		}
		if attr, err := h.Attr(m.ctx); err != nil || attr.Nlink != 0 {
			t.Errorf("after a link that failed: %+v, %v", attr, err)
		}
		e, err := m.Link(m.ctx, alice, h.View(), m.Root(), "named")
		if err != nil || e.Attr.Nlink != 1 || e.Attr.Mode != 0o640 {
			t.Fatalf("link: %+v, %v", e.Attr, err)
		}
		m.want("what was linked", m.stored("named"), "text")
		m.write(h, 4, ", more")
		m.close(h)
		m.want("what was written on", m.stored("named"), "text, more")
		m.want("the other", m.stored("taken"), "other")

		late := nameless()
		if err := m.Unlink(m.ctx, bob, m.Root(), "named"); err != nil {
			t.Fatal(err)
		}
		if _, err := m.Link(m.ctx, bob, View{Object: e.View.Object}, m.Root(), "back"); !errors.Is(err, objstore.ErrNotFound) && !errors.Is(err, ErrStale) {
			t.Errorf("a link to what is gone: %v", err)
		}
		m.close(late)
	}
}
