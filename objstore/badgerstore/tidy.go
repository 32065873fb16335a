package badgerstore

import (
	"context"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/etagfs/etagfs/objstore"
)

const (
	// collectLooks is how often Collect looks, since anything went, whether calls that run have ended: they may read what is to go. Looks
	// are counted and not the time, of which a machine that stands still has too much.
	collectLooks = 100
	// collectLooksEvery is between two.
	collectLooksEvery = 20 * time.Millisecond
)

// Collected is what became of garbage.
type Collected struct {
	Removed    int   `json:"removed"`     // records of garbage that are gone; 0 also if they went before
	Waiting    int   `json:"waiting"`     // that stay: who reads what they are of has not ended, or may come back
	BytesFreed int64 `json:"bytes_freed"` // of the file system, by whomever
}

// Collect removes what replaced and deleted contents have left behind and nobody reads, and returns when that has gone. The
// same happens by itself, moments after nobody reads it.
func (e *Engine) Collect(ctx context.Context, progress Progress) (c Collected, err error) {
	if err := e.writable(ctx); err != nil {
		return c, named("collect garbage", e.dir, err)
	}
	before, err := e.fs.Space(e.dir)
	if err == nil {
		err = e.syncer.durableUpTo(e.published.Load())
	}
	if err != nil {
		return c, named("collect garbage", e.dir, classified("collect garbage", err))
	}
	all := e.collector.waiting()
	c.Waiting, err = e.collector.drained(ctx, advance{tell: progress, total: int64(all)})
	if err != nil {
		return c, named("collect garbage", e.dir, err)
	}
	c.Removed = max(0, all-c.Waiting)
	after, err := e.fs.Space(e.dir)
	c.BytesFreed = max(0, after.BytesFree-before.BytesFree)
	return c, named("collect garbage", e.dir, classified("collect garbage", err))
}

// drained is how many records stay once nothing has gone for some looks.
func (c *collector) drained(ctx context.Context, adv advance) (waiting int, err error) {
	looks := time.NewTicker(collectLooksEvery)
	defer looks.Stop()
	least := int(adv.total)
	waiting = least
	for n := 0; n < collectLooks && waiting > 0; n++ {
		c.wake()
		select {
		case <-looks.C:
		case <-ctx.Done():
			return waiting, cancelled(ctx)
		}
		if waiting = c.waiting(); waiting < least {
			least, n = waiting, 0
			adv.at(adv.total - int64(least))
		}
	}
	return waiting, nil
}

// writable is why a store cannot be changed, or nil.
func (e *Engine) writable(ctx context.Context) error {
	if e.opt.ReadOnly {
		return objstore.ErrReadOnly
	}
	return e.usable(ctx)
}

// waiting is how many records of garbage there are, and of removed blobs.
func (c *collector) waiting() int {
	c.working.Lock()
	n := len(c.removed)
	c.working.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	return n + len(c.queue)
}

// Compacted is what became of the tables of the key-value engine.
type Compacted struct {
	TablesBefore int   `json:"tables_before"`
	TablesAfter  int   `json:"tables_after"`
	BytesBefore  int64 `json:"bytes_before"`
	BytesAfter   int64 `json:"bytes_after"`
	// OneLevel is that the tables lay in one level already, and stayed as they were.
	OneLevel bool `json:"one_level,omitempty"`
}

// Compact merges the tables of the key-value engine into one level. What was replaced or deleted before goes with that, but for what was committed last; a single level stays as it is. All
// are verified before: over damage it is ErrCorrupt, and nothing was rewritten. Mutations go on, but have to wait if they make many
// tables meanwhile. It takes as much free space as the tables have, for a time, and cannot be interrupted: if ctx ends it goes on.
func (e *Engine) Compact(ctx context.Context, progress Progress) (c Compacted, err error) {
	if err := e.writable(ctx); err != nil {
		return c, named("compact", e.dir, err)
	}
	c.TablesBefore, c.BytesBefore, err = e.tableBytes()
	together := e.inOneLevel()
	if err == nil {
		err = e.guard.Room(c.BytesBefore + e.tableRoomBytes())
	}
	if err == nil {
		err = e.syncer.settled()
	}
	if err == nil {
		err = e.verifier.compactAll(ctx, advance{tell: progress, total: 2 * c.BytesBefore})
	}
	if err == nil {
		c.TablesAfter, c.BytesAfter, err = e.tableBytes()
		c.OneLevel = together && e.inOneLevel()
	}
	return c, named("compact", e.dir, err)
}

// inOneLevel reports whether there is no level to merge with another.
func (e *Engine) inOneLevel() bool {
	used := 0
	for _, level := range e.compactions.levels() {
		used += min(1, level.NumTables)
	}
	return used <= 1
}

func (e *Engine) tableBytes() (tables int, bytes int64, err error) {
	infos, err := e.tableInfos()
	for _, t := range infos {
		bytes += int64(t.OnDiskSize)
	}
	return len(infos), bytes, err
}

// flattening is the wish that everything is compacted.
type flattening struct {
	done   *atomic.Int64 // bytes of tables that were verified, and that were written since
	answer chan<- error
}

// tableBytesBut is how much the tables have that are not among some.
func (e *Engine) tableBytesBut(some map[uint64]bool) (bytes int64) {
	infos, _ := e.tableInfos() // what cannot be read now is told elsewhere
	for _, t := range infos {
		if !some[t.ID] {
			bytes += int64(t.OnDiskSize)
		}
	}
	return bytes
}

// compactAll asks run to compact everything.
func (v *verifier) compactAll(ctx context.Context, adv advance) error {
	answer, done := make(chan error, 1), new(atomic.Int64)
	select {
	case v.asked <- flattening{done, answer}:
	case <-v.done:
		return problem(objstore.ErrCorrupt, "a table was found damaged, and nothing is compacted any more: a check says which")
	case <-ctx.Done():
		return cancelled(ctx)
	}
	looks := time.NewTicker(looksEvery)
	defer looks.Stop()
	for {
		select {
		case err := <-answer:
			if err == nil {
				adv.end()
			}
			return err
		case <-looks.C:
			adv.at(min(done.Load(), adv.total))
		case <-ctx.Done():
			return cancelled(ctx)
		}
	}
}

// flattenAll verifies all tables and compacts them. Compactions are held when it returns if they were before. It is false if there must not be any.
func (v *verifier) flattenAll(bytes *atomic.Int64) (err error, ok bool) {
	infos, err := v.e.tableInfos()
	if err != nil {
		return err, false
	}
	before := map[uint64]bool{}
	for _, t := range infos {
		if !v.verify([]uint64{t.ID}) {
			return problem(objstore.ErrCorrupt, "a table is damaged, or the store is being closed: nothing was compacted"), false
		}
		before[t.ID] = true
		bytes.Add(int64(t.OnDiskSize))
	}
	verified := bytes.Load()
	if v.e.compactions.areHeld() {
		v.e.compactions.release()
		defer v.e.compactions.hold()
	}
	done := make(chan error, 1)
	go func() { done <- v.e.flatten() }()
	looks := time.NewTicker(looksEvery)
	defer looks.Stop()
	for {
		select {
		case err := <-done:
			return err, true
		case <-looks.C:
			if v.e.compactions.areForbidden() {
				return problem(objstore.ErrCorrupt, "a table was found damaged meanwhile"), false
			}
			bytes.Store(verified + v.e.tableBytesBut(before))
		}
	}
}

func (e *Engine) flatten() (err error) {
	defer e.caught(debug.SetPanicOnFault(true), &err)
	if err := e.db.Flatten(1); err != nil {
		return problemOf("the key-value engine could not compact", err)
	}
	return nil
}

func (c *compactions) areHeld() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.held != nil
}
