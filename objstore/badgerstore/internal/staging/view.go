package staging

import (
	"context"
	"io"
	"maps"
	"slices"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/extent"
	"github.com/etagfs/etagfs/objstore/blockhash"
)

const blockBytes = blockhash.BlockBytes

// view is a content: the base below limit, segments over it, zeros elsewhere.
//
// INVARIANT: 0 <= limit <= size, limit <= the base's size, limit is 0 without a base.
// INVARIANT: segments lie below size.
type view struct {
	base   Base
	size   int64
	limit  int64
	blocks map[int64]*block
}

func newView(base Base) view {
	v := view{base: base, blocks: make(map[int64]*block)}
	v.limit = v.baseSize()
	v.size = v.limit
	return v
}

func (v *view) baseSize() int64 {
	if v.base == nil {
		return 0
	}
	return v.base.Size()
}

// snapshot is the view as it is now; changes of either are not seen by the other.
func (v *view) snapshot() view {
	for _, b := range v.blocks {
		b.shared = true
	}
	s := *v
	s.blocks = maps.Clone(v.blocks)
	return s
}

// change is block k, to be changed; its digest is no longer known.
func (v *view) change(k int64) *block {
	b := v.blocks[k]
	switch {
	case b == nil:
		b = new(block)
		v.blocks[k] = b
	case b.shared:
		b = &block{segments: slices.Clone(b.segments)}
		v.blocks[k] = b
	}
	b.digestBytes = 0
	return b
}

// numbers are the blocks with changes that touch [from, to), in order.
func (v *view) numbers(from, to int64) []int64 {
	first, last := from/blockBytes, (to-1)/blockBytes
	var ks []int64
	if last-first < int64(len(v.blocks)) {
		for k := first; k <= last; k++ {
			if v.blocks[k] != nil {
				ks = append(ks, k)
			}
		}
		return ks
	}
	for k := range v.blocks {
		if k >= first && k <= last {
			ks = append(ks, k)
		}
	}
	slices.Sort(ks)
	return ks
}

// put puts s over what is there.
func (v *view) put(s segment) {
	for from := s.off; from < s.end(); {
		k := from / blockBytes
		to := min(s.end(), (k+1)*blockBytes)
		v.change(k).put(s.clip(from, to))
		from = to
	}
}

// remove removes the segments of [from, to): what they hid is seen again.
func (v *view) remove(from, to int64) {
	if from >= to {
		return
	}
	for _, k := range v.numbers(from, to) {
		b := v.change(k)
		if b.remove(from, to); len(b.segments) == 0 {
			delete(v.blocks, k)
		}
	}
}

// truncate sets the size.
func (v *view) truncate(size int64) {
	v.remove(size, v.size)
	v.size = size
	v.limit = min(v.limit, size)
}

// segments yields the segments of [from, to), clipped, in order, until yield returns false.
func (v *view) segments(from, to int64, yield func(segment) bool) {
	if from >= to {
		return
	}
	for _, k := range v.numbers(from, to) {
		b := v.blocks[k]
		for _, s := range b.segments[b.first(from):] {
			if s.off >= to {
				return
			}
			if !yield(s.clip(from, to)) {
				return
			}
		}
	}
}

// readAt reads as io.ReaderAt.
func (v *view) readAt(ctx context.Context, p []byte, off int64) (int, error) {
	if off < 0 || off >= v.size {
		return 0, io.EOF
	}
	end := min(v.size, off+int64(len(p)))
	pos := off
	var err error
	v.segments(off, end, func(s segment) bool {
		if err = v.readBelow(ctx, p[pos-off:s.off-off], pos); err == nil {
			err = s.read(ctx, p[s.off-off:s.end()-off])
			pos = s.end()
		}
		return err == nil
	})
	if err == nil {
		err = v.readBelow(ctx, p[pos-off:end-off], pos)
	}
	if err != nil {
		return 0, err
	}
	if end < off+int64(len(p)) {
		return int(end - off), io.EOF
	}
	return len(p), nil
}

// readBelow reads what is under the segments.
func (v *view) readBelow(ctx context.Context, p []byte, off int64) error {
	if n := min(int64(len(p)), v.limit-off); n > 0 {
		if m, err := v.base.ReadAt(ctx, p[:n], off); err != nil && !(err == io.EOF && int64(m) == n) {
			return err
		}
		p = p[n:]
	}
	clear(p)
	return nil
}

func (s segment) read(ctx context.Context, p []byte) error {
	switch {
	case s.layer == nil:
		clear(p)
	case s.layer.file == nil:
		copy(p, s.layer.remembered(s.src))
	case s.layer.lender != nil:
		return s.layer.readLent(ctx, p, s.src)
	default:
		if _, err := s.layer.file.ReadAt(p, s.src); err != nil {
			return disk.Error("read stage", err)
		}
	}
	return nil
}

// errStop ends an iteration early.
const errStop = objstore.ErrClosed

// extents yields what there is of data and holes in [from, size), in order, until yield returns
// false. Neighbours may be of one kind.
func (v *view) extents(from int64, yield func(off, end int64, data bool) bool) error {
	pos := from
	going := true
	var err error
	below := func(to int64) {
		err = v.below(pos, to, func(off, end int64, data bool) bool {
			going = yield(off, end, data)
			return going
		})
	}
	v.segments(from, v.size, func(s segment) bool {
		if below(s.off); err == nil && going {
			going = yield(s.off, s.end(), s.layer != nil)
			pos = s.end()
		}
		return err == nil && going
	})
	if err == nil && going {
		below(v.size)
	}
	return err
}

// below yields what is under the segments.
func (v *view) below(from, to int64, yield func(off, end int64, data bool) bool) error {
	end := min(to, v.limit)
	stopped := false
	if from < end {
		err := v.base.Extents(from, end-from, func(e extent.Extent) error {
			if !yield(e.Off, e.End(), e.Source.Kind != extent.Hole) {
				stopped = true
				return errStop
			}
			return nil
		})
		if err != nil && !stopped {
			return err
		}
		from = end
	}
	if from < to && !stopped {
		yield(from, to, false)
	}
	return nil
}
