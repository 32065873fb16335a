package fs

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/etagfs/etagfs/objstore"
)

// transaction is what a writing handle has done since its base: the version
// it was opened on, or its last successful commit.
type transaction struct {
	// Constant once registered.
	fs       *FS
	file     *file
	id       HandleID
	mode     OpenMode
	opener   Caller
	openedAt time.Time
	actor    actor // of the opener, with GuardProcess

	inCommit atomic.Bool   // for those who watch
	process  atomic.Uint32 // that opened it, once somebody has asked; 0: not known

	handles int  // that are open on it; guarded by FS.mu
	place   int  // in its file's handles; guarded by FS.mu
	users   int  // the handle and the readers that follow it, or all handles that share it; guarded by FS.mu
	shared  bool // it is a working copy; set when it is registered

	// refreshing is held while a working copy is made or moved on, over store calls and calls of the kernel.
	refreshing sync.Mutex

	// committing is held while a commit, a keep or the end of the transaction is under way.
	committing sync.Mutex

	// content is held shared to use stage and pin, and alone to replace them, to
	// append and to rebase.
	content sync.RWMutex
	stage   objstore.Stage // nil until the first change
	pin     *pin           // the base's bytes until there is a stage; nil if it has none
	next    *pin           // what is read while a refresh is under way; its own
	clone   clone

	// Guarded by mu.
	mu              sync.Mutex
	state           txState
	base            objstore.Info // no version: the file did not exist
	capabilitiesSet uint64        // of the file, when that became the base
	work
	deferred bool   // a flush was answered before its commit
	stagedAt string // the path when the stage was made
	stagedBy uint32 // the user it was made for
	born     bool   // a working copy has its base
	author   Caller // of a working copy: who changed it last
	kept     keptCopy
	told     failureTold
	unread   *unread // what its program had read at the name, if that is not the base
	listing  listing
}

// txState is how a transaction stands.
type txState uint8

const (
	txOpen     txState = iota
	txLost             // another commit came first: it never commits again
	txUnknown          // whether its last commit was applied is unknown: neither
	txDetached         // the file lost its last name through this mount
	txEnded            // its handle is released
)

// work counts and qualifies the changes since the base.
type work struct {
	changes   uint64 // ever made; creating the file is one
	committed uint64 // of those, in the base
	rewrites  uint64 // changes other than appends
	rewritten uint64 // of those, in the base
	bytes     bool   // more than creating and truncating has been done since the base
	emptied   bool   // opened with O_TRUNC and no stage yet
	appendOff int64  // where the bytes appended since the base begin
	changedAt time.Time
	attrsAt   time.Time  // when attributes were last changed through it, times among them
	atime     *time.Time // set by utimensat since the last change
	mtime     *time.Time
	clearIDs  bool   // set-user-id and set-group-id go with the next commit, unless a mode has been set since
	modesSet  uint64 // of the file, when clearIDs was set
	// byOutsider says who made the change that clears them.
	byOutsider bool
}

// keptCopy is where a transaction that could not commit has left its bytes.
type keptCopy struct {
	id      objstore.ConflictID
	changes uint64 // that are in it
	reason  objstore.ConflictReason
	path    string
	attr    objstore.NewAttr
	theirs  rival
	failed  error // what the commit said
}

func (w *work) changed() bool { return w.changes != w.committed }

// appendsOnly reports whether all that changed since the base was appended.
func (w *work) appendsOnly() bool { return w.bytes && w.rewrites == w.rewritten }

// madeOnly reports whether the only change is that the file was made: base is none.
func (w *work) madeOnly(base objstore.Info) bool {
	return base.Version == "" && !w.bytes && w.rewrites == 0
}

// nothingOf reports whether no bytes are lost by leaving base for a later version of the file.
func (w *work) nothingOf(base objstore.Info) bool {
	if base.Version == "" {
		return w.madeOnly(base)
	}
	return !w.changed()
}

// emptiedNothing reports whether the only change to base, which is empty, is that it was opened with O_TRUNC.
func (w *work) emptiedNothing(base objstore.Info) bool {
	return w.emptied && !w.bytes && base.Version != "" && base.Size == 0
}

// note records a change; rewrite says that it was not an append.
func (t *transaction) note(rewrite, bytes bool, mode WriteMode) {
	outsider := mode.ClearSetID && t.outsider()
	t.mu.Lock()
	defer t.tell()
	t.changes++
	if rewrite {
		t.rewrites++
	}
	t.bytes = t.bytes || bytes
	if mode.ClearSetID {
		t.clearIDs, t.modesSet, t.byOutsider = true, t.file.modesSet.Load(), outsider
	}
	t.changedAt = t.fs.clock()
	t.atime, t.mtime = nil, nil
}

// snapshot is a copy of what mu guards, without what a mode or a capability that was set since stands against.
func (t *transaction) snapshot() (txState, objstore.Info, work) {
	t.mu.Lock()
	defer t.mu.Unlock()
	base, work := t.base, t.work
	work.clearIDs = work.clearIDs && work.modesSet == t.file.modesSet.Load()
	if _, capable := base.Xattrs[xattrCapability]; capable && t.capabilitiesSet != t.file.capabilitiesSet.Load() {
		base.Xattrs = mergedXattrs(base.Xattrs, map[string][]byte{xattrCapability: nil})
	}
	return t.state, base, work
}

// setBase requires mu.
func (t *transaction) setBase(info objstore.Info) {
	t.base, t.capabilitiesSet = info, t.file.capabilitiesSet.Load()
}

func (t *transaction) detach() {
	t.mu.Lock()
	defer t.tell()
	if t.state == txOpen {
		t.state = txDetached
	}
}

// end makes sure that nobody commits t any more: its handle is released.
func (t *transaction) end() {
	t.committing.Lock()
	defer t.committing.Unlock()
	t.mu.Lock()
	defer t.tell()
	t.state = txEnded
}

// uncommitted reports whether the transaction may still commit something.
func (t *transaction) uncommitted() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.state == txOpen && t.changed()
}

// view is what t shows: of a working copy that is its object's, unless it has lost.
func (t *transaction) view() View {
	if t.shared {
		if state, _, _ := t.snapshot(); state != txLost && state != txUnknown {
			return View{Object: t.file.id}
		}
	}
	return View{Object: t.file.id, Writer: t.id}
}

// withStage calls f with the stage, made at need. alone keeps all others away.
func (t *transaction) withStage(ctx context.Context, alone bool, f func(objstore.Stage) error) error {
	if !alone {
		t.content.RLock()
		if t.stage != nil && !t.isAnothersStage() {
			defer t.content.RUnlock()
			return f(t.stage)
		}
		t.content.RUnlock()
	}
	t.content.Lock()
	defer t.content.Unlock()
	if t.isAnothersStage() {
		t.handOver(ctx)
	}
	if err := t.makeStage(ctx); err != nil {
		return err
	}
	return f(t.stage)
}

// isAnothersStage reports whether the stage of a working copy, in which nothing is changed yet, is that of another user than who changes it
// now: what a crash leaves is to be who wrote it.
func (t *transaction) isAnothersStage() bool {
	if !t.shared {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return !t.changed() && t.stagedBy != t.author.UID
}

// handOver lets a stage without changes go, for another of the same bytes. Where those are not to be had it stays. It requires content.
func (t *transaction) handOver(ctx context.Context) {
	_, base, _ := t.snapshot()
	if t.stage == nil || base.Version == "" {
		return
	}
	reader, err := t.fs.ns.Open(ctx, t.file.id, base.Version)
	if err != nil {
		return
	}
	t.closeStage(t.stage)
	t.stage, t.pin = nil, newPin(reader)
}

// makeStage requires content.
func (t *transaction) makeStage(ctx context.Context) error {
	if t.stage != nil {
		return nil
	}
	_, base, work := t.snapshot()
	spec := objstore.StageSpec{Empty: work.emptied, Owner: t.owner(ctx, base)}
	if t.pin != nil {
		spec.Base = t.pin.reader
	}
	stage, err := t.fs.ns.NewStage(ctx, spec)
	if err != nil {
		return err
	}
	t.stage = stage
	t.staged(spec.Owner)
	t.pin.release() // the stage has its own
	t.pin = nil
	return nil
}

// staged notes whose the stage is.
func (t *transaction) staged(owner objstore.Owner) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stagedAt, t.stagedBy = owner.Path, owner.UID
}

// owner says whose bytes these are, should they be found after a crash: theirs who writes them, not theirs who have the file. Those of a
// working copy are theirs who changed it first.
func (t *transaction) owner(ctx context.Context, base objstore.Info) objstore.Owner {
	attr, by := t.attrNow(base), t.changer()
	return objstore.Owner{
		Path: t.fs.path(ctx, t.file), Object: t.file.id,
		UID: by.UID, GID: attr.GID, Mode: attr.Mode,
		PID: t.fs.history.runs(by.Thread, t.fs.clock()).process, Host: t.fs.host, Base: base.Version,
	}
}

// attrNow are the owner and mode the file has or will be made with.
func (t *transaction) attrNow(base objstore.Info) objstore.NewAttr {
	if create, made := t.fs.madeAs(t.file); made && base.Version == "" {
		return create.attr
	}
	return objstore.NewAttr{Mode: base.Attr.Mode, UID: base.Attr.UID, GID: base.Attr.GID}
}

func (t *transaction) read(ctx context.Context, p []byte, off int64) (int, error) {
	t.content.RLock()
	defer t.content.RUnlock()
	var n int
	var err error
	switch {
	case t.next != nil:
		n, err = t.next.reader.ReadAt(ctx, p, off)
	case t.stage != nil:
		n, err = t.stage.ReadAt(ctx, p, off)
	case t.isEmptied():
	case t.pin != nil:
		n, err = t.pin.reader.ReadAt(ctx, p, off)
	case t.hasBase(): // and let go of its bytes: that is no empty file
		err = stale("read")
	}
	return n, endOrStale(err)
}

// hasBase reports whether there is content below what is written.
func (t *transaction) hasBase() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.base.Version != "" && t.base.Size > 0
}

func (t *transaction) isEmptied() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.emptied
}

func (t *transaction) write(ctx context.Context, p []byte, off int64, mode WriteMode) (n int, err error) {
	err = t.withStage(ctx, mode.Append, func(stage objstore.Stage) error {
		if mode.Append {
			off = stage.Size()
		}
		n, err = stage.WriteAt(ctx, p, off)
		if n > 0 {
			t.note(!mode.Append, true, mode)
		}
		return err
	})
	return n, err
}

func (t *transaction) truncate(ctx context.Context, size int64, clearIDs bool) error {
	return t.withStage(ctx, false, func(stage objstore.Stage) error {
		if err := stage.Truncate(ctx, size); err != nil {
			return err
		}
		t.note(true, false, WriteMode{ClearSetID: clearIDs})
		if size == 0 {
			t.noteEmptied()
		}
		return nil
	})
}

// noteEmptied makes a program that opens first and truncates then one that empties.
func (t *transaction) noteEmptied() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.unread != nil {
		t.unread.emptied = true
	}
}

func (t *transaction) allocate(ctx context.Context, off, length int64, mode objstore.AllocateMode, clearIDs bool) error {
	return t.withStage(ctx, false, func(stage objstore.Stage) error {
		if err := stage.Allocate(ctx, off, length, mode); err != nil {
			return err
		}
		t.note(true, true, WriteMode{ClearSetID: clearIDs})
		return nil
	})
}

// size is the size of what the transaction shows.
func (t *transaction) size() int64 {
	t.content.RLock()
	defer t.content.RUnlock()
	return t.sizeHeld()
}

// sizeHeld is size; requires content.
func (t *transaction) sizeHeld() int64 {
	if t.next != nil {
		return t.next.reader.Info().Size
	}
	if t.stage != nil {
		return t.stage.Size()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.emptied {
		return 0
	}
	return t.base.Size
}

// drop lets the bytes go. Nobody uses the transaction any more.
func (t *transaction) drop() {
	t.content.Lock()
	defer t.content.Unlock()
	if t.stage != nil {
		t.closeStage(t.stage)
		t.stage = nil
	}
	t.pin.release()
	t.pin = nil
}

func (t *transaction) closeStage(stage objstore.Stage) {
	if err := stage.Close(); err != nil {
		t.fs.log.Error("closing a stage failed", "object", t.file.id, "error", err)
	}
}
