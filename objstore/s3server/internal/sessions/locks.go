package sessions

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/locks"
	"github.com/etagfs/etagfs/objstore/wire"
)

// leased are the file locks of a client. They end all together if it is not heard of for the lease, whatever
// connections it seems to have; the next ones it takes are of another fence.
type leased struct {
	// Constant.
	table *locks.Table
	lease time.Duration

	mu sync.Mutex
	// Guarded by mu.
	held  *locks.Session // nil: none
	waits map[uint64]*locks.Wait
	last  uint64 // wait
	heard time.Time
	timer *time.Timer // runs while there is held
	due   time.Time   // when it ends
	ended bool
}

// hear notes that the client lives.
func (l *leased) hear() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.heard = time.Now()
}

// session is the one to take locks in, made at need.
func (l *leased) session() (*locks.Session, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return nil, errEnded("lock")
	}
	if l.held == nil {
		l.held, l.waits = l.table.Open(), make(map[uint64]*locks.Wait)
		l.timer, l.due = time.AfterFunc(l.lease, l.check), time.Now().Add(l.lease)
	}
	return l.held, nil
}

// fence names the locks of the client; 0: it has none.
func (l *leased) fence() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held == nil {
		return 0
	}
	return uint64(l.held.ID())
}

// check ends the locks of a client that was not heard of, unless that is because the server has not listened: then the client
// has another lease to be heard of.
func (l *leased) check() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held == nil {
		return
	}
	now := time.Now()
	rest := l.lease - now.Sub(l.heard)
	if now.Sub(l.due) > l.lease/2 {
		rest = l.lease
	}
	if rest > 0 {
		l.timer.Reset(rest)
		l.due = now.Add(rest)
		return
	}
	l.drop()
}

// drop requires mu.
func (l *leased) drop() {
	l.timer.Stop()
	l.held.Close()
	l.held, l.waits = nil, nil
}

func (l *leased) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
	if l.held != nil {
		l.drop()
	}
}

// keep gives a wait a number.
func (l *leased) keep(w *locks.Wait) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.waits == nil {
		return 0 // the lease ran out, and the wait with it
	}
	l.last++
	l.waits[l.last] = w
	return l.last
}

// wait is that of a number, nil if it is over and was told to be.
func (l *leased) wait(number uint64) *locks.Wait {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.waits[number]
}

func (l *leased) forget(number uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.waits, number)
}

// errGivenUp is what a wait ends with that the client does not want any more.
var errGivenUp = errors.New("the wait was given up")

func lockOf(m *wire.Lock) locks.Lock {
	return locks.Lock{
		Owner: locks.Owner{ID: m.Owner, Flock: m.Flock}, Start: m.Start, End: m.End, Exclusive: m.Exclusive, Process: m.Process,
	}
}

// lock takes or releases a lock, or begins to wait for one.
func (s *session) lock(ctx context.Context, _ *request, m *wire.Lock) (wire.Message, error) {
	held, err := s.locks.session()
	if err != nil {
		return nil, err
	}
	k := lockOf(m)
	reply := &wire.Locked{State: wire.LockGranted, Fence: uint64(held.ID())}
	switch m.Verb {
	case wire.LockQuery:
		var other locks.Lock
		var found bool
		other, found, err = held.Conflict(ctx, m.Object, k)
		if found {
			reply.State = wire.LockHeld
			reply.Other = wire.Lock{Start: other.Start, End: other.End, Exclusive: other.Exclusive, Process: other.Process}
		}
	case wire.LockTry:
		var w *locks.Wait
		if w, err = held.Try(m.Object, k); w != nil {
			return s.waiting(w, reply), nil
		}
	case wire.LockUnlock:
		err = held.Unlock(ctx, m.Object, k)
	case wire.LockCancel:
		if w := s.locks.wait(m.Wait); w != nil {
			_ = held.Withdraw(w, errGivenUp) // who awaits it is told how it ended
		}
	case wire.LockWait:
		var w *locks.Wait
		if w, err = held.Request(m.Object, k); err == nil {
			return s.waiting(w, reply), nil
		}
	default:
		err = &objstore.Error{Op: "lock", Kind: objstore.ErrInvalid}
	}
	if refused := lockState(err); refused != 0 {
		reply.State, err = refused, nil
	}
	return reply, err
}

// waiting answers with a wait that has just begun.
func (s *session) waiting(w *locks.Wait, reply *wire.Locked) *wire.Locked {
	select {
	case <-w.Over():
		reply.State = stateOf(w)
	default:
		reply.State = wire.LockWaiting
		if reply.Wait = s.locks.keep(w); reply.Wait == 0 {
			reply.State = wire.LockEnded
		}
	}
	return reply
}

// lockState is what is told of a refusal; 0: that is none.
func lockState(err error) wire.LockState {
	switch {
	case errors.Is(err, locks.ErrHeld):
		return wire.LockHeld
	case errors.Is(err, locks.ErrDeadlock):
		return wire.LockDeadlock
	case errors.Is(err, locks.ErrEnded), errors.Is(err, errGivenUp):
		return wire.LockEnded
	default:
		return 0
	}
}

func stateOf(w *locks.Wait) wire.LockState {
	if w.Err() != nil {
		return lockState(w.Err())
	}
	return wire.LockGranted
}

// awaitLock answers when a wait is over, or before the client could take the server for dead.
func (s *session) awaitLock(_ context.Context, _ *request, m *wire.AwaitLock) (wire.Message, error) {
	reply := &wire.Locked{State: wire.LockEnded, Wait: m.Wait, Fence: s.locks.fence()}
	w := s.locks.wait(m.Wait)
	if w == nil {
		return reply, nil
	}
	patience := time.NewTimer(s.locks.lease / 3)
	defer patience.Stop()
	select {
	case <-w.Over():
		reply.State = stateOf(w)
		s.locks.forget(m.Wait)
	case <-patience.C:
		reply.State = wire.LockWaiting
	case <-s.table.closing.Done():
		reply.State = wire.LockWaiting
	}
	return reply, nil
}

// fenced refuses what is done under locks that are held no more.
func (s *session) fenced(op string, fence uint64) error {
	if fence != 0 && fence != s.locks.fence() {
		return &objstore.Error{Op: op, Kind: objstore.ErrPrecondition, Detail: "the lease of its file lock ran out"}
	}
	return nil
}
