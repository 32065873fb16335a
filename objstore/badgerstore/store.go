package badgerstore

import (
	"context"
	"strings"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/record"
)

// Get implements [objstore.Store].
func (b *Bucket) Get(ctx context.Context, key objstore.Key, cond objstore.Cond) (objstore.Reader, error) {
	var r *reader
	err := b.read(ctx, "get", string(key), func(v *view) error {
		o, err := v.objectAt(b.root, key)
		if err == nil && o == nil {
			err = b.checkLost(v, key)
		}
		if err == nil {
			err = checkSource(cond, o)
		}
		if err == nil {
			r, err = v.open(o, objectInfoOf(o))
		}
		if err == nil {
			err = r.readInline()
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return r, nil
}

// Head implements [objstore.Store].
func (b *Bucket) Head(ctx context.Context, key objstore.Key) (info objstore.Info, err error) {
	err = b.read(ctx, "head", string(key), func(v *view) error {
		o, err := v.objectAt(b.root, key)
		switch {
		case err != nil:
			return err
		case o == nil:
			return orElse(b.checkLost(v, key), objstore.ErrNotFound)
		}
		info = objectInfoOf(o)
		return nil
	})
	return info, err
}

// Delete implements [objstore.Store].
func (b *Bucket) Delete(ctx context.Context, key objstore.Key, cond objstore.Cond, opt objstore.DeleteOptions) error {
	request := func() [16]byte { return requestOf("delete", string(key), cond.String()) }
	err := b.write(ctx, opt.Durability, true, func(t *tx) error {
		_, err := b.once(t, opt.WriteID, request, func() (*record.Object, error) {
			o, err := t.objectAt(b.root, key)
			if err == nil {
				err = check(cond, o)
			}
			if err == nil && o != nil {
				err = b.deleteObject(t, key, o)
			}
			return nil, err
		})
		return err
	})
	return named("delete", string(key), err)
}

// deleteObject takes an object away, and the directories that nothing implies any longer.
func (b *Bucket) deleteObject(t *tx, key objstore.Key, old *record.Object) error {
	p, _, err := t.placeAt(b.root, key)
	if err != nil {
		return err
	}
	if !old.IsDir() {
		if _, err := b.drop(t, p, old); err != nil {
			return err
		}
		return b.prune(t, p.Parent)
	}
	o, err := t.touched(old)
	if err != nil {
		return err
	}
	if err := t.setContent(o, &incoming{version: o.MetaVersion, hash: emptyContent().Hash}); err != nil {
		return err
	}
	if err := t.markGone(p, old, false); err != nil {
		return err
	}
	o.Explicit, o.ContentType, o.UserMeta, o.Headers, o.Tags = false, "", nil, objstore.Headers{}, nil
	t.store(o)
	if err := b.tellContent(t, o, old.Version, false); err != nil {
		return err
	}
	return b.prune(t, o.ID)
}

// Copy implements [objstore.Store].
func (b *Bucket) Copy(ctx context.Context, req objstore.CopyRequest) (info objstore.Info, err error) {
	key := string(req.Src) + " to " + string(req.Dst)
	if err := checkNewKey(req.Dst, req.DstCond); err != nil {
		return info, named("copy", key, err)
	}
	request := func() [16]byte {
		if req.SrcBucket != "" {
			return requestOf("copy", string(req.Src), req.SrcCond.String(), string(req.Dst), req.DstCond.String(), req.SrcBucket)
		}
		return requestOf("copy", string(req.Src), req.SrcCond.String(), string(req.Dst), req.DstCond.String())
	}
	if err := b.e.needFor(req.Digests); err != nil {
		return info, named("copy", key, err)
	}
	err = b.write(ctx, req.Put.Durability, false, func(t *tx) (err error) {
		info, err = b.once(t, req.Put.WriteID, request, func() (*record.Object, error) { return b.copyObject(t, req) })
		return err
	})
	return info, named("copy", key, err)
}

func (b *Bucket) copyObject(t *tx, req objstore.CopyRequest) (*record.Object, error) {
	src, err := b.copySource(t.tree, req.SrcBucket, req.Src, req.SrcCond)
	if err != nil {
		return nil, err
	}
	dst, err := t.objectAt(b.root, req.Dst)
	if err == nil {
		err = check(req.DstCond, dst)
	}
	if err != nil {
		return nil, err
	}
	content, err := t.clone(src.Content, nil)
	if err != nil {
		return nil, err
	}
	version, err := t.e.numbers.next()
	if err != nil {
		return nil, err
	}
	t.creates = objstore.EventCopy
	opt, digests := copied(req, objectInfoOf(src))
	return b.putObject(t, req.Dst, &incoming{version: version, cloned: &content, digests: digests}, opt)
}

// copySource is the object a copy is made of.
func (b *Bucket) copySource(t tree, bucket string, key objstore.Key, cond objstore.Cond) (*record.Object, error) {
	root := b.root
	if bucket != "" {
		rec, err := t.bucket(bucket)
		if err != nil {
			return nil, err
		}
		root = rec.Root
	}
	src, err := t.objectAt(root, key)
	if err == nil {
		err = checkSource(cond, src)
	}
	return src, err
}

// copied is what a copy of the object described by from is to have.
func copied(req objstore.CopyRequest, from objstore.Info) (objstore.PutOptions, objstore.Digests) {
	opt, digests := req.Put, req.Digests
	if !req.ReplaceAttrs {
		opt.ContentType, opt.UserMeta, opt.Headers = from.ContentType, from.UserMeta, from.Headers
		opt.Headers.WebsiteRedirect = req.Put.Headers.WebsiteRedirect
	}
	if !req.ReplaceTags {
		opt.Tags = from.Tags
	}
	if digests.Checksum == (objstore.Checksum{}) && !from.Checksum.IsComposite() {
		digests.Checksum = from.Checksum
	}
	return opt, digests
}

// Rename implements [objstore.Store].
func (b *Bucket) Rename(ctx context.Context, req objstore.RenameRequest) (info objstore.Info, err error) {
	key := string(req.Src) + " to " + string(req.Dst)
	if err := checkRename(req); err != nil {
		return info, named("rename", key, err)
	}
	request := func() [16]byte {
		return requestOf("rename", string(req.Src), req.SrcCond.String(), string(req.Dst), req.DstCond.String())
	}
	err = b.write(ctx, req.Durability, true, func(t *tx) (err error) {
		info, err = b.once(t, req.WriteID, request, func() (*record.Object, error) { return b.rename(t, req) })
		return err
	})
	return info, named("rename", key, err)
}

func checkRename(req objstore.RenameRequest) error {
	if err := checkNewKey(req.Dst, req.DstCond); err != nil {
		return err
	}
	if strings.HasSuffix(string(req.Src), "/") != strings.HasSuffix(string(req.Dst), "/") {
		return problem(objstore.ErrInvalid, "a directory's key ends in / and an object's does not")
	}
	return nil
}

// rename moves the name of an object, or a directory with all below it. A
// directory counts as existing whether it is explicit or not.
func (b *Bucket) rename(t *tx, req objstore.RenameRequest) (*record.Object, error) {
	find := t.objectAt
	if strings.HasSuffix(string(req.Src), "/") {
		find = t.nodeAt
	}
	src, err := find(b.root, req.Src)
	if err == nil {
		err = checkSource(req.SrcCond, src)
	}
	if err != nil {
		return nil, err
	}
	dst, err := find(b.root, req.Dst)
	if err == nil {
		err = check(req.DstCond, dst)
	}
	if err != nil || req.Src == req.Dst {
		return src, err
	}
	if src.IsDir() {
		if err := checkDirRename(req, dst); err != nil {
			return nil, err
		}
	}
	from, _, err := t.placeAt(b.root, req.Src)
	if err != nil {
		return nil, err
	}
	to, err := b.makePlace(t, req.Dst)
	if err != nil {
		return nil, err
	}
	moved, _, err := b.relocate(t, from, to)
	if err != nil {
		return nil, err
	}
	return moved, b.prune(t, from.Parent)
}

func checkDirRename(req objstore.RenameRequest, dst *record.Object) error {
	if strings.HasPrefix(string(req.Dst), string(req.Src)) {
		return problem(objstore.ErrInvalid, "a directory cannot move below itself")
	}
	if dst != nil && dst.Children > 0 {
		return objstore.ErrNotEmpty
	}
	return nil
}
