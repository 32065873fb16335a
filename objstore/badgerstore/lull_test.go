package badgerstore

import (
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"
)

// withRoom is a collector nobody runs, of a store on a disk with as much space as is set.
func withRoom(t *testing.T) (c *collector, free *atomic.Int64) {
	t.Helper()
	room := newRoomDisk(ampleBytes)
	parts := testParts(t)
	parts.Disk = room
	var passed atomic.Int64 // what the disk said is believed for a moment
	parts.Clock = func() time.Time { return time.Now().Add(time.Duration(passed.Add(int64(time.Second)))) }
	e, err := Open(t.Context(), filepath.Join(testDir(t), "store"), Options{Create: true}, parts)
	must(t, err)
	t.Cleanup(func() { must(t, e.Close()) })
	apart := &Engine{syncer: new(syncer), guard: e.guard}
	apart.published.Store(7)
	for range 4 { // until the epoch of what was published has come
		apart.epochs.turn(apart.published.Load)
	}
	c = newCollector(apart)
	apart.collector = c
	return c, room.free
}

// TestGarbageWaitsForALull: while others change the store it is not calm, and neither while they wait for a
// sync; it is once neither has been for a moment, and the collector's own commits count for nothing.
func TestGarbageWaitsForALull(t *testing.T) {
	c, _ := withRoom(t)
	now := time.Now()
	if c.isCalm(now) {
		t.Error("calm at the moment of a commit")
	}
	if now = now.Add(lullAfter); !c.isCalm(now) {
		t.Error("not calm though nobody committed")
	}
	c.e.published.Store(8)
	if now = now.Add(lullAfter); c.isCalm(now) {
		t.Error("calm at the moment of the next commit")
	}
	c.lull.own(9)
	c.e.published.Store(9)
	if now = now.Add(lullAfter); !c.isCalm(now) {
		t.Error("the collector's own commit ended the lull")
	}
	c.e.syncer.mu.Lock()
	c.e.syncer.waiting++
	c.e.syncer.mu.Unlock()
	if now = now.Add(lullAfter); c.isCalm(now) {
		t.Error("calm while somebody waits for a sync")
	}
	c.e.syncer.mu.Lock()
	c.e.syncer.waiting--
	c.e.syncer.mu.Unlock()
	if !c.isCalm(now) {
		t.Error("not calm though nobody waits any more")
	}
}

// TestGarbageWaitsForALullOnlySoLong: what has waited long enough goes whatever others do, and all of it as soon as room is scarce.
func TestGarbageWaitsForALullOnlySoLong(t *testing.T) {
	c, free := withRoom(t)
	if c.isUrgent(time.Now().Add(time.Hour)) {
		t.Error("urgent without garbage")
	}
	c.note(7, []pending{{number: 1}})
	if c.isUrgent(c.queue[0].since) {
		t.Error("urgent as soon as there is garbage")
	}
	if !c.isUrgent(c.queue[0].since.Add(garbagePatience)) {
		t.Error("it waits for ever")
	}
	free.Store(scarceBytes)
	if !c.isUrgent(c.queue[0].since) {
		t.Error("it waits though room is scarce")
	}
}

// TestGarbageSomebodyReadsDoesNotMakeTheRestUrgent: it is in front of all other, however long it has been there.
func TestGarbageSomebodyReadsDoesNotMakeTheRestUrgent(t *testing.T) {
	c, _ := withRoom(t)
	c.e.syncer.marked.Store(7)
	c.e.pins.counts = map[uint64]map[uint64]int{}
	c.e.pins.add(5, 1)
	c.note(7, []pending{{number: 1, lineage: 5, died: 2}})
	before := time.Now()
	c.queue[0].since = before.Add(-time.Hour)
	if !c.isUrgent(before) {
		t.Fatal("what is there for an hour is not urgent")
	}
	if batch := c.take(); len(batch) > 0 {
		t.Fatalf("%v is taken while it is read", batch)
	}
	if c.isUrgent(before) {
		t.Error("what is read is urgent again at once")
	}
}

// TestNothingIsRemovedBeforeALull: the collector does not even look at garbage in the middle of changes, unless it is urgent.
func TestNothingIsRemovedBeforeALull(t *testing.T) {
	c, _ := withRoom(t)
	c.e.syncer.marked.Store(7)
	c.e.pins.counts = map[uint64]map[uint64]int{}
	c.e.pins.add(5, 1) // or else looking would be removing
	noted := func(since time.Time) (lookedAt, enough bool) {
		c.note(7, []pending{{number: 1, lineage: 5, died: 2}})
		c.queue[0].since = since
		enough = c.collectNow()
		lookedAt = c.queue[0].since != since
		c.queue = nil
		return lookedAt, enough
	}
	if lookedAt, enough := noted(time.Now().Add(time.Hour)); lookedAt || enough {
		t.Errorf("in the middle of changes: looked at %t, no later attempt %t", lookedAt, enough)
	}
	if lookedAt, enough := noted(time.Now().Add(-time.Hour)); !lookedAt || !enough {
		t.Errorf("urgent: looked at %t, no later attempt %t", lookedAt, enough)
	}
}
