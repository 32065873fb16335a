package sessions

import (
	"context"
	"slices"
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
	watched sync.Once // the store tells of changes from then on

	mu sync.Mutex
	// Guarded by mu.
	begun bool   // it does
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

func newChanges() *changes {
	return &changes{first: 1, wake: make(chan struct{}), lease: lease{moved: make(chan struct{})}}
}

// watch returns once the store tells of changes. Who comes again after a broken connection waits for that as well: it is given a lease
// only on what is told.
func (c *changes) watch(ns objstore.Namespace) {
	c.watched.Do(func() {
		stop := ns.Watch(c.add) // not under mu: the store may hold its own lock while it calls add
		c.mu.Lock()
		c.begun, c.stop = true, stop
		ended := c.ended
		c.mu.Unlock()
		if ended {
			stop()
		}
	})
}

func (c *changes) add(what objstore.Change) {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer c.more()
	if len(c.queue) >= 2*changesKept {
		c.first += changesKept
		c.queue = append(c.queue[:0:0], c.queue[changesKept:]...)
	}
	c.queue = append(c.queue, change{what, time.Now()})
}

// more wakes who tells of changes; mu is held.
func (c *changes) more() {
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

// news is what a client has not been told.
type news struct {
	changes []change
	leased  bool            // the client has a lease
	awaited uint64          // see [wire.Event]
	wake    <-chan struct{} // closed when there is more
}

// after is what there is after the change with that number. ok is false if some of that is not known any more, or such a change never was.
func (c *changes) after(number uint64) (n news, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if number+1 < c.first || number+1 > c.first+uint64(len(c.queue)) {
		return news{}, false
	}
	return news{c.queue[number+1-c.first:], time.Now().Before(c.lease.until), c.lease.awaited, c.wake}, true
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

// pass is the change to go on after when some after a number are not known any more. The client may remember what they made stale as
// long as its lease lasts, and is given none before it was told of all that was missed: it is told of the gap after that.
func (c *changes) pass(ctx context.Context) (number uint64, err error) {
	for {
		c.mu.Lock()
		number, left := c.last(), time.Until(c.lease.until)
		c.mu.Unlock()
		if left <= 0 {
			return number, nil
		}
		select {
		case <-time.After(left):
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

// watch streams changes until the client goes or the server closes.
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
	number, awaited := m.After, uint64(0)
	for {
		n, ok := s.feed.after(number)
		if !ok {
			var err error
			if number, err = s.missed(ctx, r.Reply); err != nil {
				return err
			}
			continue
		}
		if err := s.tell(ctx, r.Reply, n, number, awaited); err != nil {
			return err
		}
		number, awaited = number+uint64(len(n.changes)), n.awaited
		select {
		case <-n.wake:
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

// missed tells of changes that are not known any more, and returns the last of them.
func (s *session) missed(ctx context.Context, to Reply) (number uint64, err error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	defer context.AfterFunc(s.table.closing, stop)()
	if number, err = s.feed.pass(ctx); err != nil {
		return 0, err
	}
	return number, send(to, &wire.Event{Number: number})
}

// tell sends the news after the change with a number, to who was told already of what is awaited.
func (s *session) tell(ctx context.Context, to Reply, n news, number, awaited uint64) error {
	for _, change := range n.changes {
		number++
		e := wire.Event{Number: number, Change: change.Change}
		if n.leased && len(n.changes) <= describedMax {
			e.Infos = s.describe(ctx, change.Change)
		}
		if number == n.awaited {
			e.Awaited, awaited = number, number
		}
		if err := send(to, &e); err != nil {
			return err
		}
	}
	if n.awaited > awaited {
		if err := send(to, &wire.Event{Number: number, Awaited: n.awaited}); err != nil {
			return err
		}
	}
	return to.Flush()
}

// describedMax is how many changes at once are told with what they have changed: a client that is behind asks for
// what it needs.
const describedMax = 64

// describe is what there is of a change's objects. What cannot be had the client asks for, and is told why.
func (s *session) describe(ctx context.Context, c objstore.Change) []objstore.Info {
	infos := make([]objstore.Info, 0, 3)
	if info, err := s.subject(ctx, c); err == nil && info.ID == c.Object {
		infos = append(infos, info)
	}
	for _, id := range []objstore.ID{c.Parent, c.NewParent} {
		if id == 0 || slices.ContainsFunc(infos, func(i objstore.Info) bool { return i.ID == id }) {
			continue
		}
		if info, err := s.ns.Stat(ctx, id); err == nil {
			infos = append(infos, info)
		}
	}
	return infos
}

// subject is the object of a change, or what there is now at the name that the change gave it.
func (s *session) subject(ctx context.Context, c objstore.Change) (objstore.Info, error) {
	switch c.Kind {
	case objstore.ChangeCreated:
		return s.ns.Lookup(ctx, c.Parent, c.Name)
	case objstore.ChangeMoved:
		return s.ns.Lookup(ctx, c.NewParent, c.NewName)
	default:
		return s.ns.Stat(ctx, c.Object)
	}
}
