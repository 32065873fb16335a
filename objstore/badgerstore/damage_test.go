package badgerstore

import (
	"slices"
	"testing"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/record"
)

// C11: a name whose key has become another is damage, not absence.
func TestNameThatBecameAnotherIsDamage(t *testing.T) {
	e := openTest(t, makeStore(t), Options{})
	b := mainBucket(t, e)
	dir, err := b.Lookup(t.Context(), b.Root(), "dir")
	must(t, err)
	before := record.EntryKey(place{Parent: uint64(dir.ID), Stored: "3"})
	after := slices.Clone(before)
	after[len(after)-1] ^= 4 // "7"
	v := e.view()
	item, err := v.db().Get(before)
	must(t, err)
	value, err := item.ValueCopy(nil)
	must(t, err)
	v.close()
	vanish(t, e, before)
	commitRaw(t, e, after, value)
	_, err = b.Lookup(t.Context(), dir.ID, "3")
	wantCorrupt(t, err)
	_, err = b.Head(t.Context(), "dir/3")
	wantCorrupt(t, err)
	_, err = b.Head(t.Context(), "elsewhere")
	if objstore.KindOf(err) != objstore.ErrNotFound {
		t.Error(err)
	}
}
