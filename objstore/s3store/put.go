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
	op   string // for errors
	key  objstore.Key
	cond objstore.Cond
	opt  objstore.PutOptions
	id   string
	meta map[string]string // with the lineage, where the store needs one
	size int64

	base     objstore.Info // what was there before, where it was looked for; no version: nothing
	baseLine lineage
}

// saw reports whether an object of the base's version is the base itself. Where ETags may come back, only who wrote
// it and when can tell.
func (d *draft) saw(info objstore.Info, line lineage) bool {
	return info.Version == d.base.Version && info.Modified.Equal(d.base.Modified) && line.id == d.baseLine.id
}

// Put sends bodies up to Options.PartBytes at once and larger ones in parts; the condition goes with the last request.
func (s *Store) Put(ctx context.Context, key objstore.Key, body io.Reader, cond objstore.Cond, opt objstore.PutOptions) (objstore.Info, error) {
	if err := s.check("put", key, cond, s.caps.Put); err != nil {
		return objstore.Info{}, err
	}
	if err := keepable("put", key, opt); err != nil {
		return objstore.Info{}, err
	}
	d := &draft{op: "put", key: key, cond: cond, opt: opt}
	if err := s.slot(ctx, d); err != nil {
		return objstore.Info{}, err
	}
	defer s.free()
	var part bytes.Buffer
	more, err := s.fill(ctx, d, &part, body)
	if err != nil {
		return objstore.Info{}, err
	}
	if err := s.identify(ctx, d); err != nil {
		return objstore.Info{}, err
	}
	var made stamp
	if more {
		made, err = s.putParts(ctx, d, &part, body)
	} else {
		made, err = s.putWhole(ctx, d, part.Bytes())
	}
	if err != nil {
		return objstore.Info{}, err
	}
	return s.describe(ctx, d, made), nil
}

// slot waits until d may hold a body; free ends that.
func (s *Store) slot(ctx context.Context, d *draft) error {
	select {
	case s.uploads <- struct{}{}:
		return nil
	case <-ctx.Done():
		return writeError(d.op, d.key, objstore.ErrUnavailable, ctx.Err())
	}
}

func (s *Store) free() { <-s.uploads }

// keepable refuses what would be lost.
func keepable(op string, key objstore.Key, opt objstore.PutOptions) error {
	if opt.Headers != (objstore.Headers{}) || opt.Tags != nil || opt.Attr != nil || opt.Finish != nil {
		return refusal(op, key, objstore.ErrUnsupported, "only content type and user metadata are kept")
	}
	return nil
}

// fill reads the next part and says if there may be more.
func (s *Store) fill(ctx context.Context, d *draft, part *bytes.Buffer, body io.Reader) (more bool, err error) {
	part.Reset()
	if d.opt.LengthKnown { // a buffer that grows by itself becomes twice as large as what it is for
		part.Grow(int(max(0, min(s.opt.PartBytes, d.opt.Length-d.size))) + bytes.MinRead)
	}
	n, err := io.CopyN(part, body, s.opt.PartBytes)
	d.size += n
	more = err == nil
	switch {
	case err != nil && err != io.EOF:
		if kind := objstore.KindOf(err); kind != 0 {
			return false, writeError(d.op, d.key, kind, err)
		}
		return false, writeError(d.op, d.key, objstore.ErrInvalid, fmt.Errorf("read the body: %w", err))
	case ctx.Err() != nil:
		return false, writeError(d.op, d.key, objstore.ErrUnavailable, ctx.Err())
	case d.opt.LengthKnown && (d.size > d.opt.Length || !more && d.size < d.opt.Length):
		return false, refusal(d.op, d.key, objstore.ErrInvalid, fmt.Sprintf("the body has not the %d bytes it should", d.opt.Length))
	case d.size > s.caps.ObjectBytesMax:
		return false, refusal(d.op, d.key, objstore.ErrTooLarge, "the body is too large")
	}
	return more, nil
}

// identify gives d its id and what of it goes into the metadata.
func (s *Store) identify(ctx context.Context, d *draft) (err error) {
	d.meta = d.opt.UserMeta
	if d.id, err = s.idOr(d.opt.WriteID); err != nil {
		return writeError(d.op, d.key, objstore.ErrUnavailable, err)
	}
	if s.ours {
		return nil
	}
	line := lineage{id: d.id}
	if !d.cond.IsIfAbsent() {
		if line, err = s.successor(ctx, d); err != nil {
			return err
		}
	}
	d.meta = line.added(d.opt.UserMeta)
	return nil
}

// successor is the lineage of what d is about to become, and notes what is there now.
func (s *Store) successor(ctx context.Context, d *draft) (lineage, error) {
	info, line, err := s.head(ctx, d.op, d.key, objstore.Unconditional())
	if objstore.KindOf(err) == objstore.ErrNotFound {
		return lineage{id: d.id}, nil
	}
	if err != nil {
		return lineage{}, err
	}
	d.base, d.baseLine = info, line
	v, conditional := d.cond.Version()
	return line.next(d.id, info.ETag, conditional && info.Version == v), nil
}

func (s *Store) putWhole(ctx context.Context, d *draft, body []byte) (stamp, error) {
	return s.settle(ctx, s.writeOf(d, func(ctx context.Context) (stamp, error) {
		out, err := s.client.PutObject(ctx, &s3.PutObjectInput{
			Bucket: s.bucket(), Key: s.key(d.key), Body: bytes.NewReader(body), ContentLength: aws.Int64(int64(len(body))),
			IfMatch: s.match(d.cond), IfNoneMatch: noneMatch(d.cond), ContentType: optional(d.opt.ContentType), Metadata: d.meta,
		}, named(d.id), s.own(headerIfVersion, d.cond))
		if err != nil {
			return stamp{}, err
		}
		return stampOf(out.ETag, out.ResultMetadata), nil
	}))
}

// writeOf is the last request of a put.
func (s *Store) writeOf(d *draft, send func(context.Context) (stamp, error)) write {
	w := write{op: d.op, key: d.key, repeatable: s.ours, recognised: s.ours, send: send}
	if !s.ours {
		w.look = s.lookForPut(d)
	}
	return w
}

// describe is the Info of what was just made. Only its time has to be asked for.
func (s *Store) describe(ctx context.Context, d *draft, made stamp) objstore.Info {
	if info, _, err := s.head(ctx, d.op, d.key, objstore.IfVersion(made.version)); err == nil {
		return info
	}
	return described(objstore.Info{
		Type: objstore.TypeFile, Nlink: 1, Size: d.size,
		ContentType: d.opt.ContentType, UserMeta: shown(d.opt.UserMeta),
	}, made)
}

func optional(text string) *string {
	if text == "" {
		return nil
	}
	return aws.String(text)
}
