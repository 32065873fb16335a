package staging

import (
	"context"
	"errors"
	"io"
	"maps"
	"math"
	"slices"

	"github.com/zeebo/xxh3"

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
}

// InlineID stands for the id of the payload made of Sealed.Inline.
const InlineID = ^uint64(0)

// pieceBytes is how much is read at once to be hashed.
const pieceBytes = 256 << 10

// Seal freezes the content as it is now, after the writes in flight, and finishes its hash. object and version
// are what it is to be committed as; they are noted with the bytes.
func (st *Stage) Seal(ctx context.Context, object objstore.ID, version uint64) (*Sealed, error) {
	select {
	case st.token <- struct{}{}:
	case <-ctx.Done():
		return nil, disk.Cancelled(ctx, "seal stage")
	}
	s := &sealing{
		Sealed: &Sealed{stage: st}, session: st.session, meta: blob.Meta{Object: object, Version: version},
		explicit: make(map[int64]blockhash.Digest), plain: make(map[*layer]map[int64]blockhash.Digest),
	}
	err := st.freeze(s)
	if err == nil {
		err = s.finish(ctx)
	}
	if err != nil {
		<-st.token
		return nil, err
	}
	return s.Sealed, nil
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
// to a new layer if this one is to become a blob.
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
		if err := st.freezeLayers(); err != nil {
			return err
		}
	}
	if err := st.logSeal(s.meta); err != nil {
		return err
	}
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
	for _, l := range st.layers {
		if l.whole {
			l.whole = false
			r.d = uint64(l.end)
		}
	}
	return st.append(r)
}

// freezeLayers has all changed bytes in files, and further ones go to others.
func (st *Stage) freezeLayers() error {
	for _, l := range st.layers {
		if l.file == nil {
			if err := st.session.admit(int64(len(l.memory))); err != nil {
				return err
			}
			if err := st.outgrow(); err != nil {
				return err
			}
			break
		}
	}
	for _, l := range st.layers {
		l.frozen = true
	}
	st.current = nil
	return nil
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
	return s.makeEdit()
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

// blockSize is the length of block k of the view.
func (v *view) blockSize(k int64) int64 { return min(blockBytes, v.size-k*blockBytes) }

// dirty are the blocks that differ from the base in bytes or length, but for such as are all zeros.
func (v *view) dirty() []int64 {
	var ks []int64
	for k, b := range v.blocks {
		if len(b.segments) > 0 {
			ks = append(ks, k)
		}
	}
	// The block in which what is seen of the base ends.
	edge := v.limit / blockBytes
	differs := v.limit < v.baseSize() || v.size != v.baseSize()
	if b := v.blocks[edge]; v.limit%blockBytes != 0 && differs && (b == nil || len(b.segments) == 0) {
		ks = append(ks, edge)
	}
	slices.Sort(ks)
	return ks
}

// hashBlocks finds the digests of all dirty blocks, into explicit.
func (s *sealing) hashBlocks(ctx context.Context) error {
	for _, k := range s.view.dirty() {
		n := s.view.blockSize(k)
		if b := s.view.blocks[k]; b != nil && b.digestBytes == n {
			s.explicit[k] = b.digest
			continue
		}
		d, ok := s.tail.digest(k, n)
		switch {
		case ok:
		case s.view.blocks[k].zeros(k, n):
			d = blockhash.Zeros(n)
		default:
			var err error
			if d, err = s.hashBlock(ctx, k, n); err != nil {
				return err
			}
		}
		s.explicit[k] = d
		if b := s.view.blocks[k]; b != nil { // shared, so the stage does not look at it now
			b.digest, b.digestBytes = d, n
		}
	}
	return nil
}

// zeros reports whether a change made all n bytes of block k zeros.
func (b *block) zeros(k, n int64) bool {
	return b != nil && len(b.segments) == 1 && b.segments[0] == segment{
		off: k * blockBytes, n: n, epoch: b.segments[0].epoch}
}

// hashBlock reads a block and hashes it. If it is the last, the stage goes on from there.
func (s *sealing) hashBlock(ctx context.Context, k, n int64) (blockhash.Digest, error) {
	buf := s.session.pieces.Get().(*[]byte)
	defer s.session.pieces.Put(buf)
	var hashed stream
	hashed.begin(k)
	for hashed.filled < n {
		p := (*buf)[:min(n-hashed.filled, pieceBytes)]
		if m, err := s.view.readAt(ctx, p, k*blockBytes+hashed.filled); m < len(p) {
			return blockhash.Digest{}, readError(err)
		}
		hashed.hash.Write(p) // never fails
		hashed.filled += int64(len(p))
	}
	if k*blockBytes+n == s.view.size && n < blockBytes {
		s.stage.resume(hashed, s.changes)
	}
	return hashed.sum(), nil
}

// readError is err, or that the content ended early.
func readError(err error) error {
	if err == nil || err == io.EOF {
		return &objstore.Error{Op: "seal stage", Kind: objstore.ErrCorrupt, Err: io.ErrUnexpectedEOF}
	}
	return err
}

// resume lets the stage go on hashing where a seal has hashed the last block, unless it has changed.
func (st *Stage) resume(hashed stream, changes uint64) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.changes == changes {
		st.stream = hashed
	}
}

// digestsAtOnce is how many digests of unchanged blocks are taken at once.
const digestsAtOnce = 4096

// hashContent makes the hash of the content of the digests of all its blocks.
func (s *sealing) hashContent() error {
	count := blockhash.BlockCount(s.Size)
	h := contentHash{view: &s.view}
	for _, k := range slices.Sorted(maps.Keys(s.explicit)) {
		if err := h.unchanged(k); err != nil {
			return err
		}
		h.add(s.explicit[k])
	}
	if err := h.unchanged(count); err != nil {
		return err
	}
	switch count {
	case 0:
		s.Hash = blockhash.Of(nil)
	case 1:
		s.Hash = h.last
	default:
		s.Hash = blockhash.Digest(h.hash.Sum128().Bytes())
	}
	return nil
}

// contentHash is blockhash.Content without having all digests at once.
type contentHash struct {
	view *view
	hash xxh3.Hasher
	next int64 // block
	last blockhash.Digest
}

func (h *contentHash) add(digests ...blockhash.Digest) {
	buf := make([]byte, 0, len(digests)*len(h.last))
	for i := range digests {
		buf = append(buf, digests[i][:]...)
	}
	h.hash.Write(buf) // never fails
	h.next += int64(len(digests))
	h.last = digests[len(digests)-1]
}

// unchanged adds the digests of the blocks up to one: those of the base, then zeros.
func (h *contentHash) unchanged(to int64) error {
	for below := min(to, blockhash.BlockCount(h.view.limit)); h.next < below; {
		n := min(digestsAtOnce, below-h.next)
		digests, err := h.view.base.Digests(h.next, n)
		if err != nil {
			return err
		}
		if int64(len(digests)) != n {
			return readError(nil)
		}
		h.add(digests...)
	}
	zeros := make([]blockhash.Digest, min(digestsAtOnce, max(to-h.next, 0)))
	for i := range zeros {
		zeros[i] = blockhash.Zeros(blockBytes)
	}
	for h.next < to {
		n := min(digestsAtOnce, to-h.next)
		if h.next+n == blockhash.BlockCount(h.view.size) {
			zeros[n-1] = blockhash.Zeros(h.view.blockSize(h.next + n - 1))
		}
		h.add(zeros[:n]...)
	}
	return nil
}

// sortDigests moves the digests of blocks that one layer has whole from explicit
// to plain: they go into the blob. A layer that is sealed already may have them.
func (s *sealing) sortDigests() {
	if s.inline {
		return
	}
	for k, d := range s.explicit {
		b := s.view.blocks[k]
		if b == nil || len(b.segments) != 1 {
			continue
		}
		seg := b.segments[0]
		if seg.layer == nil || seg.off != k*blockBytes || seg.n != s.view.blockSize(k) || seg.src%blockBytes != 0 {
			continue
		}
		if l := seg.layer; l.sealed == nil {
			if s.plain[l] == nil {
				s.plain[l] = make(map[int64]blockhash.Digest)
			}
			s.plain[l][seg.src/blockBytes] = d
		} else if l.digests[seg.src/blockBytes] != d {
			continue
		}
		delete(s.explicit, k)
	}
}

// sealLayers makes blobs of the layers in use.
func (s *sealing) sealLayers() error {
	if s.inline {
		return nil
	}
	seen := make(map[*layer]bool)
	for _, k := range s.view.numbers(0, max(s.Size, 1)) {
		for _, seg := range s.view.blocks[k].segments {
			l := seg.layer
			if l == nil || seen[l] {
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
func (s *sealing) makeEdit() error {
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
		if source, err = s.source(seg); err == nil {
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

func (s *sealing) source(seg segment) (extent.Source, error) {
	switch {
	case seg.layer == nil:
		return extent.Source{}, nil
	case s.inline:
		off := int64(len(s.Inline))
		s.Inline = append(s.Inline, make([]byte, seg.n)...)
		return extent.Source{Kind: extent.Inline, ID: InlineID, Off: off}, seg.read(s.Inline[off:])
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

// Committed says that the commit succeeded: base is the committed content, owner.Base its
// version. The stage goes on from there with what was written since the seal. The base it had is no longer used.
func (se *Sealed) Committed(owner objstore.Owner, base Base) error {
	defer func() { <-se.stage.token }()
	return disk.Error("finish commit", se.stage.rebase(se, owner, base))
}

// Failed says that it did not: the stage is as before.
func (se *Sealed) Failed() { <-se.stage.token }

func (st *Stage) rebase(se *Sealed, owner objstore.Owner, base Base) error {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.owner, st.clean = owner, se.changes
	st.view.base = base
	st.view.limit = min(st.view.baseSize(), st.lowest, st.view.size)
	st.baseEpoch = st.epoch
	used := st.view.dropUpTo(se.epoch)
	err := st.dropUnused(used)
	if st.view.untouched() || base == nil && st.view.size == 0 {
		st.clean = st.changes // what came since the seal, if anything, left no trace
		err = errors.Join(err, st.log.clear())
	} else {
		err = errors.Join(err, st.relog())
	}
	st.checkInvariants()
	return err
}

// dropUpTo forgets the segments of a committed epoch, and returns the layers of others.
func (v *view) dropUpTo(epoch uint32) map[*layer]bool {
	used := make(map[*layer]bool)
	for k, b := range v.blocks {
		left := &block{digest: b.digest, digestBytes: b.digestBytes}
		for _, s := range b.segments {
			if s.epoch > epoch {
				left.segments = append(left.segments, s)
				used[s.layer] = true
			}
		}
		if v.blocks[k] = left; len(left.segments) == 0 {
			delete(v.blocks, k)
		}
	}
	return used
}

func (st *Stage) dropUnused(used map[*layer]bool) error {
	var err error
	var layers []*layer
	for _, l := range st.layers {
		if used[l] {
			layers = append(layers, l)
			continue
		}
		err = errors.Join(err, l.drop())
	}
	if !used[st.current] {
		st.current = nil
	}
	st.layers = layers
	return err
}

// relog writes a new log of what is changed over the new base, and then forgets the old
// one. Found both after a crash, the old one is of a commit that succeeded.
func (st *Stage) relog() error {
	old := st.log
	st.log = stageLog{session: st.session, muted: old.muted}
	err := st.append(logRecord{kind: recordSize, a: uint64(st.view.limit)})
	if err == nil {
		err = st.append(logRecord{kind: recordSize, a: uint64(st.view.size)})
	}
	st.view.segments(0, st.view.size, func(s segment) bool {
		if err == nil {
			err = st.append(s.record())
		}
		return err == nil
	})
	return errors.Join(err, old.clear())
}

// record is what a log says of s.
func (s segment) record() logRecord {
	switch {
	case s.layer == nil:
		return logRecord{kind: recordZero, a: uint64(s.off), b: uint64(s.n)}
	case s.layer.file == nil:
		return logRecord{kind: recordData, a: uint64(s.off), data: s.layer.memory[s.src : s.src+s.n]}
	default:
		return logRecord{kind: recordRange, a: uint64(s.off), b: uint64(s.n), c: s.layer.id, d: uint64(s.src)}
	}
}
