package fs

import (
	"context"
	"errors"
	"io"
	"sync"

	"github.com/etagfs/etagfs/objstore"
)

// Handle is an open file. One that may write, or that creates its file, is a
// transaction; others only read.
type Handle struct {
	// Constant once registered. One of tx, reading and control is set.
	fs      *FS
	file    *file
	mode    OpenMode
	caller  Caller       // who opened it; of writers and with IsolateMount
	tx      *transaction // with IsolateMount shared by all handles of the file
	reading *reading
	control *controlFile
	// accessed: its open has moved the file's atime.
	accessed bool

	place int // in its file's handles; guarded by FS.mu

	ending sync.Once
}

// ID names a writing handle; 0 for others.
func (h *Handle) ID() HandleID {
	if h.tx == nil {
		return 0
	}
	return h.tx.id
}

// Mode is how it was opened.
func (h *Handle) Mode() OpenMode { return h.mode }

// View is the view it shows now. A reader that followed a writer shows a committed view after the
// writer's commit; a reader of a growing file shows the newest version it sees.
func (h *Handle) View() View {
	switch {
	case h.control != nil:
		return View{Object: h.control.id}
	case h.tx != nil:
		return h.tx.view()
	default:
		return h.reading.view()
	}
}

// ReadAt fills p from off. It is short only at the end of the file, without an error.
func (h *Handle) ReadAt(ctx context.Context, p []byte, off int64) (int, error) {
	switch {
	case h.control != nil:
		return h.control.read(ctx, p, off)
	case h.tx != nil:
		return h.tx.read(ctx, p, off)
	default:
		return h.reading.read(ctx, p, off)
	}
}

// Stream is all that a reader of a committed version shows, in order; see [objstore.Reader]. It is nil for any other
// handle, and to be closed before h is released.
func (h *Handle) Stream(ctx context.Context) io.ReadCloser {
	if h.reading == nil {
		return nil
	}
	if _, p := h.reading.source(); p != nil {
		return p.reader.Stream(ctx, 0, -1)
	}
	return nil
}

// mayWrite is the error for a change through a handle that was not opened for it.
func (h *Handle) mayWrite(op string) error {
	if h.tx == nil || !h.mode.Write {
		return &Error{Op: op, Kind: ErrBadHandle}
	}
	if h.tx.shared {
		h.tx.authored(h.caller)
	}
	return nil
}

// WriteAt writes p at off, or at the end. p is not kept. With OpenMode.Sync it is
// committed durably before the return.
func (h *Handle) WriteAt(ctx context.Context, p []byte, off int64, mode WriteMode) (int, error) {
	if err := h.mayWrite("write"); err != nil {
		return 0, err
	}
	n, err := h.tx.write(ctx, p, off, mode)
	if err == nil && h.mode.Sync {
		err = h.tx.finish(ctx, h.caller, "write", objstore.Durable, briefly)
	}
	if err != nil {
		n = 0
	}
	return n, err
}

// Truncate sets the size.
func (h *Handle) Truncate(ctx context.Context, size int64) error {
	if err := h.mayWrite("truncate"); err != nil {
		return err
	}
	return h.tx.truncate(ctx, size, false)
}

// Allocate is fallocate(2); clearIDs says that the caller is not privileged to keep set-user-id and set-group-id.
func (h *Handle) Allocate(ctx context.Context, off, length int64, mode objstore.AllocateMode, clearIDs bool) error {
	if err := h.mayWrite("allocate"); err != nil {
		return err
	}
	return h.tx.allocate(ctx, off, length, mode, clearIDs)
}

// Flush is close(2) of a descriptor: it commits what changed. ErrBusy if another commit came
// first; then the bytes are kept. It ignores the cancellation of ctx and returns after the
// kernel's cached copies are gone.
//
// After no more than a create or truncate it waits for the next flush or Release if
// the caller certainly holds another descriptor: a shell's "> f" closes one before it starts the command.
func (h *Handle) Flush(ctx context.Context, c Caller) error {
	if h.tx == nil || !h.commits() || h.tx.defers(c) {
		return nil
	}
	return h.tx.finish(ctx, c, "close", h.fs.closeDurability(), untilTold)
}

// commits reports whether a close of h commits. One that only reads leaves that to those that write.
func (h *Handle) commits() bool { return h.mode.Write || !h.tx.shared }

func (fs *FS) closeDurability() objstore.Durability {
	if fs.options.Durability == DurableClose {
		return objstore.Durable
	}
	return objstore.Visible
}

// defers decides whether a flush may wait, and remembers it.
func (t *transaction) defers(c Caller) bool {
	state, _, work := t.snapshot()
	if state != txOpen || !work.changed() || work.bytes || !t.fs.isOnly(t) || !t.fs.processes.HoldsOther(c.Thread, t.file.id) {
		return false
	}
	t.mu.Lock()
	defer t.tell()
	t.deferred = true
	return true
}

// isOnly reports whether t's handle is the only one on its file: only then is any other
// descriptor a process has on the file certainly one of t's.
func (fs *FS) isOnly(t *transaction) bool {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return len(t.file.handles.all) == 1 && t.file.handles.all[0].tx == t
}

// Sync is fsync(2): like Flush, durable, and never deferred. The kernel has the file locked meanwhile: so it, a
// synchronous write and a truncation wait for the kernel's copies only as long as others cannot be waiting for
// the file with its directory locked.
func (h *Handle) Sync(ctx context.Context, c Caller) error {
	if h.control != nil {
		return nil
	}
	if h.tx == nil || !h.tx.changedOrStopped() {
		ctx, cancel := h.fs.commitContext(ctx)
		defer cancel()
		err := h.fs.ns.Sync(ctx)
		if h.tx != nil {
			h.fs.notices.told(ctx, briefly) // of what was committed in the background a moment ago
		}
		return err
	}
	return h.tx.finish(ctx, c, "fsync", objstore.Durable, briefly)
}

// changedOrStopped reports whether a commit has anything to do or to refuse.
func (t *transaction) changedOrStopped() bool {
	state, _, work := t.snapshot()
	return state == txLost || state == txUnknown || state == txOpen && work.changed()
}

// unsaved reports whether there are bytes that are neither committed nor kept.
func (t *transaction) unsaved() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch t.state {
	case txOpen:
		return t.changed()
	case txLost, txUnknown:
		return t.kept.id == "" || t.kept.changes != t.changes
	default:
		return false
	}
}

// Release ends the handle after its last descriptor and mapping are gone. What Flush could
// not see is committed or kept; failures are logged. view is the committed
// view the handle's bytes equal, so that a node can live on as that; ok is false if there is none.
func (h *Handle) Release(ctx context.Context) (view View, ok bool) {
	if h.tx != nil && h.commits() && h.tx.unsaved() {
		// The failure has been logged and the bytes are kept: nobody is left to be told.
		_ = h.tx.finish(ctx, h.caller, "release", h.fs.closeDurability(), untilTold)
	}
	view, ok = h.equals()
	h.end()
	return view, ok
}

// equals is the committed view whose bytes the handle shows.
func (h *Handle) equals() (View, bool) {
	if h.tx == nil {
		v := h.View()
		return v, v.Committed() && v.Version != ""
	}
	state, base, work := h.tx.snapshot()
	if state != txOpen || work.changed() || base.Version == "" {
		return View{}, false
	}
	return View{Object: h.file.id, Version: base.Version}, true
}

// end gives up what the handle holds.
func (h *Handle) end() { h.ending.Do(h.giveUp) }

func (h *Handle) giveUp() {
	if h.control != nil {
		h.control.close()
		return
	}
	if h.tx != nil && h.tx.shared {
		h.leave(context.Background())
		return
	}
	if h.tx != nil {
		h.tx.end()
		h.fs.unregister(h)
		h.fs.unuse(h.tx)
		return
	}
	h.fs.unregister(h)
	if writer := h.reading.close(); writer != nil {
		h.fs.unuse(writer)
	}
}

// NextData is SEEK_DATA; objstore.ErrRange if there is none.
func (h *Handle) NextData(ctx context.Context, off int64) (int64, error) {
	return h.seek(ctx, off, nextDataBlock, func(int64) int64 { return off })
}

// NextHole is SEEK_HOLE; objstore.ErrRange beyond the end.
func (h *Handle) NextHole(ctx context.Context, off int64) (int64, error) {
	return h.seek(ctx, off, nextHoleBlock, func(size int64) int64 { return size })
}

// holeBytes is the least a hole has, and where it may begin, as on other file systems: programs reckon with blocks, not with
// every byte that was left out.
const holeBytes = 4096

// nextDataBlock is the first offset from off on in a block with data.
func nextDataBlock(ctx context.Context, s objstore.Stage, off int64) (int64, error) {
	data, err := s.NextData(ctx, off-off%holeBytes)
	return max(off, data-data%holeBytes), err
}

// nextHoleBlock is the first offset from off on in a block without data, or the size.
func nextHoleBlock(ctx context.Context, s objstore.Stage, off int64) (int64, error) {
	for size := s.Size(); off < size; {
		block := off - off%holeBytes
		data, err := s.NextData(ctx, block)
		if errors.Is(err, objstore.ErrRange) || err == nil && data >= block+holeBytes {
			return off, nil
		}
		if err != nil {
			return 0, err
		}
		hole, err := s.NextHole(ctx, data)
		if err != nil {
			return 0, err
		}
		off = min(size, (hole+holeBytes-1)/holeBytes*holeBytes)
	}
	return off, nil
}

// seek asks the stage if there is one.
func (h *Handle) seek(ctx context.Context, off int64, ask seekFunc, whole func(size int64) int64) (int64, error) {
	size, err := h.size()
	if err != nil {
		return 0, err
	}
	if off < 0 || off >= size {
		return 0, &objstore.Error{Op: "seek", Kind: objstore.ErrRange}
	}
	t, p := h.tx, (*pin)(nil)
	if h.reading != nil {
		t, p = h.reading.source()
	}
	if t != nil {
		t.content.RLock()
		defer t.content.RUnlock()
		if t.stage != nil && t.next == nil {
			return ask(ctx, t.stage, off)
		}
		p = t.pin
	}
	if p.sparse() && p.acquire() {
		defer p.release()
		return h.fs.seekPinned(ctx, p, off, ask)
	}
	return whole(size), nil
}

type seekFunc = func(context.Context, objstore.Stage, int64) (int64, error)

// sparse reports whether a version has holes. It may be called on nil.
func (p *pin) sparse() bool {
	if p == nil {
		return false
	}
	info := p.reader.Info()
	return info.Allocated < info.Size
}

// seekPinned asks a stage made for that: a reader has no word for holes.
func (fs *FS) seekPinned(ctx context.Context, p *pin, off int64, ask seekFunc) (int64, error) {
	stage, err := fs.ns.NewStage(ctx, objstore.StageSpec{Base: p.reader, Owner: objstore.Owner{Object: p.reader.Info().ID}})
	if err != nil {
		return 0, err
	}
	defer stage.Close()
	return ask(ctx, stage, off)
}

// size is the size of what the handle shows.
func (h *Handle) size() (int64, error) {
	if h.control != nil {
		return h.control.size, nil
	}
	if h.tx != nil {
		return h.tx.size(), nil
	}
	switch follows, pin := h.reading.source(); {
	case follows != nil:
		return follows.size(), nil
	case pin != nil:
		return pin.reader.Info().Size, nil
	default:
		return 0, &Error{Op: "size", Kind: ErrStale}
	}
}
