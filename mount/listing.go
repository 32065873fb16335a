package mount

import (
	"context"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/etagfs/etagfs/fs"
)

// OpenDir implements [fuse.RawFileSystem].
func (b *bridge) OpenDir(_ <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	view, ok := b.table.viewOf(in.NodeId)
	if !ok {
		return fuse.Status(syscall.ESTALE)
	}
	dir, err := b.fs.OpenDir(context.Background(), caller(&in.InHeader), view.Object)
	if _, gone := b.table.ghost(view.Object); gone && objectGone(err) {
		dir, err = b.fs.OpenGone(caller(&in.InHeader), view.Object), nil
	}
	if err != nil {
		return b.status("opendir", err)
	}
	out.Fh = b.handles.addDirectory(&directory{dir: dir, node: in.NodeId})
	return fuse.OK
}

// ReadDir implements [fuse.RawFileSystem].
func (b *bridge) ReadDir(_ <-chan struct{}, in *fuse.ReadIn, out *fuse.DirEntryList) fuse.Status {
	d := b.handles.directory(in.Fh)
	if d == nil {
		return fuse.EBADF
	}
	err := d.dir.Read(context.Background(), in.Offset, func(e fs.DirEntry, next uint64) bool {
		return out.AddDirEntry(listed(e, next))
	})
	return b.status("readdir", err)
}

// ReadDirPlus implements [fuse.RawFileSystem]. An entry without a node makes the kernel ask
// about it when somebody wants to know.
func (b *bridge) ReadDirPlus(_ <-chan struct{}, in *fuse.ReadIn, out *fuse.DirEntryList) fuse.Status {
	d := b.handles.directory(in.Fh)
	if d == nil {
		return fuse.EBADF
	}
	since := b.table.mark()
	err := d.dir.Read(context.Background(), in.Offset, func(e fs.DirEntry, next uint64) bool {
		entry := out.AddDirLookupEntry(listed(e, next))
		if entry == nil {
			return false
		}
		if e.Name == "." || e.Name == ".." {
			return true
		}
		if n, believed := b.table.enterListed(name{d.node, e.Name}, &e.Entry, since); n != nil {
			fillEntry(entry, n, &e.Attr, believed)
		}
		return true
	})
	return b.status("readdir", err)
}

func listed(e fs.DirEntry, next uint64) fuse.DirEntry {
	return fuse.DirEntry{Name: e.Name, Mode: typeBits(e.Attr.Type), Ino: uint64(e.View.Object), Off: next}
}

// ReleaseDir implements [fuse.RawFileSystem].
func (b *bridge) ReleaseDir(in *fuse.ReleaseIn) { b.handles.removeDirectory(in.Fh) }

// FsyncDir implements [fuse.RawFileSystem].
func (b *bridge) FsyncDir(_ <-chan struct{}, in *fuse.FsyncIn) fuse.Status {
	d := b.handles.directory(in.Fh)
	if d == nil {
		return fuse.EBADF
	}
	return b.status("fsyncdir", d.dir.Sync(context.Background()))
}
