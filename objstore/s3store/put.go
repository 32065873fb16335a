package s3store

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/etagfs/etagfs/objstore"
)

// draft is a put whose body is being read.
type draft struct {
	key  objstore.Key
	cond objstore.Cond
	opt  objstore.PutOptions
	id   string
	meta map[string]string // with the lineage, where the store needs one
	size int64
}

// Put sends bodies up to Options.PartBytes at once and larger ones in parts; the condition goes with the last request.
func (s *Store) Put(ctx context.Context, key objstore.Key, body io.Reader, cond objstore.Cond, opt objstore.PutOptions) (objstore.Info, error) {
	if err := s.check("put", key, cond, s.caps.Put); err != nil {
		return objstore.Info{}, err
	}
	if opt.Headers != (objstore.Headers{}) || opt.Tags != nil || opt.Attr != nil || opt.Finish != nil {
		return objstore.Info{}, refusal("put", key, objstore.ErrUnsupported, "only content type and user metadata are kept")
	}
	select {
	case s.uploads <- struct{}{}:
		defer func() { <-s.uploads }()
	case <-ctx.Done():
		return objstore.Info{}, writeError("put", key, objstore.ErrUnavailable, ctx.Err())
	}
	d := &draft{key: key, cond: cond, opt: opt}
	var part bytes.Buffer
	more, err := s.fill(ctx, d, &part, body)
	if err != nil {
		return objstore.Info{}, err
	}
	if err := s.identify(ctx, d); err != nil {
		return objstore.Info{}, err
	}
	var etag objstore.ETag
	if more {
		etag, err = s.putParts(ctx, d, &part, body)
	} else {
		etag, err = s.putWhole(ctx, d, part.Bytes())
	}
	if err != nil {
		return objstore.Info{}, err
	}
	return s.described(ctx, key, etag, d), nil
}

// fill reads the next part and says if there may be more.
func (s *Store) fill(ctx context.Context, d *draft, part *bytes.Buffer, body io.Reader) (more bool, err error) {
	part.Reset()
	n, err := io.CopyN(part, body, s.opt.PartBytes)
	d.size += n
	more = err == nil
	switch {
	case err != nil && err != io.EOF:
		if kind := objstore.KindOf(err); kind != 0 {
			return false, writeError("put", d.key, kind, err)
		}
		return false, writeError("put", d.key, objstore.ErrInvalid, fmt.Errorf("read the body: %w", err))
	case ctx.Err() != nil:
		return false, writeError("put", d.key, objstore.ErrUnavailable, ctx.Err())
	case d.opt.LengthKnown && (d.size > d.opt.Length || !more && d.size < d.opt.Length):
		return false, refusal("put", d.key, objstore.ErrInvalid, fmt.Sprintf("the body has not the %d bytes it should", d.opt.Length))
	case d.size > s.caps.ObjectBytesMax:
		return false, refusal("put", d.key, objstore.ErrTooLarge, "the body is too large")
	}
	return more, nil
}

// identify gives d its id and what of it goes into the metadata.
func (s *Store) identify(ctx context.Context, d *draft) (err error) {
	d.meta, d.id = d.opt.UserMeta, d.opt.WriteID
	if d.id == "" {
		if d.id, err = s.newID(); err != nil {
			return writeError("put", d.key, objstore.ErrUnavailable, err)
		}
	}
	if s.replays {
		return nil
	}
	line, err := s.successor(ctx, d.key, d.id, d.cond)
	if err != nil {
		return readError("put", d.key, err)
	}
	d.meta = line.added(d.opt.UserMeta)
	return nil
}

// successor is the lineage of what write id is about to make of key.
func (s *Store) successor(ctx context.Context, key objstore.Key, id string, cond objstore.Cond) (lineage, error) {
	if cond.IsIfAbsent() {
		return lineage{id: id}, nil
	}
	info, line, err := s.head(ctx, key, objstore.Unconditional())
	if kindOf(err) == objstore.ErrNotFound {
		return lineage{id: id}, nil
	}
	if err != nil {
		return lineage{}, err
	}
	v, conditional := cond.Version()
	return line.next(id, info.ETag, conditional && info.Version == v), nil
}

func (s *Store) putWhole(ctx context.Context, d *draft, body []byte) (objstore.ETag, error) {
	match, noneMatch := headers(d.cond)
	return s.settle(ctx, s.writeOf(d, func(ctx context.Context) (objstore.ETag, error) {
		out, err := s.client.PutObject(ctx, &s3.PutObjectInput{
			Bucket: s.bucket(), Key: s.key(d.key), Body: bytes.NewReader(body), ContentLength: aws.Int64(int64(len(body))),
			IfMatch: match, IfNoneMatch: noneMatch, ContentType: optional(d.opt.ContentType), Metadata: d.meta,
		}, once(d.id))
		if err != nil {
			return "", err
		}
		return etagOf(out.ETag), nil
	}))
}

// writeOf is the last request of a put.
func (s *Store) writeOf(d *draft, send func(context.Context) (objstore.ETag, error)) write {
	w := write{op: "put", key: d.key, cond: d.cond, id: d.id, repeatable: s.replays || !d.cond.IsUnconditional(), send: send}
	if !s.replays {
		w.look = s.lookForPut(d.key, d.id, d.cond)
	}
	return w
}

// described is the Info of what was just made. Only its time has to be asked for.
func (s *Store) described(ctx context.Context, key objstore.Key, etag objstore.ETag, d *draft) objstore.Info {
	if info, _, err := s.head(ctx, key, objstore.IfVersion(objstore.Version(etag))); err == nil {
		return info
	}
	return withETag(objstore.Info{
		Type: objstore.TypeFile, Nlink: 1, Size: d.size,
		ContentType: d.opt.ContentType, UserMeta: shown(d.opt.UserMeta),
	}, etag)
}

func optional(text string) *string {
	if text == "" {
		return nil
	}
	return aws.String(text)
}
