package badgerstore

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"github.com/etagfs/etagfs/objstore"
)

// Records are in the order of their keys but for those with a NUL in them, which lie among the numbers of others.
func TestUploadsAreListedInOrderWhateverTheirKeys(t *testing.T) {
	b := mainBucket(t, openTest(t, filepath.Join(testDir(t), "store"), Options{Create: true}))
	var want []string
	for range 3 {
		for _, key := range []objstore.Key{"a\x00\x00", "b", "a", "a\x00\xff", "a\x00", "a\x01", "a\x00\x00\x00\x00\x00\x00\x00\x00\x01", "a/b", "a\x00b/c"} {
			u, err := b.CreateUpload(t.Context(), key, objstore.UploadOptions{})
			must(t, err)
			want = append(want, fmt.Sprintf("%q %s", u.Key, u.ID))
		}
	}
	for _, prefix := range []objstore.Key{"", "a", "a\x00", "a\x00b", "c"} {
		for pageEntries := 1; pageEntries <= len(want)+1; pageEntries++ {
			var got []string
			opt := objstore.UploadListOptions{Prefix: prefix, Max: pageEntries}
			for {
				page, err := b.ListUploads(t.Context(), opt)
				must(t, err)
				for _, e := range page.Entries {
					opt.AfterKey, opt.AfterID = e.Upload.Key, e.Upload.ID
					got = append(got, fmt.Sprintf("%q %s", e.Upload.Key, e.Upload.ID))
				}
				if !page.More {
					break
				}
			}
			if expected := sortedWithPrefix(t, b, prefix, want); !slices.Equal(got, expected) {
				t.Fatalf("prefix %q, %d a page:\n%q\n%q", prefix, pageEntries, got, expected)
			}
		}
	}
}

// sortedWithPrefix is what a listing should have, told from one page of all.
func sortedWithPrefix(t *testing.T, b *Bucket, prefix objstore.Key, all []string) (sorted []string) {
	t.Helper()
	page, err := b.ListUploads(t.Context(), objstore.UploadListOptions{Prefix: prefix, Max: len(all) + 1})
	must(t, err)
	if !slices.IsSortedFunc(page.Entries, func(x, y objstore.UploadListEntry) int { return compareUploads(x.Upload, y.Upload) }) {
		t.Fatalf("%v", page.Entries)
	}
	for _, e := range page.Entries {
		text := fmt.Sprintf("%q %s", e.Upload.Key, e.Upload.ID)
		if !slices.Contains(all, text) {
			t.Fatalf("%s is listed", text)
		}
		sorted = append(sorted, text)
	}
	if prefix == "" && len(sorted) != len(all) {
		t.Fatalf("%d of %d", len(sorted), len(all))
	}
	return sorted
}

// A page of uploads costs what is on it, not what there is.
func TestAPageOfUploadsReadsNoOthers(t *testing.T) {
	b := mainBucket(t, openTest(t, filepath.Join(testDir(t), "store"), Options{Create: true}))
	cost := func() float64 {
		return testing.AllocsPerRun(5, func() {
			page, err := b.ListUploads(t.Context(), objstore.UploadListOptions{AfterKey: "k-5", Max: 2})
			if err != nil || len(page.Entries) != 2 {
				t.Fatal(page, err)
			}
		})
	}
	few := 0.0
	for i := range 1000 {
		_, err := b.CreateUpload(t.Context(), objstore.Key(fmt.Sprintf("k-%d", 5+i)), objstore.UploadOptions{})
		must(t, err)
		if i == 10 {
			few = cost()
		}
	}
	if many := cost(); many > 2*few {
		t.Errorf("%v allocations with 1,000 uploads, %v with 10", many, few)
	}
}
