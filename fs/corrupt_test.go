package fs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/etagfs/etagfs/objstore"
)

// corrupt is a namespace whose readers find every byte damaged, or find what cause is.
type corrupt struct {
	objstore.Namespace
	on    bool
	cause error
}

func (c *corrupt) Open(ctx context.Context, id objstore.ID, want objstore.Version) (objstore.Reader, error) {
	r, err := c.Namespace.Open(ctx, id, want)
	if err != nil || !c.on {
		return r, err
	}
	return damaged{r, c.cause}, nil
}

type damaged struct {
	objstore.Reader
	cause error
}

func (d damaged) ReadAt(context.Context, []byte, int64) (int, error) {
	if d.cause != nil {
		return 0, d.cause
	}
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

// C1: a connection that ends in the middle of a read is no end of the file, though its error says EOF, too.
func TestC1BrokenConnectionIsNoEndOfFile(t *testing.T) {
	w := newWorld(t)
	broken := &corrupt{Namespace: w.store, cause: &objstore.Error{Op: "read", Kind: objstore.ErrUnavailable, Err: fmt.Errorf("send request: %w", io.EOF)}}
	w.store = broken
	m := w.mount(Options{})
	m.put("f", "text")
	broken.on = true
	for _, mode := range []OpenMode{readOnly, readWrite} {
		h := m.open(alice, "f", mode)
		if n, err := h.ReadAt(m.ctx, make([]byte, 10), 0); !errors.Is(err, objstore.ErrUnavailable) || n != 0 {
			t.Errorf("read: %d, %v", n, err)
		}
		m.close(h)
	}
}
