package badgerstore

import (
	"context"
	"slices"
	"time"

	"github.com/etagfs/etagfs/objstore"
)

// withRoom runs f, which leaves no trace if it finds no space, and then once more if what was replaced or deleted before has given some
// back meanwhile: who removes a file to make room for another need not wait for the collector.
func (e *Engine) withRoom(ctx context.Context, f func() error) error {
	before := e.collector.went.Load() // what goes while f runs it may have come too early for
	err := f()
	if objstore.KindOf(err) != objstore.ErrNoSpace || !e.reclaim(ctx, before) {
		return err
	}
	return f()
}

const (
	// reclaimLooks is how often reclaim looks again, for what somebody reads from the key-value store at that moment keeps everything, and
	// a check keeps it for long. It looks more often while others remove what can go: the end of a large file takes its time.
	reclaimLooks     = 8
	reclaimLooksMost = 400
	// reclaimLooksEvery is between two.
	reclaimLooksEvery = 5 * time.Millisecond
)

// reclaim removes all that can go now, and reports whether anything has since before, by whomever: what nobody reads, once what made it
// garbage is durable and known to be.
func (e *Engine) reclaim(ctx context.Context, before uint64) (freed bool) {
	c := e.collector
	if c.mayFree() && e.syncer.settled() == nil {
		c.removeAll(ctx)
	}
	return c.went.Load() != before
}

// removeAll returns when nothing is left that can go, or it has looked for that often enough.
func (c *collector) removeAll(ctx context.Context) {
	every := time.NewTicker(reclaimLooksEvery)
	defer every.Stop()
	for looks, idle := 0, 0; looks < reclaimLooksMost && idle < reclaimLooks; looks++ {
		for ctx.Err() == nil && c.collectIfIdle() {
		}
		if !c.mayFree() {
			return
		}
		if !c.isRemoving() {
			idle++
		}
		select {
		case <-every.C:
		case <-ctx.Done():
			return
		}
	}
}

// collectIfIdle is collect unless somebody is at it, or a check keeps all from going.
func (c *collector) collectIfIdle() bool {
	if !c.working.TryLock() {
		return false
	}
	defer c.working.Unlock()
	return c.collectSome()
}

// mayFree reports whether garbage is being removed, or waits for nobody who reads it.
func (c *collector) mayFree() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.taken > 0 || slices.ContainsFunc(c.queue, func(p pending) bool { return !c.e.pins.holds(p.lineage, p.died) })
}

func (c *collector) isRemoving() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.taken > 0
}

// WriteAt implements [objstore.Stage].
func (s *stage) WriteAt(ctx context.Context, p []byte, off int64) (n int, err error) {
	err = s.b.e.withRoom(ctx, func() (err error) {
		n, err = s.Stage.WriteAt(ctx, p, off)
		return err
	})
	return n, err
}

// Allocate implements [objstore.Stage].
func (s *stage) Allocate(ctx context.Context, off, length int64, mode objstore.AllocateMode) error {
	return s.b.e.withRoom(ctx, func() error { return s.Stage.Allocate(ctx, off, length, mode) })
}
