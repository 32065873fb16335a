package memstore

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/etagfs/etagfs/objstore"
)

// upload is a multipart upload. All of it is guarded by Engine.mu.
type upload struct {
	objstore.Upload
	parts map[int]*part
	was   objstore.Version // of the object at the key when the upload began; empty: there was none
	gone  bool             // an object at the key went away since
}

// part is immutable; putting it again makes another.
type part struct {
	objstore.Part
	content *content
}

// CreateUpload implements [objstore.Uploads].
func (b *Bucket) CreateUpload(ctx context.Context, key objstore.Key, opt objstore.UploadOptions) (objstore.Upload, error) {
	u := &upload{parts: map[int]*part{}}
	if err := checkNewKey(key); err != nil {
		return u.Upload, named("create upload", string(key), err)
	}
	opt.UserMeta, opt.Tags = maps.Clone(opt.UserMeta), maps.Clone(opt.Tags)
	err := b.write(ctx, "create upload", string(key), func(t *tx) error {
		u.Upload = objstore.Upload{Key: key, ID: t.newUploadID(), Initiated: t.now, Options: opt}
		if n := b.objectAt(key); n != nil {
			u.was = n.version
		}
		b.uploads[u.ID] = u
		return nil
	})
	return u.Upload, err
}

// newUploadID has leading zeros, so that ids sort by age.
func (t *tx) newUploadID() objstore.UploadID {
	t.b.engine.versions++
	return objstore.UploadID(fmt.Sprintf("%016x", t.b.engine.versions))
}

// upload is an open upload; requires the mutex.
func (b *Bucket) upload(key objstore.Key, id objstore.UploadID) (*upload, error) {
	if u := b.uploads[id]; u != nil && u.Key == key {
		return u, nil
	}
	return nil, &objstore.Error{Kind: objstore.ErrNotFound, Err: objstore.NoSuchUpload}
}

// PutPart implements [objstore.Uploads].
func (b *Bucket) PutPart(ctx context.Context, key objstore.Key, id objstore.UploadID, number int, body io.Reader, opt objstore.PartOptions) (p objstore.Part, err error) {
	err = b.read(ctx, "put part", string(key), func() error { return b.checkPart(key, id, number) })
	if err != nil {
		return p, err
	}
	in, err := receive(ctx, body, objstore.PutOptions{Length: opt.Length, LengthKnown: opt.LengthKnown, Finish: opt.Finish})
	if err != nil {
		return p, named("put part", string(key), err)
	}
	err = b.write(ctx, "put part", string(key), func(t *tx) error {
		p, err = t.putPart(key, id, number, in)
		return err
	})
	return p, err
}

func (b *Bucket) checkPart(key objstore.Key, id objstore.UploadID, number int) error {
	_, err := b.upload(key, id)
	if err == nil && (number < 1 || number > objstore.PartNumberMax) {
		err = problem(objstore.ErrInvalid, "parts are numbered from 1 to 10,000")
	}
	return err
}

func (t *tx) putPart(key objstore.Key, id objstore.UploadID, number int, in incoming) (objstore.Part, error) {
	if err := t.b.checkPart(key, id, number); err != nil {
		return objstore.Part{}, err
	}
	p := &part{content: in.content, Part: objstore.Part{
		Number: number, Size: in.content.size, ETag: in.digests.ETag, Checksum: in.digests.Checksum, Modified: t.now,
	}}
	if p.ETag == "" {
		p.ETag = objstore.MakeETag(in.content.hash(), t.newVersion())
	}
	t.b.uploads[id].parts[number] = p
	return p.Part, nil
}

// CopyPart implements [objstore.Uploads].
func (b *Bucket) CopyPart(ctx context.Context, req objstore.CopyPartRequest) (p objstore.Part, err error) {
	key := string(req.Src) + " to " + string(req.Key)
	var c *content
	err = b.read(ctx, "copy part", key, func() error {
		if err := b.checkPart(req.Key, req.ID, req.Number); err != nil {
			return err
		}
		c, err = b.copySource(&req)
		return err
	})
	if err != nil {
		return p, err
	}
	d := newDraft(emptyContent())
	if err := d.appendRange(c, req.Offset, req.Length); err != nil {
		return p, named("copy part", key, err)
	}
	in := incoming{content: d.freeze(), digests: req.Digests}
	err = b.write(ctx, "copy part", key, func(t *tx) error {
		p, err = t.putPart(req.Key, req.ID, req.Number, in)
		return err
	})
	return p, err
}

// copySource is the content a part is copied from. It settles the length asked for.
func (b *Bucket) copySource(req *objstore.CopyPartRequest) (*content, error) {
	from, err := b.source(req.SrcBucket)
	if err != nil {
		return nil, err
	}
	src := from.objectAt(req.Src)
	if err := checkSource(req.SrcCond, src); err != nil {
		return nil, err
	}
	size := src.content.size
	if req.Length == -1 {
		req.Length = size - req.Offset
	}
	if req.Offset < 0 || req.Length < 0 || req.Offset > size || req.Length > size-req.Offset {
		return nil, objstore.ErrRange
	}
	return src.content, nil
}

// appendRange adds a range of c to d.
func (d *draft) appendRange(c *content, off, length int64) error {
	buf := make([]byte, chunkBytes)
	for end := off + length; off < end; {
		p := buf[:min(chunkBytes, end-off)]
		if _, err := readAt(c.chunks, c.size, p, off); err != nil {
			return err
		}
		if err := appendTo(d, p); err != nil {
			return err
		}
		off += int64(len(p))
	}
	return nil
}

// ListParts implements [objstore.Uploads].
func (b *Bucket) ListParts(ctx context.Context, key objstore.Key, id objstore.UploadID, after, most int) (page objstore.PartPage, err error) {
	if most <= 0 {
		most = listEntries
	}
	err = b.read(ctx, "list parts", string(key), func() error {
		u, err := b.upload(key, id)
		if err != nil {
			return err
		}
		page.Upload = u.Upload
		for _, number := range slices.Sorted(maps.Keys(u.parts)) {
			switch {
			case number <= after:
			case len(page.Parts) == most:
				page.More = true
				return nil
			default:
				page.Parts = append(page.Parts, u.parts[number].Part)
			}
		}
		return nil
	})
	return page, err
}

// ListUploads implements [objstore.Uploads].
func (b *Bucket) ListUploads(ctx context.Context, opt objstore.UploadListOptions) (page objstore.UploadPage, err error) {
	if opt.Max <= 0 {
		opt.Max = listEntries
	}
	err = b.read(ctx, "list uploads", string(opt.Prefix), func() error {
		for _, u := range b.sortedUploads() {
			if !addUpload(&page, opt, u.Upload) {
				page.More = true
				return nil
			}
		}
		return nil
	})
	return page, err
}

// sortedUploads is all open uploads by key and id.
func (b *Bucket) sortedUploads() []*upload {
	return slices.SortedFunc(maps.Values(b.uploads), func(a, c *upload) int {
		if by := strings.Compare(string(a.Key), string(c.Key)); by != 0 {
			return by
		}
		return strings.Compare(string(a.ID), string(c.ID))
	})
}

// addUpload adds u to a page if it belongs there, and reports false if the page is full.
func addUpload(page *objstore.UploadPage, opt objstore.UploadListOptions, u objstore.Upload) bool {
	entry := objstore.UploadListEntry{Upload: u}
	rest, ok := strings.CutPrefix(string(u.Key), string(opt.Prefix))
	if !ok {
		return true
	}
	if at := strings.Index(rest, opt.Delimiter); opt.Delimiter != "" && at >= 0 {
		group := opt.Prefix + objstore.Key(rest[:at+len(opt.Delimiter)])
		entry = objstore.UploadListEntry{Prefix: true, Upload: objstore.Upload{Key: group}}
	}
	key := entry.Upload.Key
	more := !entry.Prefix && opt.AfterID != "" && key == opt.AfterKey && u.ID > opt.AfterID
	if key <= opt.AfterKey && !more {
		return true
	}
	if last := len(page.Entries) - 1; entry.Prefix && last >= 0 && page.Entries[last].Upload.Key == key {
		return true
	}
	if len(page.Entries) == opt.Max {
		return false
	}
	page.Entries = append(page.Entries, entry)
	return true
}

// AbortUpload implements [objstore.Uploads].
func (b *Bucket) AbortUpload(ctx context.Context, key objstore.Key, id objstore.UploadID, _ objstore.Durability) error {
	return b.write(ctx, "abort upload", string(key), func(*tx) error {
		_, err := b.upload(key, id)
		if err == nil {
			delete(b.uploads, id)
		}
		return err
	})
}

// AbortUploadsBefore implements [objstore.Uploads].
func (b *Bucket) AbortUploadsBefore(ctx context.Context, before time.Time) (count int, err error) {
	err = b.write(ctx, "abort uploads", "", func(*tx) error {
		for id, u := range b.uploads {
			if u.Initiated.Before(before) {
				delete(b.uploads, id)
				count++
			}
		}
		return nil
	})
	return count, err
}
