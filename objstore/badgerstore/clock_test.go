package badgerstore

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/etagfs/etagfs/objstore"
)

// movedClock stands still until it is moved, which may be while an engine's collector and scrub read it.
type movedClock struct {
	began  time.Time // constant
	passed atomic.Int64
}

func (c *movedClock) now() time.Time       { return c.began.Add(time.Duration(c.passed.Load())) }
func (c *movedClock) move(d time.Duration) { c.passed.Add(int64(d)) }

// When the clock goes back, time stands still for a store that is open: the directory, too, was not changed earlier than before. What S3 says
// of when an object was modified never goes back, whoever opens the store.
func TestTimesDoNotGoBackWithTheClock(t *testing.T) {
	clock := &movedClock{began: time.Now()}
	parts, dir := testParts(t), testDir(t)
	parts.Clock = clock.now
	var object, root time.Time
	for range 2 {
		e, err := Open(t.Context(), dir, Options{Create: true}, parts)
		if err != nil {
			t.Fatal(err)
		}
		b := mainBucket(t, e)
		for i, content := range []string{"one", "two", "three"} {
			info := mustPut(t, b, "k", []byte(content))
			if info.Modified.Before(object) {
				t.Errorf("%s: the object was modified at %v, and before at %v", content, info.Modified, object)
			}
			object = info.Modified
			mustPut(t, b, objstore.Key(content), nil)
			now, err := b.Stat(t.Context(), b.Root())
			if err != nil || i > 0 && now.Attr.Mtime.Before(root) {
				t.Errorf("%s: the directory was changed at %v, and before at %v (%v)", content, now.Attr.Mtime, root, err)
			}
			root = now.Attr.Mtime
			clock.move(-time.Hour)
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
