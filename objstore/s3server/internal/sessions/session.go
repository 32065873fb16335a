package sessions

import (
	"context"
	"sync"
	"time"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/wire"
)

// handlesMax is how many readers and stages one client may hold.
const handlesMax = 1 << 20

// session is what the server knows of one client.
type session struct {
	// Constant.
	table  *Table
	id     string
	bucket string
	user   string
	store  objstore.Store
	ns     objstore.Namespace
	feed   *changes
	locks  leased

	mu sync.Mutex
	// Guarded by mu.
	busy     int         // requests
	lease    *time.Timer // runs while there are none
	handles  map[uint64]*handle
	last     uint64 // handle given out
	outcomes map[uint64]*outcome
	ended    bool
}

// handle is a reader or a stage.
type handle struct {
	reader objstore.Reader
	stage  objstore.Stage
	mu     sync.Mutex // one push at a time
}

func (h *handle) close() {
	// What a session gives back was read, or was brought again if it mattered: nobody is left to be told.
	if h.reader != nil {
		_ = h.reader.Close()
	}
	if h.stage != nil {
		_ = h.stage.Close()
	}
}

// outcome is what became of a request.
type outcome struct {
	done    chan struct{} // closed once it is known, or known that there is none
	reply   []byte        // a frame
	refused bool          // the client does not want it any more
}

func newSession(t *Table, id string, c Call, ns objstore.Namespace) *session {
	s := &session{
		table: t, id: id, bucket: c.Bucket, user: c.User, store: c.Store, ns: ns,
		handles: make(map[uint64]*handle), outcomes: make(map[uint64]*outcome), feed: newChanges(),
	}
	s.locks.table, s.locks.lease = t.opt.Locks.Table(c.Bucket), t.opt.LockLease
	s.lease = time.AfterFunc(t.opt.Lease, func() { t.expire(s) })
	return s
}

func (s *session) unuse() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.busy--
	if s.busy == 0 && !s.ended {
		s.lease.Reset(s.table.opt.Lease)
	}
}

// end gives back what the session holds. Requests that still run fail.
func (s *session) end() {
	s.mu.Lock()
	s.ended = true
	s.lease.Stop()
	all := s.handles
	s.handles = nil
	s.mu.Unlock()
	s.feed.close()
	s.locks.end()
	for _, h := range all {
		h.close()
	}
}

func errEnded(op string) error {
	return &objstore.Error{Op: op, Kind: objstore.ErrClosed, Detail: "the session ended"}
}

// hold gives a handle for h.
func (s *session) hold(op string, h *handle) (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.ended:
		h.close()
		return 0, errEnded(op)
	case len(s.handles) >= handlesMax:
		h.close()
		return 0, &objstore.Error{Op: op, Kind: objstore.ErrUnavailable, Detail: "the client holds too much"}
	}
	s.last++
	s.handles[s.last] = h
	return s.last, nil
}

func (s *session) handle(op string, n uint64) (*handle, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.handles[n]
	if h == nil {
		return nil, &objstore.Error{Op: op, Kind: objstore.ErrClosed, Detail: "no such handle"}
	}
	return h, nil
}

func (s *session) release(all []uint64) {
	var gone []*handle
	s.mu.Lock()
	for _, n := range all {
		if h := s.handles[n]; h != nil {
			gone = append(gone, h)
			delete(s.handles, n)
		}
	}
	s.mu.Unlock()
	for _, h := range gone {
		h.close()
	}
}

// forget drops the outcomes the client has.
func (s *session) forget(oldest uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, o := range s.outcomes {
		if id < oldest && (o.reply != nil || o.refused) {
			delete(s.outcomes, id)
		}
	}
}

// attempt is the outcome of request id. mine means that there is none yet and the caller has to
// find it.
func (s *session) attempt(ctx context.Context, id uint64) (o *outcome, mine bool, err error) {
	for {
		s.mu.Lock()
		o := s.outcomes[id]
		if o == nil {
			o = &outcome{done: make(chan struct{})}
			s.outcomes[id] = o
			s.mu.Unlock()
			return o, true, nil
		}
		known := o.reply != nil || o.refused
		s.mu.Unlock()
		if known {
			return o, false, nil
		}
		select {
		case <-o.done:
		case <-ctx.Done():
			return nil, false, ctx.Err()
		}
	}
}

// settle notes the outcome; without a reply there is none, and the request may be tried again.
func (s *session) settle(id uint64, o *outcome, reply []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o.reply = reply; reply == nil {
		delete(s.outcomes, id)
	}
	close(o.done)
}

// once answers a request that changes something.
func (s *session) once(ctx context.Context, r *request, f handler) error {
	o, mine, err := s.attempt(ctx, r.head.ID)
	if err != nil {
		return err
	}
	if !mine {
		if o.refused {
			return send(r.Reply, &wire.State{Failure: wire.FailureOf(&objstore.Error{
				Op: "request", Kind: objstore.ErrUnavailable, Detail: "it was given up before it arrived",
			})})
		}
		_, err := r.Reply.Write(o.reply)
		return err
	}
	var reply []byte
	defer func() { s.settle(r.head.ID, o, reply) }()
	ctx = context.WithoutCancel(ctx) // whoever leaves now may come back for the outcome
	defer r.end()
	m, failure := f(ctx, r)
	if r.torn != nil {
		return r.torn
	}
	if r.head.Method.Mutates() {
		s.table.settled(ctx, s)
	}
	reply = s.reply(m, failure)
	_, err = r.Reply.Write(reply)
	return err
}

// reply is a frame with a result, or with why there is none. It says how many changes the result may show.
func (s *session) reply(m wire.Message, err error) []byte {
	if t, ok := s.ns.(objstore.Teller); ok {
		t.AwaitTold()
	}
	state := wire.State{Changes: s.feed.count(), Failure: wire.FailureOf(err)}
	if err != nil {
		return wire.AppendMessage(nil, &state)
	}
	return wire.AppendMessage(nil, &state, m)
}

// resolve tells what became of a request, and sees to it that nothing does any more if nothing did.
func (s *session) resolve(ctx context.Context, _ *request, m *wire.Resolve) (wire.Message, error) {
	o, mine, err := s.attempt(ctx, m.ID)
	switch {
	case err != nil:
		return nil, err
	case mine:
		s.mu.Lock()
		o.refused = true
		s.mu.Unlock()
		close(o.done)
		return &wire.Resolved{}, nil
	default:
		return &wire.Resolved{Known: o.reply != nil, Reply: o.reply}, nil
	}
}
