package badgerstore

import (
	"sync/atomic"
	"time"
)

// movedClock stands still until it is moved, which may be while an engine's collector and scrub read it.
type movedClock struct {
	began  time.Time // constant
	passed atomic.Int64
}

func (c *movedClock) now() time.Time       { return c.began.Add(time.Duration(c.passed.Load())) }
func (c *movedClock) move(d time.Duration) { c.passed.Add(int64(d)) }
