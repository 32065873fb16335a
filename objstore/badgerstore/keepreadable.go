package badgerstore

import (
	"context"
	"slices"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/extent"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/record"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/staging"
)

// salvageBytes is how much of a damaged base is given up at once: what one checksum of a payload is of.
const salvageBytes = 64 << 10

// keepReadable is keep for a stage over a base that is damaged. What can be read is copied, zeros stand for what cannot, and the
// conflict says where: what was written since must not be lost with what it was written over.
func (s *stage) keepReadable(ctx context.Context, c objstore.Conflict) (objstore.Conflict, error) {
	copied := s.b.newStage(objstore.Owner{}, nil, true) // if the process dies the stage is found, and nothing of this one
	defer copied.Close()
	lost, err := s.copyReadable(ctx, copied)
	if err != nil {
		return objstore.Conflict{}, err
	}
	if len(lost) > 0 {
		c.Gaps = true
		c.Detail += lostIn(staging.Found{Lost: lost})
	}
	if c.Base == (objstore.ContentRef{}) && s.base != nil {
		c.Base.Version = objstore.VersionOf(s.base.version)
	}
	copied.kept = s.kept
	kept, err := copied.keep(ctx, c)
	if err == nil {
		s.kept = kept.ID
	}
	return kept, err
}

// copyReadable writes into a new stage what can be read of s, and returns the ranges that cannot.
func (s *stage) copyReadable(ctx context.Context, to *stage) (lost []staging.Range, err error) {
	size := s.Stage.Size()
	if err := to.Truncate(ctx, size); err != nil {
		return nil, err
	}
	buf, pos := make([]byte, salvageBytes), int64(0)
	for _, r := range append(s.Stage.OfBase(), staging.Range{Off: size, End: size}) {
		for ; pos < r.Off; pos += int64(len(buf)) { // the stage's own
			buf = buf[:min(salvageBytes, r.Off-pos)]
			if err := s.copyPiece(ctx, to, buf, pos); err != nil {
				return nil, err
			}
		}
		for pos = r.Off; pos < r.End; pos += int64(len(buf)) {
			buf = buf[:min(salvageBytes-pos%salvageBytes, r.End-pos)]
			err := s.copyPiece(ctx, to, buf, pos)
			if objstore.KindOf(err) == objstore.ErrCorrupt {
				lost = append(lost, staging.Range{Off: pos, End: pos + int64(len(buf))})
			} else if err != nil {
				return nil, err
			}
		}
	}
	return lost, nil
}

// copyPiece copies the bytes at off, unless all are zeros, as they are there before.
func (s *stage) copyPiece(ctx context.Context, to *stage, p []byte, off int64) error {
	if n, err := s.Stage.ReadAt(ctx, p, off); n < len(p) {
		return err
	}
	if !slices.ContainsFunc(p, func(b byte) bool { return b != 0 }) {
		return nil
	}
	_, err := to.WriteAt(ctx, p, off)
	return err
}

// isInline reports whether a content is an inline payload.
func isInline(c *record.Content) bool {
	x, err := extentsOf(*c)
	if err != nil {
		return false
	}
	run, ok := x.Run()
	return ok && run.Kind == extent.Inline
}
