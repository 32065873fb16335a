package extent

import (
	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/blockhash"
)

// Content is what a record holds: the size and the root of the tree. The zero
// Content is the empty one; Contents are comparable.
type Content struct {
	Size int64
	Root Slot
}

// FromRun is a content that one payload holds whole, from the source on. The
// payload must have the digests of its blocks.
func FromRun(size int64, s Source) Content {
	if size == 0 {
		return Content{}
	}
	return Content{Size: size, Root: Slot{Source: s}}
}

// Run is the source of a content that is one run of one payload.
func (c Content) Run() (Source, bool) {
	return c.Root.Source, c.Root.Source.Kind != Hole
}

// Refs are the references of the record that holds the content: one at most.
func (c Content) Refs() []Ref {
	if r, ok := c.Root.ref(); ok {
		return []Ref{r}
	}
	return nil
}

// check returns ErrCorrupt if the content cannot be one.
func (c Content) check() error {
	if c.Size < 0 || c.Size > objstore.ObjectBytesMax || c.Size == 0 && !c.Root.isHole() {
		return corrupt("content of %d bytes", c.Size)
	}
	return c.Root.check(levelOf(c.Size))
}

// Extents yields the extents of [off, off+length), clipped to it and to the size, in
// order, holes among them. It stops at the first error, of yield or of pages.
func (c Content) Extents(pages Pages, off, length int64, yield func(Extent) error) error {
	end := min(c.Size, off+length)
	if off < 0 || length <= 0 || off >= end {
		return nil
	}
	w := walk{pages: pages, from: off, to: end, yield: yield}
	if err := w.slot(c.Root, levelOf(c.Size), 0); err != nil {
		return err
	}
	return w.flush()
}

// walk collects extents and joins neighbours that continue each other.
type walk struct {
	pages    Pages
	from, to int64
	yield    func(Extent) error
	pending  Extent // not yet yielded; Len 0: none
}

func (w *walk) slot(s Slot, level int, start int64) error {
	end := start + spanBytes(level)
	if end <= w.from || start >= w.to {
		return nil
	}
	if s.Page == 0 {
		return w.add(Extent{Off: start, Len: end - start, Source: s.Source})
	}
	page, err := pageOf(w.pages, s.Page, level)
	if err != nil {
		return err
	}
	if level == 0 {
		return w.leaf(page, start)
	}
	for i, child := range page.Slots {
		if err := w.slot(child, level-1, start+int64(i)*spanBytes(level-1)); err != nil {
			return err
		}
	}
	return nil
}

func (w *walk) leaf(page *Page, start int64) error {
	pos := start
	for _, e := range page.Extents {
		e.Off += start
		if err := w.add(Extent{Off: pos, Len: e.Off - pos}); err != nil {
			return err
		}
		if err := w.add(e); err != nil {
			return err
		}
		pos = e.End()
	}
	return w.add(Extent{Off: pos, Len: start + blockhash.BlockBytes - pos})
}

// add takes the part of e that is asked for.
func (w *walk) add(e Extent) error {
	if e.Len <= 0 || e.End() <= w.from || e.Off >= w.to {
		return nil
	}
	e = e.clip(w.from, w.to)
	if w.pending.Len > 0 && w.pending.continues(e) {
		w.pending.Len += e.Len
		return nil
	}
	if err := w.flush(); err != nil {
		return err
	}
	w.pending = e
	return nil
}

func (w *walk) flush() error {
	if w.pending.Len == 0 {
		return nil
	}
	e := w.pending
	w.pending = Extent{}
	return w.yield(e)
}

// pageOf loads a page and insists on its level.
func pageOf(pages Pages, id PageID, level int) (*Page, error) {
	page, err := pages.Page(id)
	if err != nil {
		return nil, err
	}
	if page.Level != level {
		return nil, corrupt("page %x is of level %d where %d belongs", id, page.Level, level)
	}
	return page, nil
}

// Digests returns the digests of blocks [first, first+n) of the content, n
// clipped to its end. Only a last block may be short.
func (c Content) Digests(pages Pages, runs DigestSource, first, n int64) ([]blockhash.Digest, error) {
	last := min(first+n, blockhash.BlockCount(c.Size))
	if first < 0 || first >= last {
		return nil, nil
	}
	d := digestWalk{pages: pages, runs: runs, from: first, to: last, size: c.Size}
	d.out = make([]blockhash.Digest, 0, last-first)
	if err := d.slot(c.Root, levelOf(c.Size), 0); err != nil {
		return nil, err
	}
	if int64(len(d.out)) != last-first {
		return nil, corrupt("%d digests for %d blocks", len(d.out), last-first)
	}
	return d.out, nil
}

type digestWalk struct {
	pages    Pages
	runs     DigestSource
	from, to int64 // blocks
	size     int64
	zeros    *blockhash.Digest // of a whole block, once needed
	out      []blockhash.Digest
}

// slot adds the digests of a slot whose first block is start.
func (d *digestWalk) slot(s Slot, level int, start int64) error {
	end := start + spanBytes(level)/blockhash.BlockBytes
	if end <= d.from || start >= d.to {
		return nil
	}
	from, to := max(start, d.from), min(end, d.to)
	switch {
	case s.Page != 0 && level == 0:
		d.out = append(d.out, s.Digest)
	case s.Page != 0:
		return d.page(s.Page, level, start)
	case s.Source.Kind == Hole:
		d.holes(from, to)
	default:
		digests, err := d.runs.BlockDigests(s.Source.advance((from-start)*blockhash.BlockBytes), to-from)
		if err != nil {
			return err
		}
		d.out = append(d.out, digests...)
	}
	return nil
}

func (d *digestWalk) page(id PageID, level int, start int64) error {
	page, err := pageOf(d.pages, id, level)
	if err != nil {
		return err
	}
	blocks := spanBytes(level-1) / blockhash.BlockBytes
	for i, child := range page.Slots {
		if err := d.slot(child, level-1, start+int64(i)*blocks); err != nil {
			return err
		}
	}
	return nil
}

func (d *digestWalk) holes(from, to int64) {
	if d.zeros == nil {
		z := blockhash.Zeros(blockhash.BlockBytes)
		d.zeros = &z
	}
	for b := from; b < to; b++ {
		if length := d.size - b*blockhash.BlockBytes; length < blockhash.BlockBytes {
			d.out = append(d.out, blockhash.Zeros(length))
			continue
		}
		d.out = append(d.out, *d.zeros)
	}
}
