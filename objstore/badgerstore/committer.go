package badgerstore

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/record"
)

// committer takes every mutation of the store, one after the other. There is
// no goroutine for it: who comes while nobody commits becomes the leader, commits
// what is queued as one batch, and hands over to the first who came meanwhile. So an
// uncontended commit changes goroutines only inside Badger.
//
// Who waits for a disk anyway lets those who do not go first, once: a close beside
// many fsyncs does not wait until all of them are evaluated.
type committer struct {
	e *Engine

	mu      sync.Mutex
	queue   []*op // GUARDED_BY(mu): not yet in a batch
	leading bool  // GUARDED_BY(mu): there is a leader
	// passedOver: the batch before left patient ones in the queue, which are all in the next.
	passedOver bool  // GUARDED_BY(mu)
	closed     bool  // GUARDED_BY(mu)
	failed     error // GUARDED_BY(mu): why nothing is accepted any more

	// Owned by the leader.
	lastTime   time.Time // of the last batch
	expireFrom []byte    // before this there are no outcomes; nil: nobody knows
}

// errBatchTooLarge says that one mutation does not fit into a transaction of Badger.
var errBatchTooLarge = problem(objstore.ErrTooLarge, "the change has too many parts")

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

// effects are what a batch does beside changing keys.
type effects struct {
	blobs   []record.Blob
	garbage []pending
	objects int64
}

func (s *effects) add(t *tx) {
	s.blobs = append(s.blobs, t.blobs...)
	s.garbage = append(s.garbage, t.garbage...)
	s.objects += t.objects
}

// commit runs f as one mutation and waits until it is visible, or durable. f
// sees the state of its turn; if it fails it leaves no trace. Once queued the
// mutation is carried through whatever becomes of ctx.
func (e *Engine) commit(ctx context.Context, d objstore.Durability, essential bool, f func(*tx) error) error {
	if err := cancelled(ctx); err != nil {
		return err
	}
	return e.carry(&op{f: f, essential: essential, patient: d == objstore.Durable}, d)
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
	if c.leading {
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
	}
}

// next takes a batch off the queue: those that are not patient if the others have not been passed over
// already, or else all. It may be cut short for those who come meanwhile if that passes nobody over twice.
func (c *committer) next() (batch []*op, mayCut bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := c.queue
	c.queue = nil
	if c.passedOver || !slices.ContainsFunc(all, (*op).isUrgent) {
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

// handOver makes one of the next batch the leader.
func (c *committer) handOver() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.queue) == 0 {
		c.leading = false
		return
	}
	first := 0
	if !c.passedOver {
		first = max(0, slices.IndexFunc(c.queue, (*op).isUrgent))
	}
	c.queue[first].turn <- true
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

// process commits a batch that fits into one transaction, and returns its operations and those that did not fit.
// It takes at least one. Who is not patient and comes meanwhile is taken as well, and ends the batch if
// that may be cut: a close waits for what is being evaluated, not for all that was queued.
func (c *committer) process(ops []*op, mayCut bool) (finished, rest []*op) {
	base := c.e.view()
	defer base.close()
	defer c.e.pins.settle()
	ov := newOverlay(base)
	now := c.now()
	var sum effects
	limit := c.e.sizes
	taken := 0
	for taken < len(ops) && taken < limit.batchOps && (taken == 0 || ov.bytes < limit.batchBytes) {
		if taken > 0 && ops[taken].patient {
			late := c.latecomers()
			ops = slices.Insert(ops, taken, late...)
			if mayCut && len(late) == 0 && ops[taken-1].isUrgent() {
				break
			}
		}
		t := c.evaluate(ops[taken], ov, now)
		if ov.bytes > c.e.batchBytesMax || len(ov.changed) > c.e.batchKeysMax {
			t.rollback()
			if taken > 0 {
				break // it has a batch of its own next
			}
			ops[taken].err, ops[taken].changes = errBatchTooLarge, nil
		}
		sum.add(t)
		taken++
	}
	batch := ops[:taken]
	err := c.apply(ov, batch, &sum)
	if err != nil && objstore.KindOf(err) != objstore.ErrUnknown && taken > 1 {
		finished, _ = c.process(ops[:1:1], false) // one by one: nothing was applied, and none must fail because of another
		return finished, ops[1:]
	}
	if err != nil {
		for _, o := range batch {
			o.err, o.changes = err, nil
		}
	}
	return batch, ops[taken:]
}

func (c *committer) now() time.Time {
	if now := c.e.clock(); now.After(c.lastTime) {
		c.lastTime = now
	}
	return c.lastTime
}

// evaluate runs one operation on what the batch has come to.
func (c *committer) evaluate(o *op, ov *overlay, now time.Time) *tx {
	t := &tx{e: c.e, ov: ov, now: now, start: len(ov.log)}
	t.tree = tree{ov}
	o.err = o.f(t)
	if o.err == nil && ov.largest(t.start) > c.e.sizes.valueBytesMax() {
		o.err = problem(objstore.ErrTooLarge, "the attributes of an object are too large")
	}
	if o.err != nil && !t.keep {
		t.rollback()
	}
	o.changes = t.changes
	return t
}

// apply makes a batch part of the store and visible.
func (c *committer) apply(ov *overlay, batch []*op, sum *effects) error {
	ts := ov.base.ts
	if len(ov.changed) > 0 {
		ts++
		release, err := c.admit(ov, batch)
		if err != nil {
			return err
		}
		defer release()
		objects := c.e.objects.Load() + sum.objects
		sequence := record.Sequence{Blobs: sum.blobs, Objects: uint64(objects)}
		if err := c.write(ov, ts, sequence); err != nil {
			return err
		}
		c.e.syncer.note(ts, sum.blobs)
		c.e.collector.note(ts, sum.garbage)
		c.e.objects.Store(objects)
		for key, value := range ov.changed {
			if isCached([]byte(key)) {
				c.e.cache.apply(key, ts, value)
			}
		}
	}
	c.publish(ts, batch)
	return nil
}

// publish makes a batch visible and tells the watchers.
func (c *committer) publish(ts uint64, batch []*op) {
	w := &c.e.watchers
	w.telling.Lock()
	defer w.telling.Unlock()
	c.e.published.Store(ts)
	for _, o := range batch {
		o.ts = ts
		w.tell(o.changes)
	}
}

// admit asks for the space a batch takes.
func (c *committer) admit(ov *overlay, batch []*op) (release func(), err error) {
	const factor = 3 // the log, the table it is flushed to, and a compaction of that
	bytes := int64(factor*ov.bytes) + c.e.logBlocks.tableBytes()
	if c.e.logBlocks.tableBytes() > 0 {
		if err := c.awaitCompactions(); err != nil {
			return nil, err
		}
	}
	reserve := c.e.guard.ReserveEssential
	for _, o := range batch {
		if !o.essential {
			reserve = c.e.guard.Reserve
		}
	}
	if err := reserve(bytes); err != nil {
		return nil, err
	}
	return func() { c.e.guard.Release(bytes) }, nil
}

// awaitCompactions waits where Badger would, for room for one more table, if it does not compact. That
// wait has an end.
func (c *committer) awaitCompactions() error {
	sizes := c.e.sizes
	c.e.compactions.await(sizes.tablesL0Stall - sizes.memTables - 1)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed != nil {
		return c.refusal()
	}
	return nil
}

// write makes the batch one transaction of Badger. Until that is committed an error is the
// batch's alone; from then on nobody knows what was applied, and the store stops.
func (c *committer) write(ov *overlay, ts uint64, sequence record.Sequence) error {
	txn := c.e.db.NewTransactionAt(ts, true)
	defer txn.Discard()
	bytes, err := c.fill(txn, ov, sequence)
	if err == nil {
		err = c.e.logBlocks.reserve(bytes)
	}
	if err != nil {
		return classified("commit", err)
	}
	if err := errors.Join(txn.CommitAt(ts, nil), c.e.logBlocks.wrote(bytes, len(ov.changed)+1)); err != nil {
		c.fail(err)
		return &objstore.Error{Kind: objstore.ErrUnknown, Err: err}
	}
	return nil
}

// fill puts a batch and its sequence record into txn, and returns how long its part of a log is at most.
func (c *committer) fill(txn *badger.Txn, ov *overlay, sequence record.Sequence) (bytes int64, err error) {
	bytes = logEndBytes
	for key, value := range ov.changed {
		k := []byte(key)
		var p []byte
		if value == nil {
			err = txn.Delete(k)
		} else if p, err = encode(k, value); err == nil {
			err = c.set(txn, k, p)
		}
		if err != nil {
			return 0, err
		}
		bytes += int64(len(k) + len(p) + logEntryBytes)
	}
	key := record.SequenceKey()
	p := record.EncodeSequence(key, sequence)
	return bytes + int64(len(key)+len(p)+logEntryBytes), c.set(txn, key, p)
}

// set refuses what Badger would move to its value log.
func (c *committer) set(txn *badger.Txn, key, value []byte) error {
	if len(value) >= int(c.e.sizes.valueThreshold()) {
		return problem(objstore.ErrTooLarge, "a record of %d bytes is too large", len(value))
	}
	return txn.Set(key, value)
}

// fail makes the store refuse everything from now on but reads.
func (c *committer) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed == nil {
		c.failed = err
		c.e.log.Error("the store stops taking writes", "error", err)
	}
}

// hasFailed reports whether the store refuses everything but reads.
func (c *committer) hasFailed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failed != nil
}

// close refuses what comes from now on and waits for what came before.
func (c *committer) close() {
	c.mu.Lock()
	c.closed = true
	waiting := &op{f: func(*tx) error { return nil }, turn: make(chan bool, 1)}
	idle := !c.leading
	if !idle {
		c.queue = append(c.queue, waiting)
	}
	c.mu.Unlock()
	if !idle && <-waiting.turn {
		c.lead(waiting)
	}
}
