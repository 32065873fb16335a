package badgerstore

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
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

// With a delimiter a page has what a listing of all would be rolled up to, however the groups fall on pages.
func TestUploadsAreRolledUpWhateverTheirKeys(t *testing.T) {
	b := mainBucket(t, openTest(t, filepath.Join(testDir(t), "store"), Options{Create: true}))
	for range 2 {
		for _, key := range []objstore.Key{"a", "a/", "a/1", "a/2", "a/2/x", "a\x00/b", "a\x00/c", "a/\x00", "a/\x00/y", "a0", "b\xff1", "b\xff2", "b\xff\xff", "c", "d\ufffd1", "d\ufffd2", "d\uffff", "\xff", "\xff\xff/", "\xff\xff/a"} {
			_, err := b.CreateUpload(t.Context(), key, objstore.UploadOptions{})
			must(t, err)
		}
	}
	all, err := b.ListUploads(t.Context(), objstore.UploadListOptions{Max: 100})
	must(t, err)
	for _, prefix := range []objstore.Key{"", "a", "a/", "a\x00", "b", "\xff"} {
		for _, delimiter := range []string{"/", "\xff", "\ufffd", "\x00", "\x00/", "2", "a"} {
			want := rolledUp(all.Entries, prefix, delimiter)
			for pageEntries := 1; pageEntries <= len(want)+1; pageEntries++ {
				var got []string
				opt := objstore.UploadListOptions{Prefix: prefix, Delimiter: delimiter, Max: pageEntries}
				for more := true; more; {
					page, err := b.ListUploads(t.Context(), opt)
					must(t, err)
					for _, e := range page.Entries {
						opt.AfterKey, opt.AfterID = e.Upload.Key, e.Upload.ID
						got = append(got, fmt.Sprintf("%q %s", e.Upload.Key, e.Upload.ID))
					}
					more = page.More
				}
				if !slices.Equal(got, want) {
					t.Fatalf("prefix %q, delimiter %q, %d a page:\n%q\n%q", prefix, delimiter, pageEntries, got, want)
				}
			}
		}
	}
}

// rolledUp is what a listing with a delimiter should have.
func rolledUp(all []objstore.UploadListEntry, prefix objstore.Key, delimiter string) (names []string) {
	for _, e := range all {
		rest, ok := strings.CutPrefix(string(e.Upload.Key), string(prefix))
		if !ok {
			continue
		}
		name := fmt.Sprintf("%q %s", e.Upload.Key, e.Upload.ID)
		if group, _, ok := strings.Cut(rest, delimiter); ok {
			name = fmt.Sprintf("%q ", string(prefix)+group+delimiter)
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// A page of uploads costs what is on it, not what there is, and not what is in the groups on it.
func TestAPageOfUploadsReadsNoOthers(t *testing.T) {
	b := mainBucket(t, openTest(t, filepath.Join(testDir(t), "store"), Options{Create: true}))
	cost := func(opt objstore.UploadListOptions) float64 {
		return testing.AllocsPerRun(5, func() {
			page, err := b.ListUploads(t.Context(), opt)
			if err != nil || len(page.Entries) != 2 {
				t.Fatal(page, err)
			}
		})
	}
	options := []objstore.UploadListOptions{{AfterKey: "k-5", Max: 2}, {Delimiter: "-"}, {Delimiter: "-", AfterKey: "a", Max: 2}}
	few := make([]float64, len(options))
	_, err := b.CreateUpload(t.Context(), "z", objstore.UploadOptions{})
	must(t, err)
	for i := range 1000 {
		_, err := b.CreateUpload(t.Context(), objstore.Key(fmt.Sprintf("k-%d", 5+i)), objstore.UploadOptions{})
		must(t, err)
		if i == 10 {
			for j, opt := range options {
				few[j] = cost(opt)
			}
		}
	}
	for j, opt := range options {
		if many := cost(opt); many > 2*few[j] {
			t.Errorf("%+v: %v allocations with 1,000 uploads, %v with 10", opt, many, few[j])
		}
	}
}
