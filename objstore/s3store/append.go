package s3store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/etagfs/etagfs/objstore"
)

// appendBytesMax is how much one append may bring: it is one request, and its body is held until it is answered.
const appendBytesMax = 64 << 20

// Append implements [objstore.Appender] with a write offset.
func (s *Store) Append(ctx context.Context, key objstore.Key, offset int64, body io.Reader, cond objstore.Cond, opt objstore.PutOptions) (objstore.Info, error) {
	if err := s.check("append", key, cond, s.caps.Put); err != nil {
		return objstore.Info{}, err
	}
	switch {
	case !s.caps.Append:
		return objstore.Info{}, refusal("append", key, objstore.ErrUnsupported, "the store takes no write offsets")
	case offset < 0:
		return objstore.Info{}, offsetMoved(key)
	}
	if err := keepable("append", key, opt); err != nil {
		return objstore.Info{}, err
	}
	id, err := s.idOr(opt.WriteID)
	if err != nil {
		return objstore.Info{}, writeError("append", key, objstore.ErrUnavailable, err)
	}
	d := &draft{op: "append", key: key, cond: cond, opt: opt, id: id, meta: opt.UserMeta}
	if err := s.slot(ctx, d); err != nil {
		return objstore.Info{}, err
	}
	defer s.free()
	tail, err := s.tail(ctx, d, body)
	if err != nil {
		return objstore.Info{}, err
	}
	made, err := s.settle(ctx, s.appendOf(d, offset, tail))
	if errors.Is(err, objstore.ErrRange) {
		return objstore.Info{}, offsetMoved(key)
	}
	if err != nil {
		return objstore.Info{}, err
	}
	d.size += offset
	return s.describe(ctx, d, made), nil
}

func offsetMoved(key objstore.Key) error {
	return &objstore.Error{Op: "append", Key: string(key), Kind: objstore.ErrRange, Err: objstore.OffsetMoved}
}

// tail reads what is to be appended.
func (s *Store) tail(ctx context.Context, d *draft, body io.Reader) ([]byte, error) {
	var all, part bytes.Buffer
	for d.size <= appendBytesMax {
		more, err := s.fill(ctx, d, &part, body)
		if err != nil {
			return nil, err
		}
		all.Write(part.Bytes())
		if !more {
			return all.Bytes(), nil
		}
	}
	return nil, refusal(d.op, d.key, objstore.ErrTooLarge, fmt.Sprintf("at most %d bytes can be appended at once", appendBytesMax))
}

// appendOf is the request. What an append whose reply was lost became is seen only by a server that knows its id:
// objects keep the metadata they were made with.
func (s *Store) appendOf(d *draft, offset int64, tail []byte) write {
	return write{op: d.op, key: d.key, repeatable: s.ours, recognised: s.ours, send: func(ctx context.Context) (stamp, error) {
		out, err := s.client.PutObject(ctx, &s3.PutObjectInput{
			Bucket: s.bucket(), Key: s.key(d.key), Body: bytes.NewReader(tail), ContentLength: aws.Int64(int64(len(tail))),
			WriteOffsetBytes: aws.Int64(offset), IfMatch: s.match(d.cond), IfNoneMatch: noneMatch(d.cond),
			ContentType: optional(d.opt.ContentType), Metadata: d.meta,
		}, named(d.id), s.own(headerIfVersion, d.cond))
		if err != nil {
			return stamp{}, err
		}
		return stampOf(out.ETag, out.ResultMetadata), nil
	}}
}
