package fs

import (
	"context"
	"errors"

	"github.com/etagfs/etagfs/objstore"
)

// Tmpfile makes a file without a name and opens it. It is as one that has lost its name, and goes with its
// handle, unless [FS.Link] gives it one: that commits it.
func (fs *FS) Tmpfile(ctx context.Context, c Caller, dir objstore.ID, mode OpenMode, perm uint32) (*Handle, Entry, error) {
	if isControl(dir) {
		return nil, Entry{}, &Error{Op: "create", Kind: ErrNotPermitted}
	}
	if err := fs.writable("create"); err != nil {
		return nil, Entry{}, err
	}
	attr, xattrs, err := fs.newAttr(ctx, c, dir, perm, objstore.TypeFile)
	if err != nil {
		return nil, Entry{}, err
	}
	id, err := fs.ns.NewID(ctx)
	if err != nil {
		return nil, Entry{}, err
	}
	now := fs.clock()
	h := fs.newMaker(c, mode, now)
	h.tx.refreshing.Lock()
	defer h.tx.refreshing.Unlock()
	if err := fs.register(h, id, nil); err != nil {
		return nil, Entry{}, err
	}
	info := objstore.Info{ID: id, Type: objstore.TypeFile, Xattrs: xattrs}
	info.Attr = objstore.Attr{Mode: attr.Mode, UID: attr.UID, GID: attr.GID, Atime: now, Mtime: now, Ctime: now, Btime: now}
	fs.makeNameless(h.tx, info)
	h.tx.beBorn()
	return fs.opened(ctx, h)
}

// makeNameless detaches t, to be named later.
func (fs *FS) makeNameless(t *transaction, info objstore.Info) {
	fs.detach(t.file, info)
	fs.mu.Lock()
	defer fs.mu.Unlock()
	t.file.nameless = t
}

// namelessOf is the transaction that made f without a name, nil if it has had one; f may be nil.
func (fs *FS) namelessOf(f *file) *transaction {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if f == nil {
		return nil
	}
	return f.nameless
}

// nameFirst gives t's file its first name, which is locked. If that fails t is as before.
func (fs *FS) nameFirst(ctx context.Context, c Caller, t *transaction, at entryKey) (objstore.Info, error) {
	ctx, cancel := fs.commitContext(ctx)
	defer cancel()
	switch _, err := fs.ns.Lookup(ctx, at.dir, at.name); {
	case err == nil:
		return objstore.Info{}, objstore.ErrPrecondition
	case !errors.Is(err, objstore.ErrNotFound):
		return objstore.Info{}, err
	}
	t.committing.Lock()
	defer t.committing.Unlock()
	before, ok := fs.revive(t, at)
	if !ok {
		return objstore.Info{}, &objstore.Error{Op: "link", Key: at.name, Kind: objstore.ErrNotFound}
	}
	result, err := t.attempt(ctx, order{op: "link", caller: c, durability: objstore.Visible})
	if err != nil {
		fs.makeNameless(t, before)
	}
	return result.Info, err
}

// revive makes t, which is nameless, a pending create; it is no more if another link was first.
func (fs *FS) revive(t *transaction, at entryKey) (before objstore.Info, ok bool) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	f := t.file
	if f.nameless != t {
		return before, false
	}
	before = *f.orphan
	attr := before.Attr
	f.create = &creation{
		at: at, time: attr.Ctime,
		attr:   objstore.NewAttr{Mode: attr.Mode, UID: attr.UID, GID: attr.GID},
		change: objstore.AttrChange{Xattrs: before.Xattrs},
	}
	fs.creations[at] = f
	fs.listings.changed(at.dir)
	f.orphan, f.detached, f.nameless = nil, false, nil
	t.mu.Lock()
	t.state = txOpen
	t.tell()
	return before, true
}
