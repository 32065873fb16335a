package sessions

import (
	"context"
	"io"
	"time"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/wire"
)

// request is one that belongs to a session.
type request struct {
	Call
	head wire.Head
	rest []byte // its message
	torn error  // what the body ended with, if it did not end
	// moved is called once what the request has done may be acknowledged; nil: nobody wants to know.
	moved func()
}

// end is the last of a request that changes something.
func (r *request) end() {
	if r.moved != nil {
		r.moved()
	}
}

// handler answers a request of one message.
type handler func(context.Context, *request) (wire.Message, error)

// with decodes the message for f.
func with[M any, P interface {
	*M
	wire.Message
}](f func(context.Context, *request, P) (wire.Message, error)) handler {
	return func(ctx context.Context, r *request) (wire.Message, error) {
		m := P(new(M))
		if err := wire.Decode(r.rest, m); err != nil {
			return nil, err
		}
		return f(ctx, r, m)
	}
}

func (s *session) serve(ctx context.Context, r *request) error {
	switch m := r.head.Method; {
	case m == wire.MethodWatch:
		return s.watch(ctx, r)
	case m == wire.MethodRead:
		return s.read(ctx, r)
	case m == wire.MethodGoodbye:
		return s.goodbye(r)
	case m.Once():
		return s.once(ctx, r, s.mutation(m))
	default:
		message, err := s.question(m)(ctx, r)
		_, err = r.Reply.Write(s.reply(message, err))
		return err
	}
}

func (s *session) goodbye(r *request) error {
	t := s.table
	t.mu.Lock()
	_, was := t.sessions[s.id]
	delete(t.sessions, s.id)
	t.mu.Unlock()
	s.end()
	if was {
		t.opt.Clients.ClientWent()
	}
	return send(r.Reply, &wire.State{})
}

// mutation is the handler of a method that has an effect once.
func (s *session) mutation(m wire.Method) handler {
	switch m {
	case wire.MethodMake:
		return with(s.make)
	case wire.MethodLink:
		return with(s.link)
	case wire.MethodUnlink:
		return with(s.unlink)
	case wire.MethodRmdir:
		return with(s.rmdir)
	case wire.MethodMove:
		return with(s.move)
	case wire.MethodSetAttr:
		return with(s.setAttr)
	case wire.MethodPush:
		return with(s.push)
	case wire.MethodDropConflict:
		return with(s.dropConflict)
	case wire.MethodPut:
		return with(s.put)
	case wire.MethodDelete:
		return with(s.delete)
	case wire.MethodCopy:
		return with(s.copy)
	case wire.MethodLock:
		return with(s.lock)
	case wire.MethodAwaitLock:
		return with(s.awaitLock)
	case wire.MethodReclaim:
		return with(s.reclaim)
	default:
		return with(s.rename)
	}
}

// question is the handler of a method that changes nothing.
func (s *session) question(m wire.Method) handler {
	switch m {
	case wire.MethodResolve:
		return with(s.resolve)
	case wire.MethodRelease:
		return with(s.releaseHandles)
	case wire.MethodSeek:
		return with(s.seek)
	case wire.MethodNewIDs:
		return with(s.newIDs)
	case wire.MethodLookup:
		return with(s.lookup)
	case wire.MethodStat:
		return with(s.stat)
	case wire.MethodParent:
		return with(s.parent)
	case wire.MethodPath:
		return with(s.path)
	case wire.MethodReadDir:
		return with(s.readDir)
	case wire.MethodReadlink:
		return with(s.readlink)
	case wire.MethodOpen:
		return with(s.open)
	case wire.MethodUsage:
		return with(s.usage)
	case wire.MethodSync:
		return with(s.sync)
	case wire.MethodListConflicts:
		return with(s.listConflicts)
	case wire.MethodConflict:
		return with(s.conflict)
	case wire.MethodOpenConflict:
		return with(s.openConflict)
	case wire.MethodGet:
		return with(s.get)
	case wire.MethodHead:
		return with(s.headOf)
	case wire.MethodList:
		return with(s.list)
	case wire.MethodAnswer:
		return with(s.answer)
	case wire.MethodLease:
		return with(s.renewLease)
	default:
		return with(s.ping)
	}
}

func (s *session) ping(context.Context, *request, *wire.None) (wire.Message, error) {
	return &wire.None{}, nil
}

func (s *session) releaseHandles(_ context.Context, _ *request, m *wire.Release) (wire.Message, error) {
	s.release(m.Handles)
	return &wire.None{}, nil
}

// signsOfLife comes often enough that neither side takes the other for dead.
func (s *session) signsOfLife() (<-chan time.Time, func()) {
	t := time.NewTicker(s.table.opt.Lease / 3)
	return t.C, t.Stop
}

// body reads the body of a request, and notes if it was cut off.
func (r *request) body(end wire.Message) io.Reader {
	return &tornReader{wire.NewBodyReader(r.Body, end), r}
}

type tornReader struct {
	src io.Reader
	r   *request
}

func (t *tornReader) Read(p []byte) (int, error) {
	n, err := t.src.Read(p)
	if err != nil && err != io.EOF {
		t.r.torn = err
	}
	return n, err
}

// read streams bytes behind a handle.
func (s *session) read(ctx context.Context, r *request) error {
	var m wire.Read
	if err := wire.Decode(r.rest, &m); err != nil {
		return err
	}
	h, err := s.handle("read", m.Handle)
	if err != nil {
		return send(r.Reply, &wire.State{Failure: wire.FailureOf(err)})
	}
	if err := send(r.Reply, &wire.State{}); err != nil {
		return err
	}
	body := wire.NewBodyWriter(r.Reply)
	failure, err := s.copyOut(ctx, body, h, m.Offset, m.Length)
	if err != nil {
		return err
	}
	return body.End(&wire.BodyEnd{Failure: wire.FailureOf(failure)})
}

// copyOut writes what can be read; failure is why it is less than was asked for.
func (s *session) copyOut(ctx context.Context, w io.Writer, h *handle, off, length int64) (failure, err error) {
	readAt, size := h.readAt()
	if length < 0 {
		length = size - off
	}
	buf := s.table.buffers.Get().(*[wire.PartBytes]byte)
	defer s.table.buffers.Put(buf)
	for length > 0 {
		n, failure := readAt(ctx, buf[:min(length, int64(len(buf)))], off)
		if n > 0 {
			if _, err := w.Write(buf[:n]); err != nil {
				return nil, err
			}
		}
		off, length = off+int64(n), length-int64(n)
		if failure != nil || n == 0 {
			return notEOF(failure), nil
		}
	}
	return nil, nil
}

func notEOF(err error) error {
	if err == io.EOF {
		return nil
	}
	return err
}

func (h *handle) readAt() (readAt func(context.Context, []byte, int64) (int, error), size int64) {
	if h.stage != nil {
		return h.stage.ReadAt, h.stage.Size()
	}
	return h.reader.ReadAt, h.reader.Info().Size
}

// seek finds data or a hole. A reader knows of none: a stage on it does.
func (s *session) seek(ctx context.Context, _ *request, m *wire.Seek) (wire.Message, error) {
	h, err := s.handle("seek", m.Handle)
	if err != nil {
		return nil, err
	}
	stage := h.stage
	if stage == nil {
		if stage, err = s.ns.NewStage(ctx, objstore.StageSpec{Base: h.reader}); err != nil {
			return nil, err
		}
		defer stage.Close()
	}
	find := stage.NextData
	if m.Hole {
		find = stage.NextHole
	}
	off, err := find(ctx, m.Offset)
	return &wire.Offset{Offset: off}, err
}
