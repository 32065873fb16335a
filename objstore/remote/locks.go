package remote

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/locks"
	"github.com/etagfs/etagfs/objstore/wire"
)

// locker is [locks.Locker] at the server. It remembers what it was granted, and under which fence: a lock whose lease
// ran out is remembered until it is released, so that what is committed under it is refused.
type locker struct {
	s *Store // constant

	mu sync.Mutex
	// Guarded by mu.
	objects  map[objstore.ID]*locked
	renewing bool
	latest   uint64        // fence that was granted: locks of earlier ones are gone
	lease    time.Duration // of the server's locks
	heard    time.Time     // it has heard of us after that, or was gone by then
	late     bool          // once it may have given up our locks before it was gone
}

// locked is an object with locks.
type locked struct {
	held  locks.Set
	in    *session // of the oldest of them
	fence uint64
}

// Locks are the file locks of the namespace, between all who use it. They are kept by signs of life.
func (s *Store) Locks() locks.Locker { return &s.locker }

// fencePassed is the fence of locks that are certainly held no more. The server gives no such one.
const fencePassed = ^uint64(0)

// fence is what a commit to an object in a session has to name; 0: it is not locked here.
func (l *locker) fence(id objstore.ID, in *session) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch o := l.objects[id]; {
	case o == nil:
		return 0
	case o.in != in:
		return fencePassed
	default:
		return o.fence
	}
}

// took remembers a lock, and sees to it that it is renewed.
func (l *locker) took(id objstore.ID, k locks.Lock, in *session, fence uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	o := l.objects[id]
	if o == nil {
		o = &locked{in: in, fence: fence}
		l.objects[id] = o
	}
	o.held.Add(k)
	l.latest, l.late = fence, false
	if !l.renewing && l.s.closing.Err() == nil {
		l.renewing = true
		l.s.running.Go(l.renew)
	}
}

// gave forgets a lock.
func (l *locker) gave(id objstore.ID, k locks.Lock) {
	l.mu.Lock()
	defer l.mu.Unlock()
	o := l.objects[id]
	if o == nil {
		return
	}
	o.held.Cut(k)
	if len(o.held) == 0 {
		delete(l.objects, id)
	}
}

// renew lets the server hear of us while there are locks.
func (l *locker) renew() {
	for l.wanted() {
		wait := l.s.opt.Patience / 4
		in, err := l.s.current(l.s.closing)
		if err == nil {
			wait = in.lockLease / 3
		}
		if l.s.parts.Clock.Sleep(l.s.closing, wait) == nil && err == nil {
			_ = l.s.ask(l.s.closing, request{op: "ping", method: wire.MethodPing, message: &wire.None{}}, &wire.None{}) // the next may succeed
		}
	}
}

// wanted reports whether there is anything to renew. If not, the next lock begins anew.
func (l *locker) wanted() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.renewing = len(l.objects) > 0 && l.s.closing.Err() == nil
	return l.renewing
}

func message(verb wire.LockVerb, id objstore.ID, k locks.Lock) *wire.Lock {
	return &wire.Lock{
		Verb: verb, Object: id, Owner: k.Owner.ID, Flock: k.Owner.Flock,
		Start: k.Start, End: k.End, Exclusive: k.Exclusive, Process: k.Process,
	}
}

// ask sends one request about locks, and tells in which session it was answered.
func (l *locker) ask(ctx context.Context, q request, m wire.Message) (reply wire.Locked, in *session, err error) {
	q.op = "lock"
	q.build = func(_ context.Context, current *session) (wire.Message, *content, error) {
		in = current
		return m, nil, nil
	}
	err = l.s.ask(ctx, q, &reply)
	return reply, in, err
}

// Conflict implements [locks.Locker].
func (l *locker) Conflict(ctx context.Context, id objstore.ID, k locks.Lock) (locks.Lock, bool, error) {
	reply, _, err := l.ask(ctx, request{method: wire.MethodLock}, message(wire.LockQuery, id, k))
	if err != nil || reply.State != wire.LockHeld {
		return locks.Lock{}, false, err
	}
	other := reply.Other
	return locks.Lock{Start: other.Start, End: other.End, Exclusive: other.Exclusive, Process: other.Process}, true, nil
}

// TryLock implements [locks.Locker].
func (l *locker) TryLock(ctx context.Context, id objstore.ID, k locks.Lock) error {
	return l.take(ctx, wire.LockTry, id, k)
}

// Lock implements [locks.Locker].
func (l *locker) Lock(ctx context.Context, id objstore.ID, k locks.Lock) error {
	return l.take(ctx, wire.LockWait, id, k)
}

// take takes a lock. If the server began anew while it was waited for, it is asked for again.
func (l *locker) take(ctx context.Context, verb wire.LockVerb, id objstore.ID, k locks.Lock) error {
	asking := context.WithoutCancel(ctx)
	for {
		if l.converts(id, k) {
			l.gave(id, k) // before it is known whether the other kind can be had
		}
		reply, in, err := l.ask(asking, request{method: wire.MethodLock}, message(verb, id, k))
		for err == nil && reply.State == wire.LockWaiting {
			reply, err = l.await(ctx, in, reply.Wait)
		}
		switch {
		case errors.Is(err, errLost):
			l.s.lost(in)
			continue
		case err != nil:
			return err
		case reply.State == wire.LockGranted:
			l.took(id, k, in, reply.Fence)
			return nil
		case reply.State == wire.LockEnded && ctx.Err() != nil:
			return ctx.Err()
		default:
			return refusal(reply.State)
		}
	}
}

// converts reports whether k replaces a flock(2) lock of the other kind.
func (l *locker) converts(id objstore.ID, k locks.Lock) bool {
	held, exclusive := l.Holds(id, k)
	return k.Owner.Flock && held && exclusive != k.Exclusive
}

func refusal(s wire.LockState) error {
	switch s {
	case wire.LockHeld:
		return locks.ErrHeld
	case wire.LockDeadlock:
		return locks.ErrDeadlock
	default:
		return locks.ErrEnded
	}
}

// await asks how a wait goes. If ctx ends, so does the wait: unless the lock was granted just before.
func (l *locker) await(ctx context.Context, in *session, wait uint64) (wire.Locked, error) {
	asking := context.WithoutCancel(ctx)
	stop := context.AfterFunc(ctx, func() {
		// What is asked below tells how it ended.
		_, _, _ = l.ask(asking, request{method: wire.MethodLock, within: in}, &wire.Lock{Verb: wire.LockCancel, Wait: wait})
	})
	defer stop()
	reply, _, err := l.ask(asking, request{method: wire.MethodAwaitLock, within: in}, &wire.AwaitLock{Wait: wait})
	return reply, err
}

// Unlock implements [locks.Locker].
func (l *locker) Unlock(ctx context.Context, id objstore.ID, k locks.Lock) error {
	if held, _ := l.Holds(id, k); !held {
		return nil
	}
	l.gave(id, k)
	_, _, err := l.ask(ctx, request{method: wire.MethodLock}, message(wire.LockUnlock, id, k))
	return err
}

// Holds implements [locks.Locker]. What is told is what was granted, if the lease has run out, too.
func (l *locker) Holds(id objstore.ID, k locks.Lock) (any, exclusive bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if o := l.objects[id]; o != nil {
		return o.held.Holds(k)
	}
	return false, false
}

// Close implements [locks.Locker]. What is left is released with the session, so that an owner that is gone is not waited for.
func (l *locker) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.objects)
}
