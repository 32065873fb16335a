package badgerstore

import (
	"sync"
	"unsafe"

	"github.com/zeebo/xxh3"

	"github.com/etagfs/etagfs/objstore/badgerstore/internal/extent"
)

const cacheShards = 16

// cache holds decoded values, and absences, of keys that are looked up often.
// An entry holds from a timestamp on until the committer applies a change to it.
type cache struct {
	shards [cacheShards]cacheShard
}

type cacheShard struct {
	bytesMax int // constant

	mu      sync.RWMutex
	entries map[string]cached // GUARDED_BY(mu)
	bytes   int               // GUARDED_BY(mu): about what the entries take
	changed uint64            // GUARDED_BY(mu): timestamp of the last change of any key of the shard
}

// cached is a value from a timestamp on; nil: the key is absent.
type cached struct {
	since uint64
	value any
	bytes int
}

func newCache(bytesMax int) *cache {
	c := &cache{}
	for i := range c.shards {
		c.shards[i].entries = make(map[string]cached)
		c.shards[i].bytesMax = bytesMax / cacheShards
	}
	return c
}

func (c *cache) shard(key []byte) *cacheShard { return &c.shards[xxh3.Hash(key)%cacheShards] }

// get returns what a reader at ts sees under key, if that is known.
func (c *cache) get(key []byte, ts uint64) (value any, ok bool) {
	s := c.shard(key)
	s.mu.RLock()
	e, ok := s.entries[string(key)]
	s.mu.RUnlock()
	return e.value, ok && e.since <= ts
}

// fill adds what was read at ts, unless something of the shard changed since:
// then the value may be old.
func (c *cache) fill(key []byte, ts uint64, value any) {
	s := c.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.changed > ts {
		return
	}
	s.put(string(key), ts, value)
}

// apply enters a change made at ts. Readers of older timestamps no longer find
// the key here; it comes before ts is published.
func (c *cache) apply(key string, ts uint64, value any) {
	s := c.shard([]byte(key))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changed = ts
	if value == nil {
		s.drop(key)
		return
	}
	s.put(key, ts, value)
}

// empty gives up all entries. What changed when is kept: a reader may be about to fill.
func (c *cache) empty() {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		s.entries, s.bytes = make(map[string]cached), 0
		s.mu.Unlock()
	}
}

// GiveBack lets go of the memory that only makes the store quicker. The next
// calls fill it again.
func (e *Engine) GiveBack() { e.cache.empty() }

// put requires mu, as drop does.
func (s *cacheShard) put(key string, ts uint64, value any) {
	const overheadBytes = 96 // of the map
	s.drop(key)
	e := cached{since: ts, value: value, bytes: overheadBytes + len(key) + memory(value)}
	if e.bytes > s.bytesMax {
		return
	}
	s.makeRoom(e.bytes)
	s.entries[key] = e
	s.bytes += e.bytes
}

func (s *cacheShard) drop(key string) {
	s.bytes -= s.entries[key].bytes
	delete(s.entries, key)
}

// makeRoom drops entries, whichever come first, if there is no room for n more
// bytes: a few more than needed, so that not every entry to come has to.
func (s *cacheShard) makeRoom(n int) {
	if s.bytes+n <= s.bytesMax {
		return
	}
	for key := range s.entries {
		s.drop(key)
		if s.bytes+n <= s.bytesMax-s.bytesMax/16 {
			return
		}
	}
}

// memory is about how many bytes a decoded value takes.
func memory(value any) int {
	if page, ok := value.(*extent.Page); ok {
		return 64 + len(page.Extents)*int(unsafe.Sizeof(extent.Extent{})) + 40*len(page.Slots)
	}
	return weight(value)
}
