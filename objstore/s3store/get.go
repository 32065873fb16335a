package s3store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/etagfs/etagfs/objstore"
)

// reader reads one version. What it has in memory needs the store no more. All requests for the rest name the
// version, and their answers have to be of it.
type reader struct {
	// Constant.
	s         *Store
	key       objstore.Key
	info      objstore.Info
	versionID string // in a versioned bucket, where old contents can be read; else empty
	whole     []byte // the content, if it is small; else nil

	closed atomic.Bool
}

// Get asks for the beginning of the object, which tells the rest about it.
func (s *Store) Get(ctx context.Context, key objstore.Key, cond objstore.Cond) (objstore.Reader, error) {
	_, versioned := cond.Version()
	switch {
	case !cond.Valid() || key == "":
		return nil, refusal("get", key, objstore.ErrInvalid, "no condition, or no key")
	case cond.IsIfAbsent():
		_, err := s.Head(ctx, key)
		if err == nil {
			err = refusal("get", key, objstore.ErrPrecondition, "")
		}
		return nil, err
	}
	out, err := again(ctx, s, func() (*s3.GetObjectOutput, error) {
		return s.client.GetObject(ctx, &s3.GetObjectInput{
			Bucket: s.bucket(), Key: s.key(key), IfMatch: s.match(cond),
			Range: aws.String(fmt.Sprintf("bytes=0-%d", s.opt.PrefetchBytes-1)),
		}, s.own(headerIfVersion, cond))
	})
	if kindOf(err) == objstore.ErrRange {
		return s.getEmpty(ctx, key, cond)
	}
	if err != nil {
		return nil, readError("get", key, err)
	}
	defer out.Body.Close()
	info := objstore.Info{
		Type: objstore.TypeFile, Nlink: 1, Size: aws.ToInt64(out.ContentLength), Modified: aws.ToTime(out.LastModified),
		ContentType: aws.ToString(out.ContentType), UserMeta: shown(out.Metadata),
	}
	if _, total, ok := strings.Cut(aws.ToString(out.ContentRange), "/"); ok {
		if info.Size, err = strconv.ParseInt(total, 10, 64); err != nil {
			return nil, readError("get", key, err)
		}
	}
	r := &reader{s: s, key: key, info: described(info, stampOf(out.ETag, out.ResultMetadata))}
	if v, ok := cond.Version(); ok && v != r.info.Version {
		return nil, refusal("get", key, objstore.ErrPrecondition, "")
	}
	if id := aws.ToString(out.VersionId); id != "null" {
		r.versionID = id
	}
	if r.info.Size > s.opt.PrefetchBytes {
		return r, nil
	}
	if r.whole, err = io.ReadAll(out.Body); err != nil || int64(len(r.whole)) != r.info.Size {
		r.whole, err = r.fetch(ctx)
	}
	if objstore.IsLostCondition(err) && !versioned {
		return s.Get(ctx, key, cond) // replaced in between: the newer one will do
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

// getEmpty is Get of an object without a first byte.
func (s *Store) getEmpty(ctx context.Context, key objstore.Key, cond objstore.Cond) (objstore.Reader, error) {
	info, _, err := s.head(ctx, "get", key, cond)
	if err != nil {
		return nil, err
	}
	if info.Size > 0 {
		return s.Get(ctx, key, cond)
	}
	return &reader{s: s, key: key, info: info, whole: []byte{}}, nil
}

// fetch reads all of a small object whose first answer was cut off.
func (r *reader) fetch(ctx context.Context) ([]byte, error) {
	whole := make([]byte, r.info.Size)
	body := &body{ctx: ctx, r: r, end: r.info.Size}
	defer body.Close()
	_, err := io.ReadFull(body, whole)
	return whole, err
}

func (r *reader) Info() objstore.Info { return r.info }

func (r *reader) Close() error {
	r.closed.Store(true)
	return nil
}

func (r *reader) usable(off int64) error {
	switch {
	case r.closed.Load():
		return refusal("read", r.key, objstore.ErrClosed, "")
	case off < 0:
		return refusal("read", r.key, objstore.ErrInvalid, "negative offset")
	}
	return nil
}

func (r *reader) ReadAt(ctx context.Context, p []byte, off int64) (int, error) {
	if err := r.usable(off); err != nil {
		return 0, err
	}
	if err := ctx.Err(); err != nil {
		return 0, readError("read", r.key, err)
	}
	if off >= r.info.Size {
		return 0, io.EOF
	}
	in := r.Stream(ctx, off, min(int64(len(p)), r.info.Size-off))
	defer in.Close()
	n, err := io.ReadFull(in, p[:min(int64(len(p)), r.info.Size-off)])
	if err == nil && n < len(p) {
		err = io.EOF
	}
	return n, err
}

func (r *reader) Stream(ctx context.Context, off, length int64) io.ReadCloser {
	if err := r.usable(off); err != nil {
		return failed{err}
	}
	if length < -1 {
		return failed{refusal("read", r.key, objstore.ErrInvalid, "negative length")}
	}
	off = min(off, r.info.Size)
	end := r.info.Size
	if length >= 0 {
		end = off + min(length, end-off)
	}
	if r.whole != nil {
		return io.NopCloser(bytes.NewReader(r.whole[off:end]))
	}
	return &body{ctx: ctx, r: r, off: off, end: end}
}

type failed struct{ err error }

func (f failed) Read([]byte) (int, error) { return 0, f.err }
func (f failed) Close() error             { return nil }

// body streams a range and goes on with a new request where one broke off.
type body struct {
	ctx    context.Context // of the one stream
	r      *reader
	off    int64
	end    int64
	in     io.ReadCloser // nil: none is open
	broken int           // requests in a row that brought nothing
}

func (b *body) Read(p []byte) (int, error) {
	for {
		if b.off >= b.end {
			return 0, io.EOF
		}
		if b.in == nil {
			if err := b.open(); err != nil {
				return 0, err
			}
		}
		n, err := b.in.Read(p[:min(int64(len(p)), b.end-b.off)])
		b.off += int64(n)
		if n > 0 {
			b.broken = 0
		}
		if err != nil {
			b.in.Close()
			b.in = nil
			b.broken++
		}
		if n > 0 || len(p) == 0 {
			return n, nil
		}
		if b.broken >= triesMax || b.ctx.Err() != nil {
			return 0, readError("read", b.r.key, errors.Join(err, b.ctx.Err()))
		}
	}
}

func (b *body) open() error {
	s, pin := b.r.s, objstore.IfVersion(b.r.info.Version)
	out, err := again(b.ctx, s, func() (*s3.GetObjectOutput, error) {
		return s.client.GetObject(b.ctx, &s3.GetObjectInput{
			Bucket: s.bucket(), Key: s.key(b.r.key), VersionId: optional(b.r.versionID), IfMatch: s.match(pin),
			Range: aws.String(fmt.Sprintf("bytes=%d-%d", b.off, b.end-1)),
		}, s.own(headerIfVersion, pin))
	})
	if err != nil {
		return readError("read", b.r.key, err)
	}
	if is := stampOf(out.ETag, out.ResultMetadata); is.version != b.r.info.Version {
		out.Body.Close()
		return &objstore.Error{Op: "read", Key: string(b.r.key), Kind: objstore.ErrPrecondition, Winner: is.etag}
	}
	if want := fmt.Sprintf("bytes %d-%d/%d", b.off, b.end-1, b.r.info.Size); aws.ToString(out.ContentRange) != want {
		out.Body.Close()
		return refusal("read", b.r.key, objstore.ErrUnavailable, "asked for "+want+", was answered "+aws.ToString(out.ContentRange))
	}
	b.in = out.Body
	return nil
}

func (b *body) Close() error {
	b.end = b.off
	if b.in == nil {
		return nil
	}
	in := b.in
	b.in = nil
	return in.Close()
}
