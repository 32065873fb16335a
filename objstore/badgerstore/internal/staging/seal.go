package staging

import (
	"context"
	"math"
	"slices"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/blob"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/extent"
	"github.com/etagfs/etagfs/objstore/blockhash"
)

// Sealed is a frozen content, ready to be committed. Exactly one of Committed and Failed must be
// called; the stage's next Seal and its Close wait for that.
type Sealed struct {
	Size     int64
	Hash     blockhash.Digest
	Appended bool // the base's bytes followed by more, at least one

	// Whole says that Inline is the whole content: store it as one inline payload.
	Whole  bool
	Inline []byte // the bytes that belong into an inline payload; nil: none. Not to be changed

	// Blobs are the files the content uses, to be adopted. They may have been
	// adopted already for an earlier attempt of this stage.
	Blobs []blob.Sealed
	// Edit is how the content differs from the stage's base. Sources of kind Inline
	// have ID InlineID, which stands for the payload made of Inline.
	Edit extent.Edit
	// FromBase says whether bytes of the base are used. If not, Edit is to be applied to the
	// empty content, whatever became of the base.
	FromBase bool

	stage   *Stage
	epoch   uint32 // the last one that is in this content
	changes uint64
	// What was written together for this content only: in memory, in files; nil: nothing.
	own, ownFile, gathered *layer
}

// InlineID stands for the id of the payload made of Sealed.Inline.
const InlineID = ^uint64(0)

// Seal freezes the content as it is now, after the writes in flight, and finishes its hash. object and version
// are what it is to be committed as; they are noted with the bytes.
func (st *Stage) Seal(ctx context.Context, object objstore.ID, version uint64) (*Sealed, error) {
	select {
	case st.token <- struct{}{}:
	case <-ctx.Done():
		return nil, disk.Cancelled(ctx, "seal stage")
	}
	s := st.newSealing(blob.Meta{Object: object, Version: version})
	err := st.freeze(s)
	if err == nil {
		err = s.finish(ctx)
	}
	if err != nil {
		s.Failed()
		return nil, err
	}
	return s.Sealed, nil
}

func (st *Stage) newSealing(meta blob.Meta) *sealing {
	return &sealing{
		Sealed: &Sealed{stage: st}, session: st.session, meta: meta,
		explicit: make(map[int64]blockhash.Digest), plain: make(map[*layer]map[int64]blockhash.Digest),
	}
}

// sealing is a Seal under way. The view is a snapshot of the stage's.
type sealing struct {
	*Sealed
	session *Session
	meta    blob.Meta
	view    view
	tail    stream // a copy of the stage's

	inline   bool // the changed bytes go into an inline payload
	explicit map[int64]blockhash.Digest
	plain    map[*layer]map[int64]blockhash.Digest // of blocks of the layer's file
}

// freeze takes the snapshot. Writes from now on are of the next epoch, and go
// to a new layer if this one is a file.
func (st *Stage) freeze(s *sealing) error {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.closed {
		return errClosed("seal stage")
	}
	limit := int64(st.session.opt.InlineBytes)
	s.Whole = st.view.size <= limit && !st.view.untouched()
	s.inline = !s.Whole && st.view.changedBytes(limit) <= limit
	if !s.Whole && !s.inline {
		if err := st.memoryToFile(); err != nil {
			return err
		}
	}
	if err := st.logSeal(s.meta); err != nil {
		return err
	}
	st.freezeFiles()
	s.view, s.tail = st.view.snapshot(), st.stream.clone()
	s.epoch, s.changes = st.epoch, st.changes
	st.epoch++
	st.lowest = math.MaxInt64
	return nil
}

// logSeal notes what the content so far is to be committed as. What a whole layer has from now on is logged.
func (st *Stage) logSeal(meta blob.Meta) error {
	if st.log.used == 0 {
		return nil
	}
	r := logRecord{kind: recordSeal, a: uint64(meta.Object), b: meta.Version}
	i := slices.IndexFunc(st.layers, func(l *layer) bool { return l.whole })
	if i >= 0 {
		r.d = uint64(st.layers[i].end)
	}
	if err := st.append(r); err != nil {
		return err
	}
	if i >= 0 {
		st.layers[i].whole = false
	}
	return nil
}

// memoryToFile has all changed bytes in files, of which blobs can be made.
func (st *Stage) memoryToFile() error {
	for _, l := range st.layers {
		if l.file == nil {
			if err := st.admit(int64(len(l.memory))); err != nil {
				return err
			}
			return st.outgrow()
		}
	}
	return nil
}

// freezeFiles has further writes go to others: in a file they change bytes where they are, which the seal has yet to read.
func (st *Stage) freezeFiles() {
	for _, l := range st.layers {
		l.frozen = l.file != nil
	}
	if st.current != nil && st.current.frozen {
		st.current = nil
	}
}

// untouched reports whether the view is its base.
func (v *view) untouched() bool {
	return v.base != nil && len(v.blocks) == 0 && v.size == v.base.Size() && v.limit == v.size
}

// changedBytes counts the bytes in layers, up to a little more than enough.
func (v *view) changedBytes(enough int64) int64 {
	var n int64
	for _, b := range v.blocks {
		for _, s := range b.segments {
			if s.layer != nil {
				n += s.n
			}
		}
		if n > enough {
			break
		}
	}
	return n
}

// finish makes what is in a Sealed.
func (s *sealing) finish(ctx context.Context) error {
	s.Size = s.view.size
	s.Appended = s.view.appended()
	if s.Whole {
		return s.finishWhole(ctx)
	}
	s.FromBase = s.view.usesBase()
	if err := s.consolidate(ctx); err != nil {
		return err
	}
	if err := s.gather(ctx); err != nil {
		return err
	}
	if err := s.hashBlocks(ctx); err != nil {
		return err
	}
	if err := s.hashContent(); err != nil {
		return err
	}
	s.sortDigests()
	if err := s.sealLayers(); err != nil {
		return err
	}
	return s.makeEdit(ctx)
}

// finishWhole reads a small content into one payload.
func (s *sealing) finishWhole(ctx context.Context) error {
	s.Inline = make([]byte, s.Size)
	if n, err := s.view.readAt(ctx, s.Inline, 0); int64(n) < s.Size && err != nil {
		return err
	}
	s.Hash = blockhash.Of(s.Inline)
	s.Edit.Size = s.Size
	if s.Size > 0 {
		s.Edit.Changes = []extent.Extent{{Len: s.Size, Source: extent.Source{Kind: extent.Inline, ID: InlineID}}}
	}
	return nil
}

// appended reports whether the view is its base followed by more.
func (v *view) appended() bool {
	size := v.baseSize()
	if v.base == nil || v.limit < size || v.size <= size {
		return false
	}
	untouched := true
	v.segments(0, size, func(segment) bool {
		untouched = false
		return false
	})
	return untouched
}

// usesBase reports whether a byte of the base is seen.
func (v *view) usesBase() bool {
	var hidden int64
	v.segments(0, v.limit, func(s segment) bool {
		hidden += s.n
		return true
	})
	return hidden < v.limit
}

// sortDigests moves the digests of blocks that one layer has whole from explicit
// to plain: they go into the blob. A layer that is sealed already may have them.
func (s *sealing) sortDigests() {
	for k, d := range s.explicit {
		b := s.view.blocks[k]
		if b == nil || len(b.segments) != 1 {
			continue
		}
		seg := b.segments[0]
		if !s.inBlob(seg.layer) || seg.off != k*blockBytes || seg.n != s.view.blockSize(k) || seg.src%blockBytes != 0 {
			continue
		}
		switch l := seg.layer; {
		case l.lender != nil:
			if !l.hasDigest(seg.src, d) {
				continue
			}
		case l.sealed == nil:
			if s.plain[l] == nil {
				s.plain[l] = make(map[int64]blockhash.Digest)
			}
			s.plain[l][seg.src/blockBytes] = d
		case l.digests[seg.src/blockBytes] != d:
			continue
		}
		delete(s.explicit, k)
	}
}

// inBlob reports whether the bytes of a layer go into a blob. Others go into the inline payload.
func (s *sealing) inBlob(l *layer) bool {
	return l != nil && l.file != nil && (!s.inline || l == s.ownFile)
}

// sealLayers makes blobs of the layers in use.
func (s *sealing) sealLayers() error {
	seen := make(map[*layer]bool)
	for _, k := range s.view.numbers(0, max(s.Size, 1)) {
		for _, seg := range s.view.blocks[k].segments {
			l := seg.layer
			if !s.inBlob(l) || l.lender != nil || seen[l] {
				continue
			}
			seen[l] = true
			if err := s.sealLayer(l); err != nil {
				return err
			}
			s.Blobs = append(s.Blobs, *l.sealed)
		}
	}
	return nil
}

func (s *sealing) sealLayer(l *layer) error {
	if l.sealed != nil {
		return nil
	}
	sealed, err := blob.Seal(s.session.fs, l.file, s.session.opt.NewID(), s.meta, l.end, l.summer, s.plain[l])
	if err != nil {
		return err
	}
	l.sealed, l.digests = &sealed, s.plain[l]
	l.startWriteback(0, 0)
	return nil
}

// makeEdit lists the changes, and gathers their bytes if they go inline.
func (s *sealing) makeEdit(ctx context.Context) error {
	s.Edit.Size = s.Size
	for k, d := range s.explicit {
		s.Edit.Blocks = append(s.Edit.Blocks, extent.BlockDigest{Block: k, Digest: d})
	}
	slices.SortFunc(s.Edit.Blocks, func(a, b extent.BlockDigest) int { return int(a.Block - b.Block) })
	var err error
	pos := int64(0)
	s.view.segments(0, s.Size, func(seg segment) bool {
		s.cutBase(pos, seg.off)
		pos = seg.end()
		var source extent.Source
		if source, err = s.source(ctx, seg); err == nil {
			s.add(extent.Extent{Off: seg.off, Len: seg.n, Source: source})
		}
		return err == nil
	})
	s.cutBase(pos, s.Size)
	return err
}

// cutBase adds the hole, in [from, to), where the base has bytes that are no longer seen.
func (s *sealing) cutBase(from, to int64) {
	from, to = max(from, s.view.limit), min(to, s.view.baseSize())
	if s.FromBase && from < to {
		s.add(extent.Extent{Off: from, Len: to - from})
	}
}

func (s *sealing) source(ctx context.Context, seg segment) (extent.Source, error) {
	switch {
	case seg.layer == nil:
		return extent.Source{}, nil
	case !s.inBlob(seg.layer):
		off := int64(len(s.Inline))
		s.Inline = append(s.Inline, make([]byte, seg.n)...)
		return extent.Source{Kind: extent.Inline, ID: InlineID, Off: off}, seg.read(ctx, s.Inline[off:])
	case seg.layer.lender != nil:
		return extent.Source{Kind: seg.layer.blob.Kind, ID: seg.layer.blob.ID, Off: seg.src}, nil
	}
	kind := extent.Blob
	if seg.layer.sealed.Ref.Bare {
		kind = extent.Bare
	}
	return extent.Source{Kind: kind, ID: seg.layer.sealed.Ref.ID, Off: seg.src}, nil
}

// add adds a change, joined with the last if it continues it.
func (s *sealing) add(x extent.Extent) {
	if n := len(s.Edit.Changes); n > 0 {
		last := &s.Edit.Changes[n-1]
		next := last.Source
		if next.Kind != extent.Hole {
			next.Off += last.Len
		}
		if last.Off+last.Len == x.Off && next == x.Source {
			last.Len += x.Len
			return
		}
	}
	s.Edit.Changes = append(s.Edit.Changes, x)
}
