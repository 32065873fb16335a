package extent

import (
	"sort"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/blockhash"
)

// Apply makes the content that differs from base by e. With consume set the
// caller's record stops referring to base in the same transaction. See the
// package comment for what that means for references.
func Apply(base Content, e Edit, env Env, consume bool) (*Plan, error) {
	if err := e.check(); err != nil {
		return nil, err
	}
	a := &applying{
		base: base, edit: e, refs: refs{env: env, plan: new(Plan)},
	}
	level := levelOf(e.Size)
	old, err := a.oldRoot(level, consume)
	if err != nil {
		return nil, err
	}
	root, err := a.slot(old, level, 0)
	if err != nil {
		return nil, err
	}
	c := Content{Size: e.Size, Root: root}
	if err := a.refs.settle(consume, base.Refs(), c.Refs()); err != nil {
		return nil, err
	}
	a.refs.plan.Content = c
	return a.refs.plan, c.check()
}

func (e Edit) check() error {
	if e.Size < 0 || e.Size > objstore.ObjectBytesMax {
		return &objstore.Error{Op: "edit content", Kind: objstore.ErrTooLarge}
	}
	end := int64(0)
	for _, c := range e.Changes {
		if c.Off < end || c.Len <= 0 || c.Len > e.Size-c.Off || !c.Source.valid() {
			return &objstore.Error{Op: "edit content", Kind: objstore.ErrInvalid, Detail: "changes out of order"}
		}
		end = c.End()
	}
	return nil
}

// applying is one run of Apply.
type applying struct {
	base Content
	edit Edit
	refs refs
}

// oldSlot is what the base has at a place of the new tree.
type oldSlot struct {
	Slot
	level int  // of Page; below the place's own where the tree grows
	owned bool // the reference to Page ends with this edit
}

// oldRoot is what the base has where a root of the given level will be. A
// higher root of the base goes as a whole: what stays in use is gained.
func (a *applying) oldRoot(level int, consume bool) (oldSlot, error) {
	old := oldSlot{Slot: a.base.Root, level: levelOf(a.base.Size), owned: consume}
	for old.level > level && old.Page != 0 {
		page, err := pageOf(a.refs.env, old.Page, old.level)
		if err != nil {
			return old, err
		}
		old = oldSlot{Slot: page.Slots[0], level: old.level - 1}
	}
	return old, nil
}

// slot is the new slot for what the page of the given level at start covers.
func (a *applying) slot(old oldSlot, level int, start int64) (Slot, error) {
	end := min(start+spanBytes(level), a.edit.Size)
	if start >= end {
		return Slot{}, nil
	}
	changes := a.changesIn(start, end)
	if len(changes) == 0 && !a.cut(old.Slot, level, start) && !a.hasBlocks(start, end) {
		return old.Slot, nil
	}
	if len(changes) == 1 && changes[0].Off <= start && changes[0].End() >= end {
		if s, ok := a.covered(changes[0], start, end); ok {
			return s, nil
		}
	}
	if level == 0 {
		return a.leaf(old, start, end, changes)
	}
	return a.inner(old, level, start)
}

// cut reports whether the end of the shorter of base and edit lies inside a
// slot's span such that the slot cannot stay as it is.
func (a *applying) cut(s Slot, level int, start int64) bool {
	end := min(a.base.Size, a.edit.Size)
	if s.isHole() || a.base.Size == a.edit.Size || end <= start || end >= start+spanBytes(level) {
		return false
	}
	// A run ends with the content. Cut inside a block it needs that block's
	// digest, so the block is among those of the edit.
	return s.Page != 0 || a.edit.Size > a.base.Size
}

// covered is the slot for [start, end) if the change alone makes it and has its digests.
func (a *applying) covered(c Extent, start, end int64) (Slot, bool) {
	if c.Source.Kind == Hole {
		return Slot{}, true
	}
	source := c.Source.advance(start - c.Off)
	if source.Off%blockhash.BlockBytes != 0 || a.hasBlocks(start, end) {
		return Slot{}, false
	}
	return Slot{Source: source}, true
}

// leaf makes the page of one block.
func (a *applying) leaf(old oldSlot, start, end int64, changes []Extent) (Slot, error) {
	var extents []Extent
	var oldRefs []Ref
	owned := false
	if old.Page != 0 {
		page, isOwned, err := a.refs.visit(old)
		if err != nil {
			return Slot{}, err
		}
		extents, oldRefs, owned = page.Extents, page.Refs(), isOwned
	} else if old.Source.Kind != Hole {
		extents = []Extent{{Len: blockhash.BlockBytes, Source: old.Source}}
	}
	page := &Page{Extents: overlay(extents, min(a.base.Size, a.edit.Size)-start, changes, start)}
	if len(page.Extents) == 0 {
		return Slot{}, a.refs.settle(owned, oldRefs, nil)
	}
	digest, ok := a.digest(start / blockhash.BlockBytes)
	if !ok {
		return Slot{}, &objstore.Error{Op: "edit content", Kind: objstore.ErrInvalid,
			Detail: "a changed block has no digest"}
	}
	s := a.refs.add(page)
	s.Digest = digest
	return s, a.refs.settle(owned, oldRefs, page.Refs())
}

// overlay puts changes, of a content, over extents of the block at start, which count up to keep.
func overlay(extents []Extent, keep int64, changes []Extent, start int64) []Extent {
	var out []Extent
	add := func(e Extent) {
		if e.Len <= 0 || e.Source.Kind == Hole {
			return
		}
		if n := len(out); n > 0 && out[n-1].continues(e) {
			out[n-1].Len += e.Len
			return
		}
		out = append(out, e)
	}
	// addBase adds what extents have in [from, to).
	addBase := func(from, to int64) {
		to = min(to, keep)
		i := sort.Search(len(extents), func(i int) bool { return extents[i].End() > from })
		for ; i < len(extents) && extents[i].Off < to; i++ {
			add(extents[i].clip(from, to))
		}
	}
	pos := int64(0)
	for _, c := range changes {
		c = c.clip(start, start+blockhash.BlockBytes)
		c.Off -= start
		addBase(pos, c.Off)
		add(c)
		pos = c.End()
	}
	addBase(pos, blockhash.BlockBytes)
	return out
}

// inner makes a page of slots, or the one run or hole they amount to.
func (a *applying) inner(old oldSlot, level int, start int64) (Slot, error) {
	children, oldRefs, owned, err := a.children(old, level, start)
	if err != nil {
		return Slot{}, err
	}
	page := &Page{Level: level, Slots: make([]Slot, fanout)}
	for i, child := range children {
		page.Slots[i], err = a.slot(child, level-1, start+int64(i)*spanBytes(level-1))
		if err != nil {
			return Slot{}, err
		}
	}
	if s, ok := a.joined(page.Slots, level-1, start); ok {
		return s, a.refs.settle(owned, oldRefs, nil)
	}
	return a.refs.add(page), a.refs.settle(owned, oldRefs, page.Refs())
}

// children is what the base has below a place; owned says whether the
// references of the page there, oldRefs, move or end.
func (a *applying) children(old oldSlot, level int, start int64) (children [fanout]oldSlot, oldRefs []Ref, owned bool, err error) {
	switch {
	case old.Page != 0 && old.level < level: // the tree grows above its old root
		children[0] = old
	case old.Page != 0:
		var page *Page
		if page, owned, err = a.refs.visit(old); err != nil {
			return children, nil, false, err
		}
		oldRefs = page.Refs()
		for i, s := range page.Slots {
			children[i] = oldSlot{Slot: s, level: level - 1, owned: owned}
		}
	case old.Source.Kind != Hole:
		for i := range children {
			at := int64(i) * spanBytes(level-1)
			if start+at < min(a.base.Size, a.edit.Size) {
				children[i].Source = old.Source.advance(at)
			}
		}
	}
	return children, oldRefs, owned, nil
}

// joined is the run or hole that the slots amount to, if they do.
func (a *applying) joined(slots []Slot, level int, start int64) (Slot, bool) {
	for i, s := range slots {
		beyond := start+int64(i)*spanBytes(level) >= a.edit.Size
		if !beyond && (s.Page != 0 || !s.follows(slots[0], i, level)) {
			return Slot{}, false
		}
	}
	return slots[0], true
}

// changesIn are the changes that touch [start, end).
func (a *applying) changesIn(start, end int64) []Extent {
	all := a.edit.Changes
	from := sort.Search(len(all), func(i int) bool { return all[i].End() > start })
	to := from + sort.Search(len(all)-from, func(i int) bool { return all[from+i].Off >= end })
	return all[from:to]
}

// hasBlocks reports whether there are digests of blocks in [start, end).
func (a *applying) hasBlocks(start, end int64) bool {
	i := a.blockIndex(start / blockhash.BlockBytes)
	return i < len(a.edit.Blocks) && a.edit.Blocks[i].Block*blockhash.BlockBytes < end
}

func (a *applying) digest(block int64) (blockhash.Digest, bool) {
	i := a.blockIndex(block)
	if i == len(a.edit.Blocks) || a.edit.Blocks[i].Block != block {
		return blockhash.Digest{}, false
	}
	return a.edit.Blocks[i].Digest, true
}

func (a *applying) blockIndex(block int64) int {
	return sort.Search(len(a.edit.Blocks), func(i int) bool { return a.edit.Blocks[i].Block >= block })
}
