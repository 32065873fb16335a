package badgerstore

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// epochs know how old the oldest reader can be, without a list of readers. A
// reader registers in the current epoch, checks that it still is the current
// one, and only then loads a timestamp. The epoch is turned when nobody is
// left in the one before; then all readers have timestamps from at least the last turn.
type epochs struct {
	current atomic.Uint64
	readers [2]atomic.Int64

	mu     sync.Mutex
	turned uint64 // GUARDED_BY(mu): published timestamp when the current epoch began
	safe   uint64 // GUARDED_BY(mu): no reader has an older timestamp
}

// enter registers a reader; leave must follow with the result.
func (e *epochs) enter() (epoch uint64) {
	for {
		epoch = e.current.Load()
		e.readers[epoch&1].Add(1)
		if e.current.Load() == epoch {
			return epoch
		}
		e.readers[epoch&1].Add(-1)
		runtime.Gosched()
	}
}

func (e *epochs) leave(epoch uint64) { e.readers[epoch&1].Add(-1) }

// turn tries to begin a new epoch, given the published timestamp, and returns a
// timestamp no reader is older than.
func (e *epochs) turn(published func() uint64) (safe uint64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	current := e.current.Load()
	if e.readers[(current+1)&1].Load() != 0 {
		return e.safe
	}
	e.safe = e.turned
	e.turned = published()
	e.current.Store(current + 1)
	return e.safe
}
