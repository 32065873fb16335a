package remote

import (
	"slices"
	"sort"

	"github.com/etagfs/etagfs/objstore/wire"
)

// origin says where the bytes of a range come from.
type origin uint8

const (
	fromBase origin = iota
	fromFile        // written here
	fromZero
)

// span is a range of one origin.
type span struct {
	off, end int64
	origin   origin
}

// layout is where all bytes of a stage come from: spans in order, without gaps, from 0 to the size.
// No two neighbours have the same origin.
type layout struct {
	spans []span
}

func (l *layout) size() int64 {
	if len(l.spans) == 0 {
		return 0
	}
	return l.spans[len(l.spans)-1].end
}

// reset makes l size bytes of the base.
func (l *layout) reset(size int64) {
	l.spans = nil
	l.set(0, size, fromBase)
}

// find is the index of the span that holds off, or the number of spans.
func (l *layout) find(off int64) int {
	return sort.Search(len(l.spans), func(i int) bool { return l.spans[i].end > off })
}

// set gives [off, end) an origin. It must not begin beyond the size.
func (l *layout) set(off, end int64, from origin) {
	if off >= end {
		return
	}
	first := l.find(off)
	last := l.find(end - 1)
	insert := make([]span, 0, 3)
	if first < len(l.spans) && l.spans[first].off < off {
		insert = append(insert, span{l.spans[first].off, off, l.spans[first].origin})
	}
	insert = append(insert, span{off, end, from})
	if last < len(l.spans) {
		if l.spans[last].end > end {
			insert = append(insert, span{end, l.spans[last].end, l.spans[last].origin})
		}
		last++
	}
	// Neighbours of the same origin become one.
	if first > 0 {
		first--
		insert = slices.Insert(insert, 0, l.spans[first])
	}
	if last < len(l.spans) {
		insert = append(insert, l.spans[last])
		last++
	}
	l.spans = slices.Replace(l.spans, first, last, joined(insert)...)
}

func joined(spans []span) []span {
	out := spans[:1]
	for _, s := range spans[1:] {
		if before := &out[len(out)-1]; before.origin == s.origin {
			before.end = s.end
		} else {
			out = append(out, s)
		}
	}
	return out
}

// resize cuts off what is beyond size, or adds zeros up to it.
func (l *layout) resize(size int64) {
	if old := l.size(); size >= old {
		l.set(old, size, fromZero)
		return
	}
	i := l.find(size)
	if l.spans[i].off < size {
		l.spans[i].end = size
		i++
	}
	l.spans = l.spans[:i]
}

// within are the parts of [off, end).
func (l *layout) within(off, end int64) (parts []span) {
	for i := l.find(off); i < len(l.spans) && l.spans[i].off < end; i++ {
		s := l.spans[i]
		parts = append(parts, span{max(s.off, off), min(s.end, end), s.origin})
	}
	return parts
}

// all are the ranges of one origin.
func (l *layout) all(from origin) (ranges []wire.Range) {
	for _, s := range l.spans {
		if s.origin == from {
			ranges = append(ranges, wire.Range{Offset: s.off, Length: s.end - s.off})
		}
	}
	return ranges
}
