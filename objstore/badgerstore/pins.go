package badgerstore

import (
	"context"
	"io"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/blob"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/extent"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/record"
	"github.com/etagfs/etagfs/objstore/blockhash"
)

// pins count who reads which version of which lineage. What a version used is
// not removed while it, or an older one of its lineage, is pinned.
type pins struct {
	mu     sync.Mutex
	counts map[uint64]map[uint64]int // GUARDED_BY(mu): by lineage and version; no zeros, no empty maps
	going  []pin                     // GUARDED_BY(mu): what the batch being committed removes, as nobody had pinned it
	// expected: every version counts as pinned, as it is not known yet which are.
	expected bool // GUARDED_BY(mu)
	retained bool // GUARDED_BY(mu): the same for good, as what is given up now may be pinned by another process
}

// pin is a version of a lineage.
type pin struct{ lineage, version uint64 }

func (p *pins) add(lineage, version uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.addLocked(lineage, version)
}

// addIn is add for what somebody saw who may see an old state. It reports whether that is certainly
// there for as long as it is pinned: if not, it is only for as long as that state is seen. isCurrent tells
// whether that is the state that is published now.
func (p *pins) addIn(lineage, version uint64, isCurrent func() bool) (held bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.addLocked(lineage, version)
	return !slices.Contains(p.going, pin{lineage, version}) && isCurrent()
}

// drop reports whether a version is pinned, and notes if not that the batch being committed removes it.
func (p *pins) drop(lineage, version uint64) (held bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if held = p.holdsLocked(lineage, version); !held {
		p.going = append(p.going, pin{lineage, version})
	}
	return held
}

// addExpected is add if every version there was when the store was opened, and since, is still there.
func (p *pins) addExpected(lineage, version uint64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.expected {
		p.addLocked(lineage, version)
	}
	return p.expected
}

func (p *pins) expect(expected bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.expected = expected
}

func (p *pins) retain() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.retained = true
}

// settle comes when a batch is published, or has failed.
func (p *pins) settle() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.going = p.going[:0]
}

// addLocked requires mu, as holdsLocked does.
func (p *pins) addLocked(lineage, version uint64) {
	if p.counts[lineage] == nil {
		p.counts[lineage] = map[uint64]int{}
	}
	p.counts[lineage][version]++
}

func (p *pins) remove(lineage, version uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	versions := p.counts[lineage]
	if versions[version]--; versions[version] == 0 {
		delete(versions, version)
	}
	if len(versions) == 0 {
		delete(p.counts, lineage)
	}
}

// holds reports whether version, or an older one, of lineage is pinned.
func (p *pins) holds(lineage, version uint64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.holdsLocked(lineage, version)
}

func (p *pins) holdsLocked(lineage, version uint64) bool {
	if p.expected || p.retained {
		return true
	}
	for pinned := range p.counts[lineage] {
		if pinned <= version {
			return true
		}
	}
	return false
}

// pinned is a content that stays readable until all holders have released it.
// It is the base of stages and what readers read.
type pinned struct {
	// Constant.
	e       *Engine
	lineage uint64
	version uint64
	content extent.Content
	rec     record.Content // what content was decoded from
	payload *payload       // of a content that is one inline payload; nil otherwise

	filled filled // digests that are not stored, of a content that was assembled from parts

	holders atomic.Int64
}

// payload is a content that is one inline payload. It is read when it is asked for: who opens a file to
// replace it, or has its pages in the kernel's cache, does without.
type payload struct {
	mu    sync.Mutex
	bytes []byte // GUARDED_BY(mu); nil: not read yet
}

// pin holds on to c, which lineage has at version in v. The caller has one hold.
func (v *view) pin(lineage, version uint64, c record.Content) (*pinned, error) {
	x, err := extentsOf(c)
	if err != nil {
		return nil, err
	}
	p := &pinned{e: v.e, lineage: lineage, version: version, content: x, rec: c}
	if run, ok := x.Run(); ok && run.Kind == extent.Inline {
		p.payload = &payload{}
	}
	p.holders.Store(1)
	if len(x.Refs()) == 0 || v.e.pins.addIn(lineage, version, v.isCurrent) || p.payload == nil {
		return p, nil
	}
	if p.payload.bytes, err = v.inlineOf(x); err != nil {
		p.release()
		return nil, err
	}
	return p, nil
}

// isCurrent reports whether nothing has been published since v was opened.
func (v *view) isCurrent() bool { return v.e.published.Load() == v.ts }

// inlineOf are the bytes of a content that is one inline payload.
func (t tree) inlineOf(x extent.Content) ([]byte, error) {
	run, _ := x.Run()
	payload, err := t.readPayload(run.ID)
	if err == nil && int64(len(payload)) < run.Off+x.Size {
		err = damaged("inline payload %d is too short", run.ID)
	}
	if err != nil {
		return nil, err
	}
	return payload[run.Off : run.Off+x.Size], nil
}

// isInline reports whether the content is one inline payload.
func (p *pinned) isInline() bool { return p.payload != nil }

// inline are the bytes of a content that is one inline payload.
func (p *pinned) inline() ([]byte, error) {
	p.payload.mu.Lock()
	defer p.payload.mu.Unlock()
	if p.payload.bytes != nil {
		return p.payload.bytes, nil
	}
	if err := p.e.usable(context.Background()); err != nil {
		return nil, err
	}
	v := p.e.view()
	defer v.close()
	var err error
	p.payload.bytes, err = v.inlineOf(p.content)
	return p.payload.bytes, err
}

// hold makes p a content of e with one hold.
func (e *Engine) hold(p *pinned) *pinned {
	p.e = e
	p.holders.Store(1)
	if len(p.content.Refs()) > 0 {
		e.pins.add(p.lineage, p.version)
	}
	return p
}

// inlineIfAny is inline, nil for any other content.
func (p *pinned) inlineIfAny() ([]byte, error) {
	if !p.isInline() {
		return nil, nil
	}
	return p.inline()
}

// pinFresh is pin for a content that was just committed. The caller has pinned the version already.
func (e *Engine) pinFresh(lineage, version uint64, c record.Content) (*pinned, error) {
	x, err := extentsOf(c)
	if err != nil {
		return nil, err
	}
	p := &pinned{lineage: lineage, version: version, content: x, rec: c}
	if run, ok := x.Run(); ok && run.Kind == extent.Inline {
		p.payload = &payload{}
	}
	return e.hold(p), nil
}

// hold adds a holder; the caller must have one.
func (p *pinned) hold() *pinned {
	p.holders.Add(1)
	return p
}

// release ends one hold.
func (p *pinned) release() {
	if p.holders.Add(-1) > 0 || len(p.content.Refs()) == 0 {
		return
	}
	p.e.pins.remove(p.lineage, p.version)
	p.e.collector.unpinned()
}

// Size implements staging.Base.
func (p *pinned) Size() int64 { return p.content.Size }

// ReadAt implements staging.Base: verified bytes, as io.ReaderAt.
func (p *pinned) ReadAt(ctx context.Context, buf []byte, off int64) (int, error) {
	switch {
	case off < 0:
		return 0, objstore.ErrInvalid
	case len(buf) == 0:
		return 0, nil
	case off >= p.content.Size:
		return 0, io.EOF
	}
	short := int64(len(buf)) > p.content.Size-off
	if short {
		buf = buf[:p.content.Size-off]
	}
	n, err := p.read(ctx, buf, off)
	if err == nil && short {
		err = io.EOF
	}
	return n, err
}

// read fills buf, which lies within the content.
func (p *pinned) read(ctx context.Context, buf []byte, off int64) (int, error) {
	if p.isInline() {
		inline, err := p.inline()
		if err != nil {
			return 0, err
		}
		return copy(buf, inline[off:]), nil
	}
	if run, ok := p.content.Run(); ok {
		return p.e.readBlob(ctx, extent.Ref{Kind: extent.RefKind(run.Kind), ID: run.ID}, buf, run.Off+off)
	}
	v := p.e.view()
	defer v.close()
	var all []extent.Extent
	err := p.content.Extents(pages{v.tree}, off, int64(len(buf)), func(x extent.Extent) error {
		all = append(all, x)
		return nil
	})
	for len(all) > 0 && err == nil {
		n := extent.Through(all, blob.SumBytes)
		if err = p.e.readThrough(ctx, v, all[:n], buf[all[0].Off-off:all[n-1].End()-off]); err == nil {
			all = all[n:]
		}
	}
	if len(all) > 0 {
		return int(all[0].Off - off), err
	}
	return len(buf), err
}

// readThrough reads extents that begin and end with the same blob, at places as far apart as in the
// content: at once, those between over it. What a small change left of a checksummed unit is verified once.
func (e *Engine) readThrough(ctx context.Context, v *view, all []extent.Extent, buf []byte) error {
	through := all[0]
	through.Len = int64(len(buf))
	if _, err := e.readExtent(ctx, v, through, buf); err != nil {
		return err
	}
	for _, x := range all[1:] {
		if through.Holds(x) {
			continue
		}
		if _, err := e.readExtent(ctx, v, x, buf[x.Off-through.Off:x.End()-through.Off]); err != nil {
			return err
		}
	}
	return nil
}

// readExtent fills part with the bytes of x.
func (e *Engine) readExtent(ctx context.Context, v *view, x extent.Extent, part []byte) (int, error) {
	switch x.Source.Kind {
	case extent.Hole:
		clear(part)
		return len(part), nil
	case extent.Inline:
		payload, err := v.readPayload(x.Source.ID)
		if err == nil && int64(len(payload)) < x.Source.Off+x.Len {
			err = damaged("inline payload %d is too short", x.Source.ID)
		}
		if err != nil {
			return 0, err
		}
		return copy(part, payload[x.Source.Off:]), nil
	default:
		return e.readBlob(ctx, extent.Ref{Kind: extent.RefKind(x.Source.Kind), ID: x.Source.ID}, part, x.Source.Off)
	}
}

// readBlob fills part from a blob, which must have that many bytes.
func (e *Engine) readBlob(ctx context.Context, r extent.Ref, part []byte, off int64) (int, error) {
	n, err := e.blobs.ReadAt(ctx, blobOf(r.Kind, r.ID), part, off)
	switch {
	case n == len(part):
		return n, nil
	case err == io.EOF:
		return n, damaged("blob %d is too short", r.ID)
	}
	return n, err
}

// Extents implements staging.Base.
func (p *pinned) Extents(off, length int64, yield func(extent.Extent) error) error {
	v := p.e.view()
	defer v.close()
	return p.content.Extents(pages{v.tree}, off, length, yield)
}

// Digests implements staging.Base.
func (p *pinned) Digests(first, n int64) ([]blockhash.Digest, error) {
	digests, err := p.kept(first, n)
	if err != nil || p.rec.HashKind == record.HashBlocks {
		return digests, err
	}
	return digests, p.fill(digests, first)
}

// kept are the digests of n blocks from first on as they are stored: those that are not known are zeros.
func (p *pinned) kept(first, n int64) ([]blockhash.Digest, error) {
	if p.isInline() {
		inline, err := p.inline()
		if err != nil || first != 0 || n < 1 {
			return nil, err
		}
		return []blockhash.Digest{blockhash.Of(inline)}, nil
	}
	v := p.e.view()
	defer v.close()
	return p.content.Digests(pages{v.tree}, runDigests{p.e, v.tree}, first, n)
}

// runDigests gives package extent the digests that lie with payloads.
type runDigests struct {
	e *Engine
	tree
}

// BlockDigests implements extent.DigestSource.
func (r runDigests) BlockDigests(s extent.Source, n int64) ([]blockhash.Digest, error) {
	if s.Kind == extent.Inline {
		payload, err := r.readPayload(s.ID)
		if err != nil || n != 1 || s.Off != 0 {
			return nil, err
		}
		return []blockhash.Digest{blockhash.Of(payload)}, nil
	}
	ref := blobOf(extent.RefKind(s.Kind), s.ID)
	return r.e.blobs.BlockDigests(ref, s.Off/blockhash.BlockBytes, n)
}
