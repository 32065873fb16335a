package fs

import (
	"context"
	"errors"
	"testing"

	"github.com/etagfs/etagfs/objstore"
)

// corrupt is a namespace whose readers find every byte damaged.
type corrupt struct {
	objstore.Namespace
	on bool
}

func (c *corrupt) Open(ctx context.Context, id objstore.ID, want objstore.Version) (objstore.Reader, error) {
	r, err := c.Namespace.Open(ctx, id, want)
	if err != nil || !c.on {
		return r, err
	}
	return damaged{r}, nil
}

type damaged struct{ objstore.Reader }

func (damaged) ReadAt(context.Context, []byte, int64) (int, error) {
	return 0, &objstore.Error{Op: "read", Kind: objstore.ErrCorrupt}
}

func (c *corrupt) Lookup(ctx context.Context, parent objstore.ID, name string) (objstore.Info, error) {
	if c.on && name == "lost" {
		return objstore.Info{}, &objstore.Error{Op: "lookup", Key: name, Kind: objstore.ErrCorrupt}
	}
	return c.Namespace.Lookup(ctx, parent, name)
}

// A damaged name is not a missing one: nothing may be made in its place.
func TestC11CorruptBytesAreAnErrorEverywhere(t *testing.T) {
	w := newWorld(t)
	damage := &corrupt{Namespace: w.store}
	w.store = damage
	m := w.mount(Options{})
	m.put("f", "text")
	damage.on = true
	for _, mode := range []OpenMode{readOnly, readWrite} {
		h := m.open(alice, "f", mode)
		if n, err := h.ReadAt(m.ctx, make([]byte, 10), 0); !errors.Is(err, objstore.ErrCorrupt) || n != 0 {
			t.Errorf("read: %d, %v", n, err)
		}
		m.close(h)
	}
	if _, err := m.Lookup(m.ctx, alice, m.Root(), "lost"); !errors.Is(err, objstore.ErrCorrupt) {
		t.Errorf("lookup: %v", err)
	}
	if _, _, err := m.Create(m.ctx, alice, m.Root(), "lost", readWrite, 0o644); !errors.Is(err, objstore.ErrCorrupt) {
		t.Errorf("create: %v", err)
	}
}
