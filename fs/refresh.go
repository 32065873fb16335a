package fs

import (
	"context"
	"errors"
	"slices"

	"github.com/etagfs/etagfs/objstore"
)

// Refresh moves an unchanged handle on to what is committed now: for a lock that has just been taken. One that has only
// made the file, which another handle has committed since, is unchanged, too. forget, called
// with no lock held, returns once the kernel has dropped what it has of the handle's bytes. The caller sees to it
// that no two refreshes of a handle run at once, and that nobody else's bytes are in what is dropped.
//
// A handle that has changed, lost, or whose bytes a reader follows and has begun to read stays what it is: its base and the bytes
// it shows never part. So does one whose file is gone. view is what the handle shows then.
func (h *Handle) Refresh(ctx context.Context, forget func()) (view View, err error) {
	switch {
	case h.control != nil:
	case h.tx != nil && h.tx.shared:
		_, err = h.tx.catchUp(ctx)
	case h.tx != nil:
		err = h.tx.refresh(ctx, forget)
	default:
		err = h.reading.refresh(ctx, h.fs, forget)
	}
	return h.View(), err
}

// newer is a pin of what is committed now, nil if that is version or the file is gone.
func (fs *FS) newer(ctx context.Context, id objstore.ID, version objstore.Version) (*pin, error) {
	if current, ok := fs.Current(ctx, id); ok && current == version {
		return nil, nil
	}
	p, err := fs.pinVersion(ctx, View{Object: id}, false)
	switch {
	case errors.Is(err, ErrStale):
		return nil, nil
	case err != nil:
		return nil, err
	case p.version() == version:
		p.release()
		return nil, nil
	}
	return p, nil
}

// refresh first shows the new bytes, then has the old ones dropped, and only then moves the base: nothing old is
// left to be read, and stores into old pages, which come in while those are dropped, find the old base.
func (t *transaction) refresh(ctx context.Context, forget func()) error {
	state, base, work := t.snapshot()
	if state != txOpen || !work.nothingOf(base) {
		return nil
	}
	p, err := t.fs.newer(ctx, t.file.id, base.Version)
	if p == nil || err != nil {
		return err
	}
	if !t.preview(p, base.Size) {
		p.release()
		return nil
	}
	forget()
	if !t.moveTo(p, base.Version) {
		forget() // what was read meanwhile is not of the base
	}
	return nil
}

// preview shows p's bytes in place of the base's, size of them, unless a reader that follows t has begun to read those.
func (t *transaction) preview(p *pin, size int64) bool {
	t.content.Lock()
	defer t.content.Unlock()
	if size > 0 && t.isBeingRead() {
		return false
	}
	t.next = p
	return true
}

// isBeingRead reports whether a reader has begun to read what t shows. Most who follow a writer that has changed nothing have not: they
// hold what a look-up has found for the open that comes next.
func (t *transaction) isBeingRead() bool {
	return slices.ContainsFunc(t.fs.readersOf(t.file.id), func(r *reading) bool { return r.hasRead(t) })
}

// moveTo makes p, which it takes over, the base, unless the transaction has moved from version or has changed.
func (t *transaction) moveTo(p *pin, version objstore.Version) bool {
	t.committing.Lock()
	defer t.committing.Unlock()
	t.content.Lock()
	defer t.content.Unlock()
	t.next = nil
	if !t.rebaseClean(p.reader.Info(), version) {
		p.release()
		return false
	}
	if t.stage != nil {
		if err := t.stage.Close(); err != nil {
			t.fs.log.Error("closing a stage failed", "object", t.file.id, "error", err)
		}
		t.stage = nil
	}
	t.pin.release()
	t.pin = p
	return true
}

// rebaseClean makes info the base if that is version and nothing has changed since. Who had only made the file
// has, after that, opened what another handle made of it.
func (t *transaction) rebaseClean(info objstore.Info, version objstore.Version) bool {
	t.mu.Lock()
	defer t.tell()
	if t.state != txOpen || !t.nothingOf(t.base) || t.base.Version != version {
		return false
	}
	t.setBase(info)
	t.appendOff = info.Size
	t.committed, t.deferred = t.changes, false
	return true
}

// refresh moves a reader on. One that follows a writer shows that writer's bytes.
func (r *reading) refresh(ctx context.Context, fs *FS, forget func()) error {
	_, shown := r.source()
	if shown == nil {
		return nil
	}
	p, err := fs.newer(ctx, r.object, shown.version())
	if p == nil || err != nil {
		return err
	}
	r.jump(p)
	forget()
	return nil
}

// jump makes p, which it takes over, what r shows.
func (r *reading) jump(p *pin) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.pin == nil {
		p.release()
		return
	}
	r.pin.release()
	r.pin, r.latest = p, p.version()
}

// Commit commits what changed, as Flush does, and waits for nothing else: before a lock is released.
func (h *Handle) Commit(ctx context.Context, c Caller) error {
	if h.tx == nil || !h.commits() || !h.tx.changedOrStopped() {
		return nil
	}
	return h.tx.finish(ctx, c, "unlock", h.fs.closeDurability(), untilTold)
}
