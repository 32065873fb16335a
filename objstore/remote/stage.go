package remote

import (
	"context"
	"errors"
	"io"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/etagfs/etagfs/objstore"
)

// stage implements [objstore.Stage].
type stage struct {
	// Constant.
	s    *Store
	spec objstore.StageSpec // without Base

	size    atomic.Int64
	changed atomic.Bool

	writing sync.Mutex // held while the bytes change, and while they are pushed
	// Guarded by writing.
	closed  bool
	session *session // that the server has the stage in
	handle  uint64   // there; 0: it has none
	written uint64   // counts what changed the bytes
	pushed  uint64   // of that, what the server's stage has
	// keptHere: this machine has a kept copy.
	keptHere bool
	keptAs   objstore.ConflictID // of the latest Keep, whatever became of it; empty: there was none

	mu sync.RWMutex
	// Guarded by mu; changed with writing held.
	gone   bool // as closed
	layout layout
	base   *reader // what a commit replaces; nil: nothing
	cut    int64   // beyond it nothing is the base's
	// scratch has the bytes written. INVARIANT: not nil if anything differs from the base.
	scratch scratch
}

// NewStage implements [objstore.Namespace].
func (s *Store) NewStage(ctx context.Context, spec objstore.StageSpec) (objstore.Stage, error) {
	if err := ctx.Err(); err != nil {
		return nil, &objstore.Error{Op: "new stage", Key: spec.Owner.Path, Kind: objstore.ErrUnavailable, Err: err}
	}
	if spec.Source != nil {
		return nil, &objstore.Error{Op: "new stage", Key: spec.Owner.Path, Kind: objstore.ErrUnsupported, Detail: "contents are shared by the owner alone"}
	}
	t := &stage{s: s, spec: spec}
	t.spec.Base = nil
	if spec.Base == nil {
		return t, nil
	}
	base, ok := spec.Base.(*reader)
	if !ok || base.s != s {
		return nil, &objstore.Error{Op: "new stage", Key: spec.Owner.Path, Kind: objstore.ErrUnsupported, Detail: "the base is of another store"}
	}
	if err := base.use(); err != nil {
		return nil, err
	}
	t.base = base
	if !spec.Empty {
		t.cut = base.info.Size
		t.layout.reset(t.cut)
		t.size.Store(t.cut)
	}
	return t, nil
}

// Size implements [objstore.Stage].
func (t *stage) Size() int64 { return t.size.Load() }

// Changed implements [objstore.Stage].
func (t *stage) Changed() bool { return t.changed.Load() }

func (t *stage) failed(op string, kind objstore.Kind, err error) error {
	return &objstore.Error{Op: op, Key: t.spec.Owner.Path, Kind: kind, Err: err}
}

// begin starts a change of the bytes. done ends it.
func (t *stage) begin(ctx context.Context, op string) (done func(), err error) {
	t.writing.Lock()
	switch {
	case ctx.Err() != nil:
		err = t.failed(op, objstore.ErrUnavailable, ctx.Err())
	case t.closed:
		err = t.failed(op, objstore.ErrClosed, nil)
	}
	if err != nil {
		t.writing.Unlock()
		return nil, err
	}
	return t.writing.Unlock, nil
}

// check refuses ranges that cannot be.
func (t *stage) check(op string, off, length int64) error {
	switch {
	case off < 0 || length < 0:
		return t.failed(op, objstore.ErrInvalid, nil)
	case off > t.s.caps.ObjectBytesMax-length:
		return t.failed(op, objstore.ErrTooLarge, nil)
	}
	return nil
}

// edit changes the layout. It requires writing.
func (t *stage) edit(f func(l *layout)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f(&t.layout)
	t.cut = min(t.cut, t.layout.size())
	t.size.Store(t.layout.size())
	t.changed.Store(true)
	t.written++
}

// WriteAt implements [objstore.Stage].
func (t *stage) WriteAt(ctx context.Context, p []byte, off int64) (int, error) {
	done, err := t.begin(ctx, "write stage")
	if err != nil {
		return 0, err
	}
	defer done()
	if err := t.check("write stage", off, int64(len(p))); err != nil || len(p) == 0 {
		return 0, err
	}
	if err := t.openScratch(ctx); err != nil {
		return 0, err
	}
	if _, err := t.scratch.WriteAt(p, off); err != nil {
		return 0, t.fileError("write stage", err)
	}
	t.edit(func(l *layout) {
		l.resize(max(l.size(), off))
		l.set(off, off+int64(len(p)), fromFile)
	})
	return len(p), nil
}

// fileError classifies what the local file says.
func (t *stage) fileError(op string, err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG) {
		return t.failed(op, objstore.ErrNoSpace, err)
	}
	if kind := objstore.KindOf(err); kind != 0 {
		return t.failed(op, kind, err)
	}
	return t.failed(op, objstore.ErrUnavailable, err)
}

// Truncate implements [objstore.Stage].
func (t *stage) Truncate(ctx context.Context, size int64) error {
	done, err := t.begin(ctx, "truncate stage")
	if err != nil {
		return err
	}
	defer done()
	if err := t.check("truncate stage", size, 0); err != nil {
		return err
	}
	return t.resize(ctx, "truncate stage", size)
}

// resize cuts bytes off, or adds zeros. It requires writing.
func (t *stage) resize(ctx context.Context, op string, size int64) error {
	if err := t.openScratch(ctx); err != nil {
		return err
	}
	if err := t.scratch.Truncate(size); err != nil {
		return t.fileError(op, err)
	}
	t.edit(func(l *layout) { l.resize(size) })
	return nil
}

// zero makes [off, end) zeros. It requires writing.
func (t *stage) zero(ctx context.Context, off, end int64) error {
	if err := t.openScratch(ctx); err != nil {
		return err
	}
	if err := t.scratch.Zero(off, end-off); err != nil {
		return t.fileError("allocate stage", err)
	}
	t.edit(func(l *layout) { l.set(off, end, fromZero) })
	return nil
}

// Allocate implements [objstore.Stage]. Space is not reserved.
func (t *stage) Allocate(ctx context.Context, off, length int64, mode objstore.AllocateMode) error {
	done, err := t.begin(ctx, "allocate stage")
	if err != nil {
		return err
	}
	defer done()
	if length == 0 || mode > objstore.ZeroRange {
		return t.failed("allocate stage", objstore.ErrInvalid, nil)
	}
	if err := t.check("allocate stage", off, length); err != nil {
		return err
	}
	end := off + length
	if mode == objstore.PunchHole || mode == objstore.ZeroRange {
		if err := t.zero(ctx, off, min(end, t.Size())); err != nil {
			return err
		}
	}
	if grows := mode == objstore.AllocateGrow || mode == objstore.ZeroRange; grows && end > t.Size() {
		return t.resize(ctx, "allocate stage", end)
	}
	if err := t.openScratch(ctx); err != nil {
		return err
	}
	t.edit(func(*layout) {})
	return nil
}

// ReadAt implements [objstore.Stage].
func (t *stage) ReadAt(ctx context.Context, p []byte, off int64) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, t.failed("read stage", objstore.ErrUnavailable, err)
	}
	p, missing, base, end := t.readLocal(p, off)
	if end != nil && end != io.EOF {
		return 0, end
	}
	if base != nil {
		defer base.drop()
	}
	for _, part := range missing {
		if n, err := base.readAt(ctx, p[part.off-off:part.end-off], part.off); err != nil && int64(n) < part.end-part.off {
			return int(part.off - off), err
		}
	}
	return len(p), end
}

// readLocal reads what is not of the base, and tells what is. p is cut where the bytes end. The base,
// if it is needed, is kept until it is dropped.
func (t *stage) readLocal(p []byte, off int64) (cut []byte, missing []span, base *reader, err error) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if t.gone {
		return nil, nil, nil, t.failed("read stage", objstore.ErrClosed, nil)
	}
	if err := t.check("read stage", off, 0); err != nil {
		return nil, nil, nil, err
	}
	if left := max(0, t.layout.size()-off); left < int64(len(p)) {
		p, err = p[:left], io.EOF
	}
	for _, part := range t.layout.within(off, off+int64(len(p))) {
		to := p[part.off-off : part.end-off]
		switch part.origin {
		case fromZero:
			clear(to)
		case fromFile:
			if _, err := t.scratch.ReadAt(to, part.off); err != nil {
				return nil, nil, nil, t.fileError("read stage", err)
			}
		default:
			missing = append(missing, part)
		}
	}
	if len(missing) > 0 {
		t.base.retain()
		base = t.base
	}
	return p, missing, base, err
}

// NextData implements [objstore.Stage].
func (t *stage) NextData(ctx context.Context, off int64) (int64, error) {
	parts, base, size, err := t.partsFrom(off)
	if err != nil {
		return 0, err
	}
	defer base.drop()
	for _, part := range parts {
		at := part.end
		switch part.origin {
		case fromFile:
			at = part.off
		case fromBase:
			if at, err = base.seek(ctx, part.off, false); err != nil {
				return 0, err
			}
		}
		if at < part.end {
			return at, nil
		}
	}
	return 0, &objstore.Error{Op: "seek stage", Kind: objstore.ErrRange, Detail: "no data up to the end at " + strconv.FormatInt(size, 10)}
}

// NextHole implements [objstore.Stage].
func (t *stage) NextHole(ctx context.Context, off int64) (int64, error) {
	parts, base, size, err := t.partsFrom(off)
	if err != nil {
		return 0, err
	}
	defer base.drop()
	if off >= size {
		return 0, t.failed("seek stage", objstore.ErrRange, nil)
	}
	for _, part := range parts {
		at := part.end
		switch part.origin {
		case fromZero:
			at = part.off
		case fromBase:
			if at, err = base.seek(ctx, part.off, true); err != nil {
				return 0, err
			}
		}
		if at < part.end {
			return at, nil
		}
	}
	return size, nil
}

// partsFrom are the parts from off on, and the base, which is kept until it is dropped.
func (t *stage) partsFrom(off int64) (parts []span, base *reader, size int64, err error) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if t.gone {
		return nil, nil, 0, t.failed("seek stage", objstore.ErrClosed, nil)
	}
	if err := t.check("seek stage", off, 0); err != nil {
		return nil, nil, 0, err
	}
	if t.base != nil {
		t.base.retain()
	}
	size = t.layout.size()
	return t.layout.within(off, size), t.base, size, nil
}

// Close implements [objstore.Stage].
func (t *stage) Close() error {
	t.writing.Lock()
	defer t.writing.Unlock()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.gone {
		return nil
	}
	t.closed, t.gone = true, true
	t.s.release(t.session, t.handle)
	if t.base != nil {
		t.base.drop()
	}
	if t.scratch != nil {
		return t.scratch.Close()
	}
	return nil
}
