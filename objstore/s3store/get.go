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

// Get asks for the beginning of the object, which tells the rest about it. Where that was replaced in between the newer one
// will do, unless a version was demanded.
func (s *Store) Get(ctx context.Context, key objstore.Key, cond objstore.Cond) (objstore.Reader, error) {
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
	for try := 1; ; try++ {
		r, changed, err := s.get(ctx, key, cond)
		if err == nil {
			return r, nil
		}
		if !changed || try == triesMax || s.backOff(ctx, try) != nil {
			return nil, err
		}
	}
}

// get is one try of Get; changed: the object changed after the first answer, and another try may do.
func (s *Store) get(ctx context.Context, key objstore.Key, cond objstore.Cond) (_ *reader, changed bool, _ error) {
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
		return nil, false, readError("get", key, err)
	}
	defer out.Body.Close()
	r, err := s.readerOf(key, out)
	if err != nil {
		return nil, false, err
	}
	v, versioned := cond.Version()
	if versioned && v != r.info.Version {
		return nil, false, refusal("get", key, objstore.ErrPrecondition, "")
	}
	if r.info.Size > s.opt.PrefetchBytes {
		return r, false, nil
	}
	if r.whole, err = io.ReadAll(out.Body); err != nil || int64(len(r.whole)) != r.info.Size {
		r.whole, err = r.fetch(ctx)
	}
	if err != nil {
		return nil, objstore.IsLostCondition(err) && !versioned, err
	}
	return r, false, nil
}

// readerOf is of what a first answer tells; its body is yet to be read.
func (s *Store) readerOf(key objstore.Key, out *s3.GetObjectOutput) (*reader, error) {
	size, ok := sizeOf(out)
	if !ok {
		return nil, refusal("get", key, objstore.ErrUnavailable, "answered a range of unknown size: "+aws.ToString(out.ContentRange))
	}
	info := objstore.Info{
		Type: objstore.TypeFile, Nlink: 1, Size: size, Modified: aws.ToTime(out.LastModified),
		ContentType: aws.ToString(out.ContentType), UserMeta: shown(out.Metadata),
	}
	r := &reader{s: s, key: key, info: described(info, stampOf(out.ETag, out.ResultMetadata))}
	if id := aws.ToString(out.VersionId); id != "null" {
		r.versionID = id
	}
	return r, nil
}

// getEmpty is get of an object without a first byte.
func (s *Store) getEmpty(ctx context.Context, key objstore.Key, cond objstore.Cond) (_ *reader, changed bool, _ error) {
	info, _, err := s.head(ctx, "get", key, cond)
	if err != nil {
		return nil, false, err
	}
	if info.Size > 0 {
		return nil, true, refusal("get", key, objstore.ErrPrecondition, "it was empty, and is not any more")
	}
	return &reader{s: s, key: key, info: info, whole: []byte{}}, false, nil
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
	if kindOf(err) == objstore.ErrRange { // of a shorter object
		return &objstore.Error{Op: "read", Key: string(b.r.key), Kind: objstore.ErrPrecondition, Err: err}
	}
	if err != nil {
		return readError("read", b.r.key, err)
	}
	if err := b.refuse(out); err != nil {
		out.Body.Close()
		return err
	}
	b.in = out.Body
	return nil
}

// refuse is nil if an answer has the bytes that were asked for. One of another version, or of an object of another size, is a
// lost condition: some stores evaluate conditions first and open the object then, which may have been replaced in between.
func (b *body) refuse(out *s3.GetObjectOutput) error {
	if is := stampOf(out.ETag, out.ResultMetadata); is.version != b.r.info.Version {
		return &objstore.Error{Op: "read", Key: string(b.r.key), Kind: objstore.ErrPrecondition, Winner: is.etag}
	}
	want, got := fmt.Sprintf("bytes %d-%d/%d", b.off, b.end-1, b.r.info.Size), aws.ToString(out.ContentRange)
	if got == want {
		return nil
	}
	kind := objstore.ErrUnavailable
	if size, ok := sizeOf(out); ok && size != b.r.info.Size {
		kind = objstore.ErrPrecondition
	}
	return refusal("read", b.r.key, kind, "asked for "+want+", was answered "+got)
}

// sizeOf is the size of the object that an answer is of, if it tells.
func sizeOf(out *s3.GetObjectOutput) (size int64, ok bool) {
	span := aws.ToString(out.ContentRange)
	if span == "" { // all of it
		return aws.ToInt64(out.ContentLength), out.ContentLength != nil
	}
	_, total, _ := strings.Cut(span, "/")
	size, err := strconv.ParseInt(total, 10, 64)
	return size, err == nil
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
