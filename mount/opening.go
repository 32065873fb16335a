package mount

import (
	"context"
	"sync"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/etagfs/etagfs/fs"
	"github.com/etagfs/etagfs/objstore"
)

// Create implements [fuse.RawFileSystem].
func (b *bridge) Create(_ <-chan struct{}, in *fuse.CreateIn, base string, out *fuse.CreateOut) fuse.Status {
	defer b.namings.end(b.namings.begin())
	dir, ok := b.table.viewOf(in.NodeId)
	if !ok {
		return fuse.Status(syscall.ESTALE)
	}
	c, mode := maker(&in.InHeader, in.Umask), openMode(in.Flags)
	made := mode
	made.Write, made.Truncate = true, false
	h, e, err := b.fs.Create(context.Background(), c, dir.Object, base, made, in.Mode&07777)
	if fs.KindOf(err) == fs.ErrStale && b.table.repeatsCreate(c.Thread, name{in.NodeId, base}) {
		return b.createOrOpen(in, base, out)
	}
	if err != nil {
		if fs.KindOf(err) == fs.ErrStale {
			b.table.refuseCreate(name{in.NodeId, base}, c.Thread)
		}
		return b.status("create", err)
	}
	return b.created(in, h, e, made, out)
}

// Tmpfile implements [fuse.RawFileSystem].
func (b *bridge) Tmpfile(_ <-chan struct{}, in *fuse.CreateIn, out *fuse.CreateOut) fuse.Status {
	defer b.namings.end(b.namings.begin())
	dir, ok := b.table.viewOf(in.NodeId)
	if !ok {
		return fuse.Status(syscall.ESTALE)
	}
	c, mode := maker(&in.InHeader, in.Umask), openMode(in.Flags)
	mode.Write, mode.Truncate, mode.Exclusive = true, false, false
	h, e, err := b.fs.Tmpfile(context.Background(), c, dir.Object, mode, in.Mode&07777)
	if err != nil {
		return b.status("create", err)
	}
	return b.created(in, h, e, mode, out)
}

// created answers a CREATE with the node of the writer h, or of the reader if a file was found after all.
func (b *bridge) created(in *fuse.CreateIn, h *fs.Handle, e fs.Entry, mode fs.OpenMode, out *fuse.CreateOut) fuse.Status {
	f := &file{description: newDescription(h, mode, !b.table.sharing && (direct(mode) || !mode.Write && !e.View.Committed()))}
	n, stale := b.table.created(&in.InHeader, f, e.View)
	if n == nil {
		h.Release(context.Background())
		return fuse.Status(syscall.ESTALE)
	}
	b.notifier.expire(stale)
	b.handles.add(f)
	fillEntry(&out.EntryOut, n, &e.Attr, belief{})
	out.SetAttrTimeout(createTime)
	out.Fh, out.OpenFlags = f.id, openFlags(f.description, false)
	return fuse.OK
}

// createOrOpen serves a CREATE that must not be refused again: while others make and remove the
// name, it makes the file or opens it, whichever it comes to first. The kernel has checked what
// making it takes; what opening it takes is checked here.
func (b *bridge) createOrOpen(in *fuse.CreateIn, base string, out *fuse.CreateOut) fuse.Status {
	ctx, c, mode := context.Background(), maker(&in.InHeader, in.Umask), openMode(in.Flags)
	made := mode
	made.Write, made.Truncate = true, false
	for attempts := 1; attempts <= attemptsMax; attempts++ {
		dir, ok := b.table.viewOf(in.NodeId)
		if !ok {
			break
		}
		h, e, err := b.fs.Create(ctx, c, dir.Object, base, made, in.Mode&07777)
		if err == nil {
			return b.created(in, h, e, made, out)
		}
		if fs.KindOf(err) != fs.ErrStale {
			return b.status("create", err)
		}
		h, e, err = b.openExisting(ctx, c, dir.Object, base, mode)
		if err == nil {
			if b.table.sharing {
				b.notifier.Forget(e.View)
			}
			return b.created(in, h, e, mode, out)
		}
		if !movedOn(err) {
			return b.status("create", err)
		}
	}
	return fuse.ENOENT
}

// openExisting opens a file by name, if its mode shows that c may. What is no file has to go first.
func (b *bridge) openExisting(ctx context.Context, c fs.Caller, dir objstore.ID, base string, mode fs.OpenMode) (*fs.Handle, fs.Entry, error) {
	look := b.fs.Lookup
	if mode.Write {
		look = b.fs.LookupCommitted
	}
	e, err := look(ctx, c, dir, base)
	if err != nil {
		return nil, fs.Entry{}, err
	}
	switch {
	case e.Attr.Type == objstore.TypeDir:
		return nil, fs.Entry{}, &objstore.Error{Op: "create", Key: base, Kind: objstore.ErrIsDir}
	case e.Attr.Type != objstore.TypeFile: // one that leads elsewhere; only the kernel can follow it
		return nil, fs.Entry{}, &objstore.Error{Op: "create", Key: base, Kind: objstore.ErrNotFound}
	case !permits(&e.Attr, c, groupsOf(c.Thread), mode):
		return nil, fs.Entry{}, &objstore.Error{Op: "create", Key: base, Kind: objstore.ErrPermission}
	}
	mode.Current = true
	return b.fs.Open(ctx, c, e.View, mode)
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
	to := toRead
	if mode.Write {
		to = toWrite
	}
	o := b.table.begin(n, c.Thread, to)
	if o.plan == planRefuse {
		return fuse.Status(syscall.ESTALE)
	}
	b.notifier.expire(o.stale)
	f, shown, err := b.openReleased(&o, c, mode)
	if err != nil {
		again := !o.last && movedOn(err)
		b.table.abandon(&o, again)
		b.unpin()
		switch {
		case again:
			return fuse.Status(syscall.ESTALE)
		case movedOn(err) && mode.Write && o.view.Version == "":
			return fuse.EBUSY // what somebody made here lost against another mount's: the name is there, with that
		case movedOn(err):
			return fuse.ENOENT
		}
		return b.status("open", err)
	}
	if !b.table.finish(&o, f, shown) {
		f.description.handle.Release(context.Background())
		b.table.abandon(&o, true)
		return fuse.Status(syscall.ESTALE)
	}
	b.unpin()
	if o.plan == planClaim {
		b.notifier.expireClaimed(n)
	}
	if mode.Truncate && mode.ClearSetID {
		b.clearSetID(f)
	}
	if f.description.accessed {
		b.notifier.AttrChanged(n.object) // it remembers what was before; to forget it takes no lock of the kernel's
	}
	b.handles.add(f)
	out.Fh, out.OpenFlags = f.id, openFlags(f.description, o.told)
	if f.through != nil {
		b.pass(f, in.Flags, out)
	}
	return fuse.OK
}

// movedOn reports whether the name may stand for something else by now.
func movedOn(err error) bool {
	return fs.KindOf(err) == fs.ErrStale || objectGone(err)
}

// openReleased is open, but for who runs what has just been written, or writes what has just been run: close(2), and a process that
// ends, do not wait until their RELEASE has been served. It is on its way then, and is waited for.
func (b *bridge) openReleased(o *opening, c fs.Caller, mode fs.OpenMode) (f *file, shown fs.View, err error) {
	if f, shown, err = b.open(o, c, mode); fs.KindOf(err) != fs.ErrTextBusy {
		return f, shown, err
	}
	// A machine that stands still takes one look, and not all the time there is: nobody could serve the RELEASE meanwhile.
	const looks = 10
	look := time.NewTicker(b.releases.patience / looks)
	defer look.Stop()
	for left := looks; ; {
		served := b.releases.next()
		if f, shown, err = b.open(o, c, mode); left == 0 || fs.KindOf(err) != fs.ErrTextBusy {
			return f, shown, err
		}
		select {
		case <-served:
		case <-look.C:
			left--
		}
	}
}

// releasePatience is how long an open waits for a RELEASE, if none comes.
const releasePatience = 100 * time.Millisecond

// releases tells those who wait for a RELEASE that one was served.
type releases struct {
	patience time.Duration // Constant: releasePatience

	mu     sync.Mutex
	served chan struct{} // GUARDED_BY(mu): closed by the next; nil: nobody waits
}

// next is closed when a RELEASE has been served after the call.
func (r *releases) next() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.served == nil {
		r.served = make(chan struct{})
	}
	return r.served
}

func (r *releases) tell() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.served != nil {
		close(r.served)
		r.served = nil
	}
}

// open carries out a plan.
func (b *bridge) open(o *opening, c fs.Caller, mode fs.OpenMode) (*file, fs.View, error) {
	ctx := context.Background()
	if b.table.sharing {
		return b.openShared(ctx, o, c, mode)
	}
	switch o.plan {
	case planBind:
		return b.bind(ctx, o, c, mode)
	case planReopen:
		return b.reopen(ctx, o, c, mode)
	}
	if o.through != nil {
		return b.openThrough(ctx, o, c, mode)
	}
	h, e, err := b.fs.Open(ctx, c, o.view, mode)
	if err != nil {
		return nil, fs.View{}, err
	}
	uncached := o.plan == planFollow && o.owner.direct || volatile(o.node.object)
	return &file{description: newDescription(h, mode, direct(mode) || uncached)}, e.View, nil
}

// bind opens whatever is current, or what was when the name was looked up, if the file
// is gone since.
func (b *bridge) bind(ctx context.Context, o *opening, c fs.Caller, mode fs.OpenMode) (f *file, shown fs.View, err error) {
	mode.Pinned = true
	open := func(v fs.View) error {
		h, e, err := b.fs.Open(ctx, c, v, mode)
		if err != nil {
			return err
		}
		shown = e.View
		follows := !mode.Write && !shown.Committed() // beside a writer whose node it does not share
		f = &file{description: newDescription(h, mode, direct(mode) || follows)}
		return nil
	}
	if !mode.Write && !o.view.Committed() {
		err = open(o.view)
	}
	if f == nil && (err == nil || movedOn(err)) {
		err = b.withCurrent(o.node.object, open)
	}
	for attempts := 1; movedOn(err) && o.pin != nil && attempts <= attemptsMax; attempts++ {
		err = open(o.pin.View()) // which may be moving on to what was committed last
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
	if o.through != nil && b.table.passed(o.through) != 0 {
		if mode.Write {
			return nil, fs.View{}, &fs.Error{Op: "open", Kind: fs.ErrBusy}
		}
		mode.Fixed = true
	}
	h, e, err := b.fs.Open(ctx, c, o.view, mode)
	if err != nil {
		return nil, fs.View{}, err
	}
	beside := o.owner != nil && o.owner.direct
	f := &file{description: newDescription(h, mode, direct(mode) || beside)}
	if mode.Write {
		f.guest, f.description.direct = true, true
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
	b.table.leaves(f)
	b.bequeath(f.description.handle)
	passes := b.passesLater(context.Background(), f)
	shown, ok, ended := b.leave(f.description)
	b.releases.tell()
	b.unlockFile(f) // after the commit of what no flush could see
	if ended {
		dirty, stale := b.table.disown(f, shown, ok)
		b.notifier.expire(stale)
		if dirty {
			b.notifier.drop(f.node.id, 0)
			b.table.settle(f.node)
		}
	}
	b.table.closed(f, shown)
	b.unpin()
	if passes {
		b.notifier.drop(f.node.id, 0) // last: whoever opens the file meanwhile need not wait
	}
}
