package badgerstore

import (
	"context"
	"sync"
	"time"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/extent"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/record"
)

const (
	// collectEvery is how often garbage is looked at that waits for a reader, and the free space.
	collectEvery = time.Second
	// collectAtOnce is how many records of garbage go in one mutation.
	collectAtOnce = 64
)

// pending is garbage that waits: for its commit to be durable, so that it
// cannot come back, and for the readers of what used it.
type pending struct {
	number  uint64
	lineage uint64
	died    uint64
	ts      uint64
}

// collector removes what contents left behind. The queue is durable; what is
// in memory here is an index of it.
type collector struct {
	e *Engine

	working sync.Mutex // held while garbage is being removed

	mu    sync.Mutex
	queue []pending // GUARDED_BY(mu): in the order of commits

	work chan struct{} // capacity 1
	ctx  context.Context
	stop context.CancelFunc
	done chan struct{}
}

func newCollector(e *Engine) *collector {
	c := &collector{e: e, work: make(chan struct{}, 1), done: make(chan struct{})}
	c.ctx, c.stop = context.WithCancel(context.Background())
	return c
}

// load enters the garbage an earlier process left.
func (c *collector) load() error {
	v := c.e.view()
	defer v.close()
	return v.scan(record.GarbagePrefix(), func(key []byte, value any) (bool, error) {
		g, ok := value.(*record.Garbage)
		if !ok {
			return false, damaged("a garbage record is none")
		}
		c.queue = append(c.queue, pending{number: record.Number(key), lineage: g.Lineage, died: g.Version, ts: v.ts})
		return true, nil
	})
}

// note enters garbage of a commit.
func (c *collector) note(ts uint64, garbage []pending) {
	if len(garbage) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range garbage {
		p.ts = ts
		c.queue = append(c.queue, p)
	}
}

func (c *collector) wake() {
	select {
	case c.work <- struct{}{}:
	default:
	}
}

// run is the goroutine.
func (c *collector) run() {
	defer close(c.done)
	ticker := time.NewTicker(collectEvery)
	defer ticker.Stop()
	for {
		select {
		case <-c.work:
		case <-ticker.C:
			if err := c.e.guard.Tend(); err != nil {
				c.e.log.Warn("the free space cannot be looked after", "error", err)
			}
		case <-c.ctx.Done():
			return
		}
		for c.ctx.Err() == nil && c.collect() {
		}
	}
}

// collect removes a handful of garbage and reports whether there may be more.
func (c *collector) collect() bool {
	c.working.Lock()
	defer c.working.Unlock()
	batch := c.take()
	if len(batch) == 0 {
		return false
	}
	var unlink []unlinking
	err := c.e.commit(c.ctx, objstore.Visible, true, func(t *tx) error {
		unlink = nil
		for _, p := range batch {
			if t.isLarge() {
				t.garbage = append(t.garbage, p)
				continue
			}
			blobs, err := t.collect(p)
			if err != nil {
				return err
			}
			unlink = append(unlink, unlinking{p.number, blobs})
		}
		return nil
	})
	if err == nil {
		err = c.unlink(unlink)
	}
	if err != nil && c.ctx.Err() == nil {
		c.e.log.Error("garbage stays until the store is opened again", "error", err)
	}
	return err == nil
}

// take removes what can go from the queue, at most collectAtOnce.
func (c *collector) take() (batch []pending) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.queue) == 0 {
		return nil
	}
	safe := min(c.e.epochs.turn(c.e.published.Load), c.e.syncer.marked.Load())
	var left []pending
	for _, p := range c.queue {
		if len(batch) < collectAtOnce && p.ts <= safe && !c.e.pins.holds(p.lineage, p.died) {
			batch = append(batch, p)
		} else {
			left = append(left, p)
		}
	}
	c.queue = left
	return batch
}

// unlinking is blobs to be removed, and the garbage record that says so.
type unlinking struct {
	number uint64
	blobs  []record.PayloadRef
}

// unlink removes blobs, then the records that would have it done again.
func (c *collector) unlink(all []unlinking) error {
	var done []uint64
	for _, u := range all {
		if len(u.blobs) == 0 {
			continue
		}
		for _, b := range u.blobs {
			if err := c.e.blobs.Remove(blobOf(extent.RefKind(b.Kind), b.ID)); err != nil {
				return err
			}
		}
		done = append(done, u.number)
	}
	if len(done) == 0 {
		return nil
	}
	return c.e.commit(c.ctx, objstore.Visible, true, func(t *tx) error {
		for _, number := range done {
			t.set(record.GarbageKey(number), nil)
		}
		return nil
	})
}

// collect ends the references in one record of garbage. The blobs it returns
// are to be removed and are noted in the record's place. What is too much for
// one mutation stays in it.
func (t *tx) collect(p pending) ([]record.PayloadRef, error) {
	key := record.GarbageKey(p.number)
	value, err := t.get(key)
	if err != nil || value == nil {
		return nil, err
	}
	old, ok := value.(*record.Garbage)
	if !ok {
		return nil, damaged("garbage record %d is none", p.number)
	}
	for _, id := range old.Freed {
		t.setRefs(extent.Ref{Kind: extent.RefPage, ID: id}, record.Refs{Count: 1})
		t.set(record.PageKey(id), nil)
	}
	rest := &record.Garbage{Lineage: old.Lineage, Version: old.Version, Unlink: old.Unlink} // the content is not whole any more
	work := old.Dropped
	for len(work) > 0 && !t.isLarge() {
		r := extent.Ref{Kind: extent.RefKind(work[0].Kind), ID: work[0].ID}
		below, gone, err := t.dropOne(r)
		if err != nil {
			return nil, err
		}
		if gone && isBlob(r.Kind) {
			rest.Unlink = append(rest.Unlink[:len(rest.Unlink):len(rest.Unlink)], work[0])
		}
		work = append(work[1:len(work):len(work)], below...)
	}
	rest.Dropped = work
	switch {
	case len(work) > 0:
		t.set(key, rest)
		t.garbage = append(t.garbage, p)
		return nil, nil
	case len(rest.Unlink) > 0:
		t.set(key, rest)
		return rest.Unlink, nil
	default:
		t.set(key, nil)
		return nil, nil
	}
}

// isLarge reports whether a mutation that can be split should be.
func (t *tx) isLarge() bool {
	return t.ov.bytes > t.e.batchBytesMax/2 || len(t.ov.changed) > t.e.batchKeysMax/2
}

// dropOne ends one reference. If it was the last, what it referred to is gone,
// and the references that had are next.
func (t *tx) dropOne(r extent.Ref) (below []record.PayloadRef, gone bool, err error) {
	refs, err := t.refs(r)
	if err != nil {
		return nil, false, err
	}
	if refs.Count > 1 {
		refs.Count--
		t.setRefs(r, refs)
		return nil, false, nil
	}
	t.setRefs(r, record.Refs{Count: 1}) // not counted any more
	switch r.Kind {
	case extent.RefInline:
		t.set(record.PayloadKey(r.ID), nil)
	case extent.RefPage:
		page, err := pages{t.tree}.Page(extent.PageID(r.ID))
		if err != nil {
			return nil, false, err
		}
		t.set(record.PageKey(r.ID), nil)
		for _, child := range page.Refs() {
			below = append(below, record.PayloadRef{Kind: uint8(child.Kind), ID: child.ID})
		}
	default:
		t.setRefs(r, record.Refs{})
	}
	return below, true, nil
}

// close waits for what is being removed; the rest is found again at the next open.
func (c *collector) close() {
	c.stop()
	<-c.done
}
