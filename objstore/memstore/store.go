package memstore

import (
	"context"
	"fmt"
	"io"
	"maps"

	"github.com/etagfs/etagfs/objstore"
)

// Get implements [objstore.Store].
func (b *Bucket) Get(ctx context.Context, key objstore.Key, cond objstore.Cond) (objstore.Reader, error) {
	var r *reader
	err := b.read(ctx, "get", string(key), func() error {
		n := b.objectAt(key)
		if err := checkSource(cond, n); err != nil {
			return err
		}
		r = &reader{info: n.object(), content: n.content}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return r, nil
}

// Head implements [objstore.Store].
func (b *Bucket) Head(ctx context.Context, key objstore.Key) (info objstore.Info, err error) {
	err = b.read(ctx, "head", string(key), func() error {
		n := b.objectAt(key)
		if n == nil {
			return objstore.ErrNotFound
		}
		info = n.object()
		return nil
	})
	return info, err
}

// Put implements [objstore.Store].
func (b *Bucket) Put(ctx context.Context, key objstore.Key, body io.Reader, cond objstore.Cond, opt objstore.PutOptions) (info objstore.Info, err error) {
	if err := checkPut(key, cond); err != nil {
		return info, named("put", string(key), err)
	}
	c, err := readBody(ctx, body, opt)
	if err != nil {
		return info, named("put", string(key), err)
	}
	request := fmt.Sprintf("put %q %v %x %d", key, cond, c.hash(), c.size)
	err = b.read(ctx, "put", string(key), func() (err error) {
		info, err = once(b, opt.WriteID, request, func(t *tx) (objstore.Info, error) {
			if err := check(cond, b.objectAt(key)); err != nil {
				return objstore.Info{}, err
			}
			return t.put(key, c, opt).object(), nil
		})
		return err
	})
	return info, err
}

func checkPut(key objstore.Key, cond objstore.Cond) error {
	if !cond.Valid() {
		return objstore.ErrInvalid
	}
	return checkNewKey(key)
}

// readBody reads a put's body to its end.
func readBody(ctx context.Context, body io.Reader, opt objstore.PutOptions) (*content, error) {
	d := newDraft(emptyContent())
	buf := make([]byte, chunkBytes)
	for {
		if err := orCancelled(ctx, nil); err != nil {
			return nil, err
		}
		n, err := fill(body, buf)
		if werr := appendTo(d, buf[:n]); werr != nil {
			return nil, werr
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, bodyError(err)
		}
	}
	if opt.LengthKnown && d.size != opt.Length {
		return nil, problem(objstore.ErrInvalid, fmt.Sprintf("the body has %d bytes instead of %d", d.size, opt.Length))
	}
	return d.freeze(), orCancelled(ctx, nil)
}

// fill reads until buf is full. Unlike io.ReadFull it returns io.EOF for a clean end
// alone: a body that was cut off ends with io.ErrUnexpectedEOF.
func fill(body io.Reader, buf []byte) (n int, err error) {
	for n < len(buf) && err == nil {
		var part int
		part, err = body.Read(buf[n:])
		n += part
	}
	return n, err
}

// appendTo adds p to d; zeros become a hole.
func appendTo(d *draft, p []byte) error {
	for _, c := range p {
		if c != 0 {
			return d.write(p, d.size)
		}
	}
	return d.truncate(d.size + int64(len(p)))
}

// put makes c the content of key, which the caller found to be allowed.
func (t *tx) put(key objstore.Key, c *content, opt objstore.PutOptions) *node {
	at := t.makeEntry(key)
	n := at.dir.dir.nodes[at.stored]
	switch {
	case n == nil:
		n = t.newNode(t.newID(), typeOf(at), t.newAttr(at, opt.Attr))
		t.describe(n, c, opt)
		n.explicit = n.isDir()
		t.add(at, n)
	case n.isDir() || n.typ == objstore.TypeFile && len(n.names) == 1:
		old := n.version
		t.setContent(n, c)
		n.contentType, n.userMeta = opt.ContentType, maps.Clone(opt.UserMeta)
		n.explicit = n.isDir()
		t.tellContent(n, old, false)
	default:
		n = t.replaceName(at, n, c, opt)
	}
	return n
}

// replaceName puts a new file in place of one name of a file with several, of
// a symlink or of a special file. It takes over a file's attributes.
func (t *tx) replaceName(at entry, old *node, c *content, opt objstore.PutOptions) *node {
	n := t.newNode(t.newID(), objstore.TypeFile, t.newAttr(at, opt.Attr))
	t.describe(n, c, opt)
	if old.typ == objstore.TypeFile {
		n.attr.Mode, n.attr.UID, n.attr.GID = old.attr.Mode, old.attr.UID, old.attr.GID
		n.xattrs = old.xattrs
	}
	t.drop(at, old)
	t.add(at, n)
	return n
}

// describe fills a new node.
func (t *tx) describe(n *node, c *content, opt objstore.PutOptions) {
	t.setContent(n, c)
	n.contentType, n.userMeta = opt.ContentType, maps.Clone(opt.UserMeta)
}

func typeOf(at entry) objstore.FileType {
	if at.stored[len(at.stored)-1] == '/' {
		return objstore.TypeDir
	}
	return objstore.TypeFile
}

func (t *tx) newAttr(at entry, asked *objstore.NewAttr) objstore.NewAttr {
	switch {
	case asked != nil:
		return *asked
	case typeOf(at) == objstore.TypeDir:
		return t.b.engine.opt.NewDir
	default:
		return t.b.engine.opt.NewFile
	}
}

// Delete implements [objstore.Store].
func (b *Bucket) Delete(ctx context.Context, key objstore.Key, cond objstore.Cond, opt objstore.DeleteOptions) error {
	request := fmt.Sprintf("delete %q %v", key, cond)
	return b.read(ctx, "delete", string(key), func() error {
		_, err := once(b, opt.WriteID, request, func(t *tx) (struct{}, error) {
			n := b.objectAt(key)
			err := check(cond, n)
			if err == nil && n != nil {
				at, _ := b.entryAt(key)
				t.delete(at, n)
			}
			return struct{}{}, err
		})
		return err
	})
}

// delete takes an object away, and the directories that nothing implies any longer.
func (t *tx) delete(at entry, n *node) {
	if !n.isDir() {
		t.drop(at, n)
		t.prune(at.dir)
		return
	}
	old := n.version
	t.setContent(n, emptyContent())
	n.explicit, n.contentType, n.userMeta = false, "", nil
	t.tellContent(n, old, false)
	t.prune(n)
}

// Copy implements [objstore.Store].
func (b *Bucket) Copy(ctx context.Context, req objstore.CopyRequest) (info objstore.Info, err error) {
	key := string(req.Src) + " to " + string(req.Dst)
	if err := checkPut(req.Dst, req.DstCond); err != nil {
		return info, named("copy", key, err)
	}
	request := fmt.Sprintf("copy %q %v %q %v", req.Src, req.SrcCond, req.Dst, req.DstCond)
	err = b.read(ctx, "copy", key, func() (err error) {
		info, err = once(b, req.Put.WriteID, request, func(t *tx) (objstore.Info, error) { return t.copy(req) })
		return err
	})
	return info, err
}

func (t *tx) copy(req objstore.CopyRequest) (objstore.Info, error) {
	src := t.b.objectAt(req.Src)
	if err := checkSource(req.SrcCond, src); err != nil {
		return objstore.Info{}, err
	}
	if err := check(req.DstCond, t.b.objectAt(req.Dst)); err != nil {
		return objstore.Info{}, err
	}
	opt := req.Put
	if !req.ReplaceAttrs {
		from := src.object()
		opt.ContentType, opt.UserMeta = from.ContentType, from.UserMeta
	}
	return t.put(req.Dst, src.content, opt).object(), nil
}
