package mount

import (
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/etagfs/etagfs/fs"
	"github.com/etagfs/etagfs/objstore"
)

const (
	// cacheTime is how long the kernel may keep what is invalidated exactly.
	cacheTime = 24 * time.Hour
	// createTime is how long the kernel may keep the attributes CREATE answered. It checks the mode
	// right afterwards; what the writer changes it forgets by itself.
	createTime = time.Second
	// blockBytes is the unit of st_blocks.
	blockBytes = 512
	// ioBytes is st_blksize, by which programs choose their buffers: each
	// write(2) is a request, so small buffers are dear.
	ioBytes = 64 << 10
)

// volatile reports whether an object belongs to the control directory. Package fs gives those
// ids with the highest bit set; what they show changes without notice, so the kernel keeps nothing of it.
func volatile(id objstore.ID) bool { return id>>63 == 1 }

// typeBits are the S_IFMT bits of a file type.
func typeBits(t objstore.FileType) uint32 {
	switch t {
	case objstore.TypeDir:
		return syscall.S_IFDIR
	case objstore.TypeSymlink:
		return syscall.S_IFLNK
	case objstore.TypeFifo:
		return syscall.S_IFIFO
	case objstore.TypeSocket:
		return syscall.S_IFSOCK
	case objstore.TypeCharDevice:
		return syscall.S_IFCHR
	case objstore.TypeBlockDevice:
		return syscall.S_IFBLK
	default:
		return syscall.S_IFREG
	}
}

// fileType is the file type of S_IFMT bits; a mode without any means a regular file.
func fileType(mode uint32) (objstore.FileType, bool) {
	switch mode & syscall.S_IFMT {
	case 0, syscall.S_IFREG:
		return objstore.TypeFile, true
	case syscall.S_IFIFO:
		return objstore.TypeFifo, true
	case syscall.S_IFSOCK:
		return objstore.TypeSocket, true
	case syscall.S_IFCHR:
		return objstore.TypeCharDevice, true
	case syscall.S_IFBLK:
		return objstore.TypeBlockDevice, true
	default:
		return 0, false
	}
}

// fillAttr is the only place attributes are converted.
func fillAttr(out *fuse.Attr, a *fs.Attr) {
	*out = fuse.Attr{
		Ino:     uint64(a.Object),
		Size:    uint64(a.Size),
		Blocks:  uint64((a.Allocated + blockBytes - 1) / blockBytes),
		Mode:    typeBits(a.Type) | a.Mode&07777,
		Nlink:   a.Nlink,
		Owner:   fuse.Owner{Uid: a.UID, Gid: a.GID},
		Rdev:    a.Rdev,
		Blksize: ioBytes,
	}
	out.Atime, out.Atimensec = kernelTime(a.Atime)
	out.Mtime, out.Mtimensec = kernelTime(a.Mtime)
	out.Ctime, out.Ctimensec = kernelTime(a.Ctime)
}

func kernelTime(t time.Time) (seconds uint64, nanoseconds uint32) {
	return uint64(t.Unix()), uint32(t.Nanosecond())
}

// fillEntry answers a request that gives the kernel a node.
func fillEntry(out *fuse.EntryOut, n *node, a *fs.Attr, b belief) {
	out.NodeId = n.id
	out.Generation = 1
	fillAttr(&out.Attr, a)
	if b.entry {
		out.SetEntryTimeout(cacheTime)
	}
	out.SetAttrTimeout(b.attributes)
}

// change converts the parts of a SETATTR that have a meaning here.
func change(in *fuse.SetAttrIn, now time.Time) fs.Change {
	var c fs.Change
	if mode, ok := in.GetMode(); ok {
		c.Mode = &mode
	}
	if uid, ok := in.GetUID(); ok {
		c.UID = &uid
	}
	if gid, ok := in.GetGID(); ok {
		c.GID = &gid
	}
	if size, ok := in.GetSize(); ok {
		signed := int64(size)
		c.Size = &signed
		c.ClearSetID = in.Valid&fuse.FATTR_KILL_SUIDGID != 0
	}
	c.Atime = changedTime(in.Valid, fuse.FATTR_ATIME, fuse.FATTR_ATIME_NOW, in.Atime, in.Atimensec, now)
	c.Mtime = changedTime(in.Valid, fuse.FATTR_MTIME, fuse.FATTR_MTIME_NOW, in.Mtime, in.Mtimensec, now)
	// What is left is chown(2) that changes neither owner nor group.
	c.Touch = c.Mode == nil && c.UID == nil && c.GID == nil && c.Size == nil && c.Atime == nil && c.Mtime == nil
	return c
}

func changedTime(valid, set, toNow uint32, seconds uint64, nanoseconds uint32, now time.Time) *time.Time {
	if valid&set == 0 {
		return nil
	}
	t := now
	if valid&toNow == 0 {
		t = time.Unix(int64(seconds), int64(nanoseconds))
	}
	return &t
}
