package fs

import (
	"context"
	"errors"

	"github.com/etagfs/etagfs/objstore"
)

// rebaseAttempts bounds how often an append is tried on a new end. The mount's own
// appenders take turns, so only others can come between.
const rebaseAttempts = 1000

// isLost reports whether a commit's condition did not hold. A directory at the name, or a
// parent that is none any more, is such a case too.
func isLost(err error) bool {
	return objstore.IsLostCondition(err) || errors.Is(err, objstore.ErrIsDir) || errors.Is(err, objstore.ErrNotDir)
}

// refused decides what a failed commit means.
func (t *transaction) refused(ctx context.Context, o order, err error) (outcome, error) {
	if o.names() && applied(err) == objstore.NotApplied && t.baseHolds(ctx) {
		return outcome{}, err // it was the rename or link that could not be done
	}
	if !isLost(err) {
		return outcome{}, t.failed(ctx, o, err)
	}
	if t.isDetached() {
		return outcome{}, nil
	}
	if t.adopt(ctx) || t.cede(ctx) {
		return outcome{}, nil
	}
	if result, rebased, rebaseErr := t.rebase(ctx, o); rebased {
		return outcome{result: result, done: true}, nil
	} else if refused := (orderRefused{}); errors.As(rebaseErr, &refused) {
		return outcome{}, refused.cause
	} else if rebaseErr != nil && !isLost(rebaseErr) {
		return outcome{}, t.failed(ctx, o, rebaseErr)
	}
	if t.isDetached() { // meanwhile
		return outcome{}, nil
	}
	return outcome{}, t.lose(ctx, o, err)
}

// names reports whether a name is to be made or moved in the same step.
func (o *order) names() bool { return o.move != nil || o.link != nil }

// orderRefused is why a rename or link could not be done, where the bytes alone could be committed. It is no lost condition of theirs.
type orderRefused struct{ cause error }

func (e orderRefused) Error() string { return e.cause.Error() }

// applied says what is known of a failed mutation.
func applied(err error) objstore.Outcome {
	if k := objstore.KindOf(err); k != 0 {
		return k.Applied()
	}
	return objstore.OutcomeUnknown
}

// baseHolds reports whether the condition of t holds now. Versions never come
// back, so if it holds now it held at a commit before.
func (t *transaction) baseHolds(ctx context.Context) bool {
	_, base, _ := t.snapshot()
	if base.Version != "" {
		info, err := t.fs.ns.Stat(ctx, t.file.id)
		return err == nil && info.Version == base.Version
	}
	create, pending := t.fs.creationOf(t.file)
	if !pending {
		return false
	}
	_, err := t.fs.ns.Lookup(ctx, create.at.dir, create.at.name)
	return errors.Is(err, objstore.ErrNotFound)
}

// isDetached reports whether the file's last name went through this mount. The
// removal may still be between the store's answer and ours: wait for it.
func (t *transaction) isDetached() bool {
	t.fs.awaitRemoval()
	state, _, _ := t.snapshot()
	return state == txDetached
}

// awaitRemoval returns once what this mount has removed from the store is detached.
func (fs *FS) awaitRemoval() {
	fs.removing.Lock()
	//lint:ignore SA2001 this is a barrier: nothing is to be done inside
	fs.removing.Unlock()
}

// adopt makes what the file is now the base of a transaction that was opened to append and has only made the file, which another
// did first: nothing of it is lost, and what it appends later comes after what is there.
func (t *transaction) adopt(ctx context.Context) bool {
	if _, base, w := t.snapshot(); t.fs.options.Append != AppendRebase || !t.mode.Append || !w.madeOnly(base) {
		return false
	}
	p, err := t.fs.pinVersion(ctx, View{Object: t.file.id}, false)
	if err != nil {
		return false
	}
	if !t.takeOver(p) {
		p.release()
		return false
	}
	t.fs.settleFollowers(ctx, t, p.version())
	t.fs.notices.put(notice{rebased: t.view()})
	return true
}

// cede ends the commit of a transaction that has only made the file, which another handle of this mount has committed since:
// the file is there, and nothing is lost. What t writes later has no base and loses.
func (t *transaction) cede(ctx context.Context) bool {
	if _, base, w := t.snapshot(); !w.madeOnly(base) {
		return false
	}
	if _, err := t.fs.ns.Stat(ctx, t.file.id); err != nil {
		return false // what is there, if anything, is not the file t has made
	}
	t.mu.Lock()
	defer t.tell()
	if t.state != txOpen || !t.madeOnly(t.base) {
		return false
	}
	t.changes, t.deferred = 0, false // to have made the file was another's, it turns out
	return true
}

// takeOver makes p the base and what is read, unless something has been written meanwhile.
func (t *transaction) takeOver(p *pin) bool {
	t.content.Lock()
	defer t.content.Unlock()
	if !t.adoptBase(p.reader.Info()) {
		return false
	}
	former := t.stage
	t.stage, t.pin = nil, p
	if former != nil {
		former.Close()
	}
	return true
}

// adoptBase makes info the base, unless something has been written meanwhile.
func (t *transaction) adoptBase(info objstore.Info) bool {
	t.mu.Lock()
	defer t.tell()
	if t.state != txOpen || !t.madeOnly(t.base) {
		return false
	}
	t.setBase(info)
	t.appendOff = info.Size
	t.committed, t.deferred = t.changes, false
	return true
}

// rebase appends what t has appended since its base to what the file is now,
// conditional on that. It applies to purely appending transactions, and to those that opened an empty file
// with O_TRUNC and did no more: lock files are opened so. With rebased
// false nothing was applied, for the reason given.
func (t *transaction) rebase(ctx context.Context, o order) (result objstore.CommitResult, rebased bool, err error) {
	if _, base, w := t.snapshot(); t.fs.options.Append != AppendRebase || !w.appendsOnly() && !w.emptiedNothing(base) {
		return result, false, objstore.ErrPrecondition
	}
	t.content.Lock()
	defer t.content.Unlock()
	for range rebaseAttempts {
		_, base, w := t.snapshot()
		if t.stage == nil || !w.appendsOnly() && (!w.emptiedNothing(base) || t.stage.Size() > 0) {
			return result, false, objstore.ErrPrecondition
		}
		result, err = t.rebaseOnce(ctx, o, w)
		if err == nil {
			return result, true, nil
		}
		if !errors.Is(err, objstore.ErrPrecondition) {
			return result, false, err
		}
	}
	return result, false, err
}

// rebaseOnce requires content.
func (t *transaction) rebaseOnce(ctx context.Context, o order, w work) (result objstore.CommitResult, err error) {
	current, err := t.fs.ns.Open(ctx, t.file.id, "")
	if errors.Is(err, objstore.ErrNotFound) {
		return result, err
	}
	if err != nil {
		return result, unprepared(err)
	}
	defer current.Close()
	info := current.Info()
	if !w.appendsOnly() && info.Size > 0 {
		return result, &objstore.Error{Op: "empty again", Kind: objstore.ErrNotFound, Detail: "the file is not empty any more"}
	}
	owner := t.owner(ctx, info)
	stage, err := t.fs.ns.NewStage(ctx, objstore.StageSpec{Base: current, Owner: owner})
	if err != nil {
		return result, unprepared(err)
	}
	adopted := false
	defer func() {
		if !adopted {
			stage.Close()
		}
	}()
	if err := copyStage(ctx, stage, info.Size, t.stage, w.appendOff); err != nil {
		return result, unprepared(err)
	}
	request := objstore.CommitRequest{Target: objstore.Target{ID: t.file.id}, Cond: objstore.IfVersion(info.Version)}
	if err := t.complete(ctx, &request, o, info, w); err != nil {
		return result, err
	}
	result, err = t.fs.ask(ctx, stage, request)
	if err != nil && o.names() && applied(err) == objstore.NotApplied {
		if now, ok := t.fs.Current(ctx, t.file.id); ok && now == info.Version {
			return result, orderRefused{err}
		}
	}
	if err != nil {
		return result, err
	}
	adopted = true
	t.closeStage(t.stage)
	t.stage = stage
	t.staged(owner)
	t.fs.notices.put(notice{rebased: t.view(), offset: min(info.Size, w.appendOff)})
	o.rebased = true
	t.settle(ctx, o, result.Info, w)
	return result, nil
}

// copyBytes is how much is copied at a time.
const copyBytes = 1 << 20

// copyStage copies what from has from fromOff on to off in to.
func copyStage(ctx context.Context, to objstore.Stage, off int64, from objstore.Stage, fromOff int64) error {
	size := from.Size()
	p := make([]byte, min(copyBytes, size-fromOff))
	for fromOff < size {
		part := p[:min(int64(len(p)), size-fromOff)]
		if n, err := from.ReadAt(ctx, part, fromOff); n < len(part) {
			return err
		}
		if _, err := to.WriteAt(ctx, part, off); err != nil {
			return err
		}
		off, fromOff = off+int64(len(part)), fromOff+int64(len(part))
	}
	return nil
}
