package badgerstore

import (
	"sync"

	"github.com/zeebo/xxh3"
)

const cacheShards = 16

// cache holds decoded values, and absences, of keys that are looked up often.
// An entry holds from a timestamp on until the committer applies a change to it.
type cache struct {
	shards [cacheShards]cacheShard
}

type cacheShard struct {
	mu      sync.RWMutex
	entries map[string]cached // GUARDED_BY(mu)
	max     int
	changed uint64 // GUARDED_BY(mu): timestamp of the last change of any key of the shard
}

// cached is a value from a timestamp on; nil: the key is absent.
type cached struct {
	since uint64
	value any
}

func newCache(records int) *cache {
	c := &cache{}
	for i := range c.shards {
		c.shards[i].entries = make(map[string]cached)
		c.shards[i].max = max(records/cacheShards, 1)
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
	s.makeRoom()
	s.entries[string(key)] = cached{since: ts, value: value}
}

// apply enters a change made at ts. Readers of older timestamps no longer find
// the key here; it comes before ts is published.
func (c *cache) apply(key string, ts uint64, value any) {
	s := c.shard([]byte(key))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changed = ts
	if value == nil {
		delete(s.entries, key)
		return
	}
	s.makeRoom()
	s.entries[key] = cached{since: ts, value: value}
}

// makeRoom drops a few entries, whichever come first, if the shard is full.
func (s *cacheShard) makeRoom() {
	if len(s.entries) < s.max {
		return
	}
	drop := max(s.max/16, 1)
	for key := range s.entries {
		delete(s.entries, key)
		if drop--; drop == 0 {
			return
		}
	}
}
