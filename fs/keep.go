package fs

import (
	"context"
	"errors"
	"log/slog"

	"github.com/etagfs/etagfs/objstore"
)

// lose ends a transaction whose condition did not hold: its bytes are kept
// before the answer is ErrBusy, and it never commits again.
func (t *transaction) lose(ctx context.Context, o order, cause error) error {
	why := keptCopy{reason: objstore.ReasonLost, theirs: t.theirs(ctx), failed: cause}
	t.describe(ctx, &why)
	return t.stop(ctx, o, txLost, why)
}

// failed answers a commit that failed for another reason than its condition. If
// it was not applied the next flush tries again; if that is unknown, none ever does.
func (t *transaction) failed(ctx context.Context, o order, cause error) error {
	why := keptCopy{reason: objstore.ReasonFailed, failed: cause}
	t.describe(ctx, &why)
	if applied(cause) == objstore.NotApplied {
		return t.stop(ctx, o, txOpen, why)
	}
	if !errors.Is(cause, objstore.ErrUnknown) {
		why.failed = &objstore.Error{Op: o.op, Kind: objstore.ErrUnknown, Detail: cause.Error()}
	}
	why.reason, why.theirs = objstore.ReasonUnknown, t.theirs(ctx)
	return t.stop(ctx, o, txUnknown, why)
}

// abandon ends a transaction whose descriptors nobody can close any more.
func (t *transaction) abandon(ctx context.Context) error {
	state, _, work := t.snapshot()
	t.mu.Lock()
	flushed := t.deferred
	t.mu.Unlock()
	if state != txOpen || flushed || work.appendsOnly() {
		return t.finish(ctx, t.opener, "unmount", objstore.Durable, untilTold)
	}
	unlock := t.lock()
	defer unlock()
	ctx, cancel := t.fs.commitContext(ctx)
	defer cancel()
	o := order{op: "unmount", caller: t.opener, durability: objstore.Durable}
	err := t.failed(ctx, o, errEndedOpen)
	if errors.Is(err, errEndedOpen) {
		return nil // kept
	}
	return err
}

// errEndedOpen is why the bytes of a file that was never closed are kept.
var errEndedOpen = &objstore.Error{Op: "unmount", Kind: objstore.ErrUnavailable,
	Detail: "the mount ended before the file was closed"}

// describe notes where the bytes belong, while that can still be told.
func (t *transaction) describe(ctx context.Context, k *keptCopy) {
	_, base, _ := t.snapshot()
	k.attr = t.attrNow(base)
	if k.path = t.fs.path(ctx, t.file); k.path == "" {
		t.mu.Lock()
		k.path = t.stagedAt
		t.mu.Unlock()
	}
}

// stop records how t stands and keeps its bytes. With a transaction that never commits
// ends the pending create it was to publish.
func (t *transaction) stop(ctx context.Context, o order, state txState, why keptCopy) error {
	if state != txOpen {
		t.fs.mu.Lock()
		if t.file.create != nil {
			t.file.lost = t.file.create
		}
		t.fs.endCreation(t.file)
		t.fs.mu.Unlock()
		if t.fs.part(t) {
			t.fs.notices.put(notice{parted: View{Object: t.file.id, Writer: t.id}})
		}
	}
	t.mu.Lock()
	if t.state == txOpen { // an unlink may have come between
		t.state = state
	}
	why.id = t.kept.id
	t.kept, t.deferred = why, false
	t.tell()
	t.fs.counters.stopped(why.reason)
	return t.keep(ctx, o)
}

// keepAgain answers a later flush of a transaction that cannot commit any more:
// what has changed since is kept in place of the former copy.
func (t *transaction) keepAgain(ctx context.Context, o order) error {
	t.mu.Lock()
	kept, current := t.kept, t.kept.id != "" && t.kept.changes == t.changes
	t.mu.Unlock()
	if current {
		return t.verdict(o, kept)
	}
	return t.keep(ctx, o)
}

// keep makes the bytes durable as a conflict, logs it, and returns what the caller is told.
func (t *transaction) keep(ctx context.Context, o order) error {
	t.mu.Lock()
	why, base, changes := t.kept, t.base, t.changes
	t.mu.Unlock()
	conflict := t.conflict(o, why, base)
	var kept objstore.Conflict
	err := t.withStage(ctx, false, func(stage objstore.Stage) (err error) {
		kept, err = stage.Keep(ctx, conflict)
		return err
	})
	if err != nil {
		why.changes = changes
		t.report(ctx, o, conflict, why, err)
		return unkept(o, err)
	}
	first := why.id == ""
	why.id, why.changes = kept.ID, changes
	t.mu.Lock()
	t.kept = why
	t.mu.Unlock()
	t.report(ctx, o, kept, why, nil)
	t.fs.counters.kept.Add(1)
	t.fs.history.lost(kept, t.fs.processes.Name(kept.PID), why.theirs)
	t.fs.kept.added()
	if first {
		t.fs.tellKept(kept)
	}
	return t.verdict(o, why)
}

// verdict is what a caller is told whose bytes are kept.
func (t *transaction) verdict(o order, kept keptCopy) error {
	if kept.reason == objstore.ReasonLost {
		return &Error{Op: o.op, Kind: ErrBusy, Kept: kept.id, Err: kept.failed}
	}
	return reported{kept.failed}
}

// unkept is the error for bytes that could be neither committed nor kept: never
// ErrBusy, which promises a kept copy, and never "not found". The cause is told in words alone.
func unkept(o order, err error) error {
	kind := objstore.ErrUnavailable
	if k := objstore.KindOf(err); k == objstore.ErrNoSpace || k == objstore.ErrTooLarge {
		kind = objstore.ErrNoSpace
	}
	return &objstore.Error{Op: o.op, Kind: kind, Detail: "the bytes could not be kept: " + err.Error()}
}

func (t *transaction) conflict(o order, why keptCopy, base objstore.Info) objstore.Conflict {
	process, _ := t.fs.processes.ThreadGroup(o.caller.Thread)
	c := objstore.Conflict{
		ID: why.id, Reason: why.reason, Path: why.path, Object: t.file.id,
		UID: t.changer().UID, GID: why.attr.GID, Mode: why.attr.Mode, PID: process, Host: t.fs.host,
		Time: t.fs.clock(), Operation: o.op, Base: refTo(base), Theirs: why.theirs.ContentRef, Bytes: t.size(),
	}
	if why.failed != nil {
		c.Detail = joinDetail(why.failed.Error(), t.fs.history.byWhom(why.theirs))
	}
	return c
}

// changer is who has changed t last, and may see the kept copy.
func (t *transaction) changer() Caller {
	if !t.shared {
		return t.opener
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.author
}

// refTo points to a version; the zero Info is no object.
func refTo(info objstore.Info) objstore.ContentRef {
	return objstore.ContentRef{Exists: info.Version != "", Version: info.Version, ETag: info.ETag, Size: info.Size}
}

// theirs is what the file is now.
func (t *transaction) theirs(ctx context.Context) rival {
	info, err := t.fs.ns.Stat(ctx, t.file.id)
	if create, made := t.fs.madeAs(t.file); made && err != nil {
		info, err = t.fs.ns.Lookup(ctx, create.at.dir, create.at.name)
	}
	if err != nil {
		return rival{}
	}
	return rival{ContentRef: refTo(info), object: info.ID}
}

// failureTold is what the log line of a failed commit says, but for how often it was tried.
type failureTold struct {
	changes uint64 // those that were to be committed
	reason  objstore.ConflictReason
	failed  objstore.Kind
	theirs  objstore.Version
	kept    objstore.ConflictID
	unkept  objstore.Kind // why not, or 0
}

// report writes the one log line of a failed commit, which fsync, close and release may each have tried. One that lost, and
// whose bytes are kept, is no error of ours: the caller is told EBUSY, and may try again.
func (t *transaction) report(ctx context.Context, o order, c objstore.Conflict, why keptCopy, keepErr error) {
	now := failureTold{why.changes, c.Reason, objstore.KindOf(why.failed), c.Theirs.Version, c.ID, objstore.KindOf(keepErr)}
	t.mu.Lock()
	known := t.told == now
	t.told = now
	t.mu.Unlock()
	if known {
		return
	}
	kept, level := string(c.ID), slog.LevelError
	switch {
	case keepErr != nil:
		kept = "not yet: " + reason(keepErr)
	case c.Reason == objstore.ReasonLost:
		level = slog.LevelWarn
	}
	t.fs.log.LogAttrs(ctx, level, "commit failed",
		slog.String("operation", o.op), slog.String("path", c.Path), slog.Uint64("object", uint64(c.Object)),
		slog.String("base", string(c.Base.ETag)), slog.String("winner", string(c.Theirs.ETag)),
		slog.String("kept", kept), slog.Uint64("uid", uint64(o.caller.UID)), slog.Uint64("pid", uint64(c.PID)),
		slog.String("program", t.fs.processes.Name(c.PID)), slog.Any("error", why.failed))
}

// reason is an error in a line that tells of the operation and the path already.
func reason(err error) string {
	var e *objstore.Error
	if errors.As(err, &e) && e.Detail != "" && e.Err == nil {
		return e.Detail
	}
	return err.Error()
}

// forget drops the copy of a commit that failed before and has succeeded now.
func (t *transaction) forget(ctx context.Context, k keptCopy) {
	if k.id == "" {
		return
	}
	if err := t.fs.ns.DropConflict(ctx, k.id); err != nil && !errors.Is(err, objstore.ErrNotFound) {
		t.fs.log.Warn("a kept copy that is committed now could not be dropped", "conflict", k.id, "error", err)
	}
}
