package remote

import (
	"bytes"
	"context"
	"io"
	"sync"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/wire"
)

// reader implements [objstore.Reader].
type reader struct {
	// Constant.
	s    *Store
	info objstore.Info
	data []byte // the whole content, or nil
	kept bool   // the side of a conflict: it cannot be opened by its version

	mu sync.Mutex
	// Guarded by mu.
	users   int // of the pin: whoever opened it, and stages
	closed  bool
	session *session
	handle  uint64
	// borrowed: the handle is that of a stage, which the reader is the base of.
	borrowed bool
}

// newReader is what a session has opened.
func (s *Store) newReader(in *session, m *wire.Opened, kept bool) *reader {
	r := &reader{s: s, info: m.Info, data: m.Data, kept: kept, users: 1, session: in, handle: m.Handle}
	if !kept {
		s.pins.add(r)
	}
	return r
}

// opening asks for a reader. The session its handle belongs to is that of the answer.
func (s *Store) opening(ctx context.Context, q request) (*reader, error) {
	var in *session
	message := q.message
	q.build = func(_ context.Context, current *session) (wire.Message, *content, error) {
		in = current
		return message, nil, nil
	}
	var m wire.Opened
	if err := s.ask(ctx, q, &m); err != nil {
		return nil, err
	}
	return s.newReader(in, &m, q.method == wire.MethodOpenConflict), nil
}

// Info implements [objstore.Reader].
func (r *reader) Info() objstore.Info { return r.info }

// ReadAt implements [objstore.Reader].
func (r *reader) ReadAt(ctx context.Context, p []byte, off int64) (int, error) {
	if err := r.use(); err != nil {
		return 0, err
	}
	defer r.drop()
	return r.readAt(ctx, p, off)
}

// readAt is ReadAt for whoever keeps the reader open.
func (r *reader) readAt(ctx context.Context, p []byte, off int64) (int, error) {
	switch {
	case off < 0:
		return 0, &objstore.Error{Op: "read", Kind: objstore.ErrInvalid, Detail: "negative offset"}
	case r.data != nil:
		return readData(r.data, p, off)
	case len(p) == 0:
		return 0, nil
	case off >= r.info.Size:
		return 0, io.EOF
	}
	length := min(int64(len(p)), r.info.Size-off)
	in := r.stream(ctx, off, length)
	n, err := io.ReadFull(in, p[:length])
	in.end()
	if err == nil && n < len(p) {
		err = io.EOF
	}
	return n, err
}

func readData(data, p []byte, off int64) (int, error) {
	if off >= int64(len(data)) {
		if len(p) == 0 {
			return 0, nil
		}
		return 0, io.EOF
	}
	n := copy(p, data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// Stream implements [objstore.Reader].
func (r *reader) Stream(ctx context.Context, off, length int64) io.ReadCloser {
	if err := r.use(); err != nil {
		return failing{err}
	}
	return r.streamUsed(ctx, off, length)
}

// streamUsed is Stream for a use that ends with it.
func (r *reader) streamUsed(ctx context.Context, off, length int64) io.ReadCloser {
	switch {
	case off < 0 || off > r.info.Size || length < -1:
		r.drop()
		return failing{&objstore.Error{Op: "read", Kind: objstore.ErrRange}}
	case length < 0 || length > r.info.Size-off:
		length = r.info.Size - off
	}
	if r.data != nil {
		defer r.drop()
		return io.NopCloser(bytes.NewReader(r.data[off : off+length]))
	}
	in := r.stream(ctx, off, length)
	in.closed = sync.OnceFunc(r.drop)
	return in
}

// sharedReader is another use of a reader, which it may outlive.
type sharedReader struct {
	reader *reader
	once   sync.Once
}

// Share is one more.
func (r *sharedReader) Share() (objstore.Reader, error) {
	r.reader.retain()
	return &sharedReader{reader: r.reader}, nil
}

// Info implements [objstore.Reader].
func (r *sharedReader) Info() objstore.Info { return r.reader.info }

// ReadAt implements [objstore.Reader].
func (r *sharedReader) ReadAt(ctx context.Context, p []byte, off int64) (int, error) {
	return r.reader.readAt(ctx, p, off)
}

// Stream implements [objstore.Reader].
func (r *sharedReader) Stream(ctx context.Context, off, length int64) io.ReadCloser {
	r.reader.retain()
	return r.reader.streamUsed(ctx, off, length)
}

// Close implements [objstore.Reader].
func (r *sharedReader) Close() error {
	r.once.Do(r.reader.drop)
	return nil
}

type failing struct{ err error }

// Read implements [io.Reader].
func (f failing) Read([]byte) (int, error) { return 0, f.err }

// Close implements [io.Closer].
func (failing) Close() error { return nil }

// use keeps the pin while something is read.
func (r *reader) use() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return &objstore.Error{Op: "read", Kind: objstore.ErrClosed}
	}
	r.users++
	return nil
}

// retain is use for whoever knows that there are users.
func (r *reader) retain() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.users++
}

// drop ends a use. No reader, no use.
func (r *reader) drop() {
	if r == nil {
		return
	}
	r.mu.Lock()
	r.users--
	last, borrowed, in, handle := r.users == 0, r.borrowed, r.session, r.handle
	r.mu.Unlock()
	if !last {
		return
	}
	if !borrowed {
		r.s.release(in, handle)
	}
	r.s.release(r.s.pins.remove(r))
}

// Close implements [objstore.Reader].
func (r *reader) Close() error {
	r.mu.Lock()
	closed := r.closed
	r.closed = true
	r.mu.Unlock()
	if !closed {
		r.drop()
	}
	return nil
}

// handleIn is the handle of the reader in a session. In another than the one it was opened in it is opened again.
func (r *reader) handleIn(ctx context.Context, in *session) (uint64, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.session == in {
		return r.handle, nil
	}
	if handle := r.s.pins.take(r, in); handle != 0 {
		r.session, r.handle, r.borrowed = in, handle, false
		return handle, nil
	}
	if r.kept {
		return 0, &objstore.Error{Op: "read", Kind: objstore.ErrUnavailable, Detail: "the server began anew"}
	}
	var m wire.Opened
	err := r.s.ask(ctx, request{
		op: "open", method: wire.MethodOpen, message: &wire.Open{ID: r.info.ID, Want: r.info.Version}, within: in,
	}, &m)
	if objstore.IsLostCondition(err) {
		err = &objstore.Error{Op: "open", Kind: objstore.ErrUnavailable, Detail: "the server began anew, and what was read is gone", Err: err}
	}
	if err != nil {
		return 0, err
	}
	r.session, r.handle, r.borrowed = in, m.Handle, false
	return r.handle, nil
}

// seek finds data or a hole, or the end.
func (r *reader) seek(ctx context.Context, off int64, hole bool) (int64, error) {
	if r.data != nil {
		if hole {
			return r.info.Size, nil
		}
		return off, nil
	}
	var m wire.Offset
	err := r.s.ask(ctx, request{
		op: "seek", method: wire.MethodSeek,
		build: func(ctx context.Context, in *session) (wire.Message, *content, error) {
			handle, err := r.handleIn(ctx, in)
			return &wire.Seek{Handle: handle, Offset: off, Hole: hole}, nil, err
		},
	}, &m)
	if objstore.KindOf(err) == objstore.ErrRange {
		return r.info.Size, nil
	}
	return m.Offset, err
}

// stream reads a range in order. A connection that breaks is replaced.
type stream struct {
	r      *reader
	ctx    context.Context
	off    int64
	left   int64
	tries  *tries
	reply  *reply
	body   *wire.BodyReader
	last   wire.BodyEnd
	over   bool
	closed func() // called by Close
}

func (r *reader) stream(ctx context.Context, off, length int64) *stream {
	return &stream{r: r, ctx: ctx, off: off, left: length, tries: r.s.newTries("read", "", false)}
}

// Read implements [io.Reader].
func (s *stream) Read(p []byte) (int, error) {
	for {
		if s.over {
			return 0, &objstore.Error{Op: "read", Kind: objstore.ErrClosed}
		}
		if s.left == 0 {
			return 0, io.EOF
		}
		if err := s.connect(); err != nil {
			return 0, err
		}
		n, err := s.body.Read(p[:min(int64(len(p)), s.left)])
		s.off, s.left = s.off+int64(n), s.left-int64(n)
		switch {
		case n > 0:
			return n, nil
		case err == io.EOF:
			if err := s.last.Failure.Err(); err != nil {
				return 0, err
			}
			return 0, &objstore.Error{Op: "read", Kind: objstore.ErrCorrupt, Detail: "the content is shorter than it should be"}
		case err != nil:
			s.end()
			if err := s.tries.again(s.ctx, err); err != nil {
				return 0, err
			}
		}
	}
}

func (s *stream) connect() error {
	if s.reply != nil {
		return nil
	}
	reply, err := s.r.s.exchange(s.ctx, request{
		op: "read", method: wire.MethodRead,
		build: func(ctx context.Context, in *session) (wire.Message, *content, error) {
			handle, err := s.r.handleIn(ctx, in)
			return &wire.Read{Handle: handle, Offset: s.off, Length: s.left}, nil, err
		},
	})
	if err != nil {
		return err
	}
	if err := reply.state.Failure.Err(); err != nil {
		reply.close()
		return err
	}
	s.reply, s.last = reply, wire.BodyEnd{}
	s.body = wire.NewBodyReader(reply.body, &s.last)
	return nil
}

func (s *stream) end() {
	if s.reply == nil {
		return
	}
	if s.left == 0 {
		s.reply.close() // only the end is left
	} else {
		_ = s.reply.body.Close()
	}
	s.reply = nil
}

// Close implements [io.Closer].
func (s *stream) Close() error {
	s.over = true
	s.end()
	s.closed()
	return nil
}
