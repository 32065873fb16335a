package badgerstore

import (
	"fmt"
	"testing"

	"github.com/etagfs/etagfs/objstore/badgerstore/internal/extent"
)

// However large what it is given, the cache takes no more than it may, and what it still
// has is what was put in last.
func TestCacheIsBoundedInBytes(t *testing.T) {
	const bytesMax = 1 << 20
	c := newCache(bytesMax)
	for ts := uint64(1); ts <= 5_000; ts++ {
		page := &extent.Page{Extents: make([]extent.Extent, ts%1_000)}
		c.apply(fmt.Sprintf("key %d", ts%700), ts, page)
		if ts%7 == 0 {
			c.apply(fmt.Sprintf("key %d", ts%400), ts, nil)
		}
		if ts%11 == 0 {
			c.fill([]byte(fmt.Sprintf("key %d", ts%700)), ts, page)
		}
		if got, ok := c.get([]byte(fmt.Sprintf("key %d", ts%700)), ts); ok && ts%7 != 0 && got != any(page) {
			t.Fatalf("after change %d the cache has an older value", ts)
		}
	}
	held := 0
	for i := range c.shards {
		s := &c.shards[i]
		sum := 0
		for _, e := range s.entries {
			sum += e.bytes
		}
		if sum != s.bytes || sum > s.bytesMax {
			t.Errorf("shard %d counts %d bytes, has %d, may have %d", i, s.bytes, sum, s.bytesMax)
		}
		held += len(s.entries)
	}
	if held == 0 {
		t.Error("nothing is held at all")
	}
}

// A value that was read before a change does not come back once the cache has been emptied.
func TestEmptiedCacheTakesNothingOld(t *testing.T) {
	c := newCache(1 << 20)
	key := []byte("key")
	c.apply("key", 7, &extent.Page{})
	c.empty()
	if _, ok := c.get(key, 7); ok {
		t.Fatal("the cache still has what it was to give up")
	}
	c.fill(key, 6, nil)
	if _, ok := c.get(key, 7); ok {
		t.Error("the cache took a value from before the last change")
	}
}
