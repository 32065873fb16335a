package staging

import (
	"slices"
	"sort"

	"github.com/etagfs/etagfs/objstore/blockhash"
)

// segment is a changed range and where its bytes are: at src in a layer, or
// nowhere (nil): it reads as zeros.
type segment struct {
	off, n int64
	layer  *layer
	src    int64
	epoch  uint32
}

func (s segment) end() int64 { return s.off + s.n }

// clip is the part of s in [from, to), which must not be empty.
func (s segment) clip(from, to int64) segment {
	from, to = max(from, s.off), min(to, s.end())
	if s.layer != nil {
		s.src += from - s.off
	}
	s.off, s.n = from, to-from
	return s
}

// continues reports whether next continues s, so that they can be one.
func (s segment) continues(next segment) bool {
	return s.end() == next.off && s.layer == next.layer && s.epoch == next.epoch &&
		(s.layer == nil || s.src+s.n == next.src)
}

// block is what changed in one 4 MiB block.
//
// INVARIANT: segments are ordered, not empty, within the block, do not
// overlap, and none continues another.
type block struct {
	segments []segment
	shared   bool // with a view that must not change: copy before changing
	// digest is that of the first digestBytes of the block as it is now; 0: not known.
	digest      blockhash.Digest
	digestBytes int64
}

// first is the index of the first segment that ends behind pos.
func (b *block) first(pos int64) int {
	return sort.Search(len(b.segments), func(i int) bool { return b.segments[i].end() > pos })
}

// remove removes what is in [from, to).
func (b *block) remove(from, to int64) {
	i := b.first(from)
	j := i
	var keep []segment
	for ; j < len(b.segments) && b.segments[j].off < to; j++ {
		s := b.segments[j]
		if s.off < from {
			keep = append(keep, s.clip(s.off, from))
		}
		if s.end() > to {
			keep = append(keep, s.clip(to, s.end()))
		}
	}
	if j > i {
		b.segments = slices.Replace(b.segments, i, j, keep...)
	}
}

// put puts s, which lies in the block, over what is there.
func (b *block) put(s segment) {
	if n := len(b.segments); n == 0 || b.segments[n-1].end() <= s.off {
		b.segments = append(b.segments, s)
		b.join(n)
		return
	}
	b.remove(s.off, s.end())
	i := b.first(s.off)
	b.segments = slices.Insert(b.segments, i, s)
	b.join(i + 1)
	b.join(i)
}

// join makes segments i-1 and i one if they continue each other.
func (b *block) join(i int) {
	if i > 0 && i < len(b.segments) && b.segments[i-1].continues(b.segments[i]) {
		b.segments[i-1].n += b.segments[i].n
		b.segments = slices.Delete(b.segments, i, i+1)
	}
}
