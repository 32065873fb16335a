package staging

import (
	"context"
	"math"
	"slices"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/extent"
	"github.com/etagfs/etagfs/objstore/blockhash"
)

const (
	// extentsMax is how many small extents a block may have, and half of what it
	// may have in all. One more, and it is worth writing them together: so reading a block
	// costs little more than that, and what it costs to write is shared by as many commits.
	extentsMax = 64
	// extentsLast times extentsMax is what a block has at most after a commit, however much that writes.
	extentsLast = 8
	// rewriteBytesMin is how much a commit may write together, and rewriteShare how many times the bytes it changes. Who changes a
	// little everywhere has all blocks grow beyond extentsMax with one commit, and that would write the whole file:
	// 5 s of a close, with 10,000 changes of 4 KiB in 1 GiB. Twice is what it takes to keep such blocks below their most.
	rewriteBytesMin = 2 * blockBytes
	rewriteShare    = 2
)

// scattering is a range of a block that is worth writing together.
type scattering struct {
	block    int64
	from, to int64 // none if empty
	extents  int   // counted as small ones
}

// consolidate writes together what earlier commits and this one scattered over
// the blocks that change, the worst first. Only the content to be committed knows: the stage stays as it is.
func (s *sealing) consolidate(ctx context.Context) error {
	if !s.FromBase {
		return nil
	}
	all, err := s.scatterings()
	if err != nil {
		return err
	}
	left := max(rewriteBytesMin, rewriteShare*s.view.changedBytes(math.MaxInt64))
	for _, x := range all {
		n := x.to - x.from
		if n > left && x.extents <= extentsLast*extentsMax {
			continue // another commit will, or the merger
		}
		left -= n
		err := s.rewrite(ctx, x)
		if objstore.KindOf(err) == objstore.ErrNoSpace {
			return nil // it can wait
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// scatterings are those of the blocks that change, those with the most extents first.
func (s *sealing) scatterings() (all []scattering, err error) {
	for _, k := range s.view.dirty() {
		x, err := s.scattered(k)
		if err != nil {
			return nil, err
		}
		if x.from < x.to {
			all = append(all, x)
		}
	}
	slices.SortStableFunc(all, func(a, b scattering) int { return b.extents - a.extents })
	return all, nil
}

// scattered is the range of block k to be written anew; empty if it is well as it is.
func (s *sealing) scattered(k int64) (scattering, error) {
	start, end := k*blockBytes, k*blockBytes+s.view.blockSize(k)
	x := scattering{block: k, from: end, to: start}
	small, all := 0, 0
	add := func(off, n int64, isSmall bool) {
		all++
		if isSmall {
			small++
			x.from, x.to = min(x.from, off), max(x.to, off+n)
		}
	}
	var err error
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
	x.extents = max(small, all/2)
	switch {
	case err != nil || small > extentsMax:
	case all > 2*extentsMax:
		x.from, x.to = start, end
	default:
		x.from, x.to = 0, 0
	}
	return x, err
}

// rewrite puts the bytes of x into a layer of this seal's own.
func (s *sealing) rewrite(ctx context.Context, x scattering) error {
	k, from, to := x.block, x.from, x.to
	var digest block
	if b := s.view.blocks[k]; b != nil {
		digest = *b
	}
	buf := make([]byte, to-from)
	if n, err := s.view.readAt(ctx, buf, from); n < len(buf) {
		return readError(err)
	}
	if len(buf) == blockBytes && digest.digestBytes == 0 {
		digest.digest, digest.digestBytes = blockhash.Of(buf), blockBytes
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
