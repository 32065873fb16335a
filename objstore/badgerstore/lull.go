package badgerstore

import "time"

const (
	// lullAfter is how long nobody must have changed the store for garbage to go at once.
	lullAfter = 20 * time.Millisecond
	// garbagePatience is how long garbage waits for that: whoever replaces large contents without a pause needs their room.
	garbagePatience = 500 * time.Millisecond
	// scarceBytes is how little room for writers is so little that garbage does not wait.
	scarceBytes = 4 << 30
)

// lull tells when nobody changes the store. The end of a large file keeps a disk busy: the file system may tell
// it of every block that is free now, and each sync meanwhile waits for that. Somebody who deletes one object after
// the other waits for the one before, then, which he did not ask for.
type lull struct {
	ts    uint64    // the last commit that was seen
	since time.Time // when it was
}

// see notes the last commit at a time.
func (l *lull) see(ts uint64, now time.Time) {
	if ts != l.ts {
		*l = lull{ts, now}
	}
}

// own notes a commit of the collector's own, which ends no lull.
func (l *lull) own(ts uint64) {
	if ts == l.ts+1 {
		l.ts = ts
	}
}

func (l *lull) lasts(now time.Time) bool { return now.Sub(l.since) >= lullAfter }

// isCalm reports whether nobody changes the store now, or waits for a sync.
func (c *collector) isCalm(now time.Time) bool {
	s := c.e.syncer
	s.mu.Lock()
	awaited := s.waiting > 0
	s.mu.Unlock()
	c.working.Lock()
	defer c.working.Unlock()
	c.lull.see(c.e.published.Load(), now)
	return !awaited && c.lull.lasts(now)
}

// isUrgent reports whether garbage does not wait for calm: it has waited long enough, or room is scarce.
func (c *collector) isUrgent(now time.Time) bool {
	c.mu.Lock()
	// What somebody reads is in front, and was noted anew when what came with it went.
	late := len(c.queue) > 0 && now.Sub(c.queue[0].since) >= garbagePatience
	c.mu.Unlock()
	if late {
		return true
	}
	_, free, err := c.e.guard.Usage()
	return err != nil || free < scarceBytes
}
