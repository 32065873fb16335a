package sessions

import (
	"context"
	"encoding/hex"
	"io"
	"sync"
	"time"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/locks"
	"github.com/etagfs/etagfs/objstore/wire"
)

// sessionsMax is how many clients there may be at once.
const sessionsMax = 4096

// Options are what a table works with. All are needed but Settled and Moving.
type Options struct {
	Lease      time.Duration // a session without requests ends after it
	CacheLease time.Duration // the longest that a client answers from what it remembers without being heard of
	LockLease  time.Duration // a session without requests has no locks after it
	Locks      *locks.Buckets
	Rand       io.Reader // of the names of sessions
	Settled    func(context.Context)
	Moving     func(context.Context, objstore.MoveRequest) (moved func())
	Clients    Clients
}

// Clients are told of sessions.
type Clients interface {
	ClientCame()
	// ClientWent is not called because the table is closed: the client goes on, and comes back elsewhere.
	ClientWent()
}

// Table is all sessions of a server.
type Table struct {
	// Constant.
	opt     Options
	closing context.Context
	stop    context.CancelFunc
	buffers sync.Pool

	mu sync.Mutex
	// Guarded by mu.
	boot     string
	sessions map[string]*session
	closed   bool
}

// New makes a table without sessions.
func New(opt Options) *Table {
	t := &Table{opt: opt, sessions: make(map[string]*session)}
	t.closing, t.stop = context.WithCancel(context.Background())
	t.buffers.New = func() any { return new([wire.PartBytes]byte) }
	return t
}

// Drain ends streams of changes, so that they do not keep the server from shutting down.
func (t *Table) Drain() { t.stop() }

// Close ends all sessions and gives back what they hold.
func (t *Table) Close() {
	t.stop()
	t.mu.Lock()
	t.closed = true
	all := t.sessions
	t.sessions = nil
	t.mu.Unlock()
	for _, s := range all {
		s.end()
	}
}

// Call is one request.
type Call struct {
	Bucket string
	User   string // sessions are not shared between users
	Store  objstore.Store
	Permit func(write bool) error
	Body   io.Reader
	Reply  Reply
}

// Reply is where an answer goes.
type Reply interface {
	io.Writer
	Flush() error
}

// Serve answers one request. An error means that nothing was answered, or not all of it.
func (t *Table) Serve(ctx context.Context, c Call) error {
	frame, err := wire.ReadFrame(c.Body, nil)
	if err != nil {
		return err
	}
	var head wire.Head
	rest, err := wire.DecodeHead(frame, &head)
	switch {
	case err != nil:
		return err
	case head.Protocol != wire.Protocol || !head.Method.Known():
		return &objstore.Error{Op: "namespace", Kind: objstore.ErrUnsupported, Detail: "another version of the protocol"}
	}
	if err := c.Permit(head.Method.Writes()); err != nil {
		return err
	}
	if head.Method == wire.MethodHello {
		return t.hello(c)
	}
	s := t.use(head.Session, c)
	if s == nil {
		return send(c.Reply, &wire.State{Lost: true})
	}
	defer s.unuse()
	s.forget(head.Oldest)
	return s.serve(ctx, &request{Call: c, head: head, rest: rest})
}

// send writes a reply of one frame.
func send(w Reply, all ...wire.Message) error {
	_, err := w.Write(wire.AppendMessage(nil, all...))
	return err
}

func (t *Table) hello(c Call) error {
	ns, ok := c.Store.(objstore.Namespace)
	if !ok {
		return &objstore.Error{Op: "namespace", Kind: objstore.ErrUnsupported, Detail: "the store is no namespace"}
	}
	s, err := t.begin(c, ns)
	if err != nil {
		return err
	}
	return send(c.Reply, &wire.State{}, &wire.Hello{
		Session: s.id, Root: ns.Root(), Capabilities: offered(ns.Capabilities()), Lease: t.opt.Lease, LockLease: t.opt.LockLease, Boot: t.boot,
	})
}

// offered are the capabilities that reach the client.
func offered(c objstore.Capabilities) objstore.Capabilities {
	c.Multipart, c.Append, c.Tags, c.Documents, c.Feed, c.CrossBucket, c.AccessTimes = false, false, false, false, false, false, false
	return c
}

func (t *Table) begin(c Call, ns objstore.Namespace) (*session, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed || len(t.sessions) >= sessionsMax {
		return nil, &objstore.Error{Op: "begin session", Kind: objstore.ErrUnavailable, Detail: "the server takes no more clients"}
	}
	if t.boot == "" {
		t.boot = t.newName()
	}
	s := newSession(t, t.newName(), c, ns)
	t.sessions[s.id] = s
	t.opt.Clients.ClientCame()
	return s, nil
}

// newName is 32 hex digits.
func (t *Table) newName() string {
	var b [16]byte
	if _, err := io.ReadFull(t.opt.Rand, b[:]); err != nil {
		panic(err) // the source of randomness does not end
	}
	return hex.EncodeToString(b[:])
}

// use finds the session a request belongs to, and keeps it from ending.
func (t *Table) use(id string, c Call) *session {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.sessions[id]
	if s == nil || s.bucket != c.Bucket || s.user != c.User {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.locks.hear()
	s.busy++
	s.lease.Stop()
	return s
}

// expire ends s unless it is in use again.
func (t *Table) expire(s *session) {
	t.mu.Lock()
	s.mu.Lock()
	if s.busy > 0 || t.sessions[s.id] != s {
		s.mu.Unlock()
		t.mu.Unlock()
		return
	}
	delete(t.sessions, s.id)
	s.mu.Unlock()
	t.mu.Unlock()
	s.end()
	t.opt.Clients.ClientWent()
}
