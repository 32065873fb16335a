package fs

import (
	"context"
	"errors"

	"github.com/etagfs/etagfs/objstore"
)

// clone is what a working copy is, if it was cloned and has not changed since. It names the source's version, of which it is the
// beginning.
type clone struct {
	object  objstore.ID
	version objstore.Version
	size    int64
	changes uint64 // of the transaction, with the clone
}

const (
	copyBytesMax   = 16 << 20 // read and written by one call: callers go on where it ended
	copyPieceBytes = 1 << 20
)

// CopyFrom is copy_file_range(2): it makes n bytes of src, from an offset on, the content of h from another on, and returns how many there were:
// fewer at the end of src, or if it is much work. What src has committed is shared where the store can, and moves no bytes; the rest is
// read and written here. Ranges of one file that overlap are ErrInvalid. With nothing to be had from there it is objstore.ErrUnsupported: the
// kernel, which has asked, may know better.
func (h *Handle) CopyFrom(ctx context.Context, src *Handle, from, n, to int64, clearIDs bool) (copied int64, err error) {
	if err := h.mayWrite("copy"); err != nil {
		return 0, err
	}
	size, err := src.size()
	if err != nil {
		return 0, err
	}
	n = min(n, size-from)
	if h.file == src.file && from < to+n && to < from+n {
		return 0, &objstore.Error{Op: "copy", Kind: objstore.ErrInvalid, Detail: "the ranges overlap"}
	}
	if n <= 0 {
		return 0, objstore.ErrUnsupported
	}
	copied, err = h.shareFrom(ctx, src, from, n, to, clearIDs)
	if errors.Is(err, objstore.ErrUnsupported) {
		copied, err = h.tx.copyBytes(ctx, src, from, min(n, copyBytesMax), to, WriteMode{ClearSetID: clearIDs})
	}
	if err == nil && h.mode.Sync {
		err = h.tx.finish(ctx, h.caller, "write", objstore.Durable, briefly)
	}
	return copied, err
}

// shareFrom shares what src has committed, as a whole or in part.
func (h *Handle) shareFrom(ctx context.Context, src *Handle, from, n, to int64, clearIDs bool) (copied int64, err error) {
	p := src.committed()
	if p == nil {
		return 0, objstore.ErrUnsupported
	}
	defer p.release()
	if from == to {
		unlock := h.tx.lock() // a commit uses the stage
		copied, err = h.tx.share(ctx, p, from, n, clearIDs)
		unlock()
		if !errors.Is(err, objstore.ErrUnsupported) {
			return copied, err
		}
	}
	return h.tx.sharePart(ctx, p, from, n, to, clearIDs)
}

// sharePart makes a part of p one of t's stage.
func (t *transaction) sharePart(ctx context.Context, p *pin, from, n, to int64, clearIDs bool) (copied int64, err error) {
	err = t.withStage(ctx, false, func(stage objstore.Stage) error {
		sharer, ok := stage.(objstore.Sharer)
		if !ok {
			return objstore.ErrUnsupported
		}
		copied, err = sharer.Share(ctx, p.reader, from, n, to)
		if copied > 0 {
			t.note(true, true, WriteMode{ClearSetID: clearIDs})
		}
		return err
	})
	return copied, err
}

// copyBytes reads and writes n bytes. What was written before an error counts.
func (t *transaction) copyBytes(ctx context.Context, src *Handle, from, n, to int64, mode WriteMode) (copied int64, err error) {
	buf := make([]byte, min(n, copyPieceBytes))
	for copied < n {
		piece := buf[:min(n-copied, copyPieceBytes)]
		m, err := src.ReadAt(ctx, piece, from+copied)
		if err == nil && m > 0 {
			_, err = t.write(ctx, piece[:m], to+copied, mode)
		}
		if err != nil && copied == 0 {
			return 0, err
		}
		if err != nil || m == 0 {
			break
		}
		copied += int64(m)
	}
	return copied, nil
}

// committed is a use of the version h shows, nil if it shows what is not committed.
func (h *Handle) committed() *pin {
	if h.reading != nil {
		follows, p := h.reading.use()
		if follows != nil && p != nil {
			p.release()
			return nil
		}
		return p
	}
	t := h.tx
	if t == nil {
		return nil
	}
	t.content.RLock()
	defer t.content.RUnlock()
	if t.stage != nil || t.next != nil || t.pin == nil || t.isEmptied() || !t.pin.acquire() {
		return nil
	}
	return t.pin
}

// share makes the bytes of p up to off+n those of t. It requires [transaction.lock].
func (t *transaction) share(ctx context.Context, p *pin, off, n int64, clearIDs bool) (copied int64, err error) {
	t.content.Lock()
	defer t.content.Unlock()
	source := p.reader.Info()
	if !t.begins(source, off) {
		return 0, objstore.ErrUnsupported
	}
	end := off + min(n, source.Size-off)
	if end <= off {
		return 0, objstore.ErrUnsupported // the kernel, which has asked, knows better
	}
	stage, err := t.stageOf(ctx, p, end)
	if err != nil {
		return 0, err
	}
	t.replaceStage(stage)
	t.note(true, true, WriteMode{ClearSetID: clearIDs})
	_, _, w := t.snapshot()
	t.clone = clone{source.ID, source.Version, end, w.changes}
	return end - off, nil
}

// begins reports whether t has off bytes, which are source's, and a new stage may take the place of the one it has. It requires content.
func (t *transaction) begins(source objstore.Info, off int64) bool {
	if t.next != nil || t.sizeHeld() != off {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.state != txOpen && t.state != txDetached || t.kept.id != "" {
		return false
	}
	return off == 0 || t.clone == clone{source.ID, source.Version, off, t.changes}
}

// stageOf is a stage with the first size bytes of p. It requires content.
func (t *transaction) stageOf(ctx context.Context, p *pin, size int64) (objstore.Stage, error) {
	_, base, _ := t.snapshot()
	spec := objstore.StageSpec{Empty: true, Source: p.reader, Owner: t.owner(ctx, base)}
	switch {
	case t.pin != nil:
		spec.Base = t.pin.reader
	case base.Version != "":
		r, err := t.fs.ns.Open(ctx, t.file.id, base.Version)
		if err != nil {
			return nil, &objstore.Error{Op: "copy", Kind: objstore.ErrUnsupported, Detail: err.Error()} // the base's stage is kept
		}
		defer r.Close()
		spec.Base = r
	}
	stage, err := t.fs.ns.NewStage(ctx, spec)
	if err != nil || stage.Size() == size {
		return stage, err
	}
	if err := stage.Truncate(ctx, size); err != nil {
		t.closeStage(stage)
		return nil, err
	}
	t.staged(spec.Owner)
	return stage, nil
}

// replaceStage makes stage the one of t. It requires content.
func (t *transaction) replaceStage(stage objstore.Stage) {
	if t.stage != nil {
		t.closeStage(t.stage)
	}
	t.stage = stage
	t.pin.release() // the stage has its own
	t.pin = nil
}
