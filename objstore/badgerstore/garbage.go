package badgerstore

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/extent"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/record"
)

const (
	// collectEvery is how often garbage is looked at that waits for a reader, and the free space.
	collectEvery = time.Second
	// collectAtOnce is how many records of garbage go in one mutation. Each changes some seven keys, and a close that
	// comes meanwhile waits for all of them: 64 of them took two milliseconds.
	collectAtOnce = 8
	// settleAtOnce is how many records of removed blobs wait for each other at most: syncing is for all of them.
	settleAtOnce = 1024
	// unlinkAtOnce is about how many blobs one record of garbage says are to be removed.
	unlinkAtOnce = 1024
)

// pending is garbage that waits: for its commit to be durable, so that it
// cannot come back, and for the readers of what used it.
type pending struct {
	number  uint64
	lineage uint64
	died    uint64
	ts      uint64
	since   time.Time // it was noted, or is known to be read; zero: by an earlier process
}

// collector removes what contents left behind. The queue is durable; what is
// in memory here is an index of it.
type collector struct {
	e *Engine

	working sync.Mutex // held while garbage is being removed
	paused  int        // GUARDED_BY(working): who wants nothing to be removed
	failing bool       // GUARDED_BY(working): the last attempt failed
	removed []pending  // GUARDED_BY(working): their blobs are gone, their records still say so
	lull    lull       // GUARDED_BY(working)

	mu    sync.Mutex
	queue []pending // GUARDED_BY(mu): in the order of commits
	taken int       // GUARDED_BY(mu): records that are not in it any more and being removed

	went atomic.Uint64 // records that were removed, or in part

	// held: garbage of the queue waits for who has pinned what used it, or is being looked at and may have to.
	held atomic.Bool

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
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range garbage {
		if p.ts == 0 { // else it is the rest of what has waited already
			p.ts, p.since = ts, now
		}
		c.queue = append(c.queue, p)
	}
}

func (c *collector) wake() {
	select {
	case c.work <- struct{}{}:
	default:
	}
}

// unpinned comes when something is not pinned any more. It wakes the collector if that may be what garbage
// waits for: mostly none does, and whoever closes a file need not pay for a look.
func (c *collector) unpinned() {
	if c.held.Load() {
		c.wake()
	}
}

// pause returns once nothing is being removed; nothing is until resume is called. It is for what takes long: unlike working
// it does not keep the free space from being looked after, or the store from being closed.
func (c *collector) pause() (resume func()) {
	c.working.Lock()
	defer c.working.Unlock()
	c.paused++
	return func() {
		c.working.Lock()
		c.paused--
		c.working.Unlock()
		c.wake()
	}
}

// run is the goroutine.
func (c *collector) run() {
	defer close(c.done)
	ticker := time.NewTicker(collectEvery)
	defer ticker.Stop()
	again := time.NewTimer(lullAfter)
	defer again.Stop()
	for {
		select {
		case <-c.work:
		case <-again.C:
		case <-ticker.C:
			if err := c.e.guard.Tend(); err != nil {
				c.e.log.Warn("the free space cannot be looked after", "error", err)
			}
		case <-c.ctx.Done():
			return
		}
		if !c.collectNow() {
			again.Reset(lullAfter)
		}
	}
}

// collectNow removes what can go, unless others want the disk first: then it is false, and there may be some left.
func (c *collector) collectNow() bool {
	urgent := c.isUrgent(time.Now())
	for c.ctx.Err() == nil && c.waiting() > 0 {
		if !urgent && !c.isCalm(time.Now()) {
			return false
		}
		if !c.collect() {
			return true
		}
		runtime.Gosched() // else who became runnable meanwhile waits for a whole burst: a batch hands its time slice to the next
	}
	return true
}

// collect removes a handful of garbage and reports whether there may be more.
func (c *collector) collect() bool {
	c.working.Lock()
	defer c.working.Unlock()
	return c.collectSome()
}

// collectSome is collect; working is held.
func (c *collector) collectSome() bool {
	if c.paused > 0 {
		return false
	}
	if len(c.removed) >= settleAtOnce {
		return c.attempted(nil, c.settle())
	}
	batch := c.take()
	if len(batch) == 0 {
		return len(c.removed) > 0 && c.attempted(nil, c.settle())
	}
	var unlink []unlinking
	err := c.commit(func(t *tx) error {
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
			unlink = append(unlink, unlinking{p, blobs})
		}
		return nil
	})
	if err == nil {
		err = c.unlink(unlink)
	}
	return c.attempted(batch, err)
}

// attempted keeps garbage that could not be removed for a later attempt, and reports whether
// it could; working is held.
func (c *collector) attempted(batch []pending, err error) bool {
	if err != nil && c.ctx.Err() == nil && !c.failing {
		c.e.log.Error("garbage cannot be removed now", "error", err)
	}
	c.failing = err != nil
	c.mu.Lock()
	defer c.mu.Unlock()
	c.taken = 0
	if err == nil {
		c.went.Add(uint64(len(batch)))
		return true
	}
	c.queue = append(batch, c.queue...)
	return false
}

// take removes what can go from the queue, at most collectAtOnce.
func (c *collector) take() (batch []pending) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.queue) == 0 {
		return nil
	}
	c.held.Store(true) // before the pins are looked at: who gives one up afterwards wakes the collector once more
	safe := min(c.e.epochs.turn(c.e.published.Load), c.e.syncer.marked.Load())
	// What must stay moves up to where the rest of the queue begins, which is not looked at.
	var held []pending
	next, now := 0, time.Now()
	for next < len(c.queue) && c.queue[next].ts <= safe && len(batch) < collectAtOnce {
		p := c.queue[next]
		next++
		if c.e.pins.holds(p.lineage, p.died) {
			p.since = now
			held = append(held, p)
		} else {
			batch = append(batch, p)
		}
	}
	c.held.Store(len(held) > 0)
	c.taken = len(batch)
	next -= len(held)
	copy(c.queue[next:], held)
	if c.queue = c.queue[next:]; len(c.queue) == 0 {
		c.queue = nil
	}
	return batch
}

// commit runs f as a mutation nobody waits for; working is held.
func (c *collector) commit(f func(*tx) error) error {
	if err := cancelled(c.ctx); err != nil {
		return err
	}
	o := &op{f: f, essential: true, patient: true}
	err := c.e.carry(o, objstore.Visible)
	if err == nil {
		c.lull.own(o.ts)
	}
	return err
}

// unlinking is blobs to be removed, and the garbage whose record says so.
type unlinking struct {
	pending
	blobs []record.PayloadRef
}

// unlink removes blobs. Their records still say that they are to be removed, until they are settled.
func (c *collector) unlink(all []unlinking) error {
	var done []pending
	for _, u := range all {
		if len(u.blobs) == 0 {
			continue
		}
		for _, b := range u.blobs {
			if err := c.e.blobs.Remove(blobOf(extent.RefKind(b.Kind), b.ID)); err != nil {
				return err
			}
		}
		done = append(done, u.pending)
	}
	c.removed = append(c.removed, done...)
	return nil
}

// settle changes the records of blobs that were removed, once no loss of power can bring those back.
func (c *collector) settle() error {
	if err := c.e.blobs.SyncRemovals(); err != nil {
		return err
	}
	n := 0
	err := c.commit(func(t *tx) error {
		for n = 0; n < len(c.removed) && !t.isLarge(); n++ {
			if err := t.unlinked(c.removed[n]); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		c.removed = c.removed[n:]
	}
	return err
}

// garbageOf is the record of p; nil if it is gone.
func (t *tx) garbageOf(p pending) (*record.Garbage, error) {
	value, err := t.get(record.GarbageKey(p.number))
	if err != nil || value == nil {
		return nil, err
	}
	g, ok := value.(*record.Garbage)
	if !ok {
		return nil, damaged("garbage record %d is none", p.number)
	}
	return g, nil
}

// unlinked notes that the blobs p's record said are to be removed are gone. The rest of it is for later.
func (t *tx) unlinked(p pending) error {
	g, err := t.garbageOf(p)
	if err != nil || g == nil {
		return err
	}
	if len(g.Dropped)+len(g.Freed) == 0 {
		t.set(record.GarbageKey(p.number), nil)
		return nil
	}
	rest := *g
	rest.Unlink = nil
	t.set(record.GarbageKey(p.number), &rest)
	t.garbage = append(t.garbage, p)
	return nil
}

// collect ends the references in one record of garbage. The blobs it returns
// are to be removed and are noted in the record's place. What is too much for
// one mutation stays in it.
func (t *tx) collect(p pending) ([]record.PayloadRef, error) {
	old, err := t.garbageOf(p)
	if err != nil || old == nil {
		return nil, err
	}
	rest := &record.Garbage{Lineage: old.Lineage, Version: old.Version, Unlink: old.Unlink} // the content is not whole any more
	rest.Freed = t.removeFreed(old.Freed)
	if rest.Dropped, err = t.dropAll(old.Dropped, rest); err != nil {
		return nil, err
	}
	key := record.GarbageKey(p.number)
	switch {
	case len(rest.Unlink) > 0:
		t.set(key, rest) // unlinked comes back to it
	case len(rest.Dropped)+len(rest.Freed) > 0:
		t.set(key, rest)
		t.garbage = append(t.garbage, p)
	default:
		t.set(key, nil)
	}
	return rest.Unlink, nil
}

// removeFreed removes freed pages and returns those that are too many for this mutation.
func (t *tx) removeFreed(freed []uint64) (rest []uint64) {
	for len(freed) > 0 && !t.isLarge() {
		t.setRefs(extent.Ref{Kind: extent.RefPage, ID: freed[0]}, record.Refs{Count: 1})
		t.set(record.PageKey(freed[0]), nil)
		freed = freed[1:]
	}
	return freed
}

// dropAll ends references, and those of what goes with them, and notes in g which
// blobs are to be removed. It returns the references that are too many for this mutation.
func (t *tx) dropAll(work []record.PayloadRef, g *record.Garbage) (rest []record.PayloadRef, err error) {
	for len(work) > 0 && len(g.Unlink) < unlinkAtOnce && !t.isLarge() {
		r := extent.Ref{Kind: extent.RefKind(work[0].Kind), ID: work[0].ID}
		below, gone, err := t.dropOne(r)
		if err != nil {
			return nil, err
		}
		if gone && isBlob(r.Kind) {
			g.Unlink = append(g.Unlink[:len(g.Unlink):len(g.Unlink)], work[0])
		}
		work = append(below, work[1:]...) // depth first: what is left stays short
	}
	return work, nil
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
	if isBlob(r.Kind) && refs.Count == 0 {
		// Whoever else refers to it is not counted any more either: the file stays, for them.
		t.e.log.Error("the count of references to a blob is lost: its file is not removed", "blob", blobOf(r.Kind, r.ID))
		return nil, false, nil
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
		t.set(record.PageKey(r.ID), nil)
		if objstore.KindOf(err) == objstore.ErrCorrupt {
			// What it referred to is not known, and stays. All other garbage would wait behind it for ever.
			t.e.log.Error("a page of extents is lost: what it referred to is not removed", "page", r.ID, "error", err)
			return nil, true, nil
		}
		if err != nil {
			return nil, false, err
		}
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
