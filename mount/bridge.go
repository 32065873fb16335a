package mount

import (
	"context"
	"log/slog"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/etagfs/etagfs/fs"
	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/locks"
)

// bridge is the kernel's side of a mount: each operation converts its request, asks
// package fs, and converts the answer. It has no opinion about files.
type bridge struct {
	absences // operations that are not served, on purpose

	// Constant.
	fs       *fs.FS
	log      *slog.Logger
	now      func() time.Time
	table    *table
	handles  *handles
	locks    locks.Locker
	notifier *notifier
	passer   *passer
	pruner   *pruner
	namings  *namings
	releases releases
}

func newBridge(t *table, k *notifier, files *fs.FS, p *pruner, l locks.Locker, log *slog.Logger, now func() time.Time) *bridge {
	return &bridge{
		fs: files, log: log, now: now,
		table: t, handles: newHandles(), locks: l, notifier: k, passer: &passer{log: log}, pruner: p, namings: p.namings,
		releases: releases{patience: releasePatience},
	}
}

// String names the filesystem type.
func (b *bridge) String() string { return "etagfs" }

// SetDebug does nothing: debugging is an option of the server.
func (b *bridge) SetDebug(bool) {}

// Init begins telling the kernel of changes.
func (b *bridge) Init(server *fuse.Server) {
	b.notifier.connect(server)
	b.passer.connect(server)
	b.pruner.connect(server)
}

// OnUnmount ends it, and the locks.
func (b *bridge) OnUnmount() {
	b.notifier.connect(nil)
	b.passer.connect(nil)
	b.pruner.connect(nil)
	b.locks.Close()
}

func caller(h *fuse.InHeader) fs.Caller {
	return fs.Caller{UID: h.Uid, GID: h.Gid, Thread: h.Pid}
}

// maker is the caller of a request that makes something.
func maker(h *fuse.InHeader, umask uint32) fs.Caller {
	c := caller(h)
	c.Umask = umask
	return c
}

// openMode converts the flags of open(2). Truncating needs the permission to write,
// and is writing, whatever the access mode.
func openMode(flags uint32) fs.OpenMode {
	access := flags & syscall.O_ACCMODE
	return fs.OpenMode{
		Read:      access != syscall.O_WRONLY,
		Write:     access != syscall.O_RDONLY || flags&syscall.O_TRUNC != 0,
		Append:    flags&syscall.O_APPEND != 0,
		Truncate:  flags&syscall.O_TRUNC != 0,
		Exclusive: flags&syscall.O_EXCL != 0,
		Exec:      flags&fuse.FMODE_EXEC != 0,
		Sync:      flags&syscall.O_DSYNC != 0,
		NoAtime:   flags&syscall.O_NOATIME != 0,
	}
}

// direct reports whether a writer bypasses the page cache. One that cannot read
// cannot map either and gains nothing from it; an appending one must not leave pages where the kernel
// thinks the end is.
func direct(m fs.OpenMode) bool { return m.Write && (!m.Read || m.Append) }

// openFlags are the flags of the reply to an open. The kernel does not tell of the close of what is open to read, unless it
// is to: that would be half of what reading a small file costs.
func openFlags(d *description, told bool) uint32 {
	switch {
	case d.direct:
		return fuse.FOPEN_DIRECT_IO
	case d.mode.Write:
		return fuse.FOPEN_KEEP_CACHE
	case told:
		return fuse.FOPEN_KEEP_CACHE
	default:
		return fuse.FOPEN_KEEP_CACHE | fuse.FOPEN_NOFLUSH
	}
}

// Readlink implements [fuse.RawFileSystem].
func (b *bridge) Readlink(_ <-chan struct{}, in *fuse.InHeader) ([]byte, fuse.Status) {
	n := b.table.at(in.NodeId)
	if n == nil {
		return nil, fuse.Status(syscall.ESTALE)
	}
	c := caller(in)
	target, err := b.fs.Readlink(context.Background(), c, n.object)
	if !objectGone(err) {
		return []byte(target), b.status("readlink", err)
	}
	if s := b.table.seen(n, c.Thread); s != nil {
		return []byte(s.target), fuse.OK
	}
	return nil, b.looked("readlink", n, c, &fs.Error{Op: "readlink", Kind: fs.ErrStale})
}

// StatFs implements [fuse.RawFileSystem].
func (b *bridge) StatFs(_ <-chan struct{}, _ *fuse.InHeader, out *fuse.StatfsOut) fuse.Status {
	usage, err := b.fs.Statfs(context.Background())
	if err != nil {
		return b.status("statfs", err)
	}
	const unit = 4096
	*out = fuse.StatfsOut{
		Bsize: unit, Frsize: unit,
		Blocks:  uint64(usage.BytesTotal / unit),
		Bfree:   uint64(usage.BytesFree / unit),
		Bavail:  uint64(usage.BytesFree / unit),
		Files:   uint64(usage.ObjectsMax),
		Ffree:   uint64(max(usage.ObjectsMax-usage.Objects, 0)),
		NameLen: objstore.NameBytesMax,
	}
	return fuse.OK
}

// Forget implements [fuse.RawFileSystem].
func (b *bridge) Forget(node, lookups uint64) {
	b.table.forget(node, lookups)
	b.unpin()
}

// unpin releases what reserved nodes, and nodes that the kernel reads by itself, do not need any more.
func (b *bridge) unpin() {
	for _, id := range b.table.takePassed() {
		b.passer.unregister(id)
	}
	for _, h := range b.table.takeLoose() {
		h.Release(context.Background())
	}
}
