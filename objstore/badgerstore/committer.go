package badgerstore

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/etagfs/etagfs/objstore"
)

// committer takes every mutation of the store, one after the other. There is
// no goroutine for it: who comes while nobody commits becomes the leader, commits
// what is queued as one batch, and hands over to the first who came meanwhile. So an
// uncontended commit changes goroutines only inside Badger.
//
// Who waits for a disk anyway lets those who do not go first, once: a close beside
// many fsyncs does not wait until all of them are evaluated. And while the disk is at work for
// those before them they may as well wait for that: beside closes they stay in the queue
// until the sync ends, and are one batch then instead of one each.
type committer struct {
	e *Engine

	mu      sync.Mutex
	queue   []*op // GUARDED_BY(mu): not yet in a batch
	leading bool  // GUARDED_BY(mu): there is a leader. INVARIANT: if not, the queue is empty, or parking and all in it patient
	parking bool  // GUARDED_BY(mu): a sync is in progress, for which the patient wait in the queue
	urgent  bool  // GUARDED_BY(mu): one that is not patient came since the last sync began
	// passedOver: the batch before left patient ones in the queue, which are all in the next.
	passedOver bool  // GUARDED_BY(mu)
	closed     bool  // GUARDED_BY(mu)
	failed     error // GUARDED_BY(mu): why nothing is accepted any more

	// Owned by the leader.
	lastTime   time.Time // of the last batch
	expireFrom []byte    // before this there are no outcomes; nil: nobody knows
}

// op is a mutation on its way.
type op struct {
	f         func(*tx) error // may be run more than once, of which the last counts
	essential bool            // frees space, or must not fail for the lack of it
	patient   bool            // lets others go first

	// Set by the leader before it wakes the owner.
	ts      uint64 // of the batch
	err     error
	changes []change

	turn chan bool // true: lead; false: done
}

// commit runs f as one mutation and waits until it is visible, or durable, and clients of an earlier process have
// forgotten what it may have changed. f
// sees the state of its turn; if it fails it leaves no trace. Once queued the
// mutation is carried through whatever becomes of ctx.
func (e *Engine) commit(ctx context.Context, d objstore.Durability, essential bool, f func(*tx) error) error {
	if err := cancelled(ctx); err != nil {
		return err
	}
	err := e.withRoom(ctx, func() error {
		return e.carry(&op{f: f, essential: essential, patient: d == objstore.Durable}, d)
	})
	if err == nil {
		e.awaitForgotten()
	}
	return err
}

// carry is commit for an op that is made already.
func (e *Engine) carry(o *op, d objstore.Durability) error {
	if err := e.committer.do(o); err != nil {
		return err
	}
	if o.err != nil {
		return o.err
	}
	if d == objstore.Durable {
		if err := e.syncer.wait(o.ts); err != nil {
			return &objstore.Error{Kind: objstore.ErrUnknown, Detail: "it was applied, but may not survive a loss of power", Err: err}
		}
		return nil
	}
	e.syncer.touch()
	return nil
}

// do takes o through a batch.
func (c *committer) do(o *op) error {
	c.mu.Lock()
	if err := c.refusal(); err != nil {
		c.mu.Unlock()
		return err
	}
	c.queue = append(c.queue, o)
	c.urgent = c.urgent || o.isUrgent()
	if c.leading || c.parking && o.patient {
		o.turn = make(chan bool, 1)
		c.mu.Unlock()
		if lead := <-o.turn; !lead {
			return nil
		}
	} else {
		c.leading = true
		c.mu.Unlock()
	}
	c.lead(o)
	return nil
}

// refusal is why no mutation is accepted; requires c.mu.
func (c *committer) refusal() error {
	switch {
	case c.failed != nil:
		return &objstore.Error{Kind: objstore.ErrUnavailable,
			Detail: "the store takes no more writes: unmount it and open it again", Err: c.failed}
	case c.closed:
		return objstore.ErrClosed
	case c.e.opt.ReadOnly:
		return objstore.ErrReadOnly
	}
	return nil
}

// lead commits batches until own is in one, then hands over. own is queued.
func (c *committer) lead(own *op) {
	for done := false; !done; {
		batch, cut := c.next()
		finished, rest := c.process(batch, cut)
		done = slices.Contains(finished, own)
		c.putBack(rest)
		if done {
			c.handOver()
		}
		wake(finished, own)
		if own.patient && slices.ContainsFunc(finished, (*op).isUrgent) {
			runtime.Gosched() // they go on before own asks for a sync
		}
	}
}

// next takes a batch off the queue: those that are not patient if the others have not been passed over
// already, or else all. It may be cut short for those who come meanwhile if that passes nobody over twice.
func (c *committer) next() (batch []*op, mayCut bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := c.queue
	c.queue = nil
	if c.passedOver && !c.parking || !slices.ContainsFunc(all, (*op).isUrgent) {
		mayCut = !c.passedOver
		c.passedOver = false
		return all, mayCut
	}
	var urgent []*op
	for _, o := range all {
		if o.patient {
			c.queue = append(c.queue, o)
		} else {
			urgent = append(urgent, o)
		}
	}
	c.passedOver = len(c.queue) > 0
	return urgent, false
}

// latecomers takes those off the queue that are not patient.
func (c *committer) latecomers() (urgent []*op) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !slices.ContainsFunc(c.queue, (*op).isUrgent) {
		return nil
	}
	c.queue = slices.DeleteFunc(c.queue, func(o *op) bool {
		if o.isUrgent() {
			urgent = append(urgent, o)
		}
		return o.isUrgent()
	})
	return urgent
}

// putBack puts what did not fit into a batch where it was.
func (c *committer) putBack(rest []*op) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queue = append(rest[:len(rest):len(rest)], c.queue...)
	c.passedOver = c.passedOver || len(rest) > 0 && rest[0].patient
}

// handOver makes one of the next batch the leader, if there is to be one now.
func (c *committer) handOver() {
	c.mu.Lock()
	defer c.mu.Unlock()
	first := slices.IndexFunc(c.queue, (*op).isUrgent)
	if len(c.queue) == 0 || c.parking && first < 0 {
		c.leading = false
		return
	}
	if c.passedOver && !c.parking {
		first = 0
	}
	c.queue[max(0, first)].turn <- true
}

// syncBegins lets the patient wait until syncEnded, if that is any use to others.
func (c *committer) syncBegins() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.parking, c.urgent = c.urgent, false
}

func (c *committer) syncEnded() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.parking = false
	if !c.leading && len(c.queue) > 0 {
		c.leading = true
		c.queue[0].turn <- true
	}
}

func (o *op) isUrgent() bool { return !o.patient }

// wake lets the owners of all but own go on. The one that is woken last runs first.
func wake(finished []*op, own *op) {
	for _, patient := range []bool{true, false} {
		for _, o := range finished {
			if o != own && o.patient == patient {
				o.turn <- false
			}
		}
	}
}

// fail makes the store refuse everything from now on but reads.
func (c *committer) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed == nil {
		if e, ok := err.(*objstore.Error); ok && e.Op == "" {
			err = named("store", c.e.dir, err)
		}
		c.failed = err
		c.e.log.Error("the store stops taking writes", "error", err)
	}
}

// hasFailed reports whether the store refuses everything but reads.
func (c *committer) hasFailed() bool { return c.failure() != nil }

// failure is why it does, or nil.
func (c *committer) failure() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failed
}

// close refuses what comes from now on and waits for what came before.
func (c *committer) close() {
	c.mu.Lock()
	c.closed = true
	waiting := &op{f: func(*tx) error { return nil }, patient: true, turn: make(chan bool, 1)}
	idle := len(c.queue) == 0 && !c.leading
	if !idle {
		c.queue = append(c.queue, waiting)
	}
	c.mu.Unlock()
	if !idle && <-waiting.turn {
		c.lead(waiting)
	}
}
