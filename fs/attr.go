package fs

import (
	"context"
	"errors"
	"time"

	"github.com/etagfs/etagfs/objstore"
)

// attr is what is shown of an object.
func (fs *FS) attr(info objstore.Info) Attr {
	a := Attr{
		Object: info.ID, Type: info.Type, Size: info.Size, Allocated: info.Allocated,
		Mode: info.Attr.Mode, UID: info.Attr.UID, GID: info.Attr.GID,
		Nlink: info.Nlink, Rdev: info.Rdev,
		Atime: fs.accesses.shown(info.ID, info.Attr.Atime), Mtime: info.Attr.Mtime, Ctime: info.Attr.Ctime,
	}
	return fs.override(a)
}

func (fs *FS) override(a Attr) Attr {
	if fs.options.UID.Set {
		a.UID = fs.options.UID.Value
	}
	if fs.options.GID.Set {
		a.GID = fs.options.GID.Value
	}
	if fs.options.Umask.Set && a.Type != objstore.TypeSymlink {
		a.Mode &^= fs.options.Umask.Value
	}
	return a
}

// Stat describes a view; ErrStale if it is neither current nor open.
func (fs *FS) Stat(ctx context.Context, c Caller, v View) (Attr, error) {
	if isControl(v.Object) {
		return fs.statControl(ctx, c, v.Object)
	}
	if t := fs.shown(v); t != nil {
		return t.attr(ctx)
	} else if v.Writer != 0 {
		return Attr{}, stale("stat")
	}
	info, err := fs.ns.Stat(ctx, v.Object)
	if err == nil && (fs.sharing() || info.Type != objstore.TypeFile || info.Version == v.Version) {
		return fs.attr(info), nil
	}
	if err != nil && !errors.Is(err, objstore.ErrNotFound) {
		return Attr{}, err
	}
	f := fs.openFile(v.Object)
	if f == nil || fs.sharing() {
		return Attr{}, stale("stat")
	}
	if v.Version == "" {
		entry, err := fs.pendingEntry(ctx, c, f, false)
		if errors.Is(err, objstore.ErrNotFound) {
			err = stale("stat") // committed meanwhile
		}
		return entry.Attr, err
	}
	p := fs.heldPin(v)
	if p == nil {
		return Attr{}, stale("stat")
	}
	defer p.release()
	return fs.pinnedAttr(ctx, f, p.reader.Info())
}

// Attr describes what the handle shows.
func (h *Handle) Attr(ctx context.Context) (Attr, error) {
	switch {
	case h.control != nil && h.control.source != nil:
		return h.fs.attrOf(ctx, h.control.id, h.control.source), nil
	case h.control != nil:
		return h.control.attr, nil
	case h.tx != nil:
		return h.tx.attr(ctx)
	}
	follows, p := h.reading.source()
	switch {
	case follows != nil:
		return follows.attr(ctx)
	case p == nil:
		return Attr{}, stale("stat")
	}
	return h.fs.pinnedAttr(ctx, h.file, p.reader.Info())
}

// Detached reports whether h's file has lost its last name through this mount, or has none yet.
func (h *Handle) Detached() bool {
	if h.file == nil {
		return false
	}
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	return h.file.detached
}

// pinnedAttr describes a version: its own size and time, the attributes the file has now.
func (fs *FS) pinnedAttr(ctx context.Context, f *file, pinned objstore.Info) (Attr, error) {
	current, err := fs.currentInfo(ctx, f, pinned)
	if err != nil {
		return Attr{}, err
	}
	a := fs.attr(current)
	if current.Version != pinned.Version {
		a.Size, a.Allocated, a.Mtime = pinned.Size, pinned.Allocated, pinned.Attr.Mtime
	}
	return a, nil
}

// currentInfo is what the store has of f, or what was last known of it; ErrStale if nobody has it open any more, who could know.
func (fs *FS) currentInfo(ctx context.Context, f *file, known objstore.Info) (objstore.Info, error) {
	info, err := fs.ns.Stat(ctx, f.id)
	if errors.Is(err, objstore.ErrNotFound) {
		return fs.orphanInfo(f, known)
	}
	return info, err
}

// attr describes the working copy: its own size and times, the attributes the file has now.
func (t *transaction) attr(ctx context.Context) (Attr, error) {
	_, base, w := t.snapshot()
	a, current, err := t.fileAttr(ctx, base)
	if err != nil {
		return Attr{}, err
	}
	size := t.size()
	if grown := size - base.Size; w.changed() || base.Version == "" {
		a.Allocated = max(0, base.Allocated+grown)
	} else {
		a.Allocated = base.Allocated
	}
	a.Size = size
	if base.Version != "" && base.Version != current {
		a.Mtime = base.Attr.Mtime
	}
	if w.changed() {
		a.Mtime = w.changedAt
		a.Ctime = later(later(a.Ctime, w.changedAt), w.attrsAt)
	}
	if w.mtime != nil {
		a.Mtime = *w.mtime
	}
	if w.atime != nil {
		a.Atime = *w.atime
	}
	if w.clearIDs {
		a.Mode = withoutSetID(a.Mode, w.byOutsider)
	}
	return a, nil
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// fileAttr are the attributes of the file, and which version of it they have the time of.
func (t *transaction) fileAttr(ctx context.Context, base objstore.Info) (Attr, objstore.Version, error) {
	if create, pending := t.fs.creationOf(t.file); pending {
		return t.fs.creationAttr(t.file, create), "", nil
	}
	known := base
	if known.ID == 0 {
		known = objstore.Info{ID: t.file.id, Type: objstore.TypeFile}
	}
	info, err := t.fs.currentInfo(ctx, t.file, known)
	return t.fs.attr(info), info.Version, err
}

// creationAttr describes a pending create.
func (fs *FS) creationAttr(f *file, create creation) Attr {
	a := Attr{
		Object: f.id, Type: objstore.TypeFile, Nlink: 1,
		Mode: create.attr.Mode, UID: create.attr.UID, GID: create.attr.GID,
		Atime: create.time, Mtime: create.time, Ctime: create.time,
	}
	if create.change.Atime != nil {
		a.Atime = *create.change.Atime
	}
	if create.change.Mtime != nil {
		a.Mtime = *create.change.Mtime
	}
	return fs.override(a)
}

// SetAttr changes attributes. h is the handle it came through, or nil. A size without a handle is
// applied to the writer's view if v is one, else it is a transaction of its own.
//
// Owner and mode belong to the file and are never part of a conflict: they are stored at once, for a pending
// create with its commit. Times describe the content: those set on a writer's view with
// uncommitted changes are committed with them.
func (fs *FS) SetAttr(ctx context.Context, c Caller, v View, h *Handle, change Change) (Attr, error) {
	if isControl(v.Object) {
		return Attr{}, &Error{Op: "setattr", Kind: ErrNotPermitted}
	}
	if err := fs.writable("setattr"); err != nil {
		return Attr{}, err
	}
	t := fs.target(c, v, h)
	if change.Size != nil {
		resized, err := fs.resize(ctx, c, v, h, t, change)
		if err != nil {
			return Attr{}, err
		}
		v = resized
	}
	info, err := fs.change(ctx, c, v.Object, t, change)
	if h == nil && errors.Is(err, objstore.ErrNotFound) && (t != nil || fs.sharing() || v != View{Object: v.Object}) {
		return Attr{}, stale("setattr") // the name it was found by may have another object by now
	}
	if err != nil {
		return Attr{}, err
	}
	if t != nil {
		return t.attr(ctx)
	}
	attr, err := fs.Stat(ctx, c, v)
	if errors.Is(err, ErrStale) && info.ID != 0 {
		return fs.attr(info), nil // the change itself is done: it belongs to the file, not to a version
	}
	return attr, err
}

// target is the transaction a change of attributes belongs to, nil for none.
func (fs *FS) target(c Caller, v View, h *Handle) *transaction {
	switch {
	case h != nil && h.tx != nil:
		return h.tx
	case v.Writer != 0:
		return fs.writer(v.Writer)
	case v.Version == "" || fs.sharing():
		return fs.preferred(c, fs.openFile(v.Object), "")
	default:
		return nil
	}
}

// resize sets a size and returns the view that has it.
func (fs *FS) resize(ctx context.Context, c Caller, v View, h *Handle, t *transaction, change Change) (View, error) {
	if h != nil {
		if err := h.mayWrite("truncate"); err != nil {
			return v, err
		}
		return v, h.tx.truncate(ctx, *change.Size, change.ClearSetID)
	}
	if fs.sharing() {
		return v, fs.resizeShared(ctx, c, v, change)
	}
	if v.Writer != 0 {
		if t == nil || !fs.shares(c, t) {
			return v, stale("truncate")
		}
		return v, t.truncate(ctx, *change.Size, change.ClearSetID)
	}
	own, _, err := fs.Open(ctx, c, v, OpenMode{Write: true, Truncate: *change.Size == 0, ClearSetID: change.ClearSetID})
	if err != nil {
		return v, err
	}
	defer own.Release(ctx)
	if *change.Size != 0 {
		if err := own.tx.truncate(ctx, *change.Size, change.ClearSetID); err != nil {
			return v, err
		}
	}
	if err := own.tx.finish(ctx, c, "truncate", fs.closeDurability(), briefly); err != nil {
		return v, err
	}
	_, base, _ := own.tx.snapshot()
	return View{Object: v.Object, Version: base.Version}, nil
}

// change applies all but the size. The info is what the store then has, if it was asked.
func (fs *FS) change(ctx context.Context, c Caller, id objstore.ID, t *transaction, change Change) (info objstore.Info, err error) {
	if change.Mode == nil && change.UID == nil && change.GID == nil && change.Atime == nil && change.Mtime == nil && !change.Touch {
		return info, nil
	}
	if change.Atime != nil {
		fs.accesses.forget(id)
	}
	set := objstore.AttrChange{UID: change.UID, GID: change.GID, Atime: change.Atime, Mtime: change.Mtime}
	if change.Mode != nil {
		mode := *change.Mode & modeMask
		set.Mode = &mode
	}
	if t != nil {
		unlock := t.lock()
		defer unlock()
		set = t.foldTimes(set, fs.clock())
		if create, pending := t.fs.creationOf(t.file); pending {
			t.foldCreation(set, c.UID != 0 && fs.outsider(c, create.attr.Mode, create.attr.GID))
			if set.Mode != nil {
				fs.keepSetID(t.file)
			}
			return info, nil
		}
		if set.IsZero() && !change.Touch {
			return info, nil
		}
	}
	fs.attributes.Lock()
	defer fs.attributes.Unlock()
	if err := fs.consequences(ctx, c, id, change, &set); err != nil {
		return info, err
	}
	info, err = fs.ns.SetAttr(ctx, id, set, objstore.Visible)
	f := fs.openFile(id)
	if set.Mode != nil {
		fs.keepSetID(f)
	}
	if f != nil && errors.Is(err, objstore.ErrNotFound) {
		fs.awaitRemoval()
		return info, fs.changeOrphan(f, set)
	}
	return info, err
}

// foldTimes takes what belongs to the content and returns the rest. It requires [transaction.lock].
func (t *transaction) foldTimes(set objstore.AttrChange, now time.Time) objstore.AttrChange {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.attrsAt = now
	if (t.state == txOpen || t.state == txDetached) && t.changed() {
		if set.Atime != nil {
			t.atime, set.Atime = set.Atime, nil
		}
		if set.Mtime != nil {
			t.mtime, set.Mtime = set.Mtime, nil
		}
	}
	return set
}

// foldCreation takes what belongs to a pending create. It requires [transaction.lock].
func (t *transaction) foldCreation(set objstore.AttrChange, outsider bool) {
	t.fs.mu.Lock()
	defer t.fs.mu.Unlock()
	create := t.file.create
	if set.UID != nil || set.GID != nil {
		create.attr.Mode = withoutSetID(create.attr.Mode, outsider)
	}
	assign(&create.attr.UID, set.UID)
	assign(&create.attr.GID, set.GID)
	assign(&create.attr.Mode, set.Mode)
	chmodACL(create.change.Xattrs, &set)
	create.change.Xattrs = mergedXattrs(create.change.Xattrs, set.Xattrs)
}

func assign(to *uint32, from *uint32) {
	if from != nil {
		*to = *from
	}
}

// changeOrphan changes what is known of an open file without a name.
func (fs *FS) changeOrphan(f *file, set objstore.AttrChange) error {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if f.orphan == nil {
		f.orphan = f.lastKnown()
	}
	if f.orphan == nil {
		return &objstore.Error{Op: "setattr", Kind: objstore.ErrNotFound}
	}
	attr := &f.orphan.Attr
	assign(&attr.Mode, set.Mode)
	assign(&attr.UID, set.UID)
	assign(&attr.GID, set.GID)
	if set.Atime != nil {
		attr.Atime = *set.Atime
	}
	if set.Mtime != nil {
		attr.Mtime = *set.Mtime
	}
	attr.Ctime = fs.clock()
	f.orphan.Xattrs = mergedXattrs(f.orphan.Xattrs, set.Xattrs)
	return nil
}

// newAttr are the attributes of something new in dir: group and set-group-id
// come from a set-group-id directory, and an ACL from one that has a default.
func (fs *FS) newAttr(ctx context.Context, c Caller, dir objstore.ID, perm uint32, t objstore.FileType) (objstore.NewAttr, map[string][]byte, error) {
	parent, err := fs.ns.Stat(ctx, dir)
	if err != nil {
		return objstore.NewAttr{}, nil, err
	}
	attr := objstore.NewAttr{Mode: perm & modeMask, UID: c.UID, GID: c.GID}
	if parent.Attr.Mode&modeSetGID != 0 {
		attr.GID = parent.Attr.GID
		if t == objstore.TypeDir {
			attr.Mode |= modeSetGID
		}
	}
	return attr, inherit(c, parent, &attr, t), nil
}
