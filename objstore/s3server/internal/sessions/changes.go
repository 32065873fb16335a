package sessions

import (
	"context"
	"sync"
	"time"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/wire"
)

// changesKept is how many changes are kept for a client that lost its connection, and at least how many
// for one that is slow.
const changesKept = 8192

// changes are those a session is told of.
type changes struct {
	mu sync.Mutex
	// Guarded by mu.
	begun bool   // somebody asked
	stop  func() // of the watch; nil: it has not begun
	ended bool
	queue []change
	first uint64        // number of queue[0]
	wake  chan struct{} // closed when there are more, then replaced
	lease lease
}

// change is one that was made at a time.
type change struct {
	objstore.Change
	at time.Time
}

func newChanges() changes {
	return changes{first: 1, wake: make(chan struct{}), lease: lease{moved: make(chan struct{})}}
}

// watch begins, unless it has.
func (c *changes) watch(ns objstore.Namespace) {
	c.mu.Lock()
	begun := c.begun
	if !begun {
		c.begun = true
	}
	c.mu.Unlock()
	if begun {
		return
	}
	stop := ns.Watch(c.add) // not under mu: the store may hold its own lock while it calls add
	c.mu.Lock()
	c.stop = stop
	ended := c.ended
	c.mu.Unlock()
	if ended {
		stop()
	}
}

func (c *changes) add(what objstore.Change) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.queue) >= 2*changesKept {
		c.first += changesKept
		c.queue = append(c.queue[:0:0], c.queue[changesKept:]...)
	}
	c.queue = append(c.queue, change{what, time.Now()})
	close(c.wake)
	c.wake = make(chan struct{})
}

// count is the number of the last change.
func (c *changes) count() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.last()
}

// last is count; mu is held.
func (c *changes) last() uint64 { return c.first + uint64(len(c.queue)) - 1 }

// after are the changes after the one with that number. ok is false if some of them are not known any more.
func (c *changes) after(number uint64) (more []change, wake <-chan struct{}, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if number+1 < c.first || number+1 > c.first+uint64(len(c.queue)) {
		return nil, nil, false
	}
	return c.queue[number+1-c.first:], c.wake, true
}

func (c *changes) close() {
	c.mu.Lock()
	c.ended = true
	c.lease.move()
	stop := c.stop
	c.mu.Unlock()
	if stop != nil {
		stop()
	}
}

// watch streams changes until the client goes, the server closes, or some were missed.
func (s *session) watch(ctx context.Context, r *request) error {
	var m wire.Watch
	if err := wire.Decode(r.rest, &m); err != nil {
		return err
	}
	s.feed.watch(s.ns)
	if err := send(r.Reply, &wire.State{Changes: s.feed.count()}); err != nil {
		return err
	}
	life, stop := s.signsOfLife()
	defer stop()
	number := m.After
	for {
		more, wake, ok := s.feed.after(number)
		if !ok {
			return &objstore.Error{Op: "watch", Kind: objstore.ErrUnavailable, Detail: "changes were missed"}
		}
		for _, change := range more {
			number++
			if err := send(r.Reply, &wire.Event{Number: number, Change: change.Change}); err != nil {
				return err
			}
		}
		if err := r.Reply.Flush(); err != nil {
			return err
		}
		select {
		case <-wake:
		case <-life:
			if err := send(r.Reply, &wire.Event{Number: number}); err != nil {
				return err
			}
		case <-ctx.Done():
			return nil
		case <-s.table.closing.Done():
			return nil
		}
	}
}
