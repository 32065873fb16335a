package memstore

import (
	"context"
	"io"
	"sync/atomic"

	"github.com/etagfs/etagfs/objstore"
)

// reader pins a content by holding on to it.
type reader struct {
	// Constant.
	info    objstore.Info
	content *content

	closed atomic.Bool
}

// Info implements [objstore.Reader].
func (r *reader) Info() objstore.Info { return r.info }

// ReadAt implements [objstore.Reader].
func (r *reader) ReadAt(ctx context.Context, p []byte, off int64) (int, error) {
	switch {
	case ctx.Err() != nil:
		return 0, r.failed(orCancelled(ctx, nil))
	case r.closed.Load():
		return 0, r.failed(objstore.ErrClosed)
	case off < 0:
		return 0, r.failed(objstore.ErrInvalid)
	}
	return readAt(r.content.chunks, r.content.size, p, off)
}

func (r *reader) failed(err error) error {
	return named("read", "version "+string(r.info.Version), err)
}

// Stream implements [objstore.Reader].
func (r *reader) Stream(ctx context.Context, off, length int64) io.ReadCloser {
	s := &stream{r: r, off: off, end: r.content.size}
	s.readAt = func(p []byte, off int64) (int, error) { return r.ReadAt(ctx, p, off) }
	switch {
	case off < 0 || length < -1 || off > r.content.size:
		s.err = r.failed(objstore.ErrRange)
	case length >= 0:
		s.end = min(s.end, off+length)
	}
	return s
}

// Close implements [objstore.Reader].
func (r *reader) Close() error {
	r.closed.Store(true)
	return nil
}

// stream reads a range of a reader in order.
type stream struct {
	r      *reader
	readAt func(p []byte, off int64) (int, error)
	off    int64
	end    int64
	err    error // sticky
}

// Read implements [io.Reader].
func (s *stream) Read(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	if s.off >= s.end {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), s.end-s.off)]
	n, err := s.readAt(p, s.off)
	s.off += int64(n)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, s.err
}

// Close implements [io.Closer].
func (s *stream) Close() error {
	s.err = s.r.failed(objstore.ErrClosed)
	return nil
}
