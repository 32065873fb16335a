package flatns

import (
	"context"
	"errors"
	"io"
	"net/url"
	"strings"

	"github.com/etagfs/etagfs/objstore"
)

// dirType is the content type of a marker, as s3fs has it.
const dirType = "application/x-directory"

// writable refuses changes of a namespace that is only read.
func (n *Namespace) writable(ctx context.Context) error {
	if n.cfg.ReadOnly {
		return problem(objstore.ErrReadOnly, "the namespace was opened for reading")
	}
	return ended(ctx)
}

// on is the condition that a write finds what was seen, or nothing.
func on(f found) objstore.Cond {
	if !f.exists() || f.raw.Version == "" {
		return objstore.IfAbsent()
	}
	return objstore.IfVersion(f.raw.Version)
}

// put writes an object with attributes.
func (n *Namespace) put(ctx context.Context, key objstore.Key, body io.Reader, cond objstore.Cond, info objstore.Info, opt objstore.PutOptions) (objstore.Info, error) {
	meta, err := metadata(info)
	if err != nil {
		return objstore.Info{}, err
	}
	if info.Type == objstore.TypeDir && info.ContentType == "" {
		info.ContentType = dirType
	}
	opt.UserMeta, opt.ContentType = meta, info.ContentType
	return n.store.Put(ctx, key, body, cond, opt)
}

// putMarker makes a directory's marker.
func (n *Namespace) putMarker(ctx context.Context, key objstore.Key, info objstore.Info) (objstore.Info, error) {
	return n.put(ctx, key, strings.NewReader(""), objstore.IfAbsent(), info, objstore.PutOptions{LengthKnown: true})
}

// makeExplicit gives a directory that changes through this namespace a marker, so that it does not vanish with
// the last key below it.
func (n *Namespace) makeExplicit(ctx context.Context, d *node) error {
	n.mu.Lock()
	explicit := d == n.root || d.explicit
	n.mu.Unlock()
	if explicit {
		return nil
	}
	key, ok := n.key(d)
	if !ok {
		return objstore.ErrNotFound
	}
	raw, err := n.putMarker(ctx, key, n.fresh(objstore.TypeDir, n.cfg.NewDir))
	if err != nil && !errors.Is(err, objstore.ErrPrecondition) {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	d.explicit = true
	if err == nil {
		n.note(d, raw)
	}
	return nil
}

// replaceMeta gives the object at key new attributes, or copies it to another key, in one conditional step. from is
// what was seen at src; the copy is the same content.
func (n *Namespace) replaceMeta(ctx context.Context, src objstore.Key, from objstore.Info, dst objstore.Key, cond objstore.Cond, info objstore.Info, moving objstore.Key) (objstore.Info, error) {
	meta, err := metadata(info)
	if err != nil {
		return objstore.Info{}, err
	}
	withContent(meta, from)
	if moving != "" {
		meta[metaMoving] = url.QueryEscape(string(moving))
	}
	opt := objstore.PutOptions{UserMeta: meta, ContentType: info.ContentType, Length: from.Size, LengthKnown: true}
	source := objstore.IfVersion(from.Version)
	if n.caps.CopySource.Has(source) && n.caps.CopyTarget.Has(cond) {
		return n.store.Copy(ctx, objstore.CopyRequest{Src: src, SrcCond: source, Dst: dst, DstCond: cond, Put: opt, ReplaceAttrs: true})
	}
	r, err := n.store.Get(ctx, src, source)
	if err != nil {
		return objstore.Info{}, err
	}
	defer r.Close()
	body := r.Stream(ctx, 0, -1)
	defer body.Close()
	return n.store.Put(ctx, dst, body, cond, opt)
}

// delete removes what was seen at key. Where the store has no condition for that, it looks once more.
func (n *Namespace) delete(ctx context.Context, key objstore.Key, seen objstore.Info) error {
	cond := objstore.IfVersion(seen.Version)
	if n.caps.Delete.Has(cond) {
		return n.store.Delete(ctx, key, cond, objstore.DeleteOptions{})
	}
	raw, exists, err := n.head(ctx, key)
	if err != nil {
		return err
	}
	if err := cond.Check(raw.Version, exists); err != nil {
		return err
	}
	return n.store.Delete(ctx, key, objstore.Unconditional(), objstore.DeleteOptions{})
}

// checkMake refuses what no request makes, and what this store cannot hold.
func checkMake(req objstore.MakeRequest) error {
	switch {
	case req.Type <= objstore.TypeFile || req.Type > objstore.TypeBlockDevice:
		return problem(objstore.ErrInvalid, "files come into being by a commit")
	case (req.Type == objstore.TypeSymlink) != (req.Target != ""):
		return problem(objstore.ErrInvalid, "a symbolic link and nothing else has a target")
	case len(req.Target) > linkBytesMax:
		return problem(objstore.ErrTooLarge, "the target is longer than 4,095 bytes")
	case req.Type != objstore.TypeDir && req.Type != objstore.TypeSymlink:
		return problem(objstore.ErrUnsupported, "a flat store has no special files")
	}
	return nil
}

// Make implements [objstore.Namespace].
func (n *Namespace) Make(ctx context.Context, req objstore.MakeRequest) (info objstore.Info, err error) {
	if err = n.writable(ctx); err == nil {
		err = checkMake(req)
	}
	if err == nil {
		info, err = n.make(ctx, req)
	}
	return info, named("make", req.Name, err)
}

func (n *Namespace) make(ctx context.Context, req objstore.MakeRequest) (objstore.Info, error) {
	p, there, err := n.lookAt(ctx, req.Parent, req.Name)
	if err != nil {
		return objstore.Info{}, err
	}
	if there.exists() {
		return objstore.Info{}, lost(there.info.ETag)
	}
	if err := p.free(); err != nil {
		return objstore.Info{}, err
	}
	if err := n.makeExplicit(ctx, p.dir); err != nil {
		return objstore.Info{}, err
	}
	isDir := req.Type == objstore.TypeDir
	defer n.occupy(spot{p.dir, p.stored(isDir)})()
	fresh := n.fresh(req.Type, req.Attr)
	fresh.Xattrs = req.Xattrs
	raw, err := n.put(ctx, p.key(isDir), strings.NewReader(req.Target), objstore.IfAbsent(), fresh,
		objstore.PutOptions{Durability: req.Durability, Length: int64(len(req.Target)), LengthKnown: true})
	if err != nil {
		return objstore.Info{}, err
	}
	return n.created(p, 0, req.Type, raw), nil
}

// created enters what was made at a place, with an id of its own unless one is given, and tells.
func (n *Namespace) created(p place, id objstore.ID, typ objstore.FileType, raw objstore.Info) (info objstore.Info) {
	n.apply(func() []objstore.Change {
		var changes []objstore.Change
		stored := p.stored(typ == objstore.TypeDir)
		if old := p.dir.children[stored]; old != nil {
			if old.seen.version == raw.Version && id == 0 {
				id = old.id // a lookup came first
			} else {
				changes = append(changes, objstore.Change{
					Kind: objstore.ChangeRemoved, Object: old.id, Parent: p.dir.id, Name: p.name, Old: old.seen.content,
				})
			}
			n.forget(old)
		}
		if id == 0 {
			id = n.newID()
		}
		d := n.enter(id, p.dir, stored, typ)
		n.note(d, raw)
		d.explicit, d.born = typ == objstore.TypeDir, n.epoch
		info = n.describe(id, typ, raw, d.explicit)
		return append(changes, objstore.Change{
			Kind: objstore.ChangeCreated, Object: id, Parent: p.dir.id, Name: p.name, New: info.Version, Size: info.Size,
		})
	})
	return info
}

// Link implements [objstore.Namespace].
func (n *Namespace) Link(ctx context.Context, id, parent objstore.ID, name string, _ objstore.Durability) (objstore.Info, error) {
	return objstore.Info{}, named("link", name, problem(objstore.ErrUnsupported, "a flat store has no hard links"))
}

// SetAttr implements [objstore.Namespace].
func (n *Namespace) SetAttr(ctx context.Context, id objstore.ID, change objstore.AttrChange, _ objstore.Durability) (info objstore.Info, err error) {
	if err = n.writable(ctx); err == nil {
		info, err = n.setAttr(ctx, id, change)
	}
	return info, named("set attributes", idText(id), err)
}

func (n *Namespace) setAttr(ctx context.Context, id objstore.ID, change objstore.AttrChange) (objstore.Info, error) {
	if id == n.root.id {
		return objstore.Info{}, problem(objstore.ErrUnsupported, "the root of a flat store has no object that could hold attributes")
	}
	for range attemptsMax {
		f, err := n.stat(ctx, id)
		if err != nil {
			return objstore.Info{}, err
		}
		raw, err := n.writeAttr(ctx, f, change)
		if objstore.IsLostCondition(err) {
			continue
		}
		if err != nil {
			return objstore.Info{}, err
		}
		n.apply(func() []objstore.Change {
			n.note(f.node, raw)
			f.node.explicit, f.node.born = f.isDir(), n.epoch
			return []objstore.Change{{Kind: objstore.ChangeAttr, Object: id}}
		})
		return n.describe(id, f.node.typ, raw, f.isDir()), nil
	}
	return objstore.Info{}, contended()
}

// writeAttr is one attempt, on what was seen.
func (n *Namespace) writeAttr(ctx context.Context, f found, change objstore.AttrChange) (objstore.Info, error) {
	key, ok := n.key(f.node)
	if !ok {
		return objstore.Info{}, objstore.ErrNotFound
	}
	info := n.changed(f.info, change)
	if f.raw.Version == "" {
		return n.putMarker(ctx, key, info)
	}
	return n.replaceMeta(ctx, key, f.raw, key, objstore.IfVersion(f.raw.Version), info, movingFrom(f.raw))
}

// movingFrom is where a directory comes from whose rename has not ended.
func movingFrom(raw objstore.Info) objstore.Key {
	key, err := url.QueryUnescape(raw.UserMeta[metaMoving])
	if err != nil {
		return ""
	}
	return objstore.Key(key)
}

// Unlink implements [objstore.Namespace].
func (n *Namespace) Unlink(ctx context.Context, parent objstore.ID, name string, cond objstore.Cond, _ objstore.Durability) (res objstore.RemoveResult, err error) {
	if err = n.writable(ctx); err == nil {
		res, err = n.unlink(ctx, parent, name, cond)
	}
	return res, named("unlink", name, err)
}

func (n *Namespace) unlink(ctx context.Context, parent objstore.ID, name string, cond objstore.Cond) (res objstore.RemoveResult, err error) {
	if _, conditional := cond.Version(); conditional && !n.caps.Delete.Has(cond) {
		return res, problem(objstore.ErrUnsupported, "the store has no conditional delete")
	}
	for range attemptsMax {
		p, there, err := n.lookAt(ctx, parent, name)
		if err == nil {
			err = there.checkSource(cond)
		}
		switch {
		case err != nil:
			return res, err
		case there.isDir():
			return res, objstore.ErrIsDir
		}
		if err := n.makeExplicit(ctx, p.dir); err != nil {
			return res, err
		}
		err = n.delete(ctx, p.key(false), there.raw)
		if objstore.IsLostCondition(err) {
			continue
		}
		if err != nil {
			return res, err
		}
		return n.removed(p, there), nil
	}
	return res, contended()
}

// removed ends a node and tells. A file is its key: what another mount has put there since it was opened here is the same file, as an open
// handle sees it, and its unlink deletes it for all handles of this mount, whichever version they began with. On a local
// filesystem, too, who unlinks a file that others have written deletes it with what its open handles hold. To keep such bytes as a
// conflict instead would make a conflict of every temporary file that is removed while it is open.
func (n *Namespace) removed(p place, there found) objstore.RemoveResult {
	n.apply(func() []objstore.Change {
		if there.node.parent != nil {
			n.forget(there.node)
		}
		return []objstore.Change{{
			Kind: objstore.ChangeRemoved, Object: there.node.id, Parent: p.dir.id, Name: p.name, Old: there.info.Version,
		}}
	})
	there.info.Nlink = 0
	return objstore.RemoveResult{Removed: there.info, Gone: true}
}

// Rmdir implements [objstore.Namespace].
func (n *Namespace) Rmdir(ctx context.Context, parent objstore.ID, name string, _ objstore.Durability) (res objstore.RemoveResult, err error) {
	if err = n.writable(ctx); err == nil {
		res, err = n.rmdir(ctx, parent, name)
	}
	return res, named("rmdir", name, err)
}

func (n *Namespace) rmdir(ctx context.Context, parent objstore.ID, name string) (res objstore.RemoveResult, err error) {
	for range attemptsMax {
		p, there, err := n.lookAt(ctx, parent, name)
		switch {
		case err != nil:
			return res, err
		case !there.exists():
			return res, objstore.ErrNotFound
		case !there.isDir():
			return res, objstore.ErrNotDir
		}
		if err := n.checkEmpty(ctx, p.key(true)); err != nil {
			return res, err
		}
		if err := n.makeExplicit(ctx, p.dir); err != nil {
			return res, err
		}
		err = n.delete(ctx, p.key(true), there.raw)
		if objstore.IsLostCondition(err) {
			continue
		}
		if err != nil {
			return res, err
		}
		return n.removed(p, there), nil
	}
	return res, contended()
}

// checkEmpty is ErrNotEmpty if there is a key below a directory.
func (n *Namespace) checkEmpty(ctx context.Context, key objstore.Key) error {
	page, err := n.store.List(ctx, objstore.ListOptions{Prefix: key, StartAfter: key, Max: 1})
	if err == nil && len(page.Entries) > 0 {
		err = objstore.ErrNotEmpty
	}
	return err
}
