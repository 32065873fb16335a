package memstore

import (
	"context"
	"maps"
	"slices"
	"sort"

	"github.com/etagfs/etagfs/objstore"
)

// Root implements [objstore.Namespace].
func (b *Bucket) Root() objstore.ID { return b.root.id }

// NewID implements [objstore.Namespace].
func (b *Bucket) NewID(ctx context.Context) (id objstore.ID, err error) {
	err = b.read(ctx, "reserve id", "", func() error {
		b.engine.lastID++
		id = b.engine.lastID
		return nil
	})
	return id, err
}

// Lookup implements [objstore.Namespace].
func (b *Bucket) Lookup(ctx context.Context, parent objstore.ID, name string) (info objstore.Info, err error) {
	err = b.read(ctx, "lookup", name, func() error {
		_, n, err := b.findExisting(parent, name)
		if err == nil {
			info = n.info()
		}
		return err
	})
	return info, err
}

// Stat implements [objstore.Namespace].
func (b *Bucket) Stat(ctx context.Context, id objstore.ID) (info objstore.Info, err error) {
	err = b.read(ctx, "stat", idText(id), func() error {
		n, err := b.node(id)
		if err == nil {
			info = n.info()
		}
		return err
	})
	return info, err
}

// Parent implements [objstore.Namespace].
func (b *Bucket) Parent(ctx context.Context, id objstore.ID) (parent objstore.ID, err error) {
	err = b.read(ctx, "parent", idText(id), func() error {
		n, err := b.directory(id)
		if err == nil {
			parent = n.parent().id
		}
		return err
	})
	return parent, err
}

// Path implements [objstore.Namespace].
func (b *Bucket) Path(ctx context.Context, id objstore.ID) (path string, err error) {
	err = b.read(ctx, "path", idText(id), func() error {
		n, err := b.node(id)
		if err == nil {
			path = b.pathOf(n)
		}
		return err
	})
	return path, err
}

// ReadDir implements [objstore.Namespace]. The order is that of the names' bytes.
func (b *Bucket) ReadDir(ctx context.Context, dir objstore.ID, after string, max int) (entries []objstore.DirEntry, more bool, err error) {
	err = b.read(ctx, "readdir", idText(dir), func() error {
		d, err := b.directory(dir)
		if err != nil {
			return err
		}
		all := sortedByName(d)
		first := sort.Search(len(all), func(i int) bool { return all[i].name > after })
		last := min(len(all), first+max)
		for _, e := range all[first:last] {
			entries = append(entries, objstore.DirEntry{Name: e.name, Info: e.node.info()})
		}
		more = last < len(all)
		return nil
	})
	return entries, more, err
}

// Readlink implements [objstore.Namespace].
func (b *Bucket) Readlink(ctx context.Context, id objstore.ID) (target string, err error) {
	err = b.read(ctx, "readlink", idText(id), func() error {
		n, err := b.node(id)
		switch {
		case err != nil:
			return err
		case n.typ != objstore.TypeSymlink:
			return problem(objstore.ErrInvalid, "not a symbolic link")
		}
		target = n.target
		return nil
	})
	return target, err
}

// Open implements [objstore.Namespace].
func (b *Bucket) Open(ctx context.Context, id objstore.ID, want objstore.Version) (objstore.Reader, error) {
	var r *reader
	err := b.read(ctx, "open", idText(id), func() error {
		n, err := b.file(id)
		switch {
		case err != nil:
			return err
		case want != "" && n.version != want:
			return &objstore.Error{Kind: objstore.ErrPrecondition, Winner: n.etag}
		}
		r = &reader{info: n.info(), content: n.content}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return r, nil
}

// file is the regular file id.
func (b *Bucket) file(id objstore.ID) (*node, error) {
	n, err := b.node(id)
	switch {
	case err != nil:
		return nil, err
	case n.isDir():
		return nil, objstore.ErrIsDir
	case n.typ != objstore.TypeFile:
		return nil, problem(objstore.ErrInvalid, "not a regular file")
	}
	return n, nil
}

// symlinkBytesMax is the longest target of a symlink (PATH_MAX without its NUL).
const symlinkBytesMax = 4095

func checkMake(req objstore.MakeRequest) error {
	if req.Type <= objstore.TypeFile || req.Type > objstore.TypeBlockDevice {
		return problem(objstore.ErrInvalid, "files come into being by a commit")
	}
	if (req.Type == objstore.TypeSymlink) != (req.Target != "") {
		return problem(objstore.ErrInvalid, "a symbolic link and nothing else has a target")
	}
	if len(req.Target) > symlinkBytesMax {
		return problem(objstore.ErrTooLarge, "the target is longer than 4,095 bytes")
	}
	return nil
}

// Make implements [objstore.Namespace].
func (b *Bucket) Make(ctx context.Context, req objstore.MakeRequest) (info objstore.Info, err error) {
	if err := checkMake(req); err != nil {
		return info, named("make", req.Name, err)
	}
	err = b.write(ctx, "make", req.Name, func(t *tx) error {
		at, old, err := b.find(req.Parent, req.Name)
		if err != nil {
			return err
		}
		if err := check(objstore.IfAbsent(), old); err != nil {
			return err
		}
		if req.Type == objstore.TypeDir {
			at = at.asDir()
		}
		if err := checkFree(at, req.Name); err != nil {
			return err
		}
		n := t.newNode(t.newID(), req.Type, req.Attr)
		n.target, n.rdev, n.xattrs, n.explicit = req.Target, req.Rdev, cloneXattrs(req.Xattrs), n.isDir()
		t.makeExplicit(at.dir)
		t.add(at, n)
		info = n.info()
		return nil
	})
	return info, err
}

func cloneXattrs(xattrs map[string][]byte) map[string][]byte {
	clone := maps.Clone(xattrs)
	for name, value := range clone {
		clone[name] = slices.Clone(value)
	}
	return clone
}

// Link implements [objstore.Namespace].
func (b *Bucket) Link(ctx context.Context, id, parent objstore.ID, name string, _ objstore.Durability) (info objstore.Info, err error) {
	err = b.write(ctx, "link", name, func(t *tx) error {
		n, err := b.node(id)
		if err != nil {
			return err
		}
		if err := t.link(n, parent, name); err != nil {
			return err
		}
		info = n.info()
		return nil
	})
	return info, err
}

func (t *tx) link(n *node, parent objstore.ID, name string) error {
	if n.isDir() {
		return objstore.ErrIsDir
	}
	at, old, err := t.b.find(parent, name)
	if err != nil {
		return err
	}
	if err := check(objstore.IfAbsent(), old); err != nil {
		return err
	}
	if err := checkFree(at, name); err != nil {
		return err
	}
	t.makeExplicit(at.dir)
	t.add(at, n)
	return nil
}

// Unlink implements [objstore.Namespace].
func (b *Bucket) Unlink(ctx context.Context, parent objstore.ID, name string, cond objstore.Cond, _ objstore.Durability) (res objstore.RemoveResult, err error) {
	err = b.write(ctx, "unlink", name, func(t *tx) error {
		at, n, err := b.find(parent, name)
		if err != nil {
			return err
		}
		if err := checkSource(cond, n); err != nil {
			return err
		}
		if n.isDir() {
			return objstore.ErrIsDir
		}
		res = t.remove(at, n)
		return nil
	})
	return res, err
}

// remove takes a name away as a change through the namespace.
func (t *tx) remove(at entry, n *node) objstore.RemoveResult {
	t.makeExplicit(at.dir)
	t.drop(at, n)
	return objstore.RemoveResult{Removed: n.info(), Gone: len(n.names) == 0}
}

// Rmdir implements [objstore.Namespace].
func (b *Bucket) Rmdir(ctx context.Context, parent objstore.ID, name string, _ objstore.Durability) (res objstore.RemoveResult, err error) {
	err = b.write(ctx, "rmdir", name, func(t *tx) error {
		at, n, err := b.findExisting(parent, name)
		switch {
		case err != nil:
			return err
		case !n.isDir():
			return objstore.ErrNotDir
		case !n.isEmpty():
			return objstore.ErrNotEmpty
		}
		res = t.remove(at, n)
		return nil
	})
	return res, err
}

// SetAttr implements [objstore.Namespace].
func (b *Bucket) SetAttr(ctx context.Context, id objstore.ID, change objstore.AttrChange, _ objstore.Durability) (info objstore.Info, err error) {
	err = b.write(ctx, "set attributes", idText(id), func(t *tx) error {
		n, err := b.node(id)
		if err != nil {
			return err
		}
		accessed, ctime := change.AtimeWas != nil, n.attr.Ctime
		if accessed && !n.attr.Atime.Equal(*change.AtimeWas) {
			info = n.info()
			return nil
		}
		t.save(n)
		if accessed {
			n.attr.Ctime = ctime
		}
		t.merge(n, change)
		t.tell(objstore.Change{Kind: objstore.ChangeAttr, Object: id, Accessed: accessed})
		info = n.info()
		return nil
	})
	return info, err
}

// merge applies a change to a saved node.
func (t *tx) merge(n *node, change objstore.AttrChange) {
	set(&n.attr.Mode, change.Mode)
	n.attr.Mode &= modeMask
	set(&n.attr.UID, change.UID)
	set(&n.attr.GID, change.GID)
	set(&n.attr.Atime, change.Atime)
	set(&n.attr.Mtime, change.Mtime)
	set(&n.contentType, change.ContentType)
	if change.UserMeta != nil {
		n.userMeta = maps.Clone(change.UserMeta)
	}
	if len(change.Xattrs) > 0 {
		n.xattrs = mergeXattrs(n.xattrs, change.Xattrs)
	}
}

func set[T any](field *T, value *T) {
	if value != nil {
		*field = *value
	}
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
