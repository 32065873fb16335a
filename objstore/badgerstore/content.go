package badgerstore

import (
	"bytes"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/blob"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/extent"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/record"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/staging"
	"github.com/etagfs/etagfs/objstore/blockhash"
)

// emptyContent is the content of nothing.
func emptyContent() record.Content { return record.Content{Hash: blockhash.Of(nil)} }

// extentsOf is where the bytes of c are.
func extentsOf(c record.Content) (extent.Content, error) {
	if len(c.Root) == 0 {
		return extent.Content{Size: c.Size}, nil
	}
	x, rest, err := extent.Decode(c.Root)
	if err == nil && (len(rest) != 0 || x.Size != c.Size) {
		err = damaged("the extents of a content do not fit its size")
	}
	return x, err
}

// incoming is a content on its way into a record. It was made outside of the
// committer, as far as that is possible.
type incoming struct {
	version uint64 // already given out for it
	size    int64
	hash    blockhash.Digest
	// hashKind is that of hash; digests and parts are what S3 is to be told of the content.
	hashKind record.HashKind
	digests  objstore.Digests
	parts    []objstore.Part
	// payload is the encoded inline payload, if there is one, and inlineID its number.
	payload  raw
	inlineID uint64
	blobs    []blob.Sealed // adopted
	edit     extent.Edit
	base     *pinned         // what edit refers to; nil: nothing
	appended bool            // the base's bytes followed by more
	cloned   *record.Content // if set, the content is this one, which has references of its own
	holder   uint64          // if set, the garbage record that has them
}

// whole is an incoming content of the first n bytes of an unfinished payload.
func (e *Engine) whole(version uint64, payload []byte, n int) (*incoming, error) {
	in := &incoming{version: version, size: int64(n), hash: blockhash.Of(record.PayloadBytes(payload)[:n])}
	in.edit.Size = in.size
	if n == 0 {
		return in, nil
	}
	var err error
	if in.inlineID, err = e.numbers.next(); err != nil {
		return nil, err
	}
	in.payload = record.FinishPayload(record.PayloadKey(in.inlineID), payload, n)
	in.edit.Changes = []extent.Extent{{Len: in.size, Source: extent.Source{Kind: extent.Inline, ID: in.inlineID}}}
	return in, nil
}

func (in *incoming) inline(e *Engine, p []byte) (err error) {
	in.inlineID, err = e.numbers.next()
	in.payload = record.EncodePayload(record.PayloadKey(in.inlineID), p)
	return err
}

// incoming is what a stage sealed; base is the stage's.
func (e *Engine) incoming(version uint64, se *staging.Sealed, base *pinned) (*incoming, error) {
	in := &incoming{
		version: version, size: se.Size, hash: se.Hash, blobs: se.Blobs, edit: se.Edit, appended: se.Appended,
	}
	if se.FromBase {
		in.base = base
		in.edit.Blocks = base.withFilled(in.edit)
	}
	if len(se.Inline) == 0 {
		return in, nil
	}
	if err := in.inline(e, se.Inline); err != nil {
		return nil, err
	}
	in.edit.Changes = append([]extent.Extent(nil), se.Edit.Changes...)
	for i := range in.edit.Changes {
		if s := &in.edit.Changes[i].Source; s.Kind == extent.Inline && s.ID == staging.InlineID {
			s.ID = in.inlineID
		}
	}
	return in, nil
}

// fresh are the references whose payloads come with in.
func (in *incoming) fresh() map[extent.Ref]bool {
	fresh := make(map[extent.Ref]bool, len(in.blobs)+1)
	if in.payload != nil {
		fresh[extent.Ref{Kind: extent.RefInline, ID: in.inlineID}] = true
	}
	return fresh
}

// setContent makes in the content of o, a touched object, and gives up the one it had.
func (t *tx) setContent(o *record.Object, in *incoming) error {
	base, baseIsCurrent := in.baseFor(o)
	content, err := t.make(in, base, baseIsCurrent, contentOf(o))
	if err != nil {
		return err
	}
	if !baseIsCurrent {
		if err := t.discard(contentOf(o)); err != nil {
			return err
		}
	}
	o.Content, o.Version = content, in.version
	o.Attr.Mtime = t.now
	if o.Modified.Before(t.now) {
		o.Modified = t.now
	}
	return t.tellOf(o, in)
}

// baseFor is the content in's edit refers to, and whether that is what o has
// now, so that references can move from it.
func (in *incoming) baseFor(o *record.Object) (base extent.Content, current bool) {
	if in.base == nil || in.cloned != nil {
		return extent.Content{}, false
	}
	same := in.base.lineage == o.ID && in.base.version == o.Version && bytes.Equal(in.base.rec.Root, o.Content.Root)
	return in.base.content, same && !in.base.isInline()
}

// make is build, unless in is a content already.
func (t *tx) make(in *incoming, base extent.Content, consume bool, old leaving) (record.Content, error) {
	switch {
	case in.cloned == nil:
		return t.build(in, base, consume, old)
	case in.holder != 0:
		return *in.cloned, t.takeOver(in.holder, *in.cloned)
	}
	return *in.cloned, nil
}

// build writes what in needs and returns its record. With consume set the
// references of base, which is old's, move.
func (t *tx) build(in *incoming, base extent.Content, consume bool, old leaving) (record.Content, error) {
	none := record.Content{}
	fresh := in.fresh()
	if in.base != nil && in.base.isInline() {
		// The base's payload may be gone by now: its bytes come along as a new one.
		inline, err := in.base.inline()
		if err != nil {
			return none, err
		}
		id, err := t.e.numbers.next()
		if err != nil {
			return none, err
		}
		t.set(record.PayloadKey(id), raw(record.EncodePayload(record.PayloadKey(id), inline)))
		base = extent.FromRun(base.Size, extent.Source{Kind: extent.Inline, ID: id})
		fresh[extent.Ref{Kind: extent.RefInline, ID: id}] = true
	}
	plan, err := t.plan(in, base, consume)
	if err != nil {
		return none, err
	}
	if in.payload != nil {
		t.set(record.PayloadKey(in.inlineID), in.payload)
	}
	allocated, err := t.allocated(in, base)
	if err != nil {
		return none, err
	}
	for _, b := range in.blobs {
		t.blobs = append(t.blobs, record.Blob{Kind: uint8(kindOf(b.Ref)), ID: b.Ref.ID, Check: b.Check})
	}
	if err := t.apply(plan, fresh, old); err != nil {
		return none, err
	}
	t.noteScattered(old.lineage, plan)
	content := record.Content{Size: in.size, Allocated: allocated, Hash: in.hash, HashKind: in.hashKind}
	if in.size > 0 {
		content.Root = plan.Content.Append(nil)
	}
	return content, nil
}

// plan is what the edit needs done.
func (t *tx) plan(in *incoming, base extent.Content, consume bool) (*extent.Plan, error) {
	if run, ok := in.oneRun(); ok {
		content := extent.FromRun(in.size, run)
		return &extent.Plan{Content: content, Gained: content.Refs()}, nil
	}
	env := &editing{pages: pages{t.tree}, numbers: t.e.numbers}
	plan, err := extent.Apply(base, in.edit, env, consume)
	if env.failed != nil {
		err = env.failed
	}
	return plan, err
}

// oneRun is the source of a content that is one new payload, the common case. A payload
// that has not got the digests of all blocks, cut after a failed commit, makes none.
func (in *incoming) oneRun() (extent.Source, bool) {
	changes := in.edit.Changes
	if in.base != nil || len(in.edit.Blocks) > 0 || len(changes) != 1 || changes[0].Off != 0 || changes[0].Len != in.size {
		return extent.Source{}, false
	}
	s := changes[0].Source
	return s, s.Kind != extent.Hole && s.Off == 0
}

// allocated is the storage the new content takes: that of base, corrected where in differs.
func (t tree) allocated(in *incoming, base extent.Content) (int64, error) {
	var total int64
	add := func(sign int64) func(extent.Extent) error {
		return func(x extent.Extent) error {
			if x.Source.Kind != extent.Hole {
				total += sign * x.Len
			}
			return nil
		}
	}
	if in.base != nil {
		total = in.base.rec.Allocated
		if err := base.Extents(pages{t}, in.size, base.Size, add(-1)); err != nil {
			return 0, err
		}
	}
	for _, c := range in.edit.Changes {
		if err := base.Extents(pages{t}, c.Off, c.Len, add(-1)); err != nil {
			return 0, err
		}
		_ = add(1)(c)
	}
	return total, nil
}

// readPayload is the bytes of an inline payload.
func (t tree) readPayload(id uint64) ([]byte, error) {
	key := record.PayloadKey(id)
	value, err := t.src.get(key)
	if err != nil {
		return nil, err
	}
	encoded, ok := value.(raw)
	if !ok {
		return nil, damaged("inline payload %d is lost", id)
	}
	return record.DecodePayload(key, encoded)
}

// clone is a content with the bytes of c, for a record of its own. inline are
// the bytes of a content that is one inline payload, if they are at hand.
func (t *tx) clone(c record.Content, inline []byte) (record.Content, error) {
	x, err := extentsOf(c)
	if err != nil || len(x.Refs()) == 0 {
		return c, err
	}
	run, isRun := x.Run()
	if isRun && run.Kind == extent.Inline {
		return t.cloneInline(c, run, inline)
	}
	env := &editing{pages: pages{t.tree}, numbers: t.e.numbers}
	plan, err := extent.Apply(x, extent.Edit{Size: x.Size}, env, false)
	if err == nil {
		err = env.failed
	}
	if err == nil {
		err = t.apply(plan, nil, leaving{})
	}
	if err != nil {
		return c, err
	}
	c.Root = plan.Content.Append(nil)
	return c, nil
}

func (t *tx) cloneInline(c record.Content, run extent.Source, inline []byte) (record.Content, error) {
	if inline == nil {
		payload, err := t.readPayload(run.ID)
		if err != nil {
			return c, err
		}
		if int64(len(payload)) < run.Off+c.Size {
			return c, damaged("inline payload %d is too short", run.ID)
		}
		inline = payload[run.Off : run.Off+c.Size]
	}
	id, err := t.e.numbers.next()
	if err != nil {
		return c, err
	}
	key := record.PayloadKey(id)
	t.set(key, raw(record.EncodePayload(key, inline)))
	c.Root = extent.FromRun(c.Size, extent.Source{Kind: extent.Inline, ID: id}).Append(nil)
	return c, nil
}

// pages gives package extent access to stored pages.
type pages struct{ tree }

// Page implements extent.Pages.
func (p pages) Page(id extent.PageID) (*extent.Page, error) {
	value, err := p.src.get(record.PageKey(uint64(id)))
	if err != nil {
		return nil, err
	}
	page, ok := value.(*extent.Page)
	if !ok {
		return nil, damaged("page %d of extents is lost", id)
	}
	return page, nil
}

// editing is what package extent needs to make an edit.
type editing struct {
	pages
	numbers *numbers
	failed  error
}

// State implements extent.Env.
func (e *editing) State(id extent.PageID) (extent.PageState, error) {
	refs, err := e.refs(extent.Ref{Kind: extent.RefPage, ID: uint64(id)})
	switch {
	case err != nil:
		return 0, err
	case refs.Garbage != 0:
		return extent.Freed, nil
	case refs.Count > 1:
		return extent.Shared, nil
	}
	return extent.Owned, nil
}

// NewPageID implements extent.Env. Its failure is that of the whole edit.
func (e *editing) NewPageID() extent.PageID {
	id, err := e.numbers.next()
	if err != nil {
		e.failed = err
		id = 1
	}
	return extent.PageID(id)
}

// blobRef names a blob.
type blobRef = blob.Ref

func kindOf(ref blob.Ref) extent.Kind {
	if ref.Bare {
		return extent.Bare
	}
	return extent.Blob
}

func blobOf(kind extent.RefKind, id uint64) blob.Ref {
	return blob.Ref{ID: id, Bare: kind == extent.RefBare}
}
