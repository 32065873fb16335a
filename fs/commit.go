package fs

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/etagfs/etagfs/objstore"
)

// inFlightAttempts bounds how often a commit is asked again of a store that says
// that another mutation is in flight.
const inFlightAttempts = 16

// order is what a commit is asked to do beside making the bytes the content.
type order struct {
	op         string // for the log and the conflict
	caller     Caller
	durability objstore.Durability
	move       *objstore.MoveRequest
	link       *entryKey
	create     bool // the caller's kernel learns of the file from the reply
	rebased    bool // onto what others have committed
}

// outcome is what became of an order. With neither an error nor done there was
// nothing to commit.
type outcome struct {
	result objstore.CommitResult
	done   bool
}

// commitContext is for what must not be cut short: commits ignore signals and
// have a deadline of their own.
func (fs *FS) commitContext(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), fs.options.CommitTimeout)
}

// lockNames takes the names, and the name of f's pending create if it is
// one; f may be nil. As long as it is held no create of f begins or ends by a commit, rename or unlink.
func (fs *FS) lockNames(f *file, names ...entryKey) (unlock func()) {
	for {
		before, pending := fs.creationOf(f)
		keys := names
		if pending {
			keys = append(slices.Clone(names), before.at)
		}
		unlock := fs.names.lock(keys...)
		after, still := fs.creationOf(f)
		if pending == still && before.at == after.at {
			return unlock
		}
		unlock()
	}
}

// lock takes what a commit needs: the name of a pending create, and the transaction.
func (t *transaction) lock() (unlock func()) {
	unlockNames := t.fs.lockNames(t.file)
	t.committing.Lock()
	return func() {
		t.committing.Unlock()
		unlockNames()
	}
}

// finish commits what has changed and answers once the kernel's copies are gone, as far as how waits for that.
func (t *transaction) finish(ctx context.Context, c Caller, op string, d objstore.Durability, how telling) error {
	unlock := t.lock()
	_, err := t.commit(ctx, order{op: op, caller: c, durability: d})
	unlock()
	t.fs.notices.told(ctx, how)
	return err
}

// commit carries out an order. It requires [transaction.lock].
func (t *transaction) commit(ctx context.Context, o order) (outcome, error) {
	ctx, cancel := t.fs.commitContext(ctx)
	defer cancel()
	t.inCommit.Store(true)
	defer t.inCommit.Store(false)
	state, _, work := t.snapshot()
	switch {
	case state == txLost || state == txUnknown:
		return outcome{}, t.keepAgain(ctx, o)
	case state != txOpen || !work.changed():
		return outcome{}, nil
	}
	if work.appendsOnly() {
		t.file.appending.Lock()
		defer t.file.appending.Unlock()
	}
	result, err := t.attempt(ctx, o)
	if err != nil {
		return t.refused(ctx, o, err)
	}
	return outcome{result: result, done: true}, nil
}

// attempt asks the store once, for the base as it is.
func (t *transaction) attempt(ctx context.Context, o order) (objstore.CommitResult, error) {
	state, base, work := t.snapshot()
	create, pending := t.fs.creationOf(t.file)
	if base.Version == "" && !pending {
		return objstore.CommitResult{}, objstore.ErrPrecondition // somebody else has made the file
	}
	if state == txDetached {
		return objstore.CommitResult{}, objstore.ErrNotFound
	}
	if err := t.outread(); err != nil {
		return objstore.CommitResult{}, err
	}
	var stage objstore.Stage
	err := t.withStage(ctx, false, func(s objstore.Stage) error {
		stage = s
		return nil
	})
	if err != nil {
		return objstore.CommitResult{}, unprepared(err)
	}
	request := objstore.CommitRequest{Target: objstore.Target{ID: t.file.id}, Cond: objstore.IfVersion(base.Version)}
	if base.Version == "" {
		request.Target.Parent, request.Target.Name = create.at.dir, create.at.name
		request.Target.Attr = create.attr
		request.Cond = objstore.IfAbsent()
		request.Change = create.change
	}
	if err := t.complete(ctx, &request, o, base, work); err != nil {
		return objstore.CommitResult{}, err
	}
	result, err := t.fs.ask(ctx, stage, request)
	if err == nil {
		t.settle(ctx, o, result.Info, work)
	}
	return result, err
}

// unprepared is a failure before the store was asked to commit: certainly not applied, and
// no lost condition. The cause is told in words alone, so that nobody finds its kind.
func unprepared(err error) error {
	if objstore.IsLostCondition(err) || applied(err) != objstore.NotApplied {
		return &objstore.Error{Op: "prepare a commit", Kind: objstore.ErrUnavailable, Detail: err.Error()}
	}
	return err
}

// complete fills in what does not depend on the base. There is no write id: nothing is asked
// again once it may have been applied.
func (t *transaction) complete(ctx context.Context, r *objstore.CommitRequest, o order, base objstore.Info, w work) error {
	r.Durability = o.durability
	r.Move = o.move
	if o.link != nil {
		r.LinkParent, r.LinkName = o.link.dir, o.link.name
	}
	if w.atime != nil {
		r.Change.Atime = w.atime
	}
	if w.mtime != nil {
		r.Change.Mtime = w.mtime
	}
	if _, capable := base.Xattrs[xattrCapability]; capable {
		r.Change.Xattrs = map[string][]byte{xattrCapability: nil}
	}
	if !w.clearIDs {
		return nil
	}
	mode := r.Target.Attr.Mode
	if r.Target.Parent == 0 {
		info, err := t.fs.ns.Stat(ctx, r.Target.ID)
		if errors.Is(err, objstore.ErrNotFound) {
			return err
		}
		if err != nil {
			return unprepared(err)
		}
		mode = info.Attr.Mode
	}
	if cleared := withoutSetID(mode, w.byOutsider); cleared != mode {
		r.Change.Mode = &cleared
	}
	return nil
}

// ask sends a request, again if another mutation was in flight. What it does to
// names the caller's kernel learns from the reply.
func (fs *FS) ask(ctx context.Context, stage objstore.Stage, r objstore.CommitRequest) (result objstore.CommitResult, err error) {
	done, began := fs.notices.expect(namesOf(r)...), time.Now()
	defer func() {
		fs.counters.took.Observe(time.Since(began))
		done(err)
	}()
	if r.Move != nil {
		fs.removing.RLock()
		defer fs.removing.RUnlock()
	}
	for range inFlightAttempts {
		result, err = stage.Commit(ctx, r)
		if err == nil && r.Move != nil {
			fs.replaced(result.Moved)
		}
		if !errors.Is(err, objstore.ErrConflict) {
			return result, err
		}
	}
	return result, &objstore.Error{Op: "commit", Kind: objstore.ErrUnavailable, Detail: err.Error()}
}

// namesOf are the names a request changes.
func namesOf(r objstore.CommitRequest) []nameChange {
	var all []nameChange
	if r.Target.Parent != 0 {
		all = append(all, nameChange{objstore.ChangeCreated, entryKey{r.Target.Parent, r.Target.Name}})
	}
	if r.LinkParent != 0 {
		all = append(all, nameChange{objstore.ChangeCreated, entryKey{r.LinkParent, r.LinkName}})
	}
	if r.Move != nil {
		all = append(all, movesOf(*r.Move)...)
	}
	return all
}

// movesOf are the names a rename changes.
func movesOf(m objstore.MoveRequest) []nameChange {
	all := []nameChange{{objstore.ChangeMoved, entryKey{m.Parent, m.Name}}}
	if m.Mode == objstore.RenameExchange {
		all = append(all, nameChange{objstore.ChangeMoved, entryKey{m.NewParent, m.NewName}})
	}
	return all
}

// settle makes a committed version the base.
func (t *transaction) settle(ctx context.Context, o order, info objstore.Info, w work) {
	t.fs.made(o, info)
	t.endCreation(o, info)
	t.mu.Lock()
	before := t.base
	t.setBase(info)
	t.committed, t.rewritten = w.changes, w.rewrites
	t.appendOff = info.Size
	t.emptied, t.deferred = false, false
	if !t.changed() {
		t.bytes, t.clearIDs, t.atime, t.mtime = false, false, nil, nil
	}
	failed := t.kept
	t.kept = keptCopy{}
	t.tell()
	t.committedTo(ctx, before, info)
	t.fs.settleFollowers(ctx, t, info.Version)
	t.forget(ctx, failed)
}

// made counts and remembers a commit.
func (fs *FS) made(o order, info objstore.Info) {
	if o.rebased {
		fs.counters.rebased.Add(1)
	} else {
		fs.counters.committed.Add(1)
	}
	fs.history.committed(o, info, fs.clock())
}

// endCreation ends the pending create a commit has published, and with a first content
// the time in which anybody may read the writer's view.
func (t *transaction) endCreation(o order, info objstore.Info) {
	fs, f := t.fs, t.file
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if f.create != nil && !o.create {
		fs.notices.put(notice{Change: objstore.Change{Kind: objstore.ChangeContent, Object: info.ID, New: info.Version, Size: info.Size}})
		fs.notices.put(notice{dirTimes: f.create.at.dir})
	}
	fs.endCreation(f)
	f.published, f.publishedVersion = nil, ""
	if o.create {
		f.published, f.publishedVersion = t, info.Version
	}
}

// settleFollowers pins the readers that followed t to what it has committed. If that is gone already they go on following: the
// writer has the only copy, and the name has something else.
func (fs *FS) settleFollowers(ctx context.Context, t *transaction, v objstore.Version) {
	var followers []*reading
	for _, r := range fs.readersOf(t.file.id) {
		if follows, _ := r.source(); follows == t {
			followers = append(followers, r)
		}
	}
	if len(followers) == 0 {
		return
	}
	var p *pin
	opened, err := fs.ns.Open(ctx, t.file.id, v)
	if objstore.IsLostCondition(err) {
		return
	}
	if err == nil {
		p = newPin(opened)
		defer p.release()
	}
	for _, r := range followers {
		if p != nil {
			p.acquire()
		}
		if r.settle(p) != nil {
			fs.unuse(t)
		}
	}
}
