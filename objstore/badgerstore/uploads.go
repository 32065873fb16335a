package badgerstore

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/extent"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/record"
)

// uploadID has leading zeros, so that ids sort by age.
func uploadID(number uint64) objstore.UploadID {
	return objstore.UploadID(fmt.Sprintf("%016x", number))
}

// uploadNumber is the reverse of uploadID; 0 for what is none.
func uploadNumber(id objstore.UploadID) uint64 {
	n, err := strconv.ParseUint(string(id), 16, 64)
	if err != nil || uploadID(n) != id {
		return 0
	}
	return n
}

func noSuchUpload() error {
	return &objstore.Error{Kind: objstore.ErrNotFound, Err: objstore.NoSuchUpload}
}

// upload is an open upload and the key of its record.
func (t tree) upload(root uint64, key objstore.Key, id objstore.UploadID) (*record.Upload, []byte, error) {
	at := record.UploadKey(root, string(key), uploadNumber(id))
	value, err := t.src.get(at)
	if err != nil {
		return nil, nil, err
	}
	if u, ok := value.(*record.Upload); ok && !u.Closed {
		return u, at, nil
	}
	return nil, nil, noSuchUpload()
}

func infoOfUpload(key string, number uint64, u *record.Upload) objstore.Upload {
	return objstore.Upload{Key: objstore.Key(key), ID: uploadID(number), Initiated: u.Initiated, Options: u.Options}
}

// CreateUpload implements [objstore.Uploads].
func (b *Bucket) CreateUpload(ctx context.Context, key objstore.Key, opt objstore.UploadOptions) (u objstore.Upload, err error) {
	err = checkNewKey(key, objstore.Unconditional())
	if err == nil {
		err = b.e.need(featureS3)
	}
	if err != nil {
		return u, named("create upload", string(key), err)
	}
	opt.UserMeta, opt.Tags = cloneMeta(opt.UserMeta), cloneMeta(opt.Tags)
	b.e.openUploads.Add(1) // before anything can change that the upload has to know of
	err = b.write(ctx, opt.Durability, false, func(t *tx) error {
		number, err := t.e.numbers.next()
		if err != nil {
			return err
		}
		rec := &record.Upload{Initiated: t.now, Options: opt}
		o, err := t.objectAt(b.root, key)
		if err != nil {
			return err
		}
		if o != nil {
			rec.Was = o.Version
		}
		t.set(record.UploadKey(b.root, string(key), number), rec)
		u = infoOfUpload(string(key), number, rec)
		return nil
	})
	if err != nil {
		b.e.openUploads.Add(-1)
		return objstore.Upload{}, named("create upload", string(key), err)
	}
	return u, nil
}

// PutPart implements [objstore.Uploads].
func (b *Bucket) PutPart(ctx context.Context, key objstore.Key, id objstore.UploadID, number int, body io.Reader, opt objstore.PartOptions) (p objstore.Part, err error) {
	err = b.read(ctx, "put part", string(key), func(v *view) error { return v.checkPart(b.root, key, id, number) })
	if err != nil {
		return p, err
	}
	u, err := b.receive(ctx, body, objstore.PutOptions{Length: opt.Length, LengthKnown: opt.LengthKnown, Finish: opt.Finish})
	if err != nil {
		return p, named("put part", string(key), err)
	}
	defer u.close()
	p, err = b.putPart(ctx, partTarget{key, id, number, opt.Durability}, u.in)
	return p, named("put part", string(key), err)
}

func (t tree) checkPart(root uint64, key objstore.Key, id objstore.UploadID, number int) error {
	_, _, err := t.upload(root, key, id)
	if err == nil && (number < 1 || number > objstore.PartNumberMax) {
		err = problem(objstore.ErrInvalid, "parts are numbered from 1 to 10,000")
	}
	return err
}

// partTarget says which part is put.
type partTarget struct {
	key        objstore.Key
	id         objstore.UploadID
	number     int
	durability objstore.Durability
}

// putPart makes in a part.
func (b *Bucket) putPart(ctx context.Context, to partTarget, in *incoming) (p objstore.Part, err error) {
	err = b.write(ctx, to.durability, false, func(t *tx) error {
		u, at, err := t.upload(b.root, to.key, to.id)
		if err != nil {
			return err
		}
		content, err := t.build(in, extent.Content{}, false, leaving{})
		if err != nil {
			return err
		}
		rec := &record.Part{
			ID: in.version, Content: content, Modified: t.now,
			ETag: string(in.digests.ETag), Checksum: in.digests.Checksum,
		}
		if rec.ETag == "" {
			rec.ETag = string(objstore.MakeETag(in.hash, objstore.VersionOf(in.version)))
		}
		p = infoOfPart(to.number, rec)
		changed := *u
		changed.Parts = in.version
		t.set(at, &changed)
		return t.replacePart(record.PartKey(uploadNumber(to.id), to.number), rec)
	})
	return p, err
}

// replacePart stores a part, or nothing, and gives up the content of the one there was.
func (t *tx) replacePart(key []byte, p *record.Part) error {
	value, err := t.get(key)
	if err != nil {
		return err
	}
	if p == nil {
		t.set(key, nil)
	} else {
		t.set(key, p)
	}
	if old, ok := value.(*record.Part); ok {
		return t.discard(leaving{old.ID, old.ID, old.Content})
	}
	return nil
}

func infoOfPart(number int, p *record.Part) objstore.Part {
	return objstore.Part{
		Number: number, Size: p.Content.Size, ETag: objstore.ETag(p.ETag), Checksum: p.Checksum, Modified: p.Modified,
	}
}

// CopyPart implements [objstore.Uploads].
func (b *Bucket) CopyPart(ctx context.Context, req objstore.CopyPartRequest) (p objstore.Part, err error) {
	op, key := "copy part", string(req.Src)+" to "+string(req.Key)
	var source *pinned
	err = b.read(ctx, op, key, func(v *view) error {
		if err := v.checkPart(b.root, req.Key, req.ID, req.Number); err != nil {
			return err
		}
		source, err = b.pinRange(v, &req)
		return err
	})
	if err != nil {
		return p, err
	}
	defer source.release()
	in, err := b.e.assemble([]piece{{from: source, off: req.Offset, length: req.Length}})
	if err != nil {
		return p, named(op, key, err)
	}
	in.digests = req.Digests
	p, err = b.putPart(ctx, partTarget{req.Key, req.ID, req.Number, req.Durability}, in)
	return p, named(op, key, err)
}

// pinRange pins what a part is copied from and settles the length asked for.
func (b *Bucket) pinRange(v *view, req *objstore.CopyPartRequest) (*pinned, error) {
	o, err := b.copySource(v.tree, req.SrcBucket, req.Src, req.SrcCond)
	if err != nil {
		return nil, err
	}
	size := o.Content.Size
	if req.Length == -1 {
		req.Length = size - req.Offset
	}
	if req.Offset < 0 || req.Length < 0 || req.Offset > size || req.Length > size-req.Offset {
		return nil, objstore.ErrRange
	}
	return v.pin(o.ID, o.Version, o.Content)
}

// ListParts implements [objstore.Uploads].
func (b *Bucket) ListParts(ctx context.Context, key objstore.Key, id objstore.UploadID, after, most int) (page objstore.PartPage, err error) {
	if most <= 0 {
		most = listEntries
	}
	err = b.read(ctx, "list parts", string(key), func(v *view) error {
		u, _, err := v.upload(b.root, key, id)
		if err != nil {
			return err
		}
		upload := uploadNumber(id)
		page.Upload = infoOfUpload(string(key), upload, u)
		start := record.PartKey(upload, max(after, 0)+1)
		return v.scanFrom(record.PartPrefix(upload), start, func(key []byte, value any) (bool, error) {
			p, ok := value.(*record.Part)
			if !ok {
				return false, damaged("a part of an upload is none")
			}
			if page.More = len(page.Parts) == most; !page.More {
				page.Parts = append(page.Parts, infoOfPart(record.PartNumber(key), p))
			}
			return !page.More, nil
		})
	})
	return page, err
}

// ListUploads implements [objstore.Uploads].
func (b *Bucket) ListUploads(ctx context.Context, opt objstore.UploadListOptions) (page objstore.UploadPage, err error) {
	if opt.Max <= 0 {
		opt.Max = listEntries
	}
	err = b.read(ctx, "list uploads", string(opt.Prefix), func(v *view) error {
		from, again := opt.AfterKey, true
		for again && err == nil {
			again = false
			err = v.eachUpload(b.root, opt.Prefix, from, func(u objstore.Upload) bool {
				entries := len(page.Entries)
				page.More = !addUpload(&page, opt, u)
				if group, ok := groupOf(opt, u.Key); ok && !page.More && len(page.Entries) == entries {
					from, again = behind(group) // which is on this page or one before: no more of it need be read
				}
				return !page.More && !again
			})
		}
		return err
	})
	return page, err
}

// groupOf is the common prefix in the place of which a listing has key; ok is false if it has the key itself.
func groupOf(opt objstore.UploadListOptions, key objstore.Key) (group objstore.Key, ok bool) {
	rest := string(key[len(opt.Prefix):])
	at := strings.Index(rest, opt.Delimiter)
	if opt.Delimiter == "" || at < 0 {
		return "", false
	}
	return opt.Prefix + objstore.Key(rest[:at+len(opt.Delimiter)]), true
}

// behind is the first key that is behind all with a prefix; ok is false if there is none, or if records are not
// in the order of such keys.
func behind(prefix objstore.Key) (key objstore.Key, ok bool) {
	text := []byte(prefix)
	for len(text) > 0 && text[len(text)-1] == 0xff {
		text = text[:len(text)-1]
	}
	if len(text) == 0 || bytes.IndexByte(text, 0) >= 0 {
		return "", false
	}
	text[len(text)-1]++
	return objstore.Key(text), true
}

// eachUpload calls f for the uploads to keys with a prefix, by key and id, until it returns false. It may
// leave out uploads to keys before from, of which it reads none.
func (v *view) eachUpload(root uint64, prefix, from objstore.Key, f func(objstore.Upload) bool) error {
	group := []objstore.Upload{} // to keys that are the same up to the first NUL: their records are not in order
	flush := func() bool {
		slices.SortFunc(group, compareUploads)
		more := !slices.ContainsFunc(group, func(u objstore.Upload) bool { return !f(u) })
		group = group[:0]
		return more
	}
	ended := false
	within := record.UploadPrefix(root, string(prefix))
	start := record.UploadsOfKey(root, untilNUL(from))
	if bytes.Compare(start, within) < 0 {
		start = within
	}
	err := v.scanFrom(within, start, func(at []byte, value any) (bool, error) {
		_, key, number := record.ParseUploadKey(at)
		if len(group) > 0 && untilNUL(group[0].Key) != untilNUL(objstore.Key(key)) && !flush() {
			ended = true
			return false, nil
		}
		if u, ok := value.(*record.Upload); ok && !u.Closed && strings.HasPrefix(key, string(prefix)) {
			group = append(group, infoOfUpload(key, number, u))
		}
		return true, nil
	})
	if err == nil && !ended {
		flush()
	}
	return err
}

func untilNUL(key objstore.Key) string {
	text, _, _ := strings.Cut(string(key), "\x00")
	return text
}

func compareUploads(a, b objstore.Upload) int {
	return cmp.Or(strings.Compare(string(a.Key), string(b.Key)), strings.Compare(string(a.ID), string(b.ID)))
}

// addUpload adds u to a page if it belongs there, and reports false if the page is full.
func addUpload(page *objstore.UploadPage, opt objstore.UploadListOptions, u objstore.Upload) bool {
	entry := objstore.UploadListEntry{Upload: u}
	if group, ok := groupOf(opt, u.Key); ok {
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
func (b *Bucket) AbortUpload(ctx context.Context, key objstore.Key, id objstore.UploadID, d objstore.Durability) error {
	err := b.write(ctx, d, true, func(t *tx) error {
		u, at, err := t.upload(b.root, key, id)
		if err == nil {
			t.closeUpload(at, u)
		}
		return err
	})
	if err == nil {
		b.e.purge(record.UploadKey(b.root, string(key), uploadNumber(id)))
	}
	return named("abort upload", string(key), err)
}

// AbortUploadsBefore implements [objstore.Uploads].
func (b *Bucket) AbortUploadsBefore(ctx context.Context, before time.Time) (count int, err error) {
	var all []objstore.Upload
	err = b.read(ctx, "abort uploads", "", func(v *view) error {
		return v.eachUpload(b.root, "", "", func(u objstore.Upload) bool {
			all = append(all, u)
			return true
		})
	})
	if err != nil {
		return 0, err
	}
	for _, u := range all {
		if !u.Initiated.Before(before) {
			continue
		}
		err := b.AbortUpload(ctx, u.Key, u.ID, objstore.Visible)
		switch {
		case err == nil:
			count++
		case !errors.Is(err, objstore.NoSuchUpload):
			return count, err
		}
	}
	return count, nil
}
