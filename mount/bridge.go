package mount

import (
	"context"
	"log/slog"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/etagfs/etagfs/fs"
	"github.com/etagfs/etagfs/objstore"
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
	locks    *fs.Locks
	notifier *notifier
}

func newBridge(t *table, k *notifier, files *fs.FS, log *slog.Logger, now func() time.Time) *bridge {
	return &bridge{
		fs: files, log: log, now: now,
		table: t, handles: newHandles(), locks: fs.NewLocks(), notifier: k,
	}
}

// String names the filesystem type.
func (b *bridge) String() string { return "etagfs" }

// SetDebug does nothing: debugging is an option of the server.
func (b *bridge) SetDebug(bool) {}

// Init begins telling the kernel of changes.
func (b *bridge) Init(server *fuse.Server) { b.notifier.connect(server) }

// OnUnmount ends it.
func (b *bridge) OnUnmount() { b.notifier.connect(nil) }

// interruption is a context that ends when the caller is interrupted: for reads and waits
// for locks. Everything else is carried through.
type interruption <-chan struct{}

// Deadline implements [context.Context].
func (i interruption) Deadline() (deadline time.Time, ok bool) { return time.Time{}, false }

// Done implements [context.Context].
func (i interruption) Done() <-chan struct{} { return i }

// Value implements [context.Context].
func (i interruption) Value(any) any { return nil }

// Err implements [context.Context].
func (i interruption) Err() error {
	select {
	case <-i:
		return context.Canceled
	default:
		return nil
	}
}

func caller(h *fuse.InHeader) fs.Caller {
	return fs.Caller{UID: h.Uid, GID: h.Gid, Thread: h.Pid}
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
	}
}

// direct reports whether a writer bypasses the page cache. One that cannot read
// cannot map either and gains nothing from it; an appending one must not leave pages where the kernel
// thinks the end is.
func direct(m fs.OpenMode) bool { return m.Write && (!m.Read || m.Append) }

// openFlags are the flags of the reply to an open.
func openFlags(d *description) uint32 {
	switch {
	case d.direct:
		return fuse.FOPEN_DIRECT_IO
	case d.mode.Write:
		return fuse.FOPEN_KEEP_CACHE
	default:
		return fuse.FOPEN_KEEP_CACHE | fuse.FOPEN_NOFLUSH
	}
}

// GetAttr implements [fuse.RawFileSystem].
func (b *bridge) GetAttr(cancel <-chan struct{}, in *fuse.GetAttrIn, out *fuse.AttrOut) fuse.Status {
	n := b.table.at(in.NodeId)
	if n == nil {
		return fuse.Status(syscall.ESTALE)
	}
	return b.describe("getattr", n, caller(&in.InHeader), out)
}

// describe answers with the attributes of what n shows: a pinned version that only
// its open files still have, a working copy, or what is committed.
func (b *bridge) describe(op string, n *node, c fs.Caller, out *fuse.AttrOut) fuse.Status {
	ctx := context.Background()
	view, h, cached := b.table.witness(n)
	var attr fs.Attr
	var err error
	if h != nil {
		attr, err = h.Attr(ctx)
	} else {
		attr, err = b.fs.Stat(ctx, c, view)
	}
	if fs.KindOf(err) == fs.ErrStale {
		cached = false
		err = b.withCurrent(view.Object, func(v fs.View) (err error) {
			attr, err = b.fs.Stat(ctx, c, v)
			return err
		})
	}
	if err != nil {
		return b.status(op, err)
	}
	fillAttr(&out.Attr, &attr)
	if cached {
		out.SetTimeout(cacheTime)
	}
	return fuse.OK
}

// SetAttr implements [fuse.RawFileSystem].
func (b *bridge) SetAttr(_ <-chan struct{}, in *fuse.SetAttrIn, out *fuse.AttrOut) fuse.Status {
	n := b.table.at(in.NodeId)
	if n == nil {
		return fuse.Status(syscall.ESTALE)
	}
	c, ch := caller(&in.InHeader), change(in, b.now())
	var h *fs.Handle
	if id, ok := in.GetFh(); ok {
		if f := b.handles.file(id); f != nil {
			h = f.description.handle
		}
	}
	view, owned := b.table.owned(n)
	if ch.Size != nil && h == nil && n.regular && !owned {
		return b.truncate(n, c, ch, out)
	}
	if h != nil {
		view = h.View()
	}
	if _, err := b.fs.SetAttr(context.Background(), c, view, h, ch); err != nil {
		return b.status("setattr", err)
	}
	return b.describe("setattr", n, c, out)
}

// truncate changes the size through a path: a commit of its own. The kernel will cut the
// node's pages, so nobody may have it open.
func (b *bridge) truncate(n *node, c fs.Caller, ch fs.Change, out *fuse.AttrOut) fuse.Status {
	o := b.table.begin(n, c.Thread, true)
	if o.plan == planRefuse {
		return fuse.Status(syscall.ESTALE)
	}
	b.notifier.expire(o.stale)
	var attr fs.Attr
	err := b.withCurrent(n.object, func(v fs.View) (err error) {
		attr, err = b.fs.SetAttr(context.Background(), c, v, nil, ch)
		return err
	})
	switch {
	case movedOn(err) && !o.last:
		b.table.abandon(&o, true)
		b.unpin()
		return fuse.Status(syscall.ESTALE)
	case movedOn(err): // what the name stood for is gone: cut for nobody
		status := b.describe("truncate", n, c, out)
		out.Size = uint64(*ch.Size)
		b.table.spend(&o)
		b.unpin()
		return status
	}
	b.table.spend(&o)
	b.unpin()
	if err != nil {
		return b.status("truncate", err)
	}
	fillAttr(&out.Attr, &attr)
	return fuse.OK
}

// attemptsMax bounds how often an operation that must not be refused runs after commits of others.
const attemptsMax = 1000

// withCurrent does something with the view of an object that is current. It is not
// refused because somebody committed just now.
func (b *bridge) withCurrent(object objstore.ID, do func(fs.View) error) error {
	for attempts := 1; ; attempts++ {
		version, exists := b.fs.Current(context.Background(), object)
		err := do(fs.View{Object: object, Version: version})
		if !exists || fs.KindOf(err) != fs.ErrStale || attempts == attemptsMax {
			return err
		}
	}
}

// Readlink implements [fuse.RawFileSystem].
func (b *bridge) Readlink(_ <-chan struct{}, in *fuse.InHeader) ([]byte, fuse.Status) {
	view, ok := b.table.viewOf(in.NodeId)
	if !ok {
		return nil, fuse.Status(syscall.ESTALE)
	}
	target, err := b.fs.Readlink(context.Background(), caller(in), view.Object)
	return []byte(target), b.status("readlink", err)
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

// unpin releases what reserved nodes do not need any more.
func (b *bridge) unpin() {
	for _, h := range b.table.takeLoose() {
		h.Release(context.Background())
	}
}
