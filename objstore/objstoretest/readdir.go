package objstoretest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/etagfs/etagfs/objstore"
)

func readDirCases() []Case {
	return []Case{
		{Name: "ReadDirPages", needs: needNamespace, run: readDirPages},
		{Name: "ReadDirIsStableUnderChange", needs: needNamespace, run: readDirIsStableUnderChange},
	}
}

func readDirPages(ctx context.Context, e *Env) {
	dir := e.mkdir(ctx, e.root(), "d")
	want := map[string]objstore.ID{}
	for i := range 100 {
		name := fmt.Sprintf("%d-%d", i*7%100, i)
		want[name] = e.create(ctx, dir, name, "x").ID
	}
	var order []string
	for _, max := range []int{1, 7, 99, 100, 101, 10_000} {
		var names []string
		after := ""
		for more := true; more; {
			page, left, err := e.ns().ReadDir(ctx, dir, after, max)
			e.ok(err, "readdir")
			if len(page) > max || left && len(page) == 0 {
				e.Failf("a page of %d entries, at most %d asked, more %v", len(page), max, left)
			}
			for _, entry := range page {
				names = append(names, entry.Name)
				equal(e, entry.Info.ID, want[entry.Name], "id of "+entry.Name)
				equal(e, entry.Info.Size, 1, "size of "+entry.Name)
			}
			more = left
			if len(page) > 0 {
				after = page[len(page)-1].Name
			}
		}
		equal(e, len(names), len(want), "entries")
		if order == nil {
			order = names
		}
		if !slices.Equal(names, order) {
			e.Failf("pages of %d come in another order", max)
		}
	}
	page, more, err := e.ns().ReadDir(ctx, dir, order[49]+"\x01", 10) // no such name
	e.ok(err, "readdir after a name that is gone")
	if len(page) != 10 || !more {
		e.Failf("readdir after a name that is gone: %d entries, more %v", len(page), more)
	}
	_, _, err = e.ns().ReadDir(ctx, want[order[0]], "", 10)
	e.want(err, objstore.ErrNotDir, "readdir of a file")
}

func readDirIsStableUnderChange(ctx context.Context, e *Env) {
	dir := e.mkdir(ctx, e.root(), "d")
	const stable = 50
	for i := range stable {
		e.create(ctx, dir, fmt.Sprintf("%d-stable", i*13%stable), "")
	}
	e.walkWhileEntriesGo(ctx, dir, stable)
	const writers = 3
	var writing, reads atomic.Int64
	writing.Store(writers)
	e.parallel(writers+2, func(i int) {
		if i < writers {
			defer writing.Add(-1)
			for j := 0; j < 60 || reads.Load() < 10; j++ {
				name := fmt.Sprintf("%d-churn-%d", j, i)
				e.create(ctx, dir, name, "")
				e.rename(ctx, dir, name, dir, name+"-moved")
				e.unlink(ctx, dir, name+"-moved")
			}
			return
		}
		defer reads.Add(10) // nobody waits for who failed
		for writing.Load() > 0 {
			reads.Add(1)
			seen := map[string]int{}
			for _, entry := range e.readDir(ctx, dir) {
				seen[entry.Name]++
			}
			for i := range stable {
				equal(e, seen[fmt.Sprintf("%d-stable", i)], 1, "times an entry that was there throughout was returned")
			}
		}
	})
	equal(e, len(e.readDir(ctx, dir)), stable, "entries in the end")
}

// walkWhileEntriesGo removes the entry a page ended with before it reads the next.
func (e *Env) walkWhileEntriesGo(ctx context.Context, dir objstore.ID, stable int) {
	for i := range stable {
		e.create(ctx, dir, fmt.Sprintf("%d-going", i), "")
	}
	seen := map[string]int{}
	for after, more := "", true; more; {
		page, left, err := e.ns().ReadDir(ctx, dir, after, 3)
		e.ok(err, "readdir")
		for _, entry := range page {
			seen[entry.Name]++
			if after = entry.Name; strings.HasSuffix(after, "-going") {
				e.unlink(ctx, dir, after)
			}
		}
		more = left
	}
	for name, times := range seen {
		equal(e, times, 1, "times "+name+" was returned")
	}
	equal(e, len(seen), 2*stable, "entries returned")
	equal(e, len(e.readDir(ctx, dir)), stable, "entries left")
}
