package badgerstore

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/record"
)

// TestOutcomesOutliveTheProcessForADay: (1) a write sent again is answered as the first
// was, also after the store was opened anew; (2) after a day its id is forgotten. C9
func TestOutcomesOutliveTheProcessForADay(t *testing.T) {
	dir := filepath.Join(testDir(t), "store")
	clock := movedClock{began: time.Unix(1_800_000_000, 0)}
	parts := testParts(t)
	parts.Clock = clock.now
	open := func() (*Engine, *Bucket) {
		e, err := Open(t.Context(), dir, Options{Create: true}, parts)
		must(t, err)
		return e, mainBucket(t, e)
	}
	put := func(b *Bucket, id string, cond objstore.Cond) (objstore.Info, error) {
		return b.Put(t.Context(), "k", strings.NewReader("x"), cond, objstore.PutOptions{WriteID: id})
	}
	e, b := open()
	first, err := put(b, "one", objstore.IfAbsent())
	must(t, err)
	_, err = put(b, "two", objstore.IfAbsent())
	if objstore.KindOf(err) != objstore.ErrPrecondition {
		t.Fatal(err)
	}
	must(t, e.Close())
	e, b = open()
	again, err := put(b, "one", objstore.IfAbsent())
	if err != nil || again.Version != first.Version || again.ETag != first.ETag {
		t.Errorf("sent again: %+v instead of %+v, %v", again, first, err)
	}
	must(t, b.Delete(t.Context(), "k", objstore.IfPresent(), objstore.DeleteOptions{}))
	if _, err := put(b, "two", objstore.IfAbsent()); objstore.KindOf(err) != objstore.ErrPrecondition {
		t.Errorf("a refusal sent again: %v", err)
	}
	clock.move(25 * time.Hour)
	_, err = put(b, "three", objstore.IfAbsent())
	must(t, err)
	v := e.view()
	defer v.close()
	for _, tag := range []byte{record.TagOutcome, record.TagExpiry} {
		if n := countOf(t, v, []byte{tag}); n != 1 {
			t.Errorf("%d keys under %c instead of that of the last write", n, tag)
		}
	}
	must(t, e.Close())
}

// TestForgettingOutcomesDoesNotBeginAnew: it goes on from where the oldest was found, which is what Badger
// would have to walk to; none is left out.
func TestForgettingOutcomesDoesNotBeginAnew(t *testing.T) {
	clock := movedClock{began: time.Unix(1_800_000_000, 0)}
	parts := testParts(t)
	parts.Clock = clock.now
	e, err := Open(t.Context(), filepath.Join(testDir(t), "store"), Options{Create: true}, parts)
	must(t, err)
	b := mainBucket(t, e)
	put := func(i int) {
		t.Helper()
		opt := objstore.PutOptions{WriteID: fmt.Sprint(i), Durability: objstore.Visible}
		_, err := b.Put(t.Context(), "k", strings.NewReader("x"), objstore.Unconditional(), opt)
		must(t, err)
	}
	const n = 20
	for i := range n {
		put(i)
		clock.move(time.Second)
	}
	first := record.ExpiryKey(1_800_000_000, b.root, "0")
	clock.move(25 * time.Hour)
	last := e.committer.expireFrom
	if !bytes.Equal(last, first) {
		t.Fatalf("looks from %q instead of the first, %q", last, first)
	}
	for i := range n / expireAtOnce {
		put(n + i)
		if i > 0 && bytes.Compare(e.committer.expireFrom, last) <= 0 {
			t.Errorf("put %d looked from %q, after %q", i, e.committer.expireFrom, last)
		}
		last = e.committer.expireFrom
	}
	v := e.view()
	defer v.close()
	if left := countOf(t, v, []byte{record.TagExpiry}); left != n/expireAtOnce {
		t.Errorf("%d outcomes are left instead of %d", left, n/expireAtOnce)
	}
	must(t, e.Close())
}
