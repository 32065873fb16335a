package cache

import (
	"context"
	"io"

	"github.com/etagfs/etagfs/objstore"
)

// readerAt is what a stream reads from.
type readerAt interface {
	ReadAt(ctx context.Context, p []byte, off int64) (int, error)
}

// stream reads a range in order.
type stream struct {
	ctx context.Context // of the one stream
	r   readerAt
	off int64
	end int64
	err error // what every read fails with
}

// newStream is a stream of length bytes from off of a content of the given size; length -1 means to the end.
func newStream(ctx context.Context, r readerAt, size, off, length int64) *stream {
	s := &stream{ctx: ctx, r: r}
	if off < 0 || length < -1 {
		s.err = named("read", "", problem(objstore.ErrInvalid, "negative offset or length"))
		s.end = 1
		return s
	}
	s.off = min(off, size)
	s.end = size
	if length >= 0 {
		s.end = s.off + min(length, size-s.off)
	}
	return s
}

func (s *stream) Read(p []byte) (int, error) {
	if s.off >= s.end {
		return 0, io.EOF
	}
	if s.err != nil {
		return 0, s.err
	}
	n, err := s.r.ReadAt(s.ctx, p[:min(int64(len(p)), s.end-s.off)], s.off)
	s.off += int64(n)
	if n > 0 {
		return n, nil
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return 0, err
}

func (s *stream) Close() error {
	s.end = s.off
	return nil
}
