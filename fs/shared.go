package fs

import (
	"context"

	"github.com/etagfs/etagfs/objstore"
)

// Under [IsolateMount] the handles of a file are one transaction, its working copy: what one of them writes the others read, as
// on a local disk. It is born at the first open and gone with the last handle. As long as nothing has changed each open
// moves it on to what is committed, each lock too; once something has, it has the base it had then, and a commit moves that.
//
// A file has one view then, that of its object, as a directory has, whoever has it open. Only a
// copy that has lost gets a view of its own: those who have it open stay with it, and the next open begins with the winner.

// sharing reports whether the handles of a file are one transaction.
func (fs *FS) sharing() bool { return fs.options.Isolation == IsolateMount }

// workingCopy is what the handles of a file share, nil if there is nothing or it is only being made.
func (fs *FS) workingCopy(f *file) *transaction {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if f == nil || f.shared == nil || !f.shared.isBorn() {
		return nil
	}
	return f.shared
}

func (t *transaction) isBorn() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.born
}

// shown is the transaction whose bytes a view shows, nil if those are committed.
func (fs *FS) shown(v View) *transaction {
	switch {
	case v.Writer != 0:
		return fs.writer(v.Writer)
	case fs.sharing():
		return fs.workingCopy(fs.openFile(v.Object))
	default:
		return nil
	}
}

// openShared joins a file's working copy, which moves on, or makes it.
func (fs *FS) openShared(ctx context.Context, c Caller, v View, mode OpenMode) (*Handle, error) {
	h, err := fs.enter(ctx, c, v, mode, (*transaction).catchUp)
	if err == nil && mode.Truncate {
		err = h.tx.empty(ctx, c, mode.ClearSetID)
	}
	if err != nil && h != nil {
		h.end()
		h = nil
	}
	return h, err
}

// enter makes a handle on a file's working copy. await waits until that is made, if it has a maker already; it is false if it never was.
func (fs *FS) enter(ctx context.Context, c Caller, v View, mode OpenMode, await func(*transaction, context.Context) (made bool, err error)) (*Handle, error) {
	if v.Writer != 0 {
		return fs.joinLost(c, v, mode)
	}
	for {
		h, first, err := fs.join(c, v.Object, mode)
		if err != nil {
			return nil, err
		}
		made := true
		if first {
			err = h.tx.bear(ctx)
		} else {
			made, err = await(h.tx, ctx)
		}
		if made && err == nil {
			return h, nil
		}
		h.end()
		if err != nil {
			return nil, err
		}
		// It could not be made: its maker has been told why, and now it is our turn.
	}
}

// joinLost opens a copy that has lost once more, for who has it open already.
func (fs *FS) joinLost(c Caller, v View, mode OpenMode) (*Handle, error) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	t := fs.writers[v.Writer]
	if t == nil || t.users == 0 || !mode.Pinned || fs.closed {
		return nil, stale("open")
	}
	return fs.another(t, c, mode), nil
}

// join makes a handle on an object's working copy. With first that has yet to be made, by bear: until then others wait.
func (fs *FS) join(c Caller, id objstore.ID, mode OpenMode) (h *Handle, first bool, err error) {
	fs.mu.Lock()
	if f := fs.files[id]; f != nil && f.shared != nil && !fs.closed {
		defer fs.mu.Unlock()
		return fs.another(f.shared, c, mode), false, nil
	}
	fs.mu.Unlock()
	h = fs.newWriter(c, mode)
	h.tx.refreshing.Lock()
	if err := fs.register(h, id, nil); err == nil {
		return h, true, nil
	} else if err != errJoin {
		return nil, false, err
	}
	return fs.join(c, id, mode)
}

// another makes another handle on t. FS.mu is held.
func (fs *FS) another(t *transaction, c Caller, mode OpenMode) *Handle {
	h := &Handle{fs: fs, mode: mode, caller: c, tx: t, file: t.file}
	t.users++
	t.file.handles.add(h)
	return h
}

// errJoin is why a working copy is not registered: the file has one by now.
var errJoin = stale("open")

// bear gives a working copy its base: what is committed now. It ends what join began.
func (t *transaction) bear(ctx context.Context) error {
	defer t.refreshing.Unlock()
	p, err := t.fs.pinVersion(ctx, View{Object: t.file.id}, false)
	if err != nil {
		t.end()
		t.fs.part(t)
		return err
	}
	t.content.Lock()
	t.pin = p
	t.content.Unlock()
	t.mu.Lock()
	t.setBase(p.reader.Info())
	t.appendOff = t.base.Size
	t.mu.Unlock()
	t.beBorn()
	return nil
}

// beBorn makes a working copy one that is shown.
func (t *transaction) beBorn() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.born = true
}

// catchUp moves a working copy on to what is committed, unless it has changed. It is false if the copy was never made.
func (t *transaction) catchUp(ctx context.Context) (made bool, err error) {
	t.refreshing.Lock()
	defer t.refreshing.Unlock()
	if !t.isBorn() {
		return false, nil
	}
	return true, t.refresh(ctx, func() { t.fs.notices.kernel.Forget(t.view()) })
}

// standStill waits until a working copy is made, and not while it is moved on.
func (t *transaction) standStill(context.Context) (made bool, err error) {
	if t.isBorn() {
		return true, nil
	}
	t.refreshing.Lock()
	defer t.refreshing.Unlock()
	return t.isBorn(), nil
}

// part ends that t is what new handles join.
func (fs *FS) part(t *transaction) (parted bool) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	parted = t.file.shared == t
	if parted {
		t.file.shared = nil
	}
	return parted
}

// empty is O_TRUNC. That of an empty file which has not changed is known as such: see rebase.
func (t *transaction) empty(ctx context.Context, c Caller, clearIDs bool) error {
	t.authored(c)
	t.content.Lock()
	t.mu.Lock()
	nothing := t.stage == nil && t.base.Version != "" && t.base.Size == 0 && !t.changed()
	if nothing {
		t.changes++
		t.rewrites++
		t.emptied, t.clearIDs, t.modesSet, t.changedAt = true, clearIDs, t.file.modesSet.Load(), t.fs.clock()
	}
	t.tell()
	t.content.Unlock()
	if nothing {
		return nil
	}
	return t.truncate(ctx, 0, clearIDs)
}

// authored notes who has changed a working copy.
func (t *transaction) authored(c Caller) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.author = c
}

// resizeShared sets a size by path: of the working copy, which is committed by the next of its writers that closes, or at once
// if it has none. The copy does not move on: the kernel holds back what has been written until it is answered, and could
// not forget it before.
func (fs *FS) resizeShared(ctx context.Context, c Caller, v View, change Change) error {
	h, err := fs.enter(ctx, c, v, OpenMode{Write: true}, (*transaction).standStill)
	if err != nil {
		return err
	}
	if *change.Size == 0 {
		err = h.tx.empty(ctx, c, change.ClearSetID)
	} else {
		h.tx.authored(c)
		err = h.tx.truncate(ctx, *change.Size, change.ClearSetID)
	}
	if err == nil && !fs.writesBeside(h) {
		err = h.tx.finish(ctx, c, "truncate", fs.closeDurability(), briefly)
	}
	h.end()
	return err
}

// writesBeside reports whether a handle other than h writes to its working copy.
func (fs *FS) writesBeside(h *Handle) bool {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for _, other := range h.file.handles.all {
		if other != h && other.tx == h.tx && other.mode.Write {
			return true
		}
	}
	return false
}

// leave ends a handle on a working copy. The last one sees to it that nothing is left uncommitted.
func (h *Handle) leave(ctx context.Context) {
	for saved := false; !h.tryLeave(saved); saved = true {
		// The failure has been logged and the bytes are kept: nobody is left to be told.
		_ = h.tx.finish(ctx, h.caller, "release", h.fs.closeDurability(), briefly)
	}
}

// tryLeave is false if something has to be saved first.
func (h *Handle) tryLeave(saved bool) bool {
	fs, t := h.fs, h.tx
	fs.mu.Lock()
	last := t.users == 1
	if last && !saved && t.unsaved() {
		fs.mu.Unlock()
		return false
	}
	t.users--
	if last {
		delete(fs.writers, t.id)
		if t.file.shared == t {
			t.file.shared = nil
		}
	}
	fs.unlist(h)
	fs.mu.Unlock()
	if last {
		t.end()
		t.drop()
	}
	return true
}

// growShared moves an unchanged working copy on to a commit that only appended, and returns the version it showed.
func (fs *FS) growShared(ctx context.Context, c objstore.Change) []objstore.Version {
	grown := []objstore.Version{}
	t := fs.workingCopy(fs.openFile(c.Object))
	if t == nil || !t.refreshing.TryLock() {
		return grown // which is moved on by who has the lock
	}
	defer t.refreshing.Unlock()
	if state, base, work := t.snapshot(); state != txOpen || work.changed() || base.Version != c.Old {
		return grown
	}
	p, err := fs.pinVersion(ctx, View{Object: c.Object, Version: c.New}, false)
	if err != nil || !t.moveTo(p, c.Old) {
		return nil
	}
	fs.notices.kernel.Forget(t.view())
	return append(grown, c.Old)
}
