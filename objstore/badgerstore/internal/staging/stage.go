package staging

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/extent"
	"github.com/etagfs/etagfs/objstore/blockhash"
)

// Base is the committed content a stage starts from. It is pinned by the
// caller for as long as the stage uses it. Methods may be called concurrently.
type Base interface {
	Size() int64
	// ReadAt reads verified bytes, as io.ReaderAt.
	ReadAt(ctx context.Context, p []byte, off int64) (int, error)
	// Extents is extent.Content.Extents.
	Extents(off, length int64, yield func(extent.Extent) error) error
	// Digests is extent.Content.Digests.
	Digests(first, n int64) ([]blockhash.Digest, error)
	// Describe appends what it takes to find the content again after a crash of the process,
	// whatever has replaced it by then. It comes back as Found.Base.
	Describe(b []byte) []byte
}

// Stage is one writer's private copy. Methods may be called concurrently.
type Stage struct {
	session *Session
	token   chan struct{} // held from Seal to Committed or Failed, and by Close
	found   *foundLog     // the log of a process that is gone, which this was made of; nil: a stage of our own

	mu     sync.RWMutex
	closed bool           // GUARDED_BY(mu)
	owner  objstore.Owner // GUARDED_BY(mu)
	view   view           // GUARDED_BY(mu)
	log    stageLog       // GUARDED_BY(mu)
	epoch  uint32         // GUARDED_BY(mu): of segments made now
	// GUARDED_BY(mu): the epoch in which the base became the base. If another one has begun, there
	// was a seal since, which failed or may still succeed.
	baseEpoch uint32
	current   *layer   // GUARDED_BY(mu): where writes go; nil: not yet known. INVARIANT: in layers, not frozen
	layers    []*layer // GUARDED_BY(mu): all that segments may be in
	loans     []Lender // GUARDED_BY(mu): whose blobs layers are, as long as one is
	stream    stream   // GUARDED_BY(mu)
	// GUARDED_BY(mu): the lowest size since the last seal: of a base made of that no more is seen.
	lowest int64
	// GUARDED_BY(mu): mutations so far, and those in the base. Changed if they differ.
	changes, clean uint64
}

// Size is the current size.
func (st *Stage) Size() int64 {
	st.mu.RLock()
	defer st.mu.RUnlock()
	return st.view.size
}

// Changed reports whether anything was written, truncated or allocated since
// the base or the last successful commit.
func (st *Stage) Changed() bool {
	st.mu.RLock()
	defer st.mu.RUnlock()
	return st.changes != st.clean
}

// Owner is whose the stage is.
func (st *Stage) Owner() objstore.Owner {
	st.mu.RLock()
	defer st.mu.RUnlock()
	return st.owner
}

// OfBase are the ranges of the content that are the base's, in order.
func (st *Stage) OfBase() (all []Range) {
	st.mu.RLock()
	defer st.mu.RUnlock()
	limit, pos := min(st.view.limit, st.view.size), int64(0)
	st.view.segments(0, limit, func(s segment) bool {
		all = append(all, Range{pos, s.off})
		pos = s.end()
		return true
	})
	return joined(append(all, Range{pos, limit}))
}

// ReadAt implements objstore.Stage.
func (st *Stage) ReadAt(ctx context.Context, p []byte, off int64) (int, error) {
	if err := checkRange("read stage", off, 0); err != nil {
		return 0, err
	}
	st.mu.RLock()
	defer st.mu.RUnlock()
	if st.closed {
		return 0, errClosed("read stage")
	}
	return st.view.readAt(ctx, p, off)
}

// WriteAt implements objstore.Stage.
func (st *Stage) WriteAt(ctx context.Context, p []byte, off int64) (int, error) {
	if err := checkRange("write stage", off, int64(len(p))); err != nil {
		return 0, err
	}
	if err := disk.Cancelled(ctx, "write stage"); err != nil {
		return 0, err
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.closed {
		return 0, errClosed("write stage")
	}
	if len(p) == 0 {
		return 0, nil
	}
	if err := st.admit(int64(len(p)) + recordBytes); err != nil {
		return 0, err
	}
	if err := st.write(p, off); err != nil {
		return 0, err
	}
	st.changes++
	st.checkInvariants()
	return len(p), nil
}

func checkRange(op string, off, n int64) error {
	switch {
	case off < 0 || n < 0:
		return &objstore.Error{Op: op, Kind: objstore.ErrInvalid, Detail: "negative offset or length"}
	case n > objstore.ObjectBytesMax-off:
		return &objstore.Error{Op: op, Kind: objstore.ErrTooLarge, Detail: "beyond the largest object"}
	}
	return nil
}

func errClosed(op string) error { return &objstore.Error{Op: op, Kind: objstore.ErrClosed} }

// write stores p, in memory and log as long as there is little.
func (st *Stage) write(p []byte, off int64) error {
	if st.current == nil || st.current.file == nil {
		used := 0
		if st.current != nil {
			used = len(st.current.memory)
		}
		if used+len(p) <= st.session.opt.InlineBytes && st.log.room(len(p), st.owner, st.view.base) {
			return st.writeMemory(p, off)
		}
		if err := st.outgrow(); err != nil {
			return err
		}
	}
	return st.writeFile(p, off)
}

// append logs a record.
func (st *Stage) append(r logRecord) error {
	return st.log.append(st.owner, st.view.base, r)
}

func (st *Stage) writeMemory(p []byte, off int64) error {
	if err := st.append(logRecord{kind: recordData, a: uint64(off), data: p}); err != nil {
		return err
	}
	if st.current == nil {
		st.current = new(layer)
		st.layers = append(st.layers, st.current)
	}
	st.put(off, int64(len(p)), st.current, st.current.remember(p))
	st.stream.follow(&st.view, p, off)
	return nil
}

// put enters what was written. The caller has stored it.
func (st *Stage) put(off, n int64, l *layer, src int64) {
	if off+n > st.view.size {
		st.view.truncate(off + n)
	}
	st.view.put(segment{off: off, n: n, layer: l, src: src, epoch: st.epoch})
}

// outgrow makes a file layer the current one and moves there what memory holds.
func (st *Stage) outgrow() error {
	old := st.current
	l, err := st.newFileLayer()
	if err != nil {
		return err
	}
	st.current = l
	st.layers = append(st.layers, l)
	var moved []segment
	st.view.segments(0, st.view.size, func(s segment) bool {
		if s.layer != nil && s.layer.file == nil {
			moved = append(moved, s)
		}
		return true
	})
	for _, s := range moved {
		if err := st.writeFile(s.layer.memory[s.src:s.src+s.n], s.off); err != nil {
			for _, s := range moved { // back
				st.view.put(s)
			}
			st.current, st.layers = old, without(st.layers, l)
			return errors.Join(err, l.drop())
		}
	}
	st.layers = slices.DeleteFunc(st.layers, func(l *layer) bool { return l.file == nil })
	return nil
}

func (st *Stage) newFileLayer() (*layer, error) {
	l, err := st.session.newFile()
	if err != nil {
		return nil, err
	}
	if st.view.limit == 0 {
		l.straight = straightChunks
	}
	if st.view.limit == 0 && !st.hasFrozen() {
		l.whole = true
		if err := st.append(logRecord{kind: recordWhole, c: l.id}); err != nil {
			return nil, errors.Join(err, l.drop())
		}
	}
	return l, nil
}

// writeFile writes p to the current layer's file.
func (st *Stage) writeFile(p []byte, off int64) error {
	l, from, to := st.current, off, off+int64(len(p))
	err := l.store(p, off, func(n, src int64) error {
		if !l.whole || !l.inPlace(off) {
			r := logRecord{kind: recordRange, a: uint64(off), b: uint64(n), c: l.id, d: uint64(src)}
			if err := st.append(r); err != nil {
				return err
			}
		}
		st.put(off, n, l, src)
		st.stream.wrote(&st.view, p[off-from:off-from+n], off)
		l.wrote(src, n)
		off += n
		return nil
	})
	if err != nil {
		st.stream.touch(from, to)
		st.forgetDigests(from, to)
	}
	return err
}

// forgetDigests says that blocks may have changed without a segment to show for it.
func (st *Stage) forgetDigests(from, to int64) {
	for _, k := range st.view.numbers(from, to) {
		st.view.change(k)
	}
}

func (st *Stage) hasFrozen() bool {
	for _, l := range st.layers {
		if l.frozen {
			return true
		}
	}
	return false
}

func without(layers []*layer, l *layer) []*layer {
	return slices.DeleteFunc(layers, func(other *layer) bool { return other == l })
}

// Close drops the stage and what is not adopted. It waits for a commit that is under way.
func (st *Stage) Close() error {
	st.token <- struct{}{}
	defer func() { <-st.token }()
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.closed {
		return nil
	}
	st.closed = true
	st.session.forget(st)
	err := st.log.clear() // before the files it names go
	if st.found != nil {
		err = errors.Join(err, st.found.clear(st.session.fs))
	}
	for _, l := range st.layers {
		err = errors.Join(err, l.drop())
	}
	st.layers, st.current, st.view = nil, nil, view{}
	st.endLoans()
	return disk.Error("close stage", err)
}

// Leave closes a stage that is not found as the death of its process would: the next sweep finds it, and the session's directory
// stays for that. It waits for a commit that is under way.
func (st *Stage) Leave() error {
	st.token <- struct{}{}
	defer func() { <-st.token }()
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.closed {
		return nil
	}
	st.closed = true
	st.session.leave(st)
	err := st.log.leave()
	for _, l := range st.layers {
		if l.file != nil {
			err = errors.Join(err, l.close())
		}
	}
	st.layers, st.current, st.view = nil, nil, view{}
	st.endLoans()
	return disk.Error("leave stage", err)
}

// checkInvariants panics if an invariant does not hold. Tests turn it on.
func (st *Stage) checkInvariants() {
	if !st.session.checks {
		return
	}
	v := &st.view
	must(0 <= v.limit && v.limit <= v.size && v.limit <= v.baseSize(), "limit")
	must(st.current == nil || !st.current.frozen && slices.Contains(st.layers, st.current), "current layer")
	for k, b := range v.blocks {
		pos := k * blockBytes
		for i, s := range b.segments {
			must(s.off >= pos && s.n > 0 && s.end() <= min((k+1)*blockBytes, v.size), "segment in its block")
			must(i == 0 || !b.segments[i-1].continues(s), "segments joined")
			must(s.layer == nil || slices.Contains(st.layers, s.layer), "layer known")
			must(s.epoch <= st.epoch, "epoch")
			pos = s.end()
		}
	}
}

func must(ok bool, what string) {
	if !ok {
		panic("staging: broken invariant: " + what)
	}
}
