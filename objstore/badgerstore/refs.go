package badgerstore

import (
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/extent"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/record"
)

// References to blobs are always counted, so that a sweep can tell an orphan
// by looking under one key. Those to pages and inline payloads are counted only if
// there are more than one, or if the page was freed.

// refs is the count of references to r.
func (t tree) refs(r extent.Ref) (record.Refs, error) {
	value, err := t.src.get(record.RefsKey(uint8(r.Kind), r.ID))
	if err != nil {
		return record.Refs{}, err
	}
	if refs, ok := value.(record.Refs); ok {
		return refs, nil
	}
	if isBlob(r.Kind) {
		return record.Refs{}, nil
	}
	return record.Refs{Count: 1}, nil
}

func isBlob(kind extent.RefKind) bool { return kind == extent.RefBlob || kind == extent.RefBare }

func (t *tx) setRefs(r extent.Ref, refs record.Refs) {
	key := record.RefsKey(uint8(r.Kind), r.ID)
	if refs == (record.Refs{}) || !isBlob(r.Kind) && refs == (record.Refs{Count: 1}) {
		t.set(key, nil)
		return
	}
	t.set(key, refs)
}

// gain adds n references to r, which exists.
func (t *tx) gain(r extent.Ref, n uint64) error {
	refs, err := t.refs(r)
	if err != nil {
		return err
	}
	if refs.Garbage != 0 {
		return damaged("page %d was freed and is referred to again", r.ID)
	}
	refs.Count += n
	t.setRefs(r, refs)
	return nil
}

// apply does what package extent planned. Payloads in fresh come with it. What the base
// leaves is garbage of lineage, last used by version died.
func (t *tx) apply(plan *extent.Plan, fresh map[extent.Ref]bool, lineage, died uint64) error {
	for _, p := range plan.Pages {
		t.set(record.PageKey(uint64(p.ID)), p.Page)
	}
	for _, id := range plan.Revived {
		if err := t.revive(id); err != nil {
			return err
		}
	}
	gained := make(map[extent.Ref]uint64, len(plan.Gained))
	for _, r := range plan.Gained {
		gained[r]++
	}
	for r, n := range gained {
		if fresh[r] {
			n-- // a fresh payload counts as referred to once
		}
		if n == 0 {
			continue
		}
		if err := t.gain(r, n); err != nil {
			return err
		}
	}
	return t.leave(plan, fresh, lineage, died)
}

// leave notes what the base of a plan leaves behind.
func (t *tx) leave(plan *extent.Plan, fresh map[extent.Ref]bool, lineage, died uint64) error {
	g := &record.Garbage{Lineage: lineage, Version: died}
	for _, r := range plan.Dropped {
		if fresh[r] {
			t.set(record.PayloadKey(r.ID), nil) // brought along and not needed
			continue
		}
		g.Dropped = append(g.Dropped, record.PayloadRef{Kind: uint8(r.Kind), ID: r.ID})
	}
	for _, id := range plan.Freed {
		g.Freed = append(g.Freed, uint64(id))
	}
	number, err := t.addGarbage(g)
	if err != nil {
		return err
	}
	for _, id := range plan.Freed {
		t.setRefs(extent.Ref{Kind: extent.RefPage, ID: uint64(id)}, record.Refs{Garbage: number})
	}
	return nil
}

// addGarbage enters g, unless it is empty, and returns its number.
func (t *tx) addGarbage(g *record.Garbage) (uint64, error) {
	if len(g.Dropped) == 0 && len(g.Freed) == 0 {
		return 0, nil
	}
	number, err := t.e.numbers.next()
	if err != nil {
		return 0, err
	}
	t.set(record.GarbageKey(number), g)
	t.garbage = append(t.garbage, pending{number: number, lineage: g.Lineage, died: g.Version})
	return number, nil
}

// revive turns the pending removal of a freed page into the drop of one reference.
func (t *tx) revive(id extent.PageID) error {
	r := extent.Ref{Kind: extent.RefPage, ID: uint64(id)}
	refs, err := t.refs(r)
	if err != nil {
		return err
	}
	key := record.GarbageKey(refs.Garbage)
	value, err := t.get(key)
	if err != nil {
		return err
	}
	old, ok := value.(*record.Garbage)
	if !ok || refs.Garbage == 0 {
		return damaged("page %d was freed by nobody", id)
	}
	g := *old
	g.Freed = nil
	for _, freed := range old.Freed {
		if freed != r.ID {
			g.Freed = append(g.Freed, freed)
		}
	}
	g.Dropped = append(append([]record.PayloadRef(nil), old.Dropped...), record.PayloadRef{Kind: uint8(r.Kind), ID: r.ID})
	t.set(key, &g)
	t.setRefs(r, record.Refs{Count: 1})
	return nil
}

// discard gives up a content of lineage that version died was the last to
// have. A payload nobody else can reach goes at once: readers of small contents have a copy.
func (t *tx) discard(lineage, died uint64, c record.Content) error {
	x, err := extentsOf(c)
	if err != nil || len(x.Refs()) == 0 {
		return err
	}
	r := x.Refs()[0]
	if r.Kind == extent.RefInline {
		refs, err := t.refs(r)
		if err != nil {
			return err
		}
		if refs.Count == 1 {
			t.set(record.PayloadKey(r.ID), nil)
			return nil
		}
	}
	_, err = t.addGarbage(&record.Garbage{
		Lineage: lineage, Version: died,
		Dropped: []record.PayloadRef{{Kind: uint8(r.Kind), ID: r.ID}},
	})
	return err
}
