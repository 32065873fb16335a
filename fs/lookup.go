package fs

import (
	"context"
	"errors"

	"github.com/etagfs/etagfs/objstore"
)

// Lookup finds what the caller should see at name: its own process's uncommitted view of the file, a
// pending create, the view of a writer whose file has never been more than its own empty O_EXCL
// publication, else what is committed.
func (fs *FS) Lookup(ctx context.Context, c Caller, dir objstore.ID, name string) (Entry, error) {
	return fs.lookup(ctx, c, dir, name, true)
}

// LookupCommitted is Lookup without writers' views. For a pending create its view has neither
// Version nor Writer: opening it for writing starts another transaction that creates the file.
func (fs *FS) LookupCommitted(ctx context.Context, c Caller, dir objstore.ID, name string) (Entry, error) {
	return fs.lookup(ctx, c, dir, name, false)
}

func (fs *FS) lookup(ctx context.Context, c Caller, dir objstore.ID, name string, writers bool) (Entry, error) {
	if err := checkName("lookup", name); err != nil {
		return Entry{}, err
	}
	if fs.inControl(dir, name) {
		return fs.lookupControl(ctx, c, dir, name)
	}
	at := entryKey{dir, name}
	fs.commitDeferred(ctx, fs.pendingAt(at))
	for range lookupAttempts {
		pending := fs.pendingAt(at)
		info, err := fs.ns.Lookup(ctx, dir, name)
		switch {
		case err == nil && fs.hasDeferred(fs.openFile(info.ID)):
			fs.commitDeferred(ctx, fs.openFile(info.ID))
			continue
		case err == nil:
			return fs.entry(ctx, c, at, info, writers)
		case !errors.Is(err, objstore.ErrNotFound):
			return Entry{}, err
		}
		if f := fs.pendingAt(at); f != nil {
			if entry, err := fs.pendingEntry(ctx, c, f, writers); !errors.Is(err, objstore.ErrNotFound) {
				return entry, err
			}
		} else if pending == nil {
			return Entry{}, err
		}
		// A pending create ended meanwhile: if by its commit, the store has it now.
	}
	return Entry{}, &objstore.Error{Op: "lookup", Key: name, Kind: objstore.ErrNotFound}
}

// lookupAttempts bounds how often a lookup runs after creates that are being committed.
const lookupAttempts = 100

// entry is what the caller should see where the store has info.
func (fs *FS) entry(ctx context.Context, c Caller, at entryKey, info objstore.Info, writers bool) (Entry, error) {
	if writers && info.Type == objstore.TypeFile {
		t := fs.preferred(c, fs.openFile(info.ID), info.Version)
		if f := fs.pendingAt(at); t == nil && f != nil && !fs.sharing() {
			// Somebody else has made the file meanwhile; only the creator's process still sees its own.
			t = fs.ownWriter(c, f)
		}
		if t != nil {
			attr, err := t.attr(ctx)
			if !errors.Is(err, ErrStale) {
				return Entry{View: t.view(), Attr: attr}, err
			}
			// The file was removed and its writer has ended meanwhile: it is what the store has said, or was.
		}
	}
	return Entry{View: fs.viewOf(info), Attr: fs.attr(info)}, nil
}

// pendingEntry is what the caller should see of a pending create.
func (fs *FS) pendingEntry(ctx context.Context, c Caller, f *file, writers bool) (Entry, error) {
	t := fs.preferred(c, f, "")
	if t == nil {
		return Entry{}, &objstore.Error{Op: "lookup", Kind: objstore.ErrNotFound}
	}
	attr, err := t.attr(ctx)
	if errors.Is(err, ErrStale) { // it has ended meanwhile, and what it made is removed
		err = &objstore.Error{Op: "lookup", Kind: objstore.ErrNotFound}
	}
	if err != nil {
		return Entry{}, err
	}
	if writers || t.shared {
		return Entry{View: t.view(), Attr: attr}, nil
	}
	attr.Size, attr.Allocated = 0, 0
	return Entry{View: View{Object: f.id}, Attr: attr}, nil
}

// viewOf is the committed view of an object.
func (fs *FS) viewOf(info objstore.Info) View {
	if info.Type != objstore.TypeFile || fs.sharing() {
		return View{Object: info.ID}
	}
	return View{Object: info.ID, Version: info.Version}
}

// preferred is the writer whose view the caller should see in place of the
// committed version, nil if there is none.
func (fs *FS) preferred(c Caller, f *file, version objstore.Version) *transaction {
	if fs.sharing() {
		return fs.workingCopy(f)
	}
	if t := fs.ownWriter(c, f); t != nil {
		return t
	}
	if t := fs.publisherOf(f, version); t != nil && fs.unpublished(t, version) {
		return t
	}
	return nil
}

// publisherOf is the writer of f that may have published version, or the newest that may be going to publish it if that is none. It
// is looked for among no others: very many may have the file open.
func (fs *FS) publisherOf(f *file, version objstore.Version) *transaction {
	switch {
	case f == nil:
		return nil
	case version == "":
		return f.uncommitted.newestMaker()
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if t := f.published; t != nil && t.handles > 0 {
		return t
	}
	return nil
}

// ownWriter is the newest uncommitted transaction of the caller's process on f.
func (fs *FS) ownWriter(c Caller, f *file) *transaction {
	if f == nil {
		return nil
	}
	var own *transaction
	p := asker{fs: fs, caller: c}
	for _, t := range f.uncommitted.openedBy(&p) {
		if (own == nil || t.id > own.id) && p.opened(t) && t.uncommitted() {
			own = t
		}
	}
	return own
}

// unpublished reports whether version, which the store has or the empty one for nothing, is no more than
// t's own empty O_EXCL publication: then anybody may read t's view.
func (fs *FS) unpublished(t *transaction, version objstore.Version) bool {
	state, base, _ := t.snapshot()
	if state != txOpen || base.Version != version {
		return false
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if version == "" {
		return t.file.create != nil
	}
	return t.file.published == t && t.file.publishedVersion == version
}

// shares reports whether a reader of this caller may use t's view.
func (fs *FS) shares(c Caller, t *transaction) bool {
	state, base, _ := t.snapshot()
	return state == txOpen && (fs.unpublished(t, base.Version) || (&asker{fs: fs, caller: c}).opened(t))
}

// CanShare reports whether a read-only open by this caller may use the writer's view v.
func (fs *FS) CanShare(c Caller, v View) bool {
	t := fs.writer(v.Writer)
	return t != nil && fs.shares(c, t)
}

// Current is the committed version of a file, and whether there is one.
func (fs *FS) Current(ctx context.Context, object objstore.ID) (objstore.Version, bool) {
	info, err := fs.ns.Stat(ctx, object)
	return info.Version, err == nil && info.Type == objstore.TypeFile
}

// asker is who asks whether it is its own process that has opened a file.
type asker struct {
	fs      *FS
	caller  Caller
	process uint32 // once known
	known   bool
	asked   bool
}

// opened reports whether t was opened by the asker's process. It asks only if it matters: two threads that are one need no question,
// and that it was another process stays true. What was this process once may have ended, and its number be another's.
func (a *asker) opened(t *transaction) bool {
	thread := t.opener.Thread
	if a.caller.Thread == 0 || thread == 0 {
		return false
	}
	if a.caller.Thread == thread {
		return true
	}
	own, isKnown := a.ask()
	if before := t.process.Load(); !isKnown || before != 0 && before != own {
		return false
	}
	process, known := a.fs.processes.ThreadGroup(thread)
	if known {
		t.file.uncommitted.know(t, process)
	}
	return known && process == own
}

// ask is the asker's process, asked for once.
func (a *asker) ask() (process uint32, known bool) {
	if !a.asked {
		a.process, a.known = a.fs.processes.ThreadGroup(a.caller.Thread)
		a.asked = true
	}
	return a.process, a.known
}

// hasDeferred reports whether a flush on f was answered before its commit.
func (fs *FS) hasDeferred(f *file) bool {
	return f != nil && f.uncommitted.hasDeferred()
}

func (t *transaction) isDeferred() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.deferred && t.state == txOpen && t.changed()
}

// commitDeferred commits what a deferred flush has left, before anybody looks. A failure
// is the writer's, who will hear of it, not that of who looks.
func (fs *FS) commitDeferred(ctx context.Context, f *file) {
	if !fs.hasDeferred(f) {
		return
	}
	for _, t := range f.uncommitted.listDeferred() {
		if t.isDeferred() {
			unlock := t.lock()
			_, _ = t.commit(ctx, order{op: "close", caller: t.opener, durability: fs.closeDurability()})
			unlock()
		}
	}
}
