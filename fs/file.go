package fs

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/etagfs/etagfs/objstore"
)

// file is what an FS keeps of an object while handles are open on it.
type file struct {
	id objstore.ID // constant

	// appending is held while a handle that only appended commits: appenders of one
	// mount go one after the other instead of losing against each other.
	appending sync.Mutex

	uncommitted uncommitted

	// How often a mode or a capability was set: who wrote before leaves them alone. See [transaction.snapshot].
	modesSet, capabilitiesSet atomic.Uint64

	// Guarded by FS.mu.
	handles openHandles
	create  *creation      // set while the file is pending
	lost    *creation      // what create was, if another mount made the file first: says where the bytes belong
	shared  *transaction   // what new handles join, with IsolateMount
	orphan  *objstore.Info // what is known of it once it has no name left
	// detached: it lost its last name through this mount.
	detached bool
	// nameless is the transaction that made it without a name, until it gets one.
	nameless *transaction
	// published is the writer that made the empty file with O_EXCL, and the version that got,
	// until something is committed.
	published        *transaction
	publishedVersion objstore.Version
}

// creation is a pending create: a file that the mount shows and the store does not have.
type creation struct {
	at     entryKey
	attr   objstore.NewAttr
	change objstore.AttrChange
	time   time.Time
}

// pin is an open reader, shared by all who show its version.
type pin struct {
	reader objstore.Reader // constant
	users  atomic.Int32
}

func newPin(r objstore.Reader) *pin {
	p := &pin{reader: r}
	p.users.Store(1)
	return p
}

// acquire makes another user; false if the last has gone.
func (p *pin) acquire() bool {
	for {
		n := p.users.Load()
		if n == 0 {
			return false
		}
		if p.users.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// release may be called on nil. A reader has nothing to lose at its end, so its error says nothing.
func (p *pin) release() {
	if p != nil && p.users.Add(-1) == 0 {
		p.reader.Close()
	}
}

func (p *pin) version() objstore.Version { return p.reader.Info().Version }

// register enters h, so that it hears of changes from now on. A file that is
// being created passes its creation.
func (fs *FS) register(h *Handle, id objstore.ID, create *creation) error {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if fs.closed {
		return &objstore.Error{Op: "open", Kind: objstore.ErrClosed}
	}
	f := fs.files[id]
	if f == nil {
		f = &file{id: id}
		fs.files[id] = f
	}
	if fs.sharing() && f.shared != nil {
		return errJoin
	}
	if create != nil {
		f.create = create
		fs.creations[create.at] = f
		fs.listings.changed(create.at.dir)
	}
	h.file = f
	if h.tx != nil {
		if h.tx.shared = fs.sharing(); h.tx.shared {
			f.shared = h.tx
		}
		fs.lastHandle++
		h.tx.id, h.tx.file, h.tx.users = fs.lastHandle, f, 1
		fs.writers[h.tx.id] = h.tx
		if f.detached {
			h.tx.detach()
		}
	}
	f.handles.add(h)
	return nil
}

// unregister undoes register. A pending create ends with its last handle.
func (fs *FS) unregister(h *Handle) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.unlist(h)
}

// unlist is unregister with mu held.
func (fs *FS) unlist(h *Handle) {
	f := h.file
	f.handles.remove(h)
	if f.published != nil && f.published == h.tx {
		f.published = nil
	}
	if len(f.handles.all) == 0 {
		fs.endCreation(f)
		delete(fs.files, f.id)
	}
}

// endCreation makes f no longer pending; requires mu.
func (fs *FS) endCreation(f *file) {
	if f.create != nil {
		delete(fs.creations, f.create.at)
		fs.listings.changed(f.create.at.dir)
		f.create = nil
	}
}

// pendingAt is the file whose pending create has the name.
func (fs *FS) pendingAt(at entryKey) *file {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return fs.creations[at]
}

// creationOf is a copy of f's pending create; f may be nil.
func (fs *FS) creationOf(f *file) (creation, bool) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if f == nil || f.create == nil {
		return creation{}, false
	}
	return *f.create, true
}

// madeAs is creationOf, or, if another mount made the file first, what that was before.
func (fs *FS) madeAs(f *file) (creation, bool) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	switch {
	case f == nil:
	case f.create != nil:
		return *f.create, true
	case f.lost != nil:
		return *f.lost, true
	}
	return creation{}, false
}

// openFile is the file of an object, if anybody has it open.
func (fs *FS) openFile(id objstore.ID) *file {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return fs.files[id]
}

// writer is the transaction of a handle, as long as anybody shows it.
func (fs *FS) writer(id HandleID) *transaction {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return fs.writers[id]
}

// use makes another user of t; false if the last has gone.
func (fs *FS) use(t *transaction) bool {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if t.users == 0 {
		return false
	}
	t.users++
	return true
}

// unuse ends a use of t; the last one lets its bytes go.
func (fs *FS) unuse(t *transaction) {
	fs.mu.Lock()
	t.users--
	last := t.users == 0
	if last {
		delete(fs.writers, t.id)
	}
	fs.mu.Unlock()
	if last {
		t.drop()
	}
}

// orphanInfo is what is known of a file without a name: known, unless attributes have been changed since it lost its name. What
// was known when the last handle was released may have been overtaken before the name was lost: that is ErrStale.
func (fs *FS) orphanInfo(f *file, known objstore.Info) (objstore.Info, error) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if fs.files[f.id] != f {
		return objstore.Info{}, stale("stat")
	}
	if f.orphan == nil {
		known.Nlink = 0
		f.orphan = &known
	}
	return *f.orphan, nil
}

// lastKnown is what a handle knows of a file that lost its name elsewhere; requires mu.
func (f *file) lastKnown() *objstore.Info {
	for _, h := range f.handles.all {
		var known objstore.Info
		if p := h.pinned(); p != nil {
			known = p.reader.Info()
		} else if h.tx != nil {
			_, known, _ = h.tx.snapshot()
		}
		if known.ID != 0 {
			known.Nlink = 0
			return &known
		}
	}
	return nil
}

// detach lets every handle on f go its own way after f lost its last name
// through this mount: nothing of theirs will be committed.
func (fs *FS) detach(f *file, last objstore.Info) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	last.Nlink = 0
	f.orphan, f.detached = &last, true
	fs.endCreation(f)
	for _, t := range f.handles.transactions {
		t.detach()
	}
}

// wasPending reports whether f lost its name before anything of it was committed. Any other file without a name has
// content, and is not to be taken for an empty one.
func (fs *FS) wasPending(f *file) bool {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return f.orphan != nil && f.orphan.Version == ""
}

// path names f for people.
func (fs *FS) path(ctx context.Context, f *file) string {
	if create, pending := fs.creationOf(f); pending {
		return fs.pathAt(ctx, create.at)
	}
	if path, err := fs.ns.Path(ctx, f.id); err == nil && path != "" {
		return path
	}
	if create, made := fs.madeAs(f); made {
		return fs.pathAt(ctx, create.at)
	}
	return ""
}

func (fs *FS) pathAt(ctx context.Context, at entryKey) string {
	dir, err := fs.ns.Path(ctx, at.dir)
	if err != nil || dir == "" {
		return at.name
	}
	return dir + "/" + at.name
}

// Path is one path of an object from the root, without a leading slash, for messages; empty if it has none.
func (fs *FS) Path(ctx context.Context, object objstore.ID) string {
	if f := fs.openFile(object); f != nil {
		return fs.path(ctx, f)
	}
	path, err := fs.ns.Path(ctx, object)
	if err != nil {
		return ""
	}
	return path
}
