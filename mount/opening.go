package mount

import (
	"context"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/etagfs/etagfs/fs"
	"github.com/etagfs/etagfs/objstore"
)

// Create implements [fuse.RawFileSystem].
func (b *bridge) Create(_ <-chan struct{}, in *fuse.CreateIn, base string, out *fuse.CreateOut) fuse.Status {
	dir, ok := b.table.viewOf(in.NodeId)
	if !ok {
		return fuse.Status(syscall.ESTALE)
	}
	c, mode := caller(&in.InHeader), openMode(in.Flags)
	made := mode
	made.Write, made.Truncate = true, false
	h, e, err := b.fs.Create(context.Background(), c, dir.Object, base, made, in.Mode&07777)
	if fs.KindOf(err) == fs.ErrStale && b.table.repeats(c.Thread) && mode.Write {
		return b.createOrOpen(in, base, out)
	}
	if err != nil {
		if fs.KindOf(err) == fs.ErrStale {
			b.table.refuseCreate(name{in.NodeId, base}, c.Thread)
		}
		return b.status("create", err)
	}
	b.created(in, h, e, made, out)
	return fuse.OK
}

// created answers a CREATE with the node of the writer h.
func (b *bridge) created(in *fuse.CreateIn, h *fs.Handle, e fs.Entry, mode fs.OpenMode, out *fuse.CreateOut) {
	f := &file{description: newDescription(h, mode, direct(mode))}
	n, stale := b.table.created(in.NodeId, f, e.View)
	b.notifier.expire(stale)
	b.handles.add(f)
	fillEntry(&out.EntryOut, n, &e.Attr, belief{})
	out.SetAttrTimeout(createTime)
	out.Fh, out.OpenFlags = f.id, openFlags(f.description)
}

// createOrOpen serves a CREATE that must not be refused again: while others make and remove the
// name, it makes the file or opens it, whichever it comes to first. The kernel has checked what
// making it takes; what opening it takes is checked here.
func (b *bridge) createOrOpen(in *fuse.CreateIn, base string, out *fuse.CreateOut) fuse.Status {
	ctx, c, mode := context.Background(), caller(&in.InHeader), openMode(in.Flags)
	dir, ok := b.table.viewOf(in.NodeId)
	for attempts := 1; ok && attempts <= attemptsMax; attempts++ {
		made := mode
		made.Truncate = false
		h, e, err := b.fs.Create(ctx, c, dir.Object, base, made, in.Mode&07777)
		if fs.KindOf(err) == fs.ErrStale {
			h, e, err = b.openExisting(ctx, c, dir.Object, base, mode)
		}
		if err == nil {
			b.created(in, h, e, mode, out)
			return fuse.OK
		}
		if !movedOn(err) {
			return b.status("create", err)
		}
	}
	return fuse.Status(syscall.ESTALE)
}

// openExisting opens a file by name for writing, if its mode alone shows that c may.
func (b *bridge) openExisting(ctx context.Context, c fs.Caller, dir objstore.ID, base string, mode fs.OpenMode) (*fs.Handle, fs.Entry, error) {
	e, err := b.fs.LookupCommitted(ctx, c, dir, base)
	if err != nil {
		return nil, fs.Entry{}, err
	}
	if e.Attr.Type != objstore.TypeFile || !permits(&e.Attr, c, mode) {
		return nil, fs.Entry{}, &objstore.Error{Op: "create", Key: base, Kind: objstore.ErrPermission}
	}
	mode.Current = true
	return b.fs.Open(ctx, c, e.View, mode)
}

// permits reports whether the mode bits allow c to open a file, whatever groups c is in beside its own.
func permits(a *fs.Attr, c fs.Caller, mode fs.OpenMode) bool {
	var want uint32 = 0o2
	if mode.Read {
		want |= 0o4
	}
	group, other := a.Mode>>3&want == want, a.Mode&want == want
	switch {
	case c.UID == 0:
		return true
	case c.UID == a.UID:
		return a.Mode>>6&want == want
	case c.GID == a.GID:
		return group
	default:
		return group && other
	}
}

// Open implements [fuse.RawFileSystem].
func (b *bridge) Open(_ <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	n := b.table.at(in.NodeId)
	if n == nil {
		return fuse.Status(syscall.ESTALE)
	}
	c, mode := caller(&in.InHeader), openMode(in.Flags)
	mode.Exclusive = false // of a file that exists it means nothing
	mode.ClearSetID = in.Mode&fuse.OPEN_KILL_SUIDGID != 0
	o := b.table.begin(n, c.Thread, mode.Write)
	if o.plan == planRefuse {
		return fuse.Status(syscall.ESTALE)
	}
	b.notifier.expire(o.stale)
	f, shown, err := b.open(&o, c, mode)
	if err != nil {
		again := !o.last && movedOn(err)
		b.table.abandon(&o, again)
		b.unpin()
		if again {
			return fuse.Status(syscall.ESTALE)
		}
		return b.status("open", err)
	}
	b.table.finish(&o, f, shown)
	b.unpin()
	if o.plan == planClaim {
		b.notifier.expireClaimed(n)
	}
	if mode.Truncate && mode.ClearSetID {
		b.clearSetID(f)
	}
	b.handles.add(f)
	out.Fh, out.OpenFlags = f.id, openFlags(f.description)
	return fuse.OK
}

// movedOn reports whether the name may stand for something else by now.
func movedOn(err error) bool {
	return fs.KindOf(err) == fs.ErrStale || objectGone(err)
}

// open carries out a plan.
func (b *bridge) open(o *opening, c fs.Caller, mode fs.OpenMode) (*file, fs.View, error) {
	ctx := context.Background()
	switch o.plan {
	case planBind:
		return b.openCurrent(ctx, o, c, mode)
	case planReopen:
		return b.reopen(ctx, o, c, mode)
	}
	h, e, err := b.fs.Open(ctx, c, o.view, mode)
	if o.last && fs.KindOf(err) == fs.ErrStale {
		f, _, err := b.openCurrent(ctx, o, c, mode)
		if err != nil {
			return nil, fs.View{}, err
		}
		return b.asGuest(f), o.view, nil
	}
	if err != nil {
		return nil, fs.View{}, err
	}
	uncached := o.plan == planFollow && o.owner.direct || volatile(o.node.object)
	return &file{description: newDescription(h, mode, direct(mode) || uncached)}, e.View, nil
}

// asGuest makes f a file whose bytes the node does not show.
func (b *bridge) asGuest(f *file) *file {
	f.guest = true
	f.description.direct = true
	return f
}

// openCurrent opens whatever is current, or what was when the name was looked up, if the file
// is gone since.
func (b *bridge) openCurrent(ctx context.Context, o *opening, c fs.Caller, mode fs.OpenMode) (f *file, shown fs.View, err error) {
	mode.Pinned = true
	open := func(v fs.View) error {
		h, e, err := b.fs.Open(ctx, c, v, mode)
		if err != nil {
			return err
		}
		f, shown = &file{description: newDescription(h, mode, direct(mode))}, e.View
		return nil
	}
	err = b.withCurrent(o.node.object, open)
	if err != nil && movedOn(err) && o.view.Version != "" {
		err = open(o.view)
	}
	return f, shown, err
}

// reopen serves open("/proc/self/fd/N"): what the node shows, current or not. To write to what
// is being written is to write through the same description.
func (b *bridge) reopen(ctx context.Context, o *opening, c fs.Caller, mode fs.OpenMode) (*file, fs.View, error) {
	if mode.Write && o.owner != nil && covers(o.owner.mode, mode) && o.owner.join() {
		if mode.Truncate {
			if err := o.owner.handle.Truncate(ctx, 0); err != nil {
				b.leave(o.owner)
				return nil, fs.View{}, err
			}
		}
		return &file{description: o.owner}, o.view, nil
	}
	mode.Pinned = true
	h, e, err := b.fs.Open(ctx, c, o.view, mode)
	if err != nil {
		return nil, fs.View{}, err
	}
	beside := o.owner != nil && o.owner.direct
	f := &file{description: newDescription(h, mode, direct(mode) || beside)}
	if mode.Write {
		b.asGuest(f)
	}
	return f, e.View, nil
}

// covers reports whether a handle opened as have can do what want asks.
func covers(have, want fs.OpenMode) bool {
	return (have.Read || !want.Read) && (have.Write || !want.Write)
}

// leave takes one file off a description and ends its handle with the last one.
func (b *bridge) leave(d *description) (shown fs.View, ok, ended bool) {
	if !d.leave() {
		return fs.View{}, false, false
	}
	shown, ok = d.handle.Release(context.Background())
	return shown, ok, true
}

// Release implements [fuse.RawFileSystem].
func (b *bridge) Release(_ <-chan struct{}, in *fuse.ReleaseIn) {
	f := b.handles.remove(in.Fh)
	if f == nil {
		return
	}
	b.unlockFile(f)
	if shown, ok, ended := b.leave(f.description); ended {
		dirty, stale := b.table.disown(f, shown, ok)
		b.notifier.expire(stale)
		if dirty {
			b.notifier.drop(f.node.id, 0)
			b.table.settle(f.node)
		}
	}
	b.table.closed(f)
	b.unpin()
}
