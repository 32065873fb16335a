package mount

import (
	"context"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"

	"github.com/etagfs/etagfs/fs"
	"github.com/etagfs/etagfs/objstore"
)

// Lookup implements [fuse.RawFileSystem].
func (b *bridge) Lookup(_ <-chan struct{}, in *fuse.InHeader, base string, out *fuse.EntryOut) fuse.Status {
	defer b.namings.end(b.namings.begin())
	c, at := caller(in), name{in.NodeId, base}
	if base == "." || base == ".." {
		return b.lookupByID(c, in.NodeId, base, out)
	}
	dir, ok := b.table.viewOf(in.NodeId)
	if !ok {
		return fuse.Status(syscall.ESTALE)
	}
	for {
		since := b.table.looking(c.Thread)
		e, err := b.find(c, dir.Object, at)
		if objectGone(err) {
			return b.absent(dir.Object, at, since, out)
		}
		if err != nil {
			return b.status("lookup", err)
		}
		n, believed := b.table.enter(at, &e, c.Thread, since)
		if n == nil {
			continue
		}
		switch err := b.keep(n, c, &e); {
		case err == nil:
			fillEntry(out, n, &e.Attr, believed)
			return fuse.OK
		case !movedOn(err):
			return b.status("lookup", err)
		}
	}
}

// find is what a name stands for, to this caller.
func (b *bridge) find(c fs.Caller, dir objstore.ID, at name) (fs.Entry, error) {
	ctx := context.Background()
	e, err := b.fs.Lookup(ctx, c, dir, at.base)
	if err == nil && !e.View.Committed() && b.table.wantsCommitted(c.Thread, at) {
		return b.fs.LookupCommitted(ctx, c, dir, at.base)
	}
	return e, err
}

// keep makes sure that what a retry finds can be used. It fails with the node forgotten: if
// what it shows is gone already, the name has moved on.
func (b *bridge) keep(n *node, c fs.Caller, e *fs.Entry) (err error) {
	ctx := context.Background()
	switch pin, sees := b.table.wants(n, c.Thread); {
	case pin:
		var h *fs.Handle
		if h, _, err = b.fs.Open(ctx, c, e.View, fs.OpenMode{Read: true, Pinned: true, NoAtime: true}); err == nil {
			b.table.pin(n, h)
		}
	case sees:
		s := &sight{node: n, attr: e.Attr}
		if e.Attr.Type == objstore.TypeSymlink {
			s.target, err = b.fs.Readlink(ctx, c, e.View.Object)
		}
		if err == nil {
			b.table.see(c.Thread, s)
		}
	}
	if err != nil {
		b.Forget(n.id, 1)
	}
	return err
}

// absent answers that there is no such name, which the kernel may remember if
// that has not changed meanwhile.
func (b *bridge) absent(dir objstore.ID, at name, since mark, out *fuse.EntryOut) fuse.Status {
	if volatile(dir) || !b.table.unchanged(at, since) {
		return fuse.ENOENT
	}
	out.SetEntryTimeout(cacheTime)
	return fuse.OK
}

// made answers a request that made an entry, or found it did.
func (b *bridge) made(op string, at name, since mark, c fs.Caller, e fs.Entry, err error, out *fuse.EntryOut) fuse.Status {
	if err != nil {
		return b.status(op, err)
	}
	n, believed := b.table.enterMade(at, &e, c.Thread, since)
	fillEntry(out, n, &e.Attr, believed)
	return fuse.OK
}

// Mkdir implements [fuse.RawFileSystem].
func (b *bridge) Mkdir(_ <-chan struct{}, in *fuse.MkdirIn, base string, out *fuse.EntryOut) fuse.Status {
	defer b.namings.end(b.namings.begin())
	dir, ok := b.table.viewOf(in.NodeId)
	if !ok {
		return fuse.Status(syscall.ESTALE)
	}
	c, since := maker(&in.InHeader, in.Umask), b.table.mark()
	e, err := b.fs.Mkdir(context.Background(), c, dir.Object, base, in.Mode&07777)
	return b.made("mkdir", name{in.NodeId, base}, since, c, e, err, out)
}

// Mknod implements [fuse.RawFileSystem].
func (b *bridge) Mknod(_ <-chan struct{}, in *fuse.MknodIn, base string, out *fuse.EntryOut) fuse.Status {
	defer b.namings.end(b.namings.begin())
	dir, ok := b.table.viewOf(in.NodeId)
	if !ok {
		return fuse.Status(syscall.ESTALE)
	}
	kind, ok := fileType(in.Mode)
	if !ok {
		return fuse.EINVAL
	}
	c, since := maker(&in.InHeader, in.Umask), b.table.mark()
	e, err := b.fs.Mknod(context.Background(), c, dir.Object, base, kind, in.Mode&07777, in.Rdev)
	return b.made("mknod", name{in.NodeId, base}, since, c, e, err, out)
}

// Symlink implements [fuse.RawFileSystem].
func (b *bridge) Symlink(_ <-chan struct{}, in *fuse.InHeader, target, base string, out *fuse.EntryOut) fuse.Status {
	defer b.namings.end(b.namings.begin())
	dir, ok := b.table.viewOf(in.NodeId)
	if !ok {
		return fuse.Status(syscall.ESTALE)
	}
	c, since := caller(in), b.table.mark()
	e, err := b.fs.Symlink(context.Background(), c, dir.Object, base, target)
	return b.made("symlink", name{in.NodeId, base}, since, c, e, err, out)
}

// Link implements [fuse.RawFileSystem].
func (b *bridge) Link(_ <-chan struct{}, in *fuse.LinkIn, base string, out *fuse.EntryOut) fuse.Status {
	defer b.namings.end(b.namings.begin())
	dir, ok := b.table.viewOf(in.NodeId)
	file, held := b.table.viewOf(in.Oldnodeid)
	if !ok || !held {
		return fuse.Status(syscall.ESTALE)
	}
	c, since := caller(&in.InHeader), b.table.mark()
	e, err := b.fs.Link(context.Background(), c, file, dir.Object, base)
	if err == nil && e.View != file {
		b.notifier.drop(in.Oldnodeid, onlyAttributes) // the kernel counts the links of the node that is answered
	}
	return b.made("link", name{in.NodeId, base}, since, c, e, err, out)
}

// Unlink implements [fuse.RawFileSystem].
func (b *bridge) Unlink(_ <-chan struct{}, in *fuse.InHeader, base string) fuse.Status {
	dir, ok := b.table.viewOf(in.NodeId)
	if !ok {
		return fuse.Status(syscall.ESTALE)
	}
	err := b.fs.Unlink(context.Background(), caller(in), dir.Object, base)
	if err == nil {
		b.table.unlinked(name{in.NodeId, base})
	}
	return b.status("unlink", err)
}

// Rmdir implements [fuse.RawFileSystem].
func (b *bridge) Rmdir(_ <-chan struct{}, in *fuse.InHeader, base string) fuse.Status {
	dir, ok := b.table.viewOf(in.NodeId)
	if !ok {
		return fuse.Status(syscall.ESTALE)
	}
	err := b.fs.Rmdir(context.Background(), caller(in), dir.Object, base)
	if err == nil {
		b.table.unlinked(name{in.NodeId, base})
	}
	return b.status("rmdir", err)
}

// Rename implements [fuse.RawFileSystem].
func (b *bridge) Rename(_ <-chan struct{}, in *fuse.RenameIn, from, to string) fuse.Status {
	dir, ok := b.table.viewOf(in.NodeId)
	newDir, held := b.table.viewOf(in.Newdir)
	if !ok || !held {
		return fuse.Status(syscall.ESTALE)
	}
	mode, ok := renameMode(in.Flags)
	if !ok {
		return fuse.EINVAL
	}
	err := b.fs.Rename(context.Background(), caller(&in.InHeader), dir.Object, from, newDir.Object, to, mode)
	if err == nil {
		b.table.renamed(name{in.NodeId, from}, name{in.Newdir, to}, mode == objstore.RenameExchange)
	}
	return b.status("rename", err)
}

func renameMode(flags uint32) (mode objstore.RenameMode, ok bool) {
	switch flags {
	case 0:
		return objstore.RenameReplace, true
	case unix.RENAME_NOREPLACE:
		return objstore.RenameNoReplace, true
	case unix.RENAME_EXCHANGE:
		return objstore.RenameExchange, true
	default:
		return 0, false
	}
}
