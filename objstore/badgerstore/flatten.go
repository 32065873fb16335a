package badgerstore

import (
	"context"
	"errors"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/extent"
)

// mutate runs f, a mutation with the sealed content. If that has too many
// parts for one, which takes scattered writes all over a file of gigabytes, f runs
// again with a copy that has few.
func (s *stage) mutate(ctx context.Context, object objstore.ID, d objstore.Durability, f func(*tx) error) error {
	err := s.b.write(ctx, d, false, f)
	if err != errBatchTooLarge {
		return err
	}
	if err := s.flatten(ctx, object); err != nil {
		return err
	}
	return s.b.write(ctx, d, false, f)
}

// flatten copies the sealed content and makes in of the copy.
func (s *stage) flatten(ctx context.Context, object objstore.ID) error {
	s.b.e.log.Info("copying a content with too many parts", "object", object, "bytes", s.in.size)
	flat := s.b.newStage(objstore.Owner{}, nil, true)
	c := copying{ctx: ctx, e: s.b.e, in: s.in, inline: s.sealed.Inline, to: flat}
	err := c.run()
	if err == nil {
		err = flat.seal(ctx, object)
	}
	if err != nil {
		return errors.Join(err, flat.Close())
	}
	flat.in.appended = s.in.appended
	s.flat, s.in = flat, flat.in
	return nil
}

// copying writes the bytes of an incoming content to a stage. Holes stay holes.
type copying struct {
	ctx    context.Context // of the call
	e      *Engine
	in     *incoming
	inline []byte // of the incoming payload
	to     *stage
	buf    []byte
}

func (c *copying) run() error {
	const bufferBytes = 1 << 20
	c.buf = make([]byte, bufferBytes)
	pos := int64(0)
	for _, change := range c.in.edit.Changes {
		if err := c.fromBase(pos, change.Off); err != nil {
			return err
		}
		if err := c.extent(change); err != nil {
			return err
		}
		pos = change.End()
	}
	if err := c.fromBase(pos, c.in.size); err != nil {
		return err
	}
	return c.to.Truncate(c.ctx, c.in.size)
}

// fromBase copies a range that did not change.
func (c *copying) fromBase(from, to int64) error {
	base := c.in.base
	if base == nil || from >= to {
		return nil
	}
	return base.Extents(from, to-from, func(x extent.Extent) error {
		if x.Source.Kind == extent.Hole {
			return nil
		}
		return c.pieces(x, func(p []byte, off int64) error {
			_, err := base.ReadAt(c.ctx, p, off)
			return err
		})
	})
}

// extent copies a range that changed.
func (c *copying) extent(x extent.Extent) error {
	if x.Source.Kind == extent.Hole {
		return nil
	}
	return c.pieces(x, func(p []byte, off int64) error {
		at := x.Source.Off + off - x.Off
		if x.Source.Kind == extent.Inline {
			copy(p, c.inline[at:])
			return nil
		}
		_, err := c.e.readBlob(c.ctx, extent.Ref{Kind: extent.RefKind(x.Source.Kind), ID: x.Source.ID}, p, at)
		return err
	})
}

// pieces copies the range of x a buffer at a time.
func (c *copying) pieces(x extent.Extent, read func(p []byte, off int64) error) error {
	for off := x.Off; off < x.End(); {
		p := c.buf[:min(int64(len(c.buf)), x.End()-off)]
		if err := read(p, off); err != nil {
			return err
		}
		if _, err := c.to.WriteAt(c.ctx, p, off); err != nil {
			return err
		}
		off += int64(len(p))
	}
	return nil
}
