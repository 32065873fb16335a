package remote

import (
	"errors"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/wire"
)

// reclaimAtOnce is how many readers, or locks, are asked for in one request.
const reclaimAtOnce = 1000

// pins are the readers that are open, so that a server that began anew can be asked for them at once: it waits for that
// with removing what they read, but not for long.
type pins struct {
	mu sync.Mutex
	// Guarded by mu.
	readers map[*reader]struct{}
	in      *session           // of handles
	handles map[*reader]uint64 // that were reclaimed, and that the readers have not taken yet
}

func (p *pins) init() { p.readers = make(map[*reader]struct{}) }

func (p *pins) add(r *reader) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.readers[r] = struct{}{}
}

// remove returns the handle r has not taken.
func (p *pins) remove(r *reader) (in *session, handle uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.readers, r)
	handle = p.handles[r]
	delete(p.handles, r)
	return p.in, handle
}

// take is the handle of r in a session; 0: there is none.
func (p *pins) take(r *reader, in *session) uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.in != in {
		return 0
	}
	handle := p.handles[r]
	delete(p.handles, r)
	return handle
}

// begin returns all readers there are, to be reclaimed in a session.
func (p *pins) begin(in *session) (all []*reader) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.in, p.handles = in, make(map[*reader]uint64)
	for r := range p.readers {
		all = append(all, r)
	}
	return all
}

// give notes the handle of r, unless r was closed meanwhile.
func (p *pins) give(r *reader, handle uint64) (given bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, given = p.readers[r]; given {
		p.handles[r] = handle
	}
	return given
}

// reclaim asks for what the session before had. What cannot be had is missed when it is used.
func (s *Store) reclaim(in *session) {
	s.mu.Lock()
	before := s.gone
	s.mu.Unlock()
	all, held := s.pins.begin(in), s.locker.reclaimable(before)
	for len(all)+len(held) > 0 {
		n, k := min(len(all), reclaimAtOnce), min(len(held), reclaimAtOnce)
		if err := s.reclaimSome(in, all[:n], held[:k]); err != nil {
			s.parts.Logger.Warn("what was open and locked cannot be had again from the server that began anew",
				"readers", len(all), "locks", len(held), "error", err)
			return
		}
		all, held = all[n:], held[k:]
	}
}

// reclaimSome is one request.
func (s *Store) reclaimSome(in *session, readers []*reader, held []wire.Lock) error {
	m := &wire.Reclaim{Locks: held}
	for _, r := range readers {
		m.Readers = append(m.Readers, wire.Pinned{ID: r.info.ID, Version: r.info.Version})
	}
	q := request{op: "reclaim", method: wire.MethodReclaim, message: m}
	reply, err := s.inSession(s.closing, q, in, s.newTries(q.op, "", false))
	if err != nil {
		return err
	}
	defer reply.close()
	var got wire.Reclaimed
	if err := reply.state.Failure.Err(); err != nil {
		return err
	}
	if err := wire.Decode(reply.rest, &got); err != nil {
		return err
	}
	if len(got.Handles) != len(readers) || len(got.Held) != len(held) {
		return &objstore.Error{Op: q.op, Kind: objstore.ErrCorrupt, Detail: "the answer is about something else"}
	}
	for i, handle := range got.Handles {
		if handle != 0 && !s.pins.give(readers[i], handle) {
			go s.release(in, handle) // which may have to wait until in is the session
		}
	}
	s.locker.reclaimed(in, held, got)
	return nil
}

// reclaimable are the locks that were certainly held when the server of a session was gone.
func (l *locker) reclaimable(before *session) (all []wire.Lock) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.late {
		return nil
	}
	for id, o := range l.objects {
		if o.in != before || o.fence != l.latest {
			continue
		}
		for _, k := range o.held {
			all = append(all, *message(wire.LockTry, id, k))
		}
	}
	return all
}

// reclaimed notes which locks are held in the new session. An object of which one is lost has none: what is committed to it
// is refused, until it is released.
func (l *locker) reclaimed(in *session, held []wire.Lock, got wire.Reclaimed) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(held) == 0 {
		return
	}
	l.latest, l.lease, l.late = got.Fence, in.lockLease, false
	lost := make(map[objstore.ID]bool)
	for i, k := range held {
		lost[k.Object] = lost[k.Object] || !got.Held[i]
	}
	for id, gone := range lost {
		switch o := l.objects[id]; {
		case o == nil || o.in == nil:
		case gone:
			o.in = nil
		default:
			o.in, o.fence = in, got.Fence
		}
	}
}

// hear notes that the server heard of us after a time, or was gone by then. If that is too long after the last time, it may
// have given up our locks while it was there, and given them to others.
func (l *locker) hear(at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.objects) > 0 && at.Sub(l.heard) > l.lease {
		l.late = true
	}
	if at.After(l.heard) {
		l.heard = at
	}
}

// isGone reports whether an attempt failed because nobody listens where the server did.
func isGone(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial" && (errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ENOENT))
}
