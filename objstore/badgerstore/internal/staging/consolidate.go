package staging

import (
	"context"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/extent"
)

// extentsMax is how many small extents a block may have, and half of what it
// may have in all. One more, and they are written together: so reading a block
// never costs more than that, and what it costs to write is shared by as many commits.
const extentsMax = 64

// consolidate writes together what earlier commits and this one scattered over
// the blocks that change. Only the content to be committed knows: the stage stays as it is.
func (s *sealing) consolidate(ctx context.Context) error {
	if !s.FromBase {
		return nil
	}
	for _, k := range s.view.dirty() {
		from, to, err := s.scattered(k)
		if err == nil && from < to {
			err = s.rewrite(ctx, k, from, to)
		}
		if objstore.KindOf(err) == objstore.ErrNoSpace {
			return nil // it can wait
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// scattered is the range of block k to be written anew; empty if it is well as it is.
func (s *sealing) scattered(k int64) (from, to int64, err error) {
	start, end := k*blockBytes, k*blockBytes+s.view.blockSize(k)
	from, to = end, start
	small, all := 0, 0
	add := func(off, n int64, isSmall bool) {
		all++
		if isSmall {
			small++
			from, to = min(from, off), max(to, off+n)
		}
	}
	pos := start
	below := func(end int64) {
		end = min(end, s.view.limit)
		if err != nil || pos >= end {
			return
		}
		err = s.view.base.Extents(pos, end-pos, func(x extent.Extent) error {
			if x.Source.Kind != extent.Hole {
				add(x.Off, x.Len, x.Source.Kind == extent.Inline)
			}
			return nil
		})
	}
	s.view.segments(start, end, func(seg segment) bool {
		below(seg.off)
		if seg.layer != nil {
			add(seg.off, seg.n, s.inline)
		}
		pos = seg.end()
		return true
	})
	below(end)
	switch {
	case err != nil || small > extentsMax:
		return from, to, err
	case all > 2*extentsMax:
		return start, end, nil
	}
	return 0, 0, nil
}

// rewrite puts the bytes of [from, to) of block k into a layer of this seal's own.
func (s *sealing) rewrite(ctx context.Context, k, from, to int64) error {
	var digest block
	if b := s.view.blocks[k]; b != nil {
		digest = *b
	}
	buf := make([]byte, to-from)
	if n, err := s.view.readAt(ctx, buf, from); n < len(buf) {
		return readError(err)
	}
	if s.inline && len(buf)+s.ownBytes() <= s.session.opt.InlineBytes {
		if s.own == nil {
			s.own = &layer{session: s.session}
		}
		s.view.put(segment{off: from, n: to - from, layer: s.own, src: s.own.remember(buf), epoch: s.epoch})
	} else if err := s.rewriteFile(buf, from); err != nil {
		return err
	}
	// The bytes are the same, wherever they are.
	b := s.view.blocks[k]
	b.digest, b.digestBytes = digest.digest, digest.digestBytes
	return nil
}

// ownBytes bounds the bytes of the inline payload, should what was rewritten go there.
func (s *sealing) ownBytes() int {
	n := int(s.view.changedBytes(int64(s.session.opt.InlineBytes)))
	if s.own != nil {
		n += len(s.own.memory)
	}
	return n
}

func (s *sealing) rewriteFile(p []byte, off int64) error {
	if err := s.stage.admit(int64(len(p))); err != nil {
		return err
	}
	if s.ownFile == nil {
		l, err := s.session.newFile()
		if err != nil {
			return err
		}
		s.ownFile = l
	}
	return s.ownFile.store(p, off, func(n, src int64) error {
		s.view.put(segment{off: off, n: n, layer: s.ownFile, src: src, epoch: s.epoch})
		off += n
		return nil
	})
}
