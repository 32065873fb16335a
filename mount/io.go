package mount

import (
	"context"
	"math"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"

	"github.com/etagfs/etagfs/fs"
	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/locks"
)

// killSetID is FUSE_WRITE_KILL_SUIDGID.
const killSetID = 1 << 2

// Read implements [fuse.RawFileSystem].
func (b *bridge) Read(cancel <-chan struct{}, in *fuse.ReadIn, buf []byte) (fuse.ReadResult, fuse.Status) {
	f := b.handles.file(in.Fh)
	if f == nil {
		return nil, fuse.EBADF
	}
	n, err := unlessDying(cancel, in.Pid, func(ctx context.Context) (int, error) {
		return f.description.handle.ReadAt(ctx, buf[:in.Size], int64(in.Offset))
	})
	if err != nil {
		return nil, b.status("read", err)
	}
	return fuse.ReadResultData(buf[:n]), fuse.OK
}

// Write implements [fuse.RawFileSystem].
func (b *bridge) Write(_ <-chan struct{}, in *fuse.WriteIn, data []byte) (uint32, fuse.Status) {
	f := b.handles.file(in.Fh)
	if f == nil {
		return 0, fuse.EBADF
	}
	mode := fs.WriteMode{Append: in.Flags&syscall.O_APPEND != 0, ClearSetID: in.WriteFlags&killSetID != 0}
	n, err := f.description.handle.WriteAt(context.Background(), data, int64(in.Offset), mode)
	if mode.ClearSetID {
		b.clearSetID(f)
	}
	if err != nil && n == 0 {
		return 0, b.status("write", err)
	}
	return uint32(n), fuse.OK
}

// clearSetID makes the kernel ask for the mode again: it leaves it to us to take set-user-id off.
func (b *bridge) clearSetID(f *file) {
	f.description.clearing.Do(func() { b.notifier.drop(f.node.id, onlyAttributes) })
}

// Flush implements [fuse.RawFileSystem]. It is close(2) of one descriptor.
func (b *bridge) Flush(_ <-chan struct{}, in *fuse.FlushIn) fuse.Status {
	f := b.handles.file(in.Fh)
	if f == nil {
		return fuse.EBADF
	}
	c := caller(&in.InHeader)
	err := f.description.handle.Flush(context.Background(), c)
	if unlocked := b.unlockOwner(f, locks.Owner{ID: in.LockOwner}, c); err == nil {
		err = unlocked
	}
	return b.status("close", err)
}

// Fsync implements [fuse.RawFileSystem].
func (b *bridge) Fsync(_ <-chan struct{}, in *fuse.FsyncIn) fuse.Status {
	f := b.handles.file(in.Fh)
	if f == nil {
		return fuse.EBADF
	}
	return b.status("fsync", f.description.handle.Sync(context.Background(), caller(&in.InHeader)))
}

// CopyFileRange implements [fuse.RawFileSystem]. Before it asks the kernel writes what was stored through mappings of both
// nodes, and afterwards it forgets the pages of what has changed.
func (b *bridge) CopyFileRange(_ <-chan struct{}, in *fuse.CopyFileRangeIn) (uint32, fuse.Status) {
	from, to := b.handles.file(in.FhIn), b.handles.file(in.FhOut)
	if from == nil || to == nil {
		return 0, fuse.EBADF
	}
	clearIDs := in.Uid != 0 // as for Fallocate
	n := int64(min(in.Len, math.MaxUint32))
	n, err := to.description.handle.CopyFrom(context.Background(), from.description.handle, int64(in.OffIn), n, int64(in.OffOut), clearIDs)
	if err != nil {
		return 0, b.status("copy", err)
	}
	if clearIDs {
		b.clearSetID(to)
	}
	return uint32(n), fuse.OK
}

// Fallocate implements [fuse.RawFileSystem].
func (b *bridge) Fallocate(_ <-chan struct{}, in *fuse.FallocateIn) fuse.Status {
	f := b.handles.file(in.Fh)
	if f == nil {
		return fuse.EBADF
	}
	mode, ok := allocateMode(in.Mode)
	if !ok {
		return fuse.ENOTSUP
	}
	clearIDs := in.Uid != 0 // the request does not say, other than those to write
	err := f.description.handle.Allocate(context.Background(), int64(in.Offset), int64(in.Length), mode, clearIDs)
	if clearIDs {
		b.clearSetID(f)
	}
	return b.status("fallocate", err)
}

func allocateMode(flags uint32) (mode objstore.AllocateMode, ok bool) {
	switch flags {
	case 0:
		return objstore.AllocateGrow, true
	case unix.FALLOC_FL_KEEP_SIZE:
		return objstore.AllocateKeepSize, true
	case unix.FALLOC_FL_PUNCH_HOLE | unix.FALLOC_FL_KEEP_SIZE,
		unix.FALLOC_FL_ZERO_RANGE | unix.FALLOC_FL_KEEP_SIZE: // space beyond the end would not be found again
		return objstore.PunchHole, true
	case unix.FALLOC_FL_ZERO_RANGE:
		return objstore.ZeroRange, true
	default:
		return 0, false
	}
}

// Lseek implements [fuse.RawFileSystem] for SEEK_DATA and SEEK_HOLE.
func (b *bridge) Lseek(_ <-chan struct{}, in *fuse.LseekIn, out *fuse.LseekOut) fuse.Status {
	f := b.handles.file(in.Fh)
	if f == nil {
		return fuse.EBADF
	}
	if b.table.mayBeMapped(f) {
		b.notifier.drop(f.node.id, 0) // stores through a mapping come in with that
	}
	seek := f.description.handle.NextData
	switch in.Whence {
	case unix.SEEK_DATA:
	case unix.SEEK_HOLE:
		seek = f.description.handle.NextHole
	default:
		return fuse.EINVAL
	}
	off, err := seek(context.Background(), int64(in.Offset))
	out.Offset = uint64(off)
	return b.status("lseek", err)
}
