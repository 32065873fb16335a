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
	in, err := receive(ctx, body, opt)
	if err != nil {
		return info, named("put", string(key), err)
	}
	request := fmt.Sprintf("put %q %v %x %d", key, cond, in.content.hash(), in.content.size)
	err = b.read(ctx, "put", string(key), func() (err error) {
		info, err = once(b, opt.WriteID, request, func(t *tx) (objstore.Info, error) {
			if err := check(cond, b.objectAt(key)); err != nil {
				return objstore.Info{}, err
			}
			return t.put(key, in, opt).object(), nil
		})
		return err
	})
	return info, err
}

// incoming is a content on its way into an object.
type incoming struct {
	content  *content
	digests  objstore.Digests
	parts    []objstore.Part
	appended bool // to what the object has
}

// receive reads a put's body to its end and lets the caller judge it.
func receive(ctx context.Context, body io.Reader, opt objstore.PutOptions) (incoming, error) {
	c, err := readBody(ctx, body, opt)
	if err != nil || opt.Finish == nil {
		return incoming{content: c}, err
	}
	digests, err := opt.Finish()
	if err != nil {
		return incoming{}, bodyError(err)
	}
	return incoming{content: c, digests: digests}, nil
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
		n, err := objstore.Fill(body, buf)
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

// appendTo adds p to d; zeros become a hole.
func appendTo(d *draft, p []byte) error {
	for _, c := range p {
		if c != 0 {
			return d.write(p, d.size)
		}
	}
	return d.truncate(d.size + int64(len(p)))
}

// put makes in the content of key, which the caller found to be allowed.
func (t *tx) put(key objstore.Key, in incoming, opt objstore.PutOptions) *node {
	at := t.makeEntry(key)
	n := at.dir.dir.nodes[at.stored]
	switch {
	case n == nil:
		n = t.newNode(t.newID(), typeOf(at), t.newAttr(at, opt.Attr))
		t.describe(n, in, opt)
		t.add(at, n)
	case n.isDir() || n.typ == objstore.TypeFile && len(n.names) == 1:
		old := n.version
		t.describe(n, in, opt)
		t.tellContent(n, old, in.appended)
	default:
		n = t.replaceName(at, n, in, opt)
	}
	return n
}

// replaceName puts a new file in place of one name of a file with several, of
// a symlink or of a special file. It takes over a file's attributes.
func (t *tx) replaceName(at entry, old *node, in incoming, opt objstore.PutOptions) *node {
	n := t.newNode(t.newID(), objstore.TypeFile, t.newAttr(at, opt.Attr))
	t.describe(n, in, opt)
	if old.typ == objstore.TypeFile {
		n.attr.Mode, n.attr.UID, n.attr.GID = old.attr.Mode, old.attr.UID, old.attr.GID
		n.xattrs = old.xattrs
	}
	t.drop(at, old)
	t.add(at, n)
	return n
}

// describe gives n a content and all that S3 says of it.
func (t *tx) describe(n *node, in incoming, opt objstore.PutOptions) {
	t.setContent(n, in.content)
	n.contentType, n.userMeta = opt.ContentType, maps.Clone(opt.UserMeta)
	n.headers, n.tags = opt.Headers, maps.Clone(opt.Tags)
	n.checksum, n.parts = in.digests.Checksum, in.parts
	if in.digests.ETag != "" {
		n.etag = in.digests.ETag
	}
	n.explicit = n.isDir()
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
	t.markGoneKey(at.key())
	t.setContent(n, emptyContent())
	n.explicit, n.contentType, n.userMeta, n.headers, n.tags = false, "", nil, objstore.Headers{}, nil
	t.tellContent(n, old, false)
	t.prune(n)
}

// Copy implements [objstore.Store].
func (b *Bucket) Copy(ctx context.Context, req objstore.CopyRequest) (info objstore.Info, err error) {
	key := string(req.Src) + " to " + string(req.Dst)
	if err := checkPut(req.Dst, req.DstCond); err != nil {
		return info, named("copy", key, err)
	}
	request := fmt.Sprintf("copy %q %q %v %q %v", req.SrcBucket, req.Src, req.SrcCond, req.Dst, req.DstCond)
	err = b.read(ctx, "copy", key, func() (err error) {
		info, err = once(b, req.Put.WriteID, request, func(t *tx) (objstore.Info, error) { return t.copy(req) })
		return err
	})
	return info, err
}

// source is the bucket a copy comes from.
func (b *Bucket) source(name string) (*Bucket, error) {
	if name == "" {
		return b, nil
	}
	if from := b.engine.buckets[name]; from != nil {
		return from, nil
	}
	return nil, problem(objstore.ErrNotFound, "there is no bucket "+name)
}

func (t *tx) copy(req objstore.CopyRequest) (objstore.Info, error) {
	from, err := t.b.source(req.SrcBucket)
	if err != nil {
		return objstore.Info{}, err
	}
	src := from.objectAt(req.Src)
	if err := checkSource(req.SrcCond, src); err != nil {
		return objstore.Info{}, err
	}
	if err := check(req.DstCond, t.b.objectAt(req.Dst)); err != nil {
		return objstore.Info{}, err
	}
	opt, in := req.Put, incoming{content: src.content, digests: req.Digests}
	info := src.object()
	if !req.ReplaceAttrs {
		opt.ContentType, opt.UserMeta, opt.Headers = info.ContentType, info.UserMeta, info.Headers
		opt.Headers.WebsiteRedirect = req.Put.Headers.WebsiteRedirect
	}
	if !req.ReplaceTags {
		opt.Tags = info.Tags
	}
	if in.digests.Checksum == (objstore.Checksum{}) && !info.Checksum.IsComposite() {
		in.digests.Checksum = info.Checksum
	}
	t.creates = objstore.EventCopy
	return t.put(req.Dst, in, opt).object(), nil
}
