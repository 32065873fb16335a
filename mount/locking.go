package mount

import (
	"context"
	"errors"
	"maps"
	"slices"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/etagfs/etagfs/fs"
	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/locks"
)

// File locks are served here and not by the kernel, which would keep them by
// node: two versions of a file would not exclude each other.

func lockOf(in *fuse.LkIn) locks.Lock {
	return locks.Lock{
		Owner:     locks.Owner{ID: in.Owner, Flock: in.LkFlags&fuse.LK_FLOCK != 0},
		Start:     in.Lk.Start,
		End:       in.Lk.End,
		Exclusive: in.Lk.Typ == syscall.F_WRLCK,
		Process:   in.Lk.Pid,
	}
}

// GetLk implements [fuse.RawFileSystem].
func (b *bridge) GetLk(_ <-chan struct{}, in *fuse.LkIn, out *fuse.LkOut) fuse.Status {
	f := b.handles.file(in.Fh)
	if f == nil {
		return fuse.EBADF
	}
	k, found, err := b.locks.Conflict(context.Background(), f.node.object, lockOf(in))
	if err != nil {
		return b.lockStatus(err)
	}
	if !found {
		out.Lk = in.Lk
		out.Lk.Typ = syscall.F_UNLCK
		return fuse.OK
	}
	out.Lk = fuse.FileLock{Start: k.Start, End: k.End, Typ: syscall.F_RDLCK, Pid: k.Process}
	if k.Exclusive {
		out.Lk.Typ = syscall.F_WRLCK
	}
	return fuse.OK
}

// SetLk implements [fuse.RawFileSystem].
func (b *bridge) SetLk(_ <-chan struct{}, in *fuse.LkIn) fuse.Status {
	return b.setLock(context.Background(), in, b.locks.TryLock)
}

// SetLkw implements [fuse.RawFileSystem].
func (b *bridge) SetLkw(cancel <-chan struct{}, in *fuse.LkIn) fuse.Status {
	return b.setLock(interruption(cancel), in, b.locks.Lock)
}

type takeFunc = func(context.Context, objstore.ID, locks.Lock) error

// setLock releases a lock or takes it.
func (b *bridge) setLock(ctx context.Context, in *fuse.LkIn, take takeFunc) fuse.Status {
	f := b.handles.file(in.Fh)
	if f == nil {
		return fuse.EBADF
	}
	k, c := lockOf(in), caller(&in.InHeader)
	if in.Lk.Typ == syscall.F_UNLCK {
		err := b.publish(f, k, c)
		return b.lockStatus(errors.Join(err, b.locks.Unlock(context.Background(), f.node.object, k)))
	}
	if !k.Exclusive {
		if err := b.publish(f, k, c); err != nil {
			return b.lockStatus(err)
		}
	}
	b.table.markLocked(f.node)
	b.handles.lockedBy(f, k.Owner) // before it is: see takeLockers
	if err := take(ctx, f.node.object, k); err != nil {
		return b.lockStatus(err)
	}
	if err := b.refresh(f); err != nil {
		return b.lockStatus(errors.Join(err, b.locks.Unlock(context.Background(), f.node.object, k)))
	}
	return fuse.OK
}

func (b *bridge) lockStatus(err error) fuse.Status {
	switch {
	case errors.Is(err, locks.ErrHeld):
		return fuse.EAGAIN
	case errors.Is(err, locks.ErrDeadlock):
		return fuse.Status(syscall.EDEADLK)
	case errors.Is(err, locks.ErrEnded):
		return fuse.Status(syscall.ENOLCK)
	default:
		return b.status("lock", err)
	}
}

// publish commits what was done under a lock that is about to be released, or to be shared.
func (b *bridge) publish(f *file, k locks.Lock, c fs.Caller) error {
	held, exclusive := b.locks.Holds(f.node.object, k)
	if !held {
		return nil
	}
	if mode := f.description.mode; exclusive && mode.Read && mode.Write && !f.description.direct {
		b.notifier.drop(f.node.id, 0) // stores through a mapping come in with that
	}
	return f.description.handle.Commit(context.Background(), c)
}

// unlockOwner releases what an owner holds on f's object, whichever open files it was locked through: closing one
// descriptor of a file ends a process's record locks on it.
func (b *bridge) unlockOwner(f *file, owner locks.Owner, c fs.Caller) error {
	defer b.handles.forgetLocker(f, owner)
	all := locks.Whole(owner)
	if held, _ := b.locks.Holds(f.node.object, all); !held {
		return nil
	}
	var failed error
	for _, other := range b.handles.lockedThrough(f.node.object, owner) {
		if other == f {
			failed = f.description.handle.Commit(context.Background(), c) // the kernel has sent its stores
		} else {
			_ = b.publish(other, all, c) // has been logged, and its own close will tell
		}
	}
	return errors.Join(failed, b.locks.Unlock(context.Background(), f.node.object, all))
}

// unlockFile releases what was locked through f: it has been closed by everybody. A flock(2) lock
// ends so, an OFD lock, and the lock of a process that the kernel did not tell of the close of (NOFLUSH).
func (b *bridge) unlockFile(f *file) {
	for _, owner := range b.handles.takeLockers(f) {
		if err := b.locks.Unlock(context.Background(), f.node.object, locks.Whole(owner)); err != nil {
			b.log.Warn("a lock was not released", "object", f.node.object, "error", err)
		}
	}
}

// lockedBy notes who locked through f.
func (h *handles) lockedBy(f *file, owner locks.Owner) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if f.lockers == nil {
		f.lockers = make(map[locks.Owner]struct{})
	}
	f.lockers[owner] = struct{}{}
}

// forgetLocker notes that f's owner has closed it.
func (h *handles) forgetLocker(f *file, owner locks.Owner) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(f.lockers, owner)
}

// lockedThrough are the files on an object that owner has locked through.
func (h *handles) lockedThrough(object objstore.ID, owner locks.Owner) (all []*file) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	for _, f := range h.files {
		if _, locked := f.lockers[owner]; locked && f.node.object == object {
			all = append(all, f)
		}
	}
	return all
}

// takeLockers are the owners whose locks end with f, which the kernel gives up some time after it was closed: by then
// a process may have opened the object again and locked it. What it has now is not f's to release.
func (h *handles) takeLockers(f *file) []locks.Owner {
	h.mu.Lock()
	defer h.mu.Unlock()
	owners := slices.DeleteFunc(slices.Collect(maps.Keys(f.lockers)), func(owner locks.Owner) bool {
		return h.isLockedThroughAnother(f, owner)
	})
	f.lockers = nil
	return owners
}

// isLockedThroughAnother reports whether owner has locked f's object through another open file. mu is held.
func (h *handles) isLockedThroughAnother(f *file, owner locks.Owner) bool {
	for _, other := range h.files {
		if _, locked := other.lockers[owner]; locked && other != f && other.node.object == f.node.object {
			return true
		}
	}
	return false
}

// refresh moves an unchanged handle on to what is committed now, if it is alone on its node. It
// returns once the kernel has dropped what it had.
func (b *bridge) refresh(f *file) error {
	if b.table.sharing {
		_, err := f.description.handle.Refresh(context.Background(), nil) // which tells the notifier
		return err
	}
	f.description.refreshing.Lock()
	defer f.description.refreshing.Unlock()
	if !b.table.seclude(f) {
		return nil
	}
	shown, err := f.description.handle.Refresh(context.Background(), func() { b.notifier.drop(f.node.id, 0) })
	b.notifier.expire(b.table.rejoin(f, shown))
	return err
}

// seclude keeps others off f's node, if f is alone on it.
func (t *table) seclude(f *file) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := f.node
	if u := n.use(); f.guest || u.files != f || f.next != nil || u.opening > 0 || u.busy || u.reservation != nil || u.spent || t.isPassed(n) {
		return false
	}
	n.used().busy = true
	n.current = false
	return true
}

// rejoin ends seclude. The node of a reader shows what that was moved to; stale are entries that
// lead to it although it is not current.
func (t *table) rejoin(f *file, shown fs.View) (stale []name) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := f.node
	n.used().busy = false
	if n.use().owner == nil && !n.shows(shown) {
		n.show(shown, -1)
		stale = t.entries.take(n)
	} else if n.use().owner == nil {
		t.offer(n)
	}
	return stale
}

// markLocked notes that n's object has been locked: from now on, as long as the kernel knows
// it, its opens do not share nodes.
func (t *table) markLocked(n *node) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.locked[n.object] = struct{}{}
}

// hasWriter reports whether somebody has an object open to write: most who lock a file do, and through it. mu is held.
func (t *table) hasWriter(id objstore.ID) bool {
	w := t.written[id]
	return w != nil && len(w.nodes) > 0
}

// isLocked reports whether an object has been locked. mu is held.
func (t *table) isLocked(id objstore.ID) bool {
	_, locked := t.locked[id]
	return locked
}
