package fs

import (
	"context"
	"errors"
	"time"

	"github.com/etagfs/etagfs/objstore"
)

func stale(op string) error { return &Error{Op: op, Kind: ErrStale} }

// newWriter is a transaction that has yet to be registered.
func (fs *FS) newWriter(c Caller, mode OpenMode) *Handle {
	p, _ := fs.actor(c)
	return &Handle{fs: fs, mode: mode, caller: c, tx: &transaction{fs: fs, mode: mode, opener: c, openedAt: fs.clock(), actor: p}}
}

// newMaker is newWriter of a file that is being made, which is its first change.
func (fs *FS) newMaker(c Caller, mode OpenMode, now time.Time) *Handle {
	h := fs.newWriter(c, mode)
	h.tx.work = work{changes: 1, changedAt: now}
	h.tx.author = c
	return h
}

// Create makes a file and opens it. If the name is taken it is ErrExists with mode.Exclusive and else
// ErrStale, so that the caller looks up and opens, with all the checks that belong to that.
// With mode.Exclusive the empty file is published at once, else it is pending until the first commit; so is
// one whose name has the form of an escape, as only the store knows whether it can be made.
func (fs *FS) Create(ctx context.Context, c Caller, dir objstore.ID, name string, mode OpenMode, perm uint32) (*Handle, Entry, error) {
	at, err := fs.newName("create", dir, name)
	if err != nil {
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
	unlock := fs.names.lock(at)
	defer unlock()
	if err := fs.vacant(ctx, at, mode.Exclusive); err != nil {
		return nil, Entry{}, err
	}
	if err := fs.guardCreate(ctx, c, at); err != nil {
		return nil, Entry{}, err
	}
	now := fs.clock()
	h := fs.newMaker(c, mode, now)
	h.tx.refreshing.Lock()
	defer h.tx.refreshing.Unlock()
	if err := fs.register(h, id, &creation{at: at, attr: attr, change: objstore.AttrChange{Xattrs: xattrs}, time: now}); err != nil {
		return nil, Entry{}, err
	}
	if mode.Exclusive || objstore.IsEscape(name) {
		if err := h.tx.publish(ctx); err != nil {
			h.tx.end()
			fs.part(h.tx)
			h.end()
			if errors.Is(err, objstore.ErrIsDir) {
				err = objstore.ErrPrecondition
			}
			if !mode.Exclusive && errors.Is(err, objstore.ErrPrecondition) {
				return nil, Entry{}, stale("create")
			}
			return nil, Entry{}, exists("create", name, err)
		}
	}
	h.tx.beBorn()
	return fs.opened(ctx, h)
}

// publish commits the empty file. The name is locked, and nobody knows the transaction yet.
func (t *transaction) publish(ctx context.Context) error {
	ctx, cancel := t.fs.commitContext(ctx)
	defer cancel()
	t.committing.Lock()
	defer t.committing.Unlock()
	_, err := t.attempt(ctx, order{op: "create", caller: t.opener, durability: objstore.Visible, create: true})
	return err
}

// vacant is nil if nothing has the name, as far as that is not left to the commit.
func (fs *FS) vacant(ctx context.Context, at entryKey, exclusive bool) error {
	taken := fs.pendingAt(at) != nil
	if !taken && !exclusive {
		switch _, err := fs.ns.Lookup(ctx, at.dir, at.name); {
		case err == nil:
			taken = true
		case !errors.Is(err, objstore.ErrNotFound):
			return err
		}
	}
	switch {
	case taken && exclusive:
		return &Error{Op: "create", Path: at.name, Kind: ErrExists}
	case taken:
		return stale("create")
	default:
		return nil
	}
}

// opened is the answer to a successful open.
func (fs *FS) opened(ctx context.Context, h *Handle) (*Handle, Entry, error) {
	attr, err := h.Attr(ctx)
	if err != nil {
		h.end()
		return nil, Entry{}, err
	}
	return h, Entry{View: h.View(), Attr: attr}, nil
}

// Open opens a file on view v; ErrStale if v is not what this open may use now. The entry's
// view is the one the handle shows: its own working copy for a writer, v or the
// writer's it follows for a reader.
//
// After ErrStale a reader looks up with [FS.Lookup] and a writer with
// [FS.LookupCommitted]: a reader may have to share a writer's view, a writer never may. As the kernel
// tries only once more, and commits may go on all the time, a bridge holds what that second
// lookup found by a read-only handle of its own, opened with mode.Pinned; it then opens with
// mode.Current, and if the file is gone by then, what it holds with mode.Pinned.
func (fs *FS) Open(ctx context.Context, c Caller, v View, mode OpenMode) (*Handle, Entry, error) {
	if isControl(v.Object) {
		return fs.openControl(ctx, c, v, mode)
	}
	writes := mode.Write || mode.Truncate
	if writes {
		if err := fs.writable("open"); err != nil {
			return nil, Entry{}, err
		}
	}
	fs.commitDeferred(ctx, fs.openFile(v.Object))
	if err := fs.textBusy(v.Object, mode); err != nil {
		return nil, Entry{}, err
	}
	open := fs.openReader
	if writes {
		open = fs.openWriter
	}
	if fs.sharing() {
		open, mode.Current = fs.openShared, false
	}
	if mode.Current && v.Writer == 0 && v.Version != "" {
		open = fs.openCurrent(open)
	}
	if p, guarded := fs.actor(c); guarded {
		open = fs.guarded(p, open)
	}
	h, err := open(ctx, c, v, mode)
	if err != nil {
		return nil, Entry{}, err
	}
	h, entry, err := fs.opened(ctx, h)
	if err == nil {
		fs.accessed(h, &entry.Attr)
	}
	return h, entry, err
}

// textBusy is ErrTextBusy if this open would run what is being written, or write what is being run. Like the kernel, which
// sees to it for one node, it goes by what is open in this mount, whatever the version.
func (fs *FS) textBusy(object objstore.ID, mode OpenMode) error {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	f := fs.files[object]
	if f == nil {
		return nil
	}
	if mode.Exec && f.handles.writing > 0 || mode.Write && f.handles.running > 0 {
		return &Error{Op: "open", Kind: ErrTextBusy}
	}
	return nil
}

type openFunc = func(context.Context, Caller, View, OpenMode) (*Handle, error)

// currentAttempts bounds how often an open runs after commits.
const currentAttempts = 1000

// openCurrent opens whatever version is current.
func (fs *FS) openCurrent(open openFunc) openFunc {
	return func(ctx context.Context, c Caller, v View, mode OpenMode) (h *Handle, err error) {
		for range currentAttempts {
			version, ok := fs.Current(ctx, v.Object)
			if !ok {
				return nil, stale("open")
			}
			h, err = open(ctx, c, View{Object: v.Object, Version: version}, mode)
			if !errors.Is(err, ErrStale) {
				break
			}
		}
		return h, err
	}
}

func (fs *FS) openReader(ctx context.Context, c Caller, v View, mode OpenMode) (*Handle, error) {
	switch {
	case v.Writer != 0:
		t := fs.writer(v.Writer)
		if t == nil || !mode.Pinned && !fs.shares(c, t) {
			return nil, stale("open")
		}
		return fs.openFollower(t, mode)
	case v.Version == "":
		t := fs.preferred(c, fs.openFile(v.Object), "")
		if t == nil {
			return nil, stale("open")
		}
		return fs.openFollower(t, mode)
	case !mode.Pinned && !mode.Current && fs.preferred(c, fs.openFile(v.Object), v.Version) != nil:
		return nil, stale("open")
	}
	h := &Handle{fs: fs, mode: mode, reading: &reading{object: v.Object, latest: v.Version}}
	if mode.Fixed {
		h.reading.latest = ""
	}
	if err := fs.register(h, v.Object, nil); err != nil {
		return nil, err
	}
	p, err := fs.pinVersion(ctx, v, mode.Pinned)
	if err != nil {
		h.end()
		return nil, err
	}
	h.reading.show(p)
	return h, nil
}

// openFollower opens a reader of a writer's view. If the writer commits meanwhile the
// view is no longer to be followed.
func (fs *FS) openFollower(t *transaction, mode OpenMode) (*Handle, error) {
	_, before, _ := t.snapshot()
	if !fs.use(t) {
		return nil, stale("open")
	}
	h := &Handle{fs: fs, mode: mode, reading: &reading{object: t.file.id, follows: t}}
	if err := fs.register(h, t.file.id, nil); err != nil {
		fs.unuse(t)
		return nil, err
	}
	if _, after, _ := t.snapshot(); after.Version != before.Version {
		h.end()
		return nil, stale("open")
	}
	return h, nil
}

// pinVersion pins v's version if it is current, or, with held, if an open handle has it.
func (fs *FS) pinVersion(ctx context.Context, v View, held bool) (*pin, error) {
	opened, err := fs.ns.Open(ctx, v.Object, v.Version)
	switch {
	case err == nil:
		return newPin(opened), nil
	case errors.Is(err, objstore.ErrInvalid), errors.Is(err, objstore.ErrIsDir):
		return nil, fs.notAFile(ctx, v, err)
	case !objstore.IsLostCondition(err):
		return nil, err
	}
	if held {
		if p := fs.heldPin(v); p != nil {
			return p, nil
		}
	}
	return nil, stale("open")
}

// notAFile says why an object cannot be opened.
func (fs *FS) notAFile(ctx context.Context, v View, err error) error {
	info, statErr := fs.ns.Stat(ctx, v.Object)
	if statErr == nil && info.Type == objstore.TypeSymlink {
		return &Error{Op: "open", Kind: ErrLoop}
	}
	return err
}

// heldPin is the pin of an open handle that shows or began with v's version.
func (fs *FS) heldPin(v View) *pin {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	f := fs.files[v.Object]
	if f == nil {
		return nil
	}
	for _, h := range f.handles.all {
		if p := h.pinned(); p != nil && p.version() == v.Version && p.acquire() {
			return p
		}
	}
	return nil
}

// pinned is the pin a handle holds, if any.
func (h *Handle) pinned() *pin {
	if h.reading != nil {
		_, p := h.reading.source()
		return p
	}
	if !h.tx.content.TryRLock() {
		return nil // being changed: its pin is about to go
	}
	defer h.tx.content.RUnlock()
	return h.tx.pin
}

func (fs *FS) openWriter(ctx context.Context, c Caller, v View, mode OpenMode) (*Handle, error) {
	if v.Writer != 0 {
		if !mode.Pinned {
			return nil, stale("open")
		}
		t := fs.writer(v.Writer)
		if t == nil {
			return nil, stale("open")
		}
		_, base, _ := t.snapshot()
		v = View{Object: v.Object, Version: base.Version}
	}
	h := fs.newWriter(c, mode)
	if err := fs.register(h, v.Object, nil); err != nil {
		return nil, err
	}
	// Registered first: an unlink from here on detaches it, whether it comes before the pin or after.
	if err := h.tx.begin(ctx, v); err != nil {
		h.end()
		return nil, err
	}
	return h, nil
}

// begin makes v the base of a transaction that has just been registered.
func (t *transaction) begin(ctx context.Context, v View) error {
	var p *pin
	var base objstore.Info
	if v.Version != "" {
		var err error
		if p, err = t.fs.pinVersion(ctx, v, t.mode.Pinned); err != nil {
			return err
		}
		base = p.reader.Info()
	}
	t.content.Lock()
	t.pin = p
	t.content.Unlock()
	outsider := t.mode.ClearSetID && t.fs.outsider(t.opener, base.Attr.Mode, base.Attr.GID)
	t.mu.Lock()
	t.setBase(base)
	if t.mode.Truncate || v.Version == "" {
		t.work = work{changes: 1, emptied: t.mode.Truncate, changedAt: t.fs.clock(), clearIDs: t.mode.ClearSetID, modesSet: t.file.modesSet.Load(), byOutsider: outsider}
	}
	if t.mode.Truncate {
		t.rewrites = 1
	}
	t.appendOff = base.Size
	detached := t.state == txDetached
	t.tell()
	if _, pending := t.fs.creationOf(t.file); v.Version == "" && !pending && !(detached && t.mode.Pinned && t.fs.wasPending(t.file)) {
		return stale("open")
	}
	return nil
}
