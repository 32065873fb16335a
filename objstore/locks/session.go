package locks

import (
	"context"

	"github.com/etagfs/etagfs/objstore"
)

// Locker is a client's access to locks.
type Locker interface {
	// Conflict is a lock that stands in k's way, if there is one.
	Conflict(ctx context.Context, id objstore.ID, k Lock) (other Lock, found bool, err error)
	// TryLock takes k unless another's lock stands in the way: [ErrHeld]. It looks at what is held alone.
	TryLock(ctx context.Context, id objstore.ID, k Lock) error
	// Lock takes k as soon as it can. It fails with [ErrDeadlock], or with ctx: then k is not taken.
	Lock(ctx context.Context, id objstore.ID, k Lock) error
	// Unlock releases what k's owner holds in k's range. It does so as soon as it can even if it fails.
	Unlock(ctx context.Context, id objstore.ID, k Lock) error
	// Holds reports whether k's owner holds anything in k's range, and whether some of that is exclusive.
	Holds(id objstore.ID, k Lock) (any, exclusive bool)
	// Close releases everything. Waits end with [ErrEnded].
	Close()
}

// Session is a client of a table in this process.
type Session struct {
	// Constant.
	table *Table
	id    SessionID
}

// ID is what no other session of the table has, before or after: a fencing token.
func (s *Session) ID() SessionID { return s.id }

// Open makes a session.
func (t *Table) Open() *Session {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last++
	return &Session{t, t.last}
}

func (s *Session) own(k Lock) Lock {
	k.Owner.Session = s.id
	return k
}

// Conflict implements [Locker].
func (s *Session) Conflict(_ context.Context, id objstore.ID, k Lock) (Lock, bool, error) {
	other, found := s.table.conflict(id, s.own(k))
	return other, found, nil
}

// TryLock implements [Locker].
func (s *Session) TryLock(ctx context.Context, id objstore.ID, k Lock) error {
	w, err := s.Try(id, k)
	if w == nil {
		return err
	}
	return s.await(ctx, w)
}

// Try is TryLock for somebody who waits elsewhere. There is a wait only while locks are being taken back.
func (s *Session) Try(id objstore.ID, k Lock) (*Wait, error) {
	w, taken := s.table.try(id, s.own(k))
	if w == nil && !taken {
		return nil, ErrHeld
	}
	return w, nil
}

// Reclaim takes back a lock that was held in a table that is gone. It reports whether that is so: it was another's, or it
// is too late.
func (s *Session) Reclaim(id objstore.ID, k Lock) bool { return s.table.reclaim(id, s.own(k)) }

// Lock implements [Locker].
func (s *Session) Lock(ctx context.Context, id objstore.ID, k Lock) error {
	w, err := s.Request(id, k)
	if err != nil {
		return err
	}
	return s.await(ctx, w)
}

func (s *Session) await(ctx context.Context, w *Wait) error {
	select {
	case <-w.Over():
		return w.Err()
	case <-ctx.Done():
		return s.Withdraw(w, ctx.Err())
	}
}

// Request is Lock for somebody who waits elsewhere.
func (s *Session) Request(id objstore.ID, k Lock) (*Wait, error) {
	return s.table.request(id, s.own(k))
}

// Withdraw ends a wait with reason, unless it is over already: the result is how it ended.
func (s *Session) Withdraw(w *Wait, reason error) error { return s.table.withdraw(w, reason) }

// Over is closed when the wait is.
func (w *Wait) Over() <-chan struct{} { return w.over }

// Err is why it failed; nil: it was granted. It is for when the wait is over.
func (w *Wait) Err() error { return w.err }

// Unlock implements [Locker].
func (s *Session) Unlock(_ context.Context, id objstore.ID, k Lock) error {
	s.table.unlock(id, s.own(k))
	return nil
}

// Holds implements [Locker].
func (s *Session) Holds(id objstore.ID, k Lock) (any, exclusive bool) {
	return s.table.holds(id, s.own(k))
}

// Close implements [Locker].
func (s *Session) Close() { s.table.end(s.id) }
