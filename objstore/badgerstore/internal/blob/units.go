package blob

import "sync"

// unitsKept is how many verified units are kept in memory.
const unitsKept = 16

type unitBuffer [SumBytes]byte

// unitCache keeps units of which only a part was wanted: who reads here and there, around
// a change or in small pieces, soon wants another part of the same.
type unitCache struct {
	buffers sync.Pool // of *unitBuffer

	mu   sync.Mutex
	kept [unitsKept]keptUnit // GUARDED_BY(mu)
	next int                 // GUARDED_BY(mu): the one to be replaced
}

// keptUnit is verified; buffer is nil if there is none.
type keptUnit struct {
	ref    Ref
	unit   int64
	length int64
	buffer *unitBuffer
}

func newUnitCache() *unitCache {
	return &unitCache{buffers: sync.Pool{New: func() any { return new(unitBuffer) }}}
}

// read copies from position at of a unit, if it is kept.
func (c *unitCache) read(p []byte, ref Ref, unit, at int64) (n int, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.kept {
		if k := &c.kept[i]; k.buffer != nil && k.unit == unit && k.ref == ref {
			return copy(p, k.buffer[at:k.length]), true
		}
	}
	return 0, false
}

// keep takes a buffer over that holds a verified unit.
func (c *unitCache) keep(ref Ref, unit, length int64, buffer *unitBuffer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	old := &c.kept[c.next]
	c.next = (c.next + 1) % unitsKept
	if old.buffer != nil {
		c.buffers.Put(old.buffer)
	}
	*old = keptUnit{ref, unit, length, buffer}
}
