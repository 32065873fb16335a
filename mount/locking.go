package mount

import (
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/etagfs/etagfs/fs"
)

// File locks are served here and not by the kernel, which would keep them by
// node: two versions of a file would not exclude each other.

func lockOf(in *fuse.LkIn) fs.Lock {
	return fs.Lock{
		Owner:     fs.LockOwner{ID: in.Owner, Flock: in.LkFlags&fuse.LK_FLOCK != 0},
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
	k, found := b.locks.Conflict(f.node.object, lockOf(in))
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
	f := b.handles.file(in.Fh)
	if f == nil {
		return fuse.EBADF
	}
	k := lockOf(in)
	if in.Lk.Typ == syscall.F_UNLCK {
		b.locks.Unlock(f.node.object, k)
		return fuse.OK
	}
	if !b.locks.TryLock(f.node.object, k) {
		return fuse.EAGAIN
	}
	b.locked(f, k.Owner)
	return fuse.OK
}

// SetLkw implements [fuse.RawFileSystem].
func (b *bridge) SetLkw(cancel <-chan struct{}, in *fuse.LkIn) fuse.Status {
	if in.Lk.Typ == syscall.F_UNLCK {
		return b.SetLk(cancel, in)
	}
	f := b.handles.file(in.Fh)
	if f == nil {
		return fuse.EBADF
	}
	k := lockOf(in)
	if err := b.locks.Lock(interruption(cancel), f.node.object, k); err != nil {
		return fuse.EINTR
	}
	b.locked(f, k.Owner)
	return fuse.OK
}

// locked notes who locked through f: the kernel tells of the end of an fcntl(2) lock by
// FLUSH, which read-only files do without, and of an OFD lock not at all.
func (b *bridge) locked(f *file, owner fs.LockOwner) {
	b.handles.mu.Lock()
	defer b.handles.mu.Unlock()
	if f.lockers == nil {
		f.lockers = make(map[fs.LockOwner]struct{})
	}
	f.lockers[owner] = struct{}{}
}

// unlockFile releases what was locked through f: it has been closed by everybody.
func (b *bridge) unlockFile(f *file) {
	b.handles.mu.Lock()
	lockers := f.lockers
	f.lockers = nil
	b.handles.mu.Unlock()
	for owner := range lockers {
		b.locks.UnlockAll(f.node.object, owner)
	}
}
