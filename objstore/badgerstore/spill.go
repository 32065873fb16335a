package badgerstore

import (
	"context"
	"slices"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/extent"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/record"
)

// mutate runs f, a mutation with the sealed content. If that has too many pages for
// one, which takes writes all over a file of gigabytes, they are stored ahead, and f runs again.
func (s *stage) mutate(ctx context.Context, d objstore.Durability, f func(*tx) error) error {
	err := s.b.write(ctx, d, s.found, f)
	if err != errBatchTooLarge || s.in.cloned != nil {
		return err
	}
	in, err := s.b.spill(ctx, s.in, s.found)
	if in != nil {
		s.held = append(s.held, in.holder)
	}
	if err != nil {
		return err
	}
	s.handOver()
	s.in = in
	return s.b.write(ctx, d, s.found, f)
}

// spill stores the pages of a content in several mutations, and returns it made of what they
// are. Until a mutation takes it over, it belongs to a garbage record, the holder, which the caller
// keeps from being collected until it unpins it: if the mutation fails, or the process dies, it goes as any other
// does. What is returned with an error is to be unpinned as well.
func (b *Bucket) spill(ctx context.Context, in *incoming, essential bool) (*incoming, error) {
	holder, err := b.e.numbers.next()
	if err != nil {
		return nil, err
	}
	b.e.pins.add(holder, sideVersion)
	spilled := *in
	spilled.holder = holder
	sp := &spilling{b: b, e: b.e, in: in, essential: essential, holder: holder, pages: map[uint64]*extent.Page{}}
	content, err := sp.plan()
	if err == nil {
		err = sp.store(ctx)
	}
	if err != nil {
		return &spilled, err
	}
	b.e.log.Info("stored the pages of a content ahead of its commit", "bytes", in.size, "pages", len(sp.pages))
	spilled.cloned = &content
	return &spilled, nil
}

// spilling is a content on its way ahead of its commit.
type spilling struct {
	b         *Bucket
	e         *Engine
	in        *incoming
	essential bool
	holder    uint64
	payloads  map[uint64]raw          // that come along, by number
	pages     map[uint64]*extent.Page // new ones
	order     []uint64                // of pages: those below come first
}

// plan makes the content, with references of its own.
func (sp *spilling) plan() (record.Content, error) {
	in, none := sp.in, record.Content{}
	v := sp.e.view()
	defer v.close()
	base, err := sp.base()
	if err != nil {
		return none, err
	}
	env := &editing{pages: pages{v.tree}, numbers: sp.e.numbers}
	plan, err := extent.Apply(base, in.edit, env, false)
	if err == nil {
		err = env.failed
	}
	if err != nil {
		return none, err
	}
	for _, p := range plan.Pages {
		sp.pages[uint64(p.ID)] = p.Page
	}
	for _, r := range plan.Content.Refs() {
		sp.visit(r)
	}
	allocated, err := v.allocated(in, base)
	return record.Content{
		Size: in.size, Allocated: allocated, Hash: in.hash, HashKind: in.hashKind, Root: plan.Content.Append(nil),
	}, err
}

// base is what the edit refers to. Bytes that are inline come along.
func (sp *spilling) base() (extent.Content, error) {
	in := sp.in
	sp.payloads = map[uint64]raw{}
	if in.payload != nil {
		sp.payloads[in.inlineID] = in.payload
	}
	switch {
	case in.base == nil:
		return extent.Content{}, nil
	case !in.base.isInline():
		return in.base.content, nil
	}
	inline, err := in.base.inline()
	if err != nil {
		return extent.Content{}, err
	}
	id, err := sp.e.numbers.next()
	if err != nil {
		return extent.Content{}, err
	}
	sp.payloads[id] = record.EncodePayload(record.PayloadKey(id), inline)
	return extent.FromRun(in.base.Size(), extent.Source{Kind: extent.Inline, ID: id}), nil
}

// visit puts the new pages at and below r in order.
func (sp *spilling) visit(r extent.Ref) {
	page := sp.pages[r.ID]
	if r.Kind != extent.RefPage || page == nil {
		return
	}
	for _, child := range page.Refs() {
		sp.visit(child)
	}
	sp.order = append(sp.order, r.ID)
}

// store writes payloads and pages.
func (sp *spilling) store(ctx context.Context) error {
	err := sp.b.write(ctx, objstore.Visible, sp.essential, sp.begin)
	for err == nil && len(sp.order) > 0 {
		n := 0
		err = sp.b.write(ctx, objstore.Visible, sp.essential, func(t *tx) (err error) {
			n, err = sp.some(t)
			return err
		})
		sp.order = sp.order[n:]
	}
	return err
}

// begin enters the holder, with a reference to each payload.
func (sp *spilling) begin(t *tx) error {
	g := &record.Garbage{Lineage: sp.holder, Version: sideVersion}
	for id, payload := range sp.payloads {
		t.set(record.PayloadKey(id), payload)
		g.Dropped = append(g.Dropped, record.PayloadRef{Kind: uint8(extent.RefInline), ID: id})
	}
	for _, b := range sp.in.blobs {
		r := extent.Ref{Kind: extent.RefKind(kindOf(b.Ref)), ID: b.Ref.ID}
		t.blobs = append(t.blobs, record.Blob{Kind: uint8(r.Kind), ID: r.ID, Check: b.Check})
		if err := t.gain(r, 1); err != nil {
			return err
		}
		g.Dropped = append(g.Dropped, record.PayloadRef{Kind: uint8(r.Kind), ID: r.ID})
	}
	t.set(record.GarbageKey(sp.holder), g)
	t.garbage = append(t.garbage, pending{number: sp.holder, lineage: sp.holder, died: sideVersion})
	return nil
}

// some writes as many pages as are good for one mutation, and returns their number.
func (sp *spilling) some(t *tx) (n int, err error) {
	g, err := t.held(sp.holder)
	if err != nil {
		return 0, err
	}
	for n < len(sp.order) && (n == 0 || !t.isLarge()) {
		id := sp.order[n]
		t.set(record.PageKey(id), sp.pages[id])
		for _, r := range sp.pages[id].Refs() {
			if r.Kind == extent.RefPage && sp.pages[r.ID] != nil {
				g.Dropped = without(g.Dropped, r) // its reference moves to this page
			} else if err := t.gain(r, 1); err != nil {
				return 0, err
			}
		}
		g.Dropped = append(g.Dropped, record.PayloadRef{Kind: uint8(extent.RefPage), ID: id})
		n++
	}
	t.set(record.GarbageKey(sp.holder), g)
	return n, nil
}

// held is a copy of the garbage record that holds a spilled content.
func (t *tx) held(holder uint64) (*record.Garbage, error) {
	value, err := t.get(record.GarbageKey(holder))
	if err != nil {
		return nil, err
	}
	old, ok := value.(*record.Garbage)
	if !ok {
		return nil, damaged("garbage record %d is lost", holder)
	}
	g := *old
	g.Dropped = slices.Clone(old.Dropped)
	return &g, nil
}

// takeOver makes the caller's record, not the holder, refer to a spilled content.
func (t *tx) takeOver(holder uint64, c record.Content) error {
	x, err := extentsOf(c)
	if err != nil {
		return err
	}
	g, err := t.held(holder)
	if err != nil {
		return err
	}
	for _, r := range x.Refs() {
		g.Dropped = without(g.Dropped, r)
	}
	t.set(record.GarbageKey(holder), g)
	return nil
}

func without(refs []record.PayloadRef, r extent.Ref) []record.PayloadRef {
	return slices.DeleteFunc(refs, func(p record.PayloadRef) bool {
		return p == record.PayloadRef{Kind: uint8(r.Kind), ID: r.ID}
	})
}
