package extent

import "github.com/etagfs/etagfs/objstore/blockhash"

// Leaves yields the leaf pages of blocks from a block on, each with the number of its block, in order. It leaves out
// pages for which enter is false, and what is below them. It stops at the first error.
func (c Content) Leaves(pages Pages, from int64, enter func(PageID) (bool, error), yield func(block int64, leaf *Page) error) error {
	w := leafWalk{pages: pages, from: from, enter: enter, yield: yield}
	return w.slot(c.Root, levelOf(c.Size), 0)
}

type leafWalk struct {
	pages Pages
	from  int64
	enter func(PageID) (bool, error)
	yield func(block int64, leaf *Page) error
}

// slot looks at a slot whose first block is start.
func (w *leafWalk) slot(s Slot, level int, start int64) error {
	if s.Page == 0 || start+spanBytes(level)/blockhash.BlockBytes <= w.from {
		return nil
	}
	if ok, err := w.enter(s.Page); err != nil || !ok {
		return err
	}
	page, err := pageOf(w.pages, s.Page, level)
	if err != nil {
		return err
	}
	if level == 0 {
		return w.yield(start, page)
	}
	for i, child := range page.Slots {
		if err := w.slot(child, level-1, start+int64(i)*spanBytes(level-1)/blockhash.BlockBytes); err != nil {
			return err
		}
	}
	return nil
}

// Pieces is how many extents a leaf page has, and least how many it would have if all its bytes lay in one payload as
// they lie in the block.
func (p *Page) Pieces() (n, least int) {
	end := int64(-1)
	for _, x := range p.Extents {
		if x.Off != end {
			least++
		}
		end = x.End()
	}
	return len(p.Extents), least
}
