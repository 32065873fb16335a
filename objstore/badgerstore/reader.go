package badgerstore

import (
	"context"
	"io"
	"sync"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/record"
)

// reader reads one version.
type reader struct {
	// Constant.
	info objstore.Info

	mu      sync.RWMutex
	content *pinned // GUARDED_BY(mu); nil once closed
}

// open pins the content of o.
func (v *view) open(o *record.Object, info objstore.Info) (*reader, error) {
	p, err := v.pin(o.ID, o.Version, o.Content)
	if err != nil {
		return nil, err
	}
	return &reader{info: info, content: p}, nil
}

// readInline reads a content that is one inline payload: who asked for it is going to, and may
// have announced it to others by the time it turns out to be damaged. If it fails r is closed.
func (r *reader) readInline() error {
	_, err := r.content.inlineIfAny()
	if err != nil {
		r.content.release()
		r.content = nil
	}
	return err
}

// hold is the content with a hold of its own; nil once the reader is closed.
func (r *reader) hold() *pinned {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.content == nil {
		return nil
	}
	return r.content.hold()
}

// Info implements [objstore.Reader].
func (r *reader) Info() objstore.Info { return r.info }

// ReadAt implements [objstore.Reader].
func (r *reader) ReadAt(ctx context.Context, p []byte, off int64) (int, error) {
	if err := cancelled(ctx); err != nil {
		return 0, r.failed(err)
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.content == nil {
		return 0, r.failed(objstore.ErrClosed)
	}
	n, err := r.content.ReadAt(ctx, p, off)
	if err != nil && err != io.EOF {
		err = r.failed(err)
	}
	return n, err
}

func (r *reader) failed(err error) error {
	return named("read", "version "+string(r.info.Version), err)
}

// Stream implements [objstore.Reader].
func (r *reader) Stream(ctx context.Context, off, length int64) io.ReadCloser {
	s := r.stream(ctx, off, length)
	if file, start, ok := r.checkedFile(ctx, s); ok {
		return &fileStream{stream: s, file: file, start: start}
	}
	return s
}

func (r *reader) stream(ctx context.Context, off, length int64) *stream {
	s := &stream{r: r, off: off, end: r.info.Size}
	s.readAt = func(p []byte, off int64) (int, error) { return r.ReadAt(ctx, p, off) }
	switch {
	case off < 0 || length < -1 || off > r.info.Size:
		s.err = r.failed(objstore.ErrRange)
	case length >= 0:
		s.end = min(s.end, off+length)
	}
	return s
}

// Close implements [objstore.Reader].
func (r *reader) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.content != nil {
		r.content.release()
		r.content = nil
	}
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
	if s.err == objstore.ErrClosed {
		return 0, s.r.failed(s.err) // that is named by who asks: most never do
	}
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
	s.err = objstore.ErrClosed
	return nil
}
