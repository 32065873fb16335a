package cache

import (
	"slices"
	"sort"
)

// extent is a range [off, end) of a stage that is not its base's: data, or zeros.
type extent struct {
	off, end int64
	zero     bool
}

// extents are in order and do not overlap; neighbours of a kind are one.
type extents []extent

// search is the index of the first extent that ends after off.
func (x extents) search(off int64) int {
	return sort.Search(len(x), func(i int) bool { return x[i].end > off })
}

// isData reports whether all of [off, end) is data.
func (x extents) isData(off, end int64) bool {
	i := x.search(off)
	return i < len(x) && !x[i].zero && x[i].off <= off && end <= x[i].end
}

// set makes e's range what e says.
func (x *extents) set(e extent) {
	if e.off >= e.end {
		return
	}
	all := *x
	first := all.search(e.off)
	last := first
	for last < len(all) && all[last].off < e.end {
		last++
	}
	var parts []extent
	if first < last && all[first].off < e.off {
		parts = append(parts, extent{all[first].off, e.off, all[first].zero})
	} else if first > 0 && all[first-1].end == e.off {
		first--
		parts = append(parts, all[first])
	}
	parts = append(parts, e)
	if last > first && all[last-1].end > e.end {
		parts = append(parts, extent{e.end, all[last-1].end, all[last-1].zero})
	} else if last < len(all) && all[last].off == e.end {
		parts = append(parts, all[last])
		last++
	}
	*x = slices.Replace(all, first, last, joined(parts)...)
}

// joined makes neighbours of a kind one.
func joined(parts []extent) []extent {
	out := parts[:1]
	for _, e := range parts[1:] {
		if before := &out[len(out)-1]; before.end == e.off && before.zero == e.zero {
			before.end = e.end
			continue
		}
		out = append(out, e)
	}
	return out
}

// cut forgets what is at size and beyond.
func (x *extents) cut(size int64) {
	all := *x
	i := all.search(size)
	if i < len(all) && all[i].off < size {
		all[i].end = size
		i++
	}
	*x = all[:i]
}

// source says where the bytes of a range are.
type source uint8

const (
	fromZeros source = iota
	fromFile
	fromBase
)

// at says where the byte at off is, and up to where those that follow are in the same place, end at the most.
func (x extents) at(off, end, limit int64) (source, int64) {
	i := x.search(off)
	if i < len(x) && x[i].off <= off {
		if x[i].zero {
			return fromZeros, min(end, x[i].end)
		}
		return fromFile, min(end, x[i].end)
	}
	if i < len(x) {
		end = min(end, x[i].off)
	}
	if off < limit {
		return fromBase, min(end, limit)
	}
	return fromZeros, end
}
