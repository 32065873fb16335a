package objstoretest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/etagfs/etagfs/objstore"
)

func listingCases() []Case {
	return []Case{
		{Name: "ListMatchesItsDefinition", run: listMatchesItsDefinition},
		{Name: "ListTellsInfos", run: listTellsInfos},
		{Name: "ListPagesOfManyKeys", run: listPagesOfManyKeys},
		{Name: "ListWhileWritersRun", run: listWhileWritersRun},
	}
}

// listingKeys are awkward to sort, to cut at delimiters and to hold in a tree.
func listingKeys() []objstore.Key {
	keys := []objstore.Key{
		"a", "a-", "a-b/c", "a.", "a/", "a/b", "a/b/", "a/b/c", "a/b0", "a/b0/c", "a0", "a0/b", "ab", "a//b", "a///", "/a", "/", "//",
		"b/c/d/e/f", "b/c/d0", "b/c.d", "./x", "../x", "z/.", "z/..", "z/./y", "ä/ö", "\xff/\xfe", "\x01", " ", "a b", "%etagfs:dot", "x\x00y",
	}
	slices.Sort(keys)
	return keys
}

// listPlainly is what a listing of keys, ascending, is by definition.
func listPlainly(keys []objstore.Key, opt objstore.ListOptions) (entries []string, more bool) {
	for _, key := range keys {
		rest, ok := strings.CutPrefix(string(key), string(opt.Prefix))
		if !ok {
			continue
		}
		entry := string(key)
		if at := strings.Index(rest, opt.Delimiter); opt.Delimiter != "" && at >= 0 {
			entry = string(opt.Prefix) + rest[:at+len(opt.Delimiter)] + " (prefix)"
		}
		if strings.TrimSuffix(entry, " (prefix)") <= string(opt.StartAfter) || slices.Contains(entries, entry) {
			continue
		}
		if len(entries) == opt.Max {
			return entries, true
		}
		entries = append(entries, entry)
	}
	return entries, false
}

func texts(page objstore.ListPage) []string {
	var all []string
	for _, entry := range page.Entries {
		text := string(entry.Key)
		if entry.Prefix {
			text += " (prefix)"
		}
		all = append(all, text)
	}
	return all
}

func listMatchesItsDefinition(ctx context.Context, e *Env) {
	keys := listingKeys()
	for _, key := range keys {
		e.put(ctx, key, string(key))
	}
	for _, prefix := range []objstore.Key{"", "a", "a/", "a/b", "a/b/", "a//", "/", "b/c", "b/c/", "none", "a-b/c", ".", "z/.", "\xff"} {
		for _, delimiter := range []string{"", "/", "b", "//", "/b", "c/"} {
			for _, after := range []objstore.Key{"", "a", "a/", "a/b", "a/b/", "a/b/c", "a/zzz", "a0", "b/c/", "\xff\xff", "a/b/c\x00"} {
				for _, max := range []int{1, 2, 5, 1000} {
					opt := objstore.ListOptions{Prefix: prefix, Delimiter: delimiter, StartAfter: after, Max: max}
					page, err := e.Store.List(ctx, opt)
					e.ok(err, fmt.Sprintf("list %+v", opt))
					want, more := listPlainly(keys, opt)
					if !slices.Equal(texts(page), want) || page.More != more {
						e.Failf("list %+v:\n%q, more %v, instead of\n%q, more %v", opt, texts(page), page.More, want, more)
					}
				}
			}
		}
	}
}

func listTellsInfos(ctx context.Context, e *Env) {
	want := map[objstore.Key]objstore.Info{}
	for _, key := range []objstore.Key{"a", "b/c", "b/d/e"} {
		want[key] = e.put(ctx, key, string(key))
	}
	page, err := e.Store.List(ctx, objstore.ListOptions{})
	e.ok(err, "list")
	equal(e, len(page.Entries), len(want), "entries")
	for _, entry := range page.Entries {
		info := want[entry.Key]
		equal(e, entry.Info.Version, info.Version, "version")
		equal(e, entry.Info.ETag, info.ETag, "etag")
		equal(e, entry.Info.Size, info.Size, "size")
		equal(e, entry.Info.Modified.Equal(info.Modified), true, "modified as put said")
	}
	e.delete(ctx, "b/c")
	if got := e.keys(ctx, objstore.ListOptions{}); !slices.Equal(got, []objstore.Key{"a", "b/d/e"}) {
		e.Failf("after a delete: %q", got)
	}
}

// listAll walks pages of max entries.
func (e *Env) listAll(ctx context.Context, opt objstore.ListOptions) []objstore.Key {
	var all []objstore.Key
	for {
		page, err := e.Store.List(ctx, opt)
		e.ok(err, "list")
		for _, entry := range page.Entries {
			all = append(all, entry.Key)
		}
		if !page.More {
			return all
		}
		if len(page.Entries) == 0 {
			e.Failf("list %+v: an empty page and more to come", opt)
		}
		opt.StartAfter = all[len(all)-1]
	}
}

func listPagesOfManyKeys(ctx context.Context, e *Env) {
	var want []objstore.Key
	for i := range 1200 {
		key := objstore.Key(fmt.Sprintf("%02d/%02d/%02d", i%7, i%13, i))
		e.put(ctx, key, "")
		want = append(want, key)
	}
	slices.Sort(want)
	for _, max := range []int{0, 7, 1000, 5000} {
		if got := e.listAll(ctx, objstore.ListOptions{Max: max}); !slices.Equal(got, want) {
			e.Failf("pages of %d: %d keys, not the %d put, in order", max, len(got), len(want))
		}
	}
	page, err := e.Store.List(ctx, objstore.ListOptions{})
	e.ok(err, "list")
	equal(e, len(page.Entries), 1000, "entries of a page nobody limited")
	equal(e, len(e.listAll(ctx, objstore.ListOptions{Delimiter: "/", Max: 2})), 7, "common prefixes")
}

func listWhileWritersRun(ctx context.Context, e *Env) {
	var stable []objstore.Key
	for i := range 60 {
		key := objstore.Key(fmt.Sprintf("%d/stable%02d", i%3, i))
		e.put(ctx, key, "")
		stable = append(stable, key)
	}
	slices.Sort(stable)
	const writers = 3
	var writing, reads atomic.Int64
	writing.Store(writers)
	e.parallel(writers+2, func(i int) {
		if i < writers {
			defer writing.Add(-1)
			for j := 0; j < 60 || reads.Load() < 10; j++ {
				key := objstore.Key(fmt.Sprintf("%d/%c%02d", j%3, "atz"[i], j))
				e.put(ctx, key, "")
				e.put(ctx, key+"/below", "")
				e.delete(ctx, key)
				e.delete(ctx, key+"/below")
			}
			return
		}
		defer reads.Add(10) // nobody waits for who failed
		for writing.Load() > 0 {
			reads.Add(1)
			got := e.listAll(ctx, objstore.ListOptions{Max: 7 + i})
			if !slices.IsSorted(got) {
				e.Failf("not in order: %q", got)
			}
			got = slices.DeleteFunc(got, func(key objstore.Key) bool { return !strings.Contains(string(key), "stable") })
			if !slices.Equal(got, stable) {
				e.Failf("keys that were there throughout: listed %q instead of %q", got, stable)
			}
		}
	})
	if got := e.listAll(ctx, objstore.ListOptions{}); !slices.Equal(got, stable) {
		e.Failf("in the end: %q", got)
	}
}
