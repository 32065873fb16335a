package badgerstore

import (
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
	now := time.Unix(1_800_000_000, 0)
	parts := testParts(t)
	parts.Clock = func() time.Time { return now }
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
	now = now.Add(25 * time.Hour)
	_, err = put(b, "three", objstore.IfAbsent())
	must(t, err)
	v := e.view()
	defer v.close()
	for _, tag := range []byte{record.TagOutcome, record.TagExpiry} {
		if n := v.countKeys([]byte{tag}); n != 1 {
			t.Errorf("%d keys under %c instead of that of the last write", n, tag)
		}
	}
	must(t, e.Close())
}
