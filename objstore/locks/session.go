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
func (s *Session) TryLock(_ context.Context, id objstore.ID, k Lock) error {
	if !s.table.try(id, s.own(k)) {
		return ErrHeld
	}
	return nil
}

// Lock implements [Locker].
func (s *Session) Lock(ctx context.Context, id objstore.ID, k Lock) error {
	w, err := s.table.request(id, s.own(k))
	if err != nil {
		return err
	}
	select {
	case <-w.over:
		return w.err
	case <-ctx.Done():
		return s.table.withdraw(w, ctx.Err())
	}
}

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
