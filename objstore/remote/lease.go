package remote

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/wire"
)

// lease is the right to answer from what is remembered.
type lease struct {
	mu sync.Mutex
	// Guarded by mu.
	until  time.Time
	term   time.Duration // when it was renewed last
	used   bool          // since then
	wanted chan struct{} // has an element when somebody uses what is about to end, or has ended
}

// leasePatience is how long one renewal may take: whatever it asked for would have run out.
const leasePatience = 2 * time.Second

// Hold asks for leases until the store is closed: then what the server has said of names and attributes is remembered here, and
// may be by who uses the store, see [Store.Trust]. It is called once, after [Store.Watch]. settled returns once all that
// watchers have been told of is forgotten wherever it was remembered, or with the context's error; the server is told so after it,
// and acknowledges no change to who made it before. The process may take memoryBytes, 0: any. settled must not wait for anything that waits for a change of the store.
func (s *Store) Hold(memoryBytes int64, settled func(context.Context) error) {
	s.records.begin(memoryBytes)
	s.running.Go(func() {
		for s.closing.Err() == nil {
			told, err := s.renewLease(settled)
			if err != nil {
				s.parts.Logger.Debug("there is no lease", "error", err)
				_ = s.parts.Clock.Sleep(s.closing, waitFirst) // ends with the store, too
			}
			s.awaitUse(told)
		}
	})
}

// Trust is for how long from now on no change is acknowledged to who made it before this store was told of it. 0: any may be.
func (s *Store) Trust() time.Duration {
	l := &s.lease
	l.mu.Lock()
	defer l.mu.Unlock()
	l.used = true
	left := max(time.Until(l.until), 0)
	if left < l.term/3*2 || l.term == 0 {
		select {
		case l.wanted <- struct{}{}:
		default:
		}
	}
	return left
}

var (
	errNotTold = errors.New("the server does not tell of changes")
	errNoLease = errors.New("the server gives no lease before more was told")
)

// renewLease tells the server how far everybody here was told, and extends the lease if that was used. The
// term counts from before that was sent.
func (s *Store) renewLease(settled func(context.Context) error) (told uint64, err error) {
	in, told := s.feed.position()
	if in == nil {
		return told, errNotTold
	}
	ctx, cancel := context.WithTimeout(s.closing, leasePatience)
	defer cancel()
	if err := settled(ctx); err != nil {
		return told, err
	}
	var m wire.Leased
	extend, sent := s.lease.wasUsed(), time.Now()
	err = s.ask(ctx, request{
		op: "lease", method: wire.MethodLease, message: &wire.Lease{Told: told, Extend: extend}, within: in,
	}, &m)
	switch {
	case err != nil:
		return told, err
	case !extend:
		return told, nil
	case m.Remaining <= 0:
		return told, errNoLease
	}
	return told, s.extend(in, sent.Add(m.Remaining), m.Remaining)
}

// extend notes what the server has granted, unless it has stopped telling of changes.
func (s *Store) extend(in *session, until time.Time, term time.Duration) error {
	s.feed.mu.Lock()
	defer s.feed.mu.Unlock()
	if s.feed.live != in {
		return errNotTold
	}
	l := &s.lease
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.until.Before(until) {
		l.until = until
	}
	l.term = term
	return nil
}

func (l *lease) wasUsed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	used := l.used
	l.used = false
	return used
}

// end is called when nobody tells of changes any more.
func (l *lease) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.until = time.Time{}
}

func (l *lease) holds() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Now().Before(l.until)
}

// awaitUse returns when the lease is to be renewed: somebody uses it, or others wait for changes that were told since.
func (s *Store) awaitUse(told uint64) {
	for {
		awaited, moved := s.feed.expected()
		if awaited > told && s.lease.holds() {
			return
		}
		select {
		case <-moved:
		case <-s.lease.wanted:
			return
		case <-s.closing.Done():
			return
		}
	}
}

// remembered is the answer to a lookup, if it may be given from here.
func (s *Store) remembered(e entry) (info objstore.Info, err error, ok bool) {
	if s.Trust() <= 0 {
		return info, nil, false
	}
	info, ok = s.records.lookup(e)
	if ok && info.ID == absent {
		err = &objstore.Error{Op: "lookup", Key: e.name, Kind: objstore.ErrNotFound}
	}
	return info, err, ok
}
