package extent

import (
	"fmt"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/blockhash"
)

const (
	fanout     = 64 // slots of a page
	fanoutBits = 6
	levelMax   = 4 // covers 64 TiB
)

// Slot is what a page, or a record, has at one place of the tree.
type Slot struct {
	Source Source           // a hole, or one run of one payload; not if Page is set
	Page   PageID           // 0: none
	Digest blockhash.Digest // of the block, if Page is a leaf
}

func (s Slot) isHole() bool { return s == Slot{} }

// ref is what the slot refers to; ok is false for a hole.
func (s Slot) ref() (r Ref, ok bool) {
	if s.Page != 0 {
		return Ref{RefPage, uint64(s.Page)}, true
	}
	return Ref{RefKind(s.Source.Kind), s.Source.ID}, s.Source.Kind != Hole
}

// Page is a node of a tree.
//
// INVARIANT: a leaf has Extents, within one block, relative to its start,
// ordered, none a hole, none continuing another. INVARIANT: any other has
// exactly fanout Slots, not all holes; a run continues through its slot.
type Page struct {
	Level   int
	Extents []Extent
	Slots   []Slot
}

// Refs are the references of a page: one for each page or payload it names.
func (p *Page) Refs() []Ref {
	most := len(p.Extents) + len(p.Slots)
	refs := make([]Ref, 0, most)
	seen := make(map[Ref]bool, most)
	add := func(r Ref, ok bool) {
		if ok && !seen[r] {
			seen[r] = true
			refs = append(refs, r)
		}
	}
	for i := range p.Extents {
		add(Slot{Source: p.Extents[i].Source}.ref())
	}
	for i := range p.Slots {
		add(p.Slots[i].ref())
	}
	return refs
}

// check returns ErrCorrupt if an invariant of the page does not hold.
func (p *Page) check() error {
	if p.Level < 0 || p.Level > levelMax {
		return corrupt("page of level %d", p.Level)
	}
	if p.Level > 0 {
		return p.checkSlots()
	}
	if len(p.Slots) != 0 || len(p.Extents) == 0 {
		return corrupt("leaf page with %d slots, %d extents", len(p.Slots), len(p.Extents))
	}
	end := int64(0)
	for i, e := range p.Extents {
		if e.Off < end || e.Len <= 0 || e.Len > blockhash.BlockBytes-e.Off || !e.Source.valid() || e.Source.Kind == Hole {
			return corrupt("extent %d of a page: %+v", i, e)
		}
		if i > 0 && p.Extents[i-1].continues(e) {
			return corrupt("extent %d of a page continues the one before", i)
		}
		end = e.End()
	}
	return nil
}

func (p *Page) checkSlots() error {
	if len(p.Slots) != fanout || len(p.Extents) != 0 {
		return corrupt("page with %d slots, %d extents", len(p.Slots), len(p.Extents))
	}
	holes := 0
	for i, s := range p.Slots {
		if s.isHole() {
			holes++
		}
		if err := s.check(p.Level - 1); err != nil {
			return fmt.Errorf("slot %d: %w", i, err)
		}
	}
	if holes == fanout {
		return corrupt("page of holes")
	}
	return nil
}

// check validates a slot whose page, if any, is of the given level.
func (s Slot) check(level int) error {
	switch {
	case s.Page != 0 && s.Source != Source{}:
		return corrupt("slot with page and source")
	case s.Digest != blockhash.Digest{} && (s.Page == 0 || level != 0):
		return corrupt("slot with a digest that is no block's")
	case !s.Source.valid():
		return corrupt("source %+v", s.Source)
	case s.Source.Off%blockhash.BlockBytes != 0:
		return corrupt("run from %d, which is no block's start", s.Source.Off)
	}
	return nil
}

// sourceOffMax keeps sums of offsets and lengths far from overflow.
const sourceOffMax = int64(1) << 60

func (s Source) valid() bool {
	if s.Kind == Hole {
		return s == Source{}
	}
	return s.Kind < kindEnd && s.ID != 0 && s.Off >= 0 && s.Off < sourceOffMax
}

// spanBytes is what a slot for a page of the given level covers.
func spanBytes(level int) int64 { return blockhash.BlockBytes << (fanoutBits * level) }

// levelOf is the level of the root of a content.
func levelOf(size int64) int {
	level := 0
	for spanBytes(level) < size {
		level++
	}
	return level
}

func corrupt(format string, args ...any) error {
	return &objstore.Error{Op: "read extents", Kind: objstore.ErrCorrupt, Detail: fmt.Sprintf(format, args...)}
}
