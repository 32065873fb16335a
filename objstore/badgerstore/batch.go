package badgerstore

import (
	"errors"
	"slices"
	"time"

	"github.com/dgraph-io/badger/v4"
	"golang.org/x/sys/unix"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/record"
)

// errBatchTooLarge says that one mutation does not fit into a transaction of Badger.
var errBatchTooLarge = problem(objstore.ErrTooLarge, "the change has too many parts")

// effects are what a batch does beside changing keys.
type effects struct {
	blobs     []record.Blob
	garbage   []pending
	scattered []uint64
	objects   int64
}

func (s *effects) add(t *tx) {
	s.blobs = append(s.blobs, t.blobs...)
	s.garbage = append(s.garbage, t.garbage...)
	s.scattered = append(s.scattered, t.scattered...)
	s.objects += t.objects
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
		c.e.merger.note(sum.scattered)
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
// batch's alone, unless the disk fails: then, and if committing fails, of which nobody knows what was applied, the store stops.
func (c *committer) write(ov *overlay, ts uint64, sequence record.Sequence) error {
	txn := c.e.db.NewTransactionAt(ts, true)
	defer txn.Discard()
	part := newLogPart(ts)
	err := c.fill(txn, &part, ov, sequence)
	if err == nil {
		err = c.e.logBlocks.reserve(part.bytesMax)
	}
	if err == nil && c.e.syncer.asked.Swap(false) {
		err = c.e.logBlocks.writeAhead(part.bytesMax)
	}
	if err == nil {
		err = c.e.logBlocks.touch(part)
	}
	if err != nil {
		if errors.Is(err, unix.EIO) {
			c.fail(err)
		}
		return classified("commit", err)
	}
	if err := errors.Join(txn.CommitAt(ts, nil), c.e.logBlocks.wrote(part)); err != nil {
		c.fail(err)
		return &objstore.Error{Kind: objstore.ErrUnknown, Err: err}
	}
	return nil
}

// fill puts a batch and its sequence record into txn and part.
func (c *committer) fill(txn *badger.Txn, part *logPart, ov *overlay, sequence record.Sequence) (err error) {
	for key, value := range ov.changed {
		k := []byte(key)
		var p []byte
		if value == nil {
			err = txn.Delete(k)
		} else if p, err = encode(k, value); err == nil {
			err = c.set(txn, k, p)
		}
		if err != nil {
			return err
		}
		part.add(len(k), len(p))
	}
	key := record.SequenceKey()
	p := record.EncodeSequence(key, sequence)
	part.add(len(key), len(p))
	return c.set(txn, key, p)
}

// set refuses what Badger would move to its value log.
func (c *committer) set(txn *badger.Txn, key, value []byte) error {
	if len(value) >= int(c.e.sizes.valueThreshold()) {
		return problem(objstore.ErrTooLarge, "a record of %d bytes is too large", len(value))
	}
	return txn.Set(key, value)
}
