package badgerstore

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/record"
)

// makeDirectory is a store opened again, with so many files, and some whose names are hashes, in a directory.
func makeDirectory(t *testing.T, files, hashed int) (e *Engine, b *Bucket, dir objstore.ID) {
	t.Helper()
	path := testDir(t)
	e, err := Open(t.Context(), path, Options{Create: true}, testParts(t))
	must(t, err)
	b = mainBucket(t, e)
	for i := range files {
		mustPut(t, b, objstore.Key(fmt.Sprintf("dir/%04d", i)), nil)
	}
	for i := range hashed {
		mustPut(t, b, objstore.Key(fmt.Sprintf("dir/%d%s", i, strings.Repeat("long", 100))), nil)
	}
	must(t, e.Close())
	e = openTest(t, path, Options{})
	b = mainBucket(t, e)
	info, err := b.Lookup(t.Context(), b.Root(), "dir")
	must(t, err)
	return e, b, info.ID
}

// listPages lists a directory to its end or an error, and says how many keys that came to for each page.
func listPages(t *testing.T, e *Engine, b *Bucket, dir objstore.ID, max int) (names []string, keys []uint64, err error) {
	t.Helper()
	for after, more := "", true; more; {
		before := e.cursorKeys.Load()
		var page []objstore.DirEntry
		if page, more, err = b.ReadDir(t.Context(), dir, after, max); err != nil {
			return names, keys, err
		}
		keys = append(keys, e.cursorKeys.Load()-before)
		for _, entry := range page {
			after = entry.Name
			names = append(names, after)
		}
	}
	return names, keys, nil
}

// The begin of a listing takes no longer in a large directory, nor does any part of it but the last.
func TestPageOfALargeDirectoryReadsNoMoreThanIsInIt(t *testing.T) {
	const files, page = 1000, 100
	e, b, dir := makeDirectory(t, files, 0)
	for _, end := range []uint64{files, files} { // the last page goes over all names for those that are hashes
		names, keys, err := listPages(t, e, b, dir, page)
		must(t, err)
		if len(names) != files || !slices.IsSorted(names) {
			t.Errorf("%d names", len(names))
		}
		for i, n := range keys {
			most := uint64(page + 2)
			if i == len(keys)-1 {
				most += end + 1
			}
			if n > most {
				t.Errorf("page %d of %d came to %d keys, at most %d are needed", i, len(keys), n, most)
			}
		}
	}
}

// A directory that is listed at once is gone over once, the first time included.
func TestListingOfASmallDirectoryReadsItOnce(t *testing.T) {
	e, b, dir := makeDirectory(t, 50, 3)
	for range 2 {
		names, keys, err := listPages(t, e, b, dir, 256)
		must(t, err)
		if len(names) != 53 || len(keys) != 1 || keys[0] > 54 {
			t.Errorf("%d names in pages that came to %d keys", len(names), keys)
		}
	}
}

// However large the pages are, each name is listed once, those that are hashes at the end.
func TestPagesOfAnySizeListTheSameNames(t *testing.T) {
	e, b, dir := makeDirectory(t, 5, 4)
	want, _, err := listPages(t, e, b, dir, 100)
	must(t, err)
	if len(want) != 9 || !objstore.IsEscape(want[5]) || !slices.IsSorted(want[5:]) {
		t.Fatalf("%q", want)
	}
	for size := 1; size < 10; size++ {
		e.checked = make(map[uint64]bool)
		for range 2 {
			got, _, err := listPages(t, e, b, dir, size)
			must(t, err)
			if !slices.Equal(got, want) {
				t.Errorf("pages of %d: %q", size, got)
			}
		}
	}
}

// C11: names that are lost are noticed by whoever lists a directory to its end.
func TestListingThatLacksANameIsDamage(t *testing.T) {
	for _, size := range []int{3, 256} {
		e, b, dir := makeDirectory(t, 10, 1)
		vanish(t, e, record.EntryKey(place{Parent: uint64(dir), Stored: "0004"}))
		for range 2 {
			names, _, err := listPages(t, e, b, dir, size)
			wantCorrupt(t, err)
			if slices.Contains(names, "0004") {
				t.Errorf("%q", names)
			}
		}
	}
}
