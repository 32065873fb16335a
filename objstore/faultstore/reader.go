package faultstore

import (
	"context"
	"io"

	"github.com/etagfs/etagfs/objstore"
)

// reader wraps an [objstore.Reader].
type reader struct {
	// Constant.
	objstore.Reader
	f   *faults
	key string
}

// open runs an operation that returns a reader.
func (f *faults) open(ctx context.Context, op Op, run func() (objstore.Reader, error)) (objstore.Reader, error) {
	drop := func(r objstore.Reader) { r.Close() } // its error is lost with the reply
	inner, err := call(ctx, f, op, drop, run)
	if err != nil {
		return nil, err
	}
	return &reader{inner, f, op.Key}, nil
}

// ReadAt implements [objstore.Reader].
func (r *reader) ReadAt(ctx context.Context, p []byte, off int64) (int, error) {
	op := r.f.begin(OpRead, r.key)
	op.Offset = off
	return call(ctx, r.f, op, nil, func() (int, error) {
		if err := r.f.decide(ctx, op, Body, nil); err != nil {
			return 0, err
		}
		return r.Reader.ReadAt(ctx, p, off)
	})
}

// Stream implements [objstore.Reader].
func (r *reader) Stream(ctx context.Context, off, length int64) io.ReadCloser {
	inner := r.Reader.Stream(ctx, off, length)
	return struct {
		io.Reader
		io.Closer
	}{r.f.torn(ctx, r.f.begin(OpStream, r.key), inner), inner}
}
