package fs

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/etagfs/etagfs/objstore"
)

// With GuardProcess, what a process does to a name is conditional on the version it last read there: many programs read a
// file, write another and rename that over the first, or empty the first and write it anew. Between the two somebody else
// may have committed, and no open file would tell.
//
// What a process reads it knows; what it then does to the name itself it goes on knowing. Names it has not read it may change at will.

// actor is a process; its number is given to others in time.
type actor struct {
	process uint32
	started uint64
}

// guard is what actors know of names. The zero value is ready.
type guard struct {
	mu    sync.Mutex
	known map[actor]*memory // guarded by mu
	sweep int               // how many there are when the ended ones are looked for; guarded by mu
}

// memory is what an actor knows of each name it has read.
type memory struct {
	names map[entryKey]knowledge
	order []entryKey // oldest first; some may be forgotten
}

// knowledge is what was at a name; nothing if the actor took that away itself.
type knowledge struct {
	objstore.ContentRef
	refused time.Time // when a change was refused; reading soon after that does not count
}

const (
	// refusedTime is how long one that is refused may go on trying without having read anew. Some do at once what they think is the same
	// in another way, like vim, which copies what it cannot rename and removes it then.
	refusedTime = time.Second
	// guardedNamesMax bounds what is remembered of one actor, the oldest being forgotten.
	guardedNamesMax = 4096
	// guardSweepMin is how many actors there are at least before the ended ones are looked for.
	guardSweepMin = 64
)

// actor is the process of a caller, if it is to be guarded and can be told from others.
func (fs *FS) actor(c Caller) (actor, bool) {
	if fs.options.Guard != GuardProcess {
		return actor{}, false
	}
	process, known := fs.processes.ThreadGroup(c.Thread)
	if !known {
		return actor{}, false
	}
	started, running := fs.processes.Started(process)
	return actor{process, started}, running
}

// recall is what p knows of a name.
func (g *guard) recall(p actor, at entryKey) (objstore.ContentRef, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	m := g.known[p]
	if m == nil {
		return objstore.ContentRef{}, false
	}
	k, known := m.names[at]
	return k.ContentRef, known
}

// learn notes what p has read at a name.
func (g *guard) learn(p actor, at entryKey, ref objstore.ContentRef, now time.Time, running func(actor) bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	m := g.known[p]
	if m == nil {
		g.dropEnded(running)
		m = &memory{names: make(map[entryKey]knowledge)}
		if g.known == nil {
			g.known = make(map[actor]*memory)
		}
		g.known[p] = m
	}
	switch k, known := m.names[at]; {
	case !known:
		m.order = append(m.order, at) // perhaps again, which only makes it go sooner
	case now.Sub(k.refused) < refusedTime:
		return
	}
	m.names[at] = knowledge{ContentRef: ref}
	for len(m.order) > guardedNamesMax {
		delete(m.names, m.order[0])
		m.order = m.order[1:]
	}
}

// dropEnded forgets actors that have ended, now and then. mu is held.
func (g *guard) dropEnded(running func(actor) bool) {
	if len(g.known) < max(g.sweep, guardSweepMin) {
		return
	}
	for p := range g.known {
		if !running(p) {
			delete(g.known, p)
		}
	}
	g.sweep = 2 * len(g.known)
}

// changed notes what p has put at a name itself, if it knows that name; the zero Info is nothing.
func (g *guard) changed(p actor, at entryKey, now objstore.Info) {
	g.mu.Lock()
	defer g.mu.Unlock()
	m := g.known[p]
	if m == nil {
		return
	}
	switch _, known := m.names[at]; {
	case !known:
	case now.ID != 0 && now.Type != objstore.TypeFile:
		delete(m.names, at)
	default:
		m.names[at] = knowledge{ContentRef: refTo(now)}
	}
}

// refuse notes that p was refused at a name.
func (g *guard) refuse(p actor, at entryKey, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if m := g.known[p]; m != nil {
		if k, known := m.names[at]; known && now.Sub(k.refused) >= refusedTime {
			k.refused = now
			m.names[at] = k
		}
	}
}

// moved notes a rename p has made.
func (g *guard) moved(p actor, from, to entryKey, result objstore.MoveResult, mode objstore.RenameMode) {
	switch {
	case result.Moved.ID == 0 || from == to: // two names of one file, which both stay
	case mode == objstore.RenameExchange:
		g.changed(p, from, result.Replaced)
		g.changed(p, to, result.Moved)
	default:
		g.changed(p, from, objstore.Info{})
		g.changed(p, to, result.Moved)
	}
}

// holds is the condition for p to replace what is at a name.
func (g *guard) holds(p actor, at entryKey) objstore.Cond {
	switch ref, known := g.recall(p, at); {
	case !known:
		return objstore.Unconditional()
	case !ref.Exists:
		return objstore.IfAbsent()
	default:
		return objstore.IfVersion(ref.Version)
	}
}

// holdsThat is the condition for p to take away what is at a name: what it has not seen since it did so before, it may again.
func (g *guard) holdsThat(p actor, at entryKey) objstore.Cond {
	if c := g.holds(p, at); !c.IsIfAbsent() {
		return c
	}
	return objstore.Unconditional()
}

// runs reports whether an actor has not ended.
func (fs *FS) runs(p actor) bool {
	started, running := fs.processes.Started(p.process)
	return running && started == p.started
}

// nameAttempts bounds how often a name is looked for that is being changed.
const nameAttempts = 3

// nameOf is one name of an object, as long as it has one.
func (fs *FS) nameOf(ctx context.Context, id objstore.ID) (entryKey, bool) {
	if create, pending := fs.creationOf(fs.openFile(id)); pending {
		return create.at, true
	}
	for range nameAttempts {
		path, err := fs.ns.Path(ctx, id)
		if err != nil || path == "" {
			return entryKey{}, false
		}
		dir, name, err := parentOf(ctx, fs.ns, path)
		if err != nil {
			continue
		}
		if info, err := fs.ns.Lookup(ctx, dir, name); err == nil && info.ID == id {
			return entryKey{dir, name}, true
		}
	}
	return entryKey{}, false
}

// guardMade notes what a caller has put at a name, if that went well.
func (fs *FS) guardMade(c Caller, at entryKey, info objstore.Info) {
	if p, guarded := fs.actor(c); guarded {
		fs.guard.changed(p, at, info)
	}
}

// guarded is an open by p. The name is found first: if it goes to another object before the open, that fails.
func (fs *FS) guarded(p actor, open openFunc) openFunc {
	return func(ctx context.Context, c Caller, v View, mode OpenMode) (*Handle, error) {
		at, named := fs.nameOf(ctx, v.Object)
		h, err := open(ctx, c, v, mode)
		if err != nil || !named {
			return h, err
		}
		ref, committed := h.shown()
		known, isKnown := fs.guard.recall(p, at)
		switch {
		case mode.Read && !mode.Truncate && committed:
			fs.guard.learn(p, at, ref, fs.clock(), fs.runs)
		case isKnown && known.Version != ref.Version:
			h.tx.mu.Lock()
			h.tx.unread = &unread{at, known, mode.Truncate}
			h.tx.mu.Unlock()
		}
		return h, nil
	}
}

// unread is what an actor has read of a file, where that is not what it has opened without reading.
type unread struct {
	at      entryKey
	known   objstore.ContentRef
	emptied bool // before it was written to
}

// outread is the lost condition of a commit by one that has emptied what it had not read; versions never come back.
func (t *transaction) outread() error {
	t.mu.Lock()
	u := t.unread
	lost := u != nil && u.emptied
	t.mu.Unlock()
	if !lost {
		return nil
	}
	t.fs.guard.refuse(t.actor, u.at, t.fs.clock())
	return &objstore.Error{Op: "commit", Kind: objstore.ErrPrecondition, Detail: "the file that was emptied is not what the process had read"}
}

// shown is the committed version whose bytes h began with; false for a view that is being written by another handle.
func (h *Handle) shown() (objstore.ContentRef, bool) {
	if h.tx != nil {
		_, base, _ := h.tx.snapshot()
		return refTo(base), base.Version != ""
	}
	if _, p := h.reading.source(); p != nil {
		return refTo(p.reader.Info()), true
	}
	return objstore.ContentRef{}, false
}

// guardCreate is ErrBusy if the caller has read a file at a name that has none any more, unless it was the caller who took it away.
func (fs *FS) guardCreate(ctx context.Context, c Caller, at entryKey) error {
	p, guarded := fs.actor(c)
	if !guarded {
		return nil
	}
	if known, isKnown := fs.guard.recall(p, at); isKnown && known.Exists {
		return fs.changedSince(ctx, c, p, "create", at, known, "")
	}
	return nil
}

// committedTo notes that t's actor has made info of base.
func (t *transaction) committedTo(ctx context.Context, base, info objstore.Info) {
	if t.actor == (actor{}) {
		return
	}
	at, named := t.fs.nameOf(ctx, info.ID)
	if !named {
		return
	}
	if known, isKnown := t.fs.guard.recall(t.actor, at); isKnown && known.Version == base.Version {
		t.fs.guard.changed(t.actor, at, info)
	}
}

// guardRename makes a rename conditional on what p knows. What is being written at the source goes along whatever it is.
func (fs *FS) guardRename(p actor, source *file, from, to entryKey, r *objstore.MoveRequest) {
	if fs.newestWriter(source) == nil {
		r.Cond = fs.guard.holdsThat(p, from)
	}
	if r.Mode != objstore.RenameNoReplace && from != to {
		r.NewCond = fs.guard.holds(p, to)
	}
}

// refusedRename is what p is told of a rename that failed: ErrBusy if it was for what p knows. What was to replace a file somebody
// else has changed is kept first: programs remove it when they hear that it could not be renamed.
func (fs *FS) refusedRename(ctx context.Context, c Caller, p actor, r objstore.MoveRequest, err error) error {
	if !objstore.IsLostCondition(err) {
		return err
	}
	from, to := entryKey{r.Parent, r.Name}, entryKey{r.NewParent, r.NewName}
	if fs.broken(ctx, r.Cond, from) {
		known, _ := fs.guard.recall(p, from)
		return fs.changedSince(ctx, c, p, "rename", from, known, "")
	}
	if !fs.broken(ctx, r.NewCond, to) {
		return err
	}
	known, _ := fs.guard.recall(p, to)
	kept, keepErr := fs.keepSource(ctx, c, p, from, to, known)
	if keepErr != nil {
		return unkept(order{op: "rename"}, keepErr)
	}
	return fs.changedSince(ctx, c, p, "rename", to, known, kept)
}

// unlinked is what p is told of an unlink that was conditional on cond.
func (fs *FS) unlinked(ctx context.Context, c Caller, p actor, at entryKey, cond objstore.Cond, err error) error {
	known, _ := fs.guard.recall(p, at)
	switch {
	case err == nil:
		fs.guard.changed(p, at, objstore.Info{})
	case errors.Is(err, objstore.ErrPrecondition) && fs.broken(ctx, cond, at):
		return fs.changedSince(ctx, c, p, "unlink", at, known, "")
	}
	return err
}

// broken reports whether a condition of a guard does not hold now. Versions never come back, so it did not at a change before.
func (fs *FS) broken(ctx context.Context, cond objstore.Cond, at entryKey) bool {
	info, err := fs.ns.Lookup(ctx, at.dir, at.name)
	if err != nil && !errors.Is(err, objstore.ErrNotFound) || cond.IsUnconditional() {
		return false
	}
	return cond.Check(info.Version, err == nil) != nil
}

// keepSource keeps what is at from as what lost at to. What is no file loses nothing.
func (fs *FS) keepSource(ctx context.Context, c Caller, p actor, from, to entryKey, base objstore.ContentRef) (objstore.ConflictID, error) {
	ctx, cancel := fs.commitContext(ctx)
	defer cancel()
	mine, err := fs.ns.Lookup(ctx, from.dir, from.name)
	if err != nil || mine.Type != objstore.TypeFile {
		return "", nil // it is not there to be lost
	}
	reader, err := fs.ns.Open(ctx, mine.ID, mine.Version)
	if err != nil {
		return "", err
	}
	defer reader.Close()
	conflict := objstore.Conflict{
		Reason: objstore.ReasonLost, Path: fs.pathAt(ctx, to), Object: mine.ID,
		UID: c.UID, GID: mine.Attr.GID, Mode: mine.Attr.Mode, PID: p.process, Host: fs.host,
		Time: fs.clock(), Operation: "rename", Base: base, Bytes: mine.Size,
		Detail: "the file to be replaced is not what the process had read",
	}
	if theirs, err := fs.ns.Lookup(ctx, to.dir, to.name); err == nil {
		conflict.Theirs, conflict.Object = refTo(theirs), theirs.ID
	}
	stage, err := fs.ns.NewStage(ctx, objstore.StageSpec{Base: reader, Owner: objstore.Owner{
		Path: conflict.Path, Object: mine.ID, UID: c.UID, GID: conflict.GID, Mode: conflict.Mode,
		PID: p.process, Host: fs.host, Base: mine.Version,
	}})
	if err != nil {
		return "", err
	}
	defer stage.Close()
	kept, err := stage.Keep(ctx, conflict)
	if err != nil {
		return "", err
	}
	fs.kept.added()
	return kept.ID, nil
}

// changedSince is the answer to a change of a name that is not what the caller had read, with its line in the log.
func (fs *FS) changedSince(ctx context.Context, c Caller, p actor, op string, at entryKey, known objstore.ContentRef, kept objstore.ConflictID) error {
	fs.guard.refuse(p, at, fs.clock())
	path := fs.pathAt(ctx, at)
	info, err := fs.ns.Lookup(ctx, at.dir, at.name)
	if err != nil {
		info = objstore.Info{}
	}
	where := string(kept)
	if kept == "" {
		where = "nothing: nothing was written"
	}
	fs.log.LogAttrs(ctx, slog.LevelWarn, "the file is not what the process had read",
		slog.String("operation", op), slog.String("path", path), slog.Uint64("object", uint64(info.ID)),
		slog.String("base", string(known.ETag)), slog.String("winner", string(info.ETag)),
		slog.String("kept", where), slog.Uint64("uid", uint64(c.UID)), slog.Uint64("pid", uint64(p.process)),
		slog.String("program", fs.processes.Name(p.process)))
	return &Error{Op: op, Path: path, Kind: ErrBusy, Kept: kept}
}
