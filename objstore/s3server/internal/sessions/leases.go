package sessions

import (
	"context"
	"time"

	"github.com/etagfs/etagfs/objstore/wire"
)

// lease is a client's right to answer from what it remembers. changes.mu guards it.
type lease struct {
	told  uint64    // of the changes, so many are known wherever the client caches
	until time.Time // zero: never given
	// missed is the last change that may have been acknowledged without waiting for this client: before it
	// was told of that, it gets no lease.
	missed uint64
	// awaited is the last change for which somebody has waited.
	awaited uint64
	moved   chan struct{} // closed when told or until move, then replaced
}

// renew notes that told changes are known to the client, extends its lease to a term from now, and says how much is left. Nobody waits for a
// change longer than the term after it: a client that goes on renewing and never tells it was told of one ends there.
func (c *changes) renew(told uint64, now time.Time, term time.Duration) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	last := c.last()
	if !c.begun || c.ended || told > last {
		return 0
	}
	l := &c.lease
	l.told = max(l.told, told)
	defer l.move()
	if l.told < l.missed || l.told+1 < c.first {
		return 0
	}
	until := now.Add(term)
	if l.told < last {
		until = earlier(until, c.queue[l.told+1-c.first].at.Add(term))
	}
	if l.until.Before(until) {
		l.until = until
	}
	return max(l.until.Sub(now), 0)
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// move wakes who waits.
func (l *lease) move() {
	close(l.moved)
	l.moved = make(chan struct{})
}

// settle returns once the client was told of the changes up to now or has no lease.
func (c *changes) settle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	number, l := c.last(), &c.lease
	for l.told < number && !c.ended {
		left := time.Until(l.until)
		if left <= 0 {
			l.missed = max(l.missed, number)
			return
		}
		if l.awaited < number {
			l.awaited = number
			c.more()
		}
		moved := l.moved
		c.mu.Unlock()
		wait(moved, left)
		c.mu.Lock()
	}
}

func wait(moved <-chan struct{}, most time.Duration) {
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case <-moved:
	case <-timer.C:
	}
}

// Settle returns once no client answers from what it remembered before the changes there have been: each
// was told of them or has no lease, which takes at most a term. The client itself, for which a change was made, is not waited for.
func (t *Table) Settle() { t.settleOthers(nil) }

// settled returns once what self has changed may be acknowledged.
func (t *Table) settled(ctx context.Context, self *session) {
	t.settleOthers(self)
	if t.opt.Settled != nil {
		t.opt.Settled(ctx)
	}
}

func (t *Table) settleOthers(self *session) {
	for _, s := range t.all() {
		if s != self {
			s.feed.settle()
		}
	}
}

func (t *Table) all() []*session {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.sessions) == 0 {
		return nil
	}
	all := make([]*session, 0, len(t.sessions))
	for _, s := range t.sessions {
		all = append(all, s)
	}
	return all
}

// renewLease gives a lease, which no change is acknowledged without regard to.
func (s *session) renewLease(_ context.Context, _ *request, m *wire.Lease) (wire.Message, error) {
	term := s.table.opt.CacheLease
	if !m.Extend {
		term = 0
	}
	return &wire.Leased{Remaining: s.feed.renew(m.Told, time.Now(), term)}, nil
}
