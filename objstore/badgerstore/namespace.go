package badgerstore

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/record"
)

var (
	_ objstore.Store     = (*Bucket)(nil)
	_ objstore.Namespace = (*Bucket)(nil)
	_ objstore.Uploads   = (*Bucket)(nil)
	_ objstore.Appender  = (*Bucket)(nil)
	_ objstore.Tagger    = (*Bucket)(nil)
	_ objstore.Documents = (*Bucket)(nil)
	_ objstore.Answers   = (*Bucket)(nil)
	_ objstore.Feed      = (*Bucket)(nil)
)

// idText names an object in errors.
func idText(id objstore.ID) string { return fmt.Sprintf("object %d", id) }

// Root implements [objstore.Namespace].
func (b *Bucket) Root() objstore.ID { return objstore.ID(b.root) }

// NewID implements [objstore.Namespace].
func (b *Bucket) NewID(ctx context.Context) (objstore.ID, error) {
	err := b.e.usable(ctx)
	if err == nil && b.e.opt.ReadOnly {
		err = objstore.ErrReadOnly
	}
	if err != nil {
		return 0, named("reserve id", "", err)
	}
	id, err := b.e.numbers.next()
	return objstore.ID(id), named("reserve id", "", err)
}

// Lookup implements [objstore.Namespace].
func (b *Bucket) Lookup(ctx context.Context, parent objstore.ID, name string) (info objstore.Info, err error) {
	err = b.read(ctx, "lookup", name, func(v *view) error {
		_, o, err := v.find(parent, name)
		switch {
		case err != nil:
			return err
		case o == nil:
			return orElse(b.e.checkEntries(v, uint64(parent)), objstore.ErrNotFound)
		}
		info = infoOf(o)
		return nil
	})
	return info, err
}

// Stat implements [objstore.Namespace].
func (b *Bucket) Stat(ctx context.Context, id objstore.ID) (info objstore.Info, err error) {
	err = b.e.usable(ctx)
	if err == nil {
		v := b.e.view()
		defer v.close()
		var o *record.Object
		if o, err = v.existing(id); err == nil {
			return infoOf(o), nil
		}
	}
	return info, named("stat", idText(id), err)
}

// Parent implements [objstore.Namespace].
func (b *Bucket) Parent(ctx context.Context, id objstore.ID) (parent objstore.ID, err error) {
	err = b.read(ctx, "parent", idText(id), func(v *view) error {
		o, err := v.directory(id)
		if err == nil {
			parent = objstore.ID(parentOf(o))
		}
		return err
	})
	return parent, err
}

// Path implements [objstore.Namespace].
func (b *Bucket) Path(ctx context.Context, id objstore.ID) (path string, err error) {
	err = b.read(ctx, "path", idText(id), func(v *view) error {
		o, err := v.existing(id)
		if err == nil {
			path, err = v.pathOf(o)
		}
		return err
	})
	return path, err
}

// Readlink implements [objstore.Namespace].
func (b *Bucket) Readlink(ctx context.Context, id objstore.ID) (target string, err error) {
	err = b.read(ctx, "readlink", idText(id), func(v *view) error {
		o, err := v.existing(id)
		switch {
		case err != nil:
			return err
		case o.Type != objstore.TypeSymlink:
			return problem(objstore.ErrInvalid, "not a symbolic link")
		}
		target = o.Target
		return nil
	})
	return target, err
}

// Open implements [objstore.Namespace].
func (b *Bucket) Open(ctx context.Context, id objstore.ID, want objstore.Version) (objstore.Reader, error) {
	var r *reader
	err := b.read(ctx, "open", idText(id), func(v *view) error {
		o, err := v.file(id)
		switch {
		case err != nil:
			return err
		case want != "" && objstore.VersionOf(o.Version) != want:
			return &objstore.Error{Kind: objstore.ErrPrecondition, Winner: etagOf(o)}
		}
		r, err = v.open(o, infoOf(o))
		return err
	})
	if err != nil {
		return nil, err
	}
	return r, nil
}

// symlinkBytesMax is the longest target of a symlink (PATH_MAX without its NUL).
const symlinkBytesMax = 4095

func checkMake(req objstore.MakeRequest) error {
	switch {
	case req.Type <= objstore.TypeFile || req.Type > objstore.TypeBlockDevice:
		return problem(objstore.ErrInvalid, "files come into being by a commit")
	case (req.Type == objstore.TypeSymlink) != (req.Target != ""):
		return problem(objstore.ErrInvalid, "a symbolic link and nothing else has a target")
	case len(req.Target) > symlinkBytesMax:
		return problem(objstore.ErrTooLarge, "the target is longer than 4,095 bytes")
	}
	return nil
}

// Make implements [objstore.Namespace].
func (b *Bucket) Make(ctx context.Context, req objstore.MakeRequest) (info objstore.Info, err error) {
	if err := checkMake(req); err != nil {
		return info, named("make", req.Name, err)
	}
	xattrs := cloneXattrs(req.Xattrs)
	err = b.write(ctx, req.Durability, false, func(t *tx) error {
		o, err := b.make(t, req, xattrs)
		if err == nil {
			info = infoOf(o)
		}
		return err
	})
	return info, named("make", req.Name, err)
}

func (b *Bucket) make(t *tx, req objstore.MakeRequest, xattrs map[string][]byte) (*record.Object, error) {
	p, old, err := t.find(req.Parent, req.Name)
	if err == nil {
		err = check(objstore.IfAbsent(), old)
	}
	if err != nil {
		return nil, err
	}
	if req.Type == objstore.TypeDir {
		p = asDir(p)
	}
	if err := t.checkFree(p, req.Name); err != nil {
		return nil, err
	}
	id, err := t.e.numbers.next()
	if err != nil {
		return nil, err
	}
	o, err := t.newObject(id, req.Type, req.Attr)
	if err != nil {
		return nil, err
	}
	o.Target, o.Rdev, o.Xattrs, o.Explicit = req.Target, req.Rdev, xattrs, o.IsDir()
	if err := t.makeExplicit(p.Parent); err != nil {
		return nil, err
	}
	return b.add(t, p, o)
}

func cloneXattrs(xattrs map[string][]byte) map[string][]byte {
	clone := maps.Clone(xattrs)
	for name, value := range clone {
		clone[name] = slices.Clone(value)
	}
	return clone
}

func mergeXattrs(old, change map[string][]byte) map[string][]byte {
	merged := maps.Clone(old)
	if merged == nil {
		merged = map[string][]byte{}
	}
	for name, value := range change {
		if value == nil {
			delete(merged, name)
		} else {
			merged[name] = slices.Clone(value)
		}
	}
	return merged
}

// Link implements [objstore.Namespace].
func (b *Bucket) Link(ctx context.Context, id, parent objstore.ID, name string, d objstore.Durability) (info objstore.Info, err error) {
	err = b.write(ctx, d, false, func(t *tx) error {
		if err := b.link(t, uint64(id), parent, name); err != nil {
			return err
		}
		o, err := t.existing(id)
		if err == nil {
			info = infoOf(o)
		}
		return err
	})
	return info, named("link", name, err)
}

func (b *Bucket) link(t *tx, id uint64, parent objstore.ID, name string) error {
	o, err := t.existing(objstore.ID(id))
	switch {
	case err != nil:
		return err
	case o.IsDir():
		return objstore.ErrIsDir
	}
	p, old, err := t.find(parent, name)
	if err == nil {
		err = check(objstore.IfAbsent(), old)
	}
	if err == nil {
		err = t.checkFree(p, name)
	}
	if err == nil {
		err = t.makeExplicit(p.Parent)
	}
	if err == nil {
		_, err = b.add(t, p, o)
	}
	return err
}

// Unlink implements [objstore.Namespace].
func (b *Bucket) Unlink(ctx context.Context, parent objstore.ID, name string, cond objstore.Cond, d objstore.Durability) (res objstore.RemoveResult, err error) {
	err = b.write(ctx, d, true, func(t *tx) error {
		p, o, err := t.find(parent, name)
		if err == nil {
			err = checkSource(cond, o)
		}
		switch {
		case err != nil:
			return err
		case o.IsDir():
			return objstore.ErrIsDir
		}
		res, err = b.remove(t, p, o)
		return err
	})
	return res, named("unlink", name, err)
}

// remove takes a name away as a change through the namespace.
func (b *Bucket) remove(t *tx, p place, o *record.Object) (res objstore.RemoveResult, err error) {
	if err := t.makeExplicit(p.Parent); err != nil {
		return res, err
	}
	if o, err = b.drop(t, p, o); err != nil {
		return res, err
	}
	return objstore.RemoveResult{Removed: infoOf(o), Gone: !hasName(o)}, nil
}

// Rmdir implements [objstore.Namespace].
func (b *Bucket) Rmdir(ctx context.Context, parent objstore.ID, name string, d objstore.Durability) (res objstore.RemoveResult, err error) {
	err = b.write(ctx, d, true, func(t *tx) error {
		p, o, err := t.findExisting(parent, name)
		switch {
		case err != nil:
			return err
		case !o.IsDir():
			return objstore.ErrNotDir
		case o.Children > 0:
			return objstore.ErrNotEmpty
		}
		res, err = b.remove(t, p, o)
		return err
	})
	return res, named("rmdir", name, err)
}

// SetAttr implements [objstore.Namespace].
func (b *Bucket) SetAttr(ctx context.Context, id objstore.ID, change objstore.AttrChange, d objstore.Durability) (info objstore.Info, err error) {
	accessed := change.AtimeWas != nil
	err = b.write(ctx, d, !accessed, func(t *tx) error {
		old, err := t.existing(id)
		if err != nil {
			return err
		}
		if accessed && !old.Attr.Atime.Equal(*change.AtimeWas) {
			info = infoOf(old)
			return nil
		}
		o, err := t.touched(old)
		if err != nil {
			return err
		}
		if accessed {
			o.Attr.Ctime = old.Attr.Ctime
		}
		merge(o, change)
		t.store(o)
		t.tell(b.root, objstore.Change{Kind: objstore.ChangeAttr, Object: id, Accessed: accessed})
		info = infoOf(o)
		return nil
	})
	return info, named("set attributes", idText(id), err)
}
