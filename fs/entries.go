package fs

import (
	"context"
	"errors"

	"github.com/etagfs/etagfs/objstore"
)

// newName is where something new is to appear, if it may.
func (fs *FS) newName(op string, dir objstore.ID, name string) (entryKey, error) {
	at := entryKey{dir, name}
	if err := checkName(op, name); err != nil {
		return at, err
	}
	if isControl(dir) {
		return at, &Error{Op: op, Path: name, Kind: ErrNotPermitted}
	}
	if fs.inControl(dir, name) {
		return at, &Error{Op: op, Path: name, Kind: ErrExists}
	}
	return at, fs.writable(op)
}

// oldName is a name that is to go, if it may.
func (fs *FS) oldName(op string, dir objstore.ID, name string) (entryKey, error) {
	at := entryKey{dir, name}
	if err := checkName(op, name); err != nil {
		return at, err
	}
	if fs.inControl(dir, name) {
		return at, &Error{Op: op, Path: name, Kind: ErrNotPermitted}
	}
	return at, fs.writable(op)
}

// Mkdir makes a directory; ErrExists for all but one of any number of racers.
func (fs *FS) Mkdir(ctx context.Context, c Caller, dir objstore.ID, name string, perm uint32) (Entry, error) {
	attr, xattrs, err := fs.newAttr(ctx, c, dir, perm, objstore.TypeDir)
	if err != nil && !isControl(dir) {
		return Entry{}, err
	}
	return fs.make(ctx, c, "mkdir", objstore.MakeRequest{Parent: dir, Name: name, Type: objstore.TypeDir, Attr: attr, Xattrs: xattrs})
}

// Symlink makes a symlink.
func (fs *FS) Symlink(ctx context.Context, c Caller, dir objstore.ID, name, target string) (Entry, error) {
	attr, _, err := fs.newAttr(ctx, c, dir, 0o777, objstore.TypeSymlink)
	if err != nil && !isControl(dir) {
		return Entry{}, err
	}
	return fs.make(ctx, c, "symlink", objstore.MakeRequest{Parent: dir, Name: name, Type: objstore.TypeSymlink, Attr: attr, Target: target})
}

// Mknod makes a special file, or with TypeFile an empty file, which is committed at once.
func (fs *FS) Mknod(ctx context.Context, c Caller, dir objstore.ID, name string, t objstore.FileType, perm, rdev uint32) (Entry, error) {
	if t == objstore.TypeFile {
		return fs.makeFile(ctx, c, dir, name, perm)
	}
	attr, xattrs, err := fs.newAttr(ctx, c, dir, perm, t)
	if err != nil && !isControl(dir) {
		return Entry{}, err
	}
	return fs.make(ctx, c, "mknod", objstore.MakeRequest{Parent: dir, Name: name, Type: t, Attr: attr, Xattrs: xattrs, Rdev: rdev})
}

func (fs *FS) makeFile(ctx context.Context, c Caller, dir objstore.ID, name string, perm uint32) (Entry, error) {
	h, _, err := fs.Create(ctx, c, dir, name, OpenMode{Exclusive: true}, perm)
	if err != nil {
		return Entry{}, err
	}
	defer h.end()
	_, base, _ := h.tx.snapshot()
	return Entry{View: fs.viewOf(base), Attr: fs.attr(base)}, nil
}

// make makes anything but a file.
func (fs *FS) make(ctx context.Context, c Caller, op string, r objstore.MakeRequest) (Entry, error) {
	at, err := fs.newName(op, r.Parent, r.Name)
	if err != nil {
		return Entry{}, err
	}
	unlock := fs.names.lock(at)
	defer unlock()
	if fs.pendingAt(at) != nil {
		return Entry{}, &Error{Op: op, Path: r.Name, Kind: ErrExists}
	}
	r.Durability = objstore.Visible
	done := fs.notices.expect(nameChange{objstore.ChangeCreated, at})
	info, err := fs.ns.Make(ctx, r)
	done(err)
	if err != nil {
		return Entry{}, notMade(op, r.Name, err)
	}
	fs.guardMade(c, at, info)
	return Entry{View: fs.viewOf(info), Attr: fs.attr(info)}, nil
}

// Readlink is the target of a symlink.
func (fs *FS) Readlink(ctx context.Context, c Caller, object objstore.ID) (string, error) {
	return fs.ns.Readlink(ctx, object)
}

// Link gives the file shown by v another name. What is pending or changed is committed
// in the same step.
func (fs *FS) Link(ctx context.Context, c Caller, v View, dir objstore.ID, name string) (Entry, error) {
	if isControl(v.Object) != isControl(dir) {
		return Entry{}, &Error{Op: "link", Path: name, Kind: ErrCrossMount}
	}
	at, err := fs.newName("link", dir, name)
	if err != nil {
		return Entry{}, err
	}
	f := fs.openFile(v.Object)
	unlock := fs.lockNames(f, at)
	defer unlock()
	if fs.pendingAt(at) != nil {
		return Entry{}, &Error{Op: "link", Path: name, Kind: ErrExists}
	}
	info, err := fs.link(ctx, c, f, v.Object, at)
	if err != nil {
		return Entry{}, notMade("link", name, err)
	}
	fs.guardMade(c, at, info)
	return fs.entry(ctx, c, at, info, true)
}

// link requires the names.
func (fs *FS) link(ctx context.Context, c Caller, f *file, id objstore.ID, at entryKey) (objstore.Info, error) {
	_, pending := fs.creationOf(f)
	if t := fs.namelessOf(f); t != nil {
		return fs.nameFirst(ctx, c, t, at)
	}
	out, committed := fs.commitWith(ctx, c, f, order{op: "link", caller: c, link: &at})
	if out.done || committed != nil && KindOf(committed) != ErrBusy {
		return out.result.Info, committed
	}
	done := fs.notices.expect(nameChange{objstore.ChangeCreated, at})
	info, err := fs.ns.Link(ctx, id, at.dir, at.name, objstore.Visible)
	done(err)
	return info, orLost(pending, err, committed)
}

// commitWith commits what has changed of f, as part of an order on its name, if it is
// open for writing: the caller's own transaction rather than another's. Names are locked.
func (fs *FS) commitWith(ctx context.Context, c Caller, f *file, o order) (outcome, error) {
	t := fs.ownWriter(c, f)
	if t == nil {
		t = fs.newestWriter(f)
	}
	if t == nil {
		return outcome{}, nil
	}
	o.durability = objstore.Visible
	t.committing.Lock()
	defer t.committing.Unlock()
	return t.commit(ctx, o)
}

// orLost prefers to say that a pending create has lost over that its name is missing. A file that was committed is missing because somebody
// has taken it away, whoever was changing it.
func orLost(pending bool, err, lost error) error {
	if pending && lost != nil && errors.Is(err, objstore.ErrNotFound) {
		return lost
	}
	return err
}

// Unlink removes a name of anything but a directory. Handles on a file that has none left go
// their own way: their bytes go with them. In the control directory it is refused.
func (fs *FS) Unlink(ctx context.Context, c Caller, dir objstore.ID, name string) error {
	if isControl(dir) {
		return &Error{Op: "unlink", Path: name, Kind: ErrNotPermitted}
	}
	at, err := fs.oldName("unlink", dir, name)
	if err != nil {
		return err
	}
	unlock := fs.names.lock(at)
	defer unlock()
	done := fs.notices.expect(nameChange{objstore.ChangeRemoved, at})
	p, guarded := fs.actor(c)
	cond := objstore.Unconditional()
	if guarded {
		cond = fs.guard.holdsThat(p, at)
	}
	err = fs.unlink(ctx, at, cond)
	done(err)
	if guarded {
		err = fs.unlinked(ctx, c, p, at, cond, err)
	}
	pending := fs.pendingAt(at)
	if pending == nil || err != nil && !errors.Is(err, objstore.ErrNotFound) {
		return err
	}
	fs.lostPending(pending)
	return nil
}

// lostPending follows the loss of the name of a pending create.
func (fs *FS) lostPending(f *file) {
	info := fs.pendingInfo(f)
	fs.detach(f, info)
	info.Nlink = 0
	fs.notices.kernel.Lost(fs.attr(info))
}

func (fs *FS) unlink(ctx context.Context, at entryKey, cond objstore.Cond) error {
	fs.removing.RLock()
	defer fs.removing.RUnlock()
	removed, err := fs.ns.Unlink(ctx, at.dir, at.name, cond, objstore.Visible)
	if err == nil {
		fs.lost(removed.Removed, removed.Gone)
	}
	return err
}

// lost follows the loss of a name through this mount.
func (fs *FS) lost(info objstore.Info, gone bool) {
	if gone {
		fs.detachObject(info)
		info.Nlink = 0
	}
	a := fs.attr(info)
	a.Ctime = fs.clock()
	fs.notices.kernel.Lost(a)
}

// pendingInfo is what is known of a pending create that ends without a commit: as the newest has it who was to make it.
func (fs *FS) pendingInfo(f *file) objstore.Info {
	create, _ := fs.creationOf(f)
	info := objstore.Info{ID: f.id, Type: objstore.TypeFile, Xattrs: create.change.Xattrs}
	info.Attr = objstore.Attr{
		Mode: create.attr.Mode, UID: create.attr.UID, GID: create.attr.GID,
		Atime: create.time, Mtime: create.time, Ctime: create.time, Btime: create.time,
	}
	if t := f.uncommitted.newestMaker(); t != nil {
		t.leaveIn(&info)
	}
	return info
}

// leaveIn has info, of a pending create, say what t shows.
func (t *transaction) leaveIn(info *objstore.Info) {
	_, _, w := t.snapshot()
	info.Size = t.size()
	info.Allocated = info.Size
	attr := &info.Attr
	attr.Mtime = w.changedAt
	attr.Ctime = later(later(attr.Ctime, w.changedAt), w.attrsAt)
	if w.mtime != nil {
		attr.Mtime = *w.mtime
	}
	if w.atime != nil {
		attr.Atime = *w.atime
	}
	if w.clearIDs {
		attr.Mode = withoutSetID(attr.Mode, w.byOutsider)
	}
}

// detachObject detaches the handles on an object that has no name left.
func (fs *FS) detachObject(info objstore.Info) {
	if f := fs.openFile(info.ID); f != nil {
		fs.detach(f, info)
	}
}

// replaced detaches what a rename took the last name of.
func (fs *FS) replaced(moved objstore.MoveResult) {
	if moved.Replaced.ID != 0 {
		fs.lost(moved.Replaced, moved.Gone)
	}
}

// Rmdir removes an empty directory. In the control directory it drops a conflict.
func (fs *FS) Rmdir(ctx context.Context, c Caller, dir objstore.ID, name string) error {
	if isControl(dir) {
		return fs.dropControl(ctx, c, dir, name)
	}
	at, err := fs.oldName("rmdir", dir, name)
	if err != nil {
		return err
	}
	unlock := fs.names.lock(at)
	defer unlock()
	if fs.pendingAt(at) != nil {
		return &objstore.Error{Op: "rmdir", Key: name, Kind: objstore.ErrNotDir}
	}
	if err := fs.pendingBelow(ctx, "rmdir", at); err != nil {
		return err
	}
	done := fs.notices.expect(nameChange{objstore.ChangeRemoved, at})
	removed, err := fs.ns.Rmdir(ctx, dir, name, objstore.Visible)
	if err == nil {
		fs.lost(removed.Removed, true)
	}
	done(err)
	return err
}

// pendingBelow is ErrNotEmpty if the directory at a name holds pending creates, which the
// store does not know.
func (fs *FS) pendingBelow(ctx context.Context, op string, at entryKey) error {
	dirs := fs.dirsWithPending()
	if len(dirs) == 0 {
		return nil
	}
	info, err := fs.ns.Lookup(ctx, at.dir, at.name)
	if err != nil || !dirs[info.ID] {
		return nil // what is wrong with the name the operation itself will say
	}
	return &objstore.Error{Op: op, Key: at.name, Kind: objstore.ErrNotEmpty}
}

func (fs *FS) dirsWithPending() map[objstore.ID]bool {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	dirs := make(map[objstore.ID]bool)
	for at := range fs.creations {
		dirs[at.dir] = true
	}
	return dirs
}
