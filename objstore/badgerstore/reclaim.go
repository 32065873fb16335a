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
	err := f()
	if objstore.KindOf(err) != objstore.ErrNoSpace || !e.reclaim(ctx) {
		return err
	}
	return f()
}

const (
	// reclaimLooks is how often reclaim looks again, for what somebody reads from the key-value store at that moment keeps everything, and
	// a check keeps it for long.
	reclaimLooks = 8
	// reclaimLooksEvery is between two.
	reclaimLooksEvery = 5 * time.Millisecond
)

// reclaim removes all that can go now, and reports whether anything has, by whomever: what nobody reads, once what made it garbage is
// durable and known to be.
func (e *Engine) reclaim(ctx context.Context) (freed bool) {
	before, may := e.collector.mayFree()
	if !may || e.syncer.settled() != nil {
		return false
	}
	looks := time.NewTicker(reclaimLooksEvery)
	defer looks.Stop()
	for range reclaimLooks {
		for ctx.Err() == nil && e.collector.collectIfIdle() {
		}
		if after, may := e.collector.mayFree(); !may || ctx.Err() != nil {
			return after < before
		}
		select {
		case <-looks.C:
		case <-ctx.Done():
		}
	}
	after, _ := e.collector.mayFree()
	return after < before
}

// collectIfIdle is collect unless somebody is at it, or a check keeps all from going.
func (c *collector) collectIfIdle() bool {
	if !c.working.TryLock() {
		return false
	}
	defer c.working.Unlock()
	return c.collectSome()
}

// mayFree is how many records of garbage wait, and whether one of them waits for nobody who reads it.
func (c *collector) mayFree() (waiting int, may bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.queue), slices.ContainsFunc(c.queue, func(p pending) bool { return !c.e.pins.holds(p.lineage, p.died) })
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
