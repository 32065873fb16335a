package mount

import (
	"context"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/etagfs/etagfs/fs"
	"github.com/etagfs/etagfs/objstore"
)

// GetAttr implements [fuse.RawFileSystem].
func (b *bridge) GetAttr(_ <-chan struct{}, in *fuse.GetAttrIn, out *fuse.AttrOut) fuse.Status {
	n := b.table.at(in.NodeId)
	if n == nil {
		return fuse.Status(syscall.ESTALE)
	}
	c := caller(&in.InHeader)
	err := b.describe(n, c, out)
	if fs.KindOf(err) == fs.ErrStale {
		if s := b.table.seen(n, c.Thread); s != nil {
			fillAttr(&out.Attr, &s.attr)
			return fuse.OK
		}
	}
	if movedOn(err) {
		if a, ok := b.table.remains(n, b.now()); ok {
			fillAttr(&out.Attr, &a)
			return fuse.OK
		}
	}
	return b.looked("getattr", n, c, err)
}

// looked is the answer to a request that is no opening: if what n shows is gone, its name is looked up again,
// but for a thread that has just done so.
func (b *bridge) looked(op string, n *node, c fs.Caller, err error) fuse.Status {
	if fs.KindOf(err) == fs.ErrStale && !b.table.refuseLook(n, c.Thread) {
		return fuse.ENOENT
	}
	return b.status(op, err)
}

// describe answers with the attributes of what n shows: a pinned version that only
// its open files still have, a working copy, or what is committed.
func (b *bridge) describe(n *node, c fs.Caller, out *fuse.AttrOut) error {
	ctx := context.Background()
	view, h, cached := b.table.witness(n, c.Thread)
	var attr fs.Attr
	var err error
	if h != nil {
		attr, err = h.Attr(ctx)
	} else {
		attr, err = b.fs.Stat(ctx, c, view)
	}
	if h != nil && fs.KindOf(err) == fs.ErrStale {
		attr, err = b.attest(ctx, n, err)
	}
	if fs.KindOf(err) == fs.ErrStale {
		cached = false
		err = b.withCurrent(view.Object, func(v fs.View) (err error) {
			attr, err = b.fs.Stat(ctx, c, v)
			return err
		})
	}
	if err != nil {
		return err
	}
	fillAttr(&out.Attr, &attr)
	if cached {
		out.SetTimeout(b.table.believes.attributes())
	}
	return nil
}

// attest is describe by any of n's open files: the one that was asked first has been closed meanwhile. fstat(2) and read(2)
// ask by an open file and are never repeated, so that file must be found.
func (b *bridge) attest(ctx context.Context, n *node, stale error) (attr fs.Attr, err error) {
	err = stale
	for _, h := range b.table.handlesOf(n) {
		if attr, err = h.Attr(ctx); fs.KindOf(err) != fs.ErrStale {
			break
		}
	}
	return attr, err
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
	if ch.Size != nil && h == nil && n.regular && !owned && !b.table.sharing {
		return b.truncate(n, c, ch, out)
	}
	if h != nil {
		view = h.View()
	}
	attr, err := b.fs.SetAttr(context.Background(), c, view, h, ch)
	if movedOn(err) {
		if a, ok := b.table.changeGhost(n.object, ch, b.now()); ok {
			fillAttr(&out.Attr, &a)
			return fuse.OK
		}
	}
	if err == nil {
		b.table.changeGhost(n.object, ch, b.now()) // who has it open may be gone before it could say so
	}
	b.notifier.setBeside(n)
	gone := fs.KindOf(err) == fs.ErrStale
	if gone && b.table.refuseLook(n, c.Thread) || err != nil && !gone {
		return b.status("setattr", err)
	}
	// If what the name stood for is gone since it was looked up, it was changed before.
	switch err := b.describe(n, c, out); {
	case gone && err != nil:
		return fuse.ENOENT
	case fs.KindOf(err) == fs.ErrStale:
		fillAttr(&out.Attr, &attr)
		return fuse.OK
	default:
		return b.status("setattr", err)
	}
}

// truncate changes the size through a path: of a writer's working copy if the path shows that, else by a
// commit of its own. The kernel will cut the node's pages, so nobody may have it open.
func (b *bridge) truncate(n *node, c fs.Caller, ch fs.Change, out *fuse.AttrOut) fuse.Status {
	o := b.table.begin(n, c.Thread, toCut)
	if o.plan == planRefuse {
		return fuse.Status(syscall.ESTALE)
	}
	defer b.unpin()
	b.notifier.expire(o.stale)
	attr, err := b.cut(&o, c, ch)
	if movedOn(err) && !o.last {
		b.table.abandon(&o, true)
		return fuse.Status(syscall.ESTALE)
	}
	if movedOn(err) && o.pin != nil {
		// What the name stood for is gone since it was looked up: it was cut before.
		attr, err = o.pin.Attr(context.Background())
		attr.Size = *ch.Size
	}
	b.table.spend(&o)
	if fs.KindOf(err) == fs.ErrStale {
		return fuse.ENOENT
	}
	if err != nil {
		return b.status("truncate", err)
	}
	fillAttr(&out.Attr, &attr)
	return fuse.OK
}

// cut carries out the plan of a truncation.
func (b *bridge) cut(o *opening, c fs.Caller, ch fs.Change) (attr fs.Attr, err error) {
	do := func(v fs.View) error {
		attr, err = b.fs.SetAttr(context.Background(), c, v, nil, ch)
		return err
	}
	if !o.view.Committed() {
		if err := do(o.view); !movedOn(err) {
			b.notifier.rewritten(o.view)
			return attr, err
		}
	}
	return attr, b.withCurrent(o.node.object, do)
}

// attemptsMax bounds how often an operation that must not be refused runs after commits of others.
const attemptsMax = 1000

// withCurrent does something with the view of an object that is current, or of a pending create. It is not
// refused because somebody committed just now.
func (b *bridge) withCurrent(object objstore.ID, do func(fs.View) error) error {
	gone := false
	for attempts := 1; ; attempts++ {
		version, exists := b.fs.Current(context.Background(), object)
		err := do(fs.View{Object: object, Version: version})
		// What does not exist may be a create that is being committed; but only once.
		if !movedOn(err) || !exists && gone || attempts == attemptsMax {
			return err
		}
		gone = !exists
	}
}
