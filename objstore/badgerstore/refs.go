package badgerstore

import (
	"slices"

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

// gain adds n references to r, which exists. A page that was freed is revived: it has
// all its references anew.
func (t *tx) gain(r extent.Ref, n uint64) error {
	refs, err := t.refs(r)
	if err == nil && refs.Garbage != 0 {
		if err = t.revive(extent.PageID(r.ID)); err == nil {
			err = t.gainAll(r)
		}
		if err == nil {
			refs, err = t.refs(r)
			n-- // revive has counted the first
		}
	}
	if err != nil {
		return err
	}
	if refs.Count == 0 && isBlob(r.Kind) && !t.brings(r) {
		return damaged("the count of references to %v is lost", blobOf(r.Kind, r.ID))
	}
	refs.Count += n
	t.setRefs(r, refs)
	return nil
}

// brings reports whether blob r is new with this mutation. Any other is counted already.
func (t *tx) brings(r extent.Ref) bool {
	return slices.ContainsFunc(t.blobs, func(b record.Blob) bool { return b.ID == r.ID })
}

// leaving is a content that is being replaced: version was the last of its lineage to have it.
type leaving struct {
	lineage uint64
	version uint64
	content record.Content
}

// gainAll adds a reference to everything page r refers to.
func (t *tx) gainAll(r extent.Ref) error {
	page, err := pages{t.tree}.Page(extent.PageID(r.ID))
	if err != nil {
		return err
	}
	for _, child := range page.Refs() {
		if err := t.gain(child, 1); err != nil {
			return err
		}
	}
	return nil
}

// apply does what package extent planned. Payloads in fresh come with it. What the base
// leaves is garbage of old.
func (t *tx) apply(plan *extent.Plan, fresh map[extent.Ref]bool, old leaving) error {
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
	return t.leave(plan, fresh, old)
}

// leave notes what the base of a plan leaves behind.
func (t *tx) leave(plan *extent.Plan, fresh map[extent.Ref]bool, old leaving) error {
	g := old.garbage()
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

func (l leaving) garbage() *record.Garbage {
	return &record.Garbage{Lineage: l.lineage, Version: l.version, Content: l.content}
}

// addGarbage enters g, unless it is empty and of no use to a stage, and returns its number.
func (t *tx) addGarbage(g *record.Garbage) (uint64, error) {
	if len(g.Dropped) == 0 && len(g.Freed) == 0 && !t.e.pins.holds(g.Lineage, g.Version) {
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
	t.setRefs(r, record.Refs{Count: 2}) // the new content's and the garbage's
	return nil
}

// discard gives up a content that has no successor. A payload that nobody else
// refers to and nobody has pinned goes at once.
func (t *tx) discard(old leaving) error {
	x, err := extentsOf(old.content)
	if err != nil {
		// Nobody can read it, nor say what it refers to. That stays; it itself must be able to go.
		t.e.log.Error("a content is lost: what it referred to is not removed", "lineage", old.lineage, "error", err)
		return nil
	}
	if len(x.Refs()) == 0 {
		return nil
	}
	r := x.Refs()[0]
	if r.Kind == extent.RefInline && !t.e.pins.holds(old.lineage, old.version) {
		refs, err := t.refs(r)
		if err != nil {
			return err
		}
		if refs.Count == 1 && !t.e.pins.drop(old.lineage, old.version) {
			t.set(record.PayloadKey(r.ID), nil)
			return nil
		}
	}
	g := old.garbage()
	g.Dropped = []record.PayloadRef{{Kind: uint8(r.Kind), ID: r.ID}}
	_, err = t.addGarbage(g)
	return err
}

// contentOf is the content of o on its way out.
func contentOf(o *record.Object) leaving { return leaving{o.ID, o.Version, o.Content} }
