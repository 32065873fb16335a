package flatns

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/etagfs/etagfs/objstore"
)

// Where the store lists names alone, descriptions are asked for.
const (
	headsMax  = 16  // at a time
	headsPage = 128 // for an answer: who lists a directory sees its first names soon, however many are asked for
)

// position is where an entry stands in a listing: by component, an object before the directory beside it.
// This does not depend on what else there is, unlike the order of keys, in which "a-b" comes before "a/".
type position struct {
	component string
	dir       bool
}

func (p position) compare(q position) int {
	return cmp.Or(strings.Compare(p.component, q.component), cmp.Compare(rank(p.dir), rank(q.dir)))
}

func rank(dir bool) int {
	if dir {
		return 1
	}
	return 0
}

// listing walks one directory.
type listing struct {
	n      *Namespace
	dir    *node
	dirKey objstore.Key
	since  uint64
	after  *position    // only what comes later; nil: all
	start  objstore.Key // of the next page: only keys after it
	max    int
}

// ReadDir implements [objstore.Namespace].
func (n *Namespace) ReadDir(ctx context.Context, dir objstore.ID, after string, max int) (entries []objstore.DirEntry, more bool, err error) {
	l, err := n.listing(ctx, dir, after, max)
	if err == nil {
		entries, more, err = l.run(ctx)
	}
	if err != nil {
		return nil, false, named("readdir", idText(dir), err)
	}
	return entries, more, nil
}

func (n *Namespace) listing(ctx context.Context, dir objstore.ID, after string, limit int) (*listing, error) {
	if err := ended(ctx); err != nil {
		return nil, err
	}
	d, err := n.directory(dir)
	if err != nil {
		return nil, err
	}
	key, ok := n.key(d)
	if !ok {
		return nil, objstore.ErrNotFound
	}
	l := &listing{n: n, dir: d, dirKey: key, since: n.now(), start: key, max: max(1, limit)}
	if after == "" {
		return l, l.exists(ctx)
	}
	component, beside, hashed := objstore.Unescape(after)
	if hashed {
		if component, beside, err = n.unhash(ctx, key, after); err != nil {
			return nil, err
		}
	}
	l.goOnAfter(position{component, !beside})
	return l, nil
}

// goOnAfter begins the next page after a position. The directory of that name may still be to come.
func (l *listing) goOnAfter(p position) {
	l.after, l.start = &p, l.dirKey+objstore.Key(p.component)
}

// exists is ErrNotFound if the directory is no more.
func (l *listing) exists(ctx context.Context) error {
	if l.dir == l.n.root {
		return nil
	}
	exists, _, err := l.n.below(ctx, l.dirKey)
	if err == nil && !exists {
		err = objstore.ErrNotFound
	}
	return err
}

// run describes entries until there are some, or no more.
func (l *listing) run(ctx context.Context) (entries []objstore.DirEntry, more bool, err error) {
	for {
		page, there, more, err := l.page(ctx)
		if err != nil {
			return nil, false, err
		}
		if some := l.some(page, there); some < len(page) {
			page, more = page[:some], true
		}
		if entries, err = l.describe(ctx, page, there); err != nil || len(entries) > 0 || !more {
			return entries, more, err
		}
		if len(page) > 0 { // all of it is gone: go on after what was looked at, which may be less than was listed
			l.goOnAfter(page[len(page)-1])
		}
	}
}

// some is how much of a page an answer holds.
func (l *listing) some(page []position, there positions) int {
	heads := 0
	for i, p := range page[:min(len(page), l.max)] {
		if there[p].all {
			continue
		}
		if heads++; heads > headsPage {
			l.n.unlisted.Store(true)
			return i
		}
	}
	return min(len(page), l.max)
}

// most is how many keys are asked for at a time: not many more than can be described, where the last answers told that.
func (l *listing) most() int {
	if l.n.unlisted.Load() {
		return min(l.max, headsPage) + 1
	}
	return l.max + 1
}

// told is what a listing says of the object of a key.
type told struct {
	all bool          // all there is to say: nothing needs to be asked for
	raw objstore.Info // without a version: there is none
}

// positions are those known to be taken.
type positions map[position]told

// page is what comes next, in order and without gaps, and all that is known to be there.
func (l *listing) page(ctx context.Context) (page []position, there positions, more bool, err error) {
	list, err := l.n.store.List(ctx, objstore.ListOptions{
		Prefix: l.dirKey, Delimiter: "/", StartAfter: l.start, Max: l.most(), Describe: true,
	})
	if err != nil {
		return nil, nil, false, err
	}
	there = make(positions)
	for _, e := range list.Entries {
		rest := string(e.Key[len(l.dirKey):])
		component, isDir := strings.CutSuffix(rest, "/")
		if rest != "" {
			there[position{component, isDir}] = told{e.Described, e.Info}
		}
		l.start = e.Key
	}
	for p := range there {
		if l.after == nil || p.compare(*l.after) > 0 {
			page = append(page, p)
		}
	}
	slices.SortFunc(page, position.compare)
	if list.More {
		page, err = l.settle(ctx, page, string(l.start[len(l.dirKey):]), there)
	}
	return page, there, list.More, err
}

// settle leaves of a page what is known to be in order and without gaps. The keys of some directories come after the last one
// of a page, but their names do not: these begin that key, and what follows there sorts before "/". If there is one it comes before
// what is listed, or its object is shown as another name. Where that is about less than half of the page it is left to the next, and
// asked for otherwise.
func (l *listing) settle(ctx context.Context, page []position, last string, there positions) ([]position, error) {
	for i := range len(last) + 1 {
		if i < len(last) && last[i] >= '/' {
			continue
		}
		p := position{last[:i], true}
		_, known := there[p]
		if known || strings.HasSuffix(last, "/") && i == len(last) || l.after != nil && p.compare(*l.after) <= 0 {
			continue
		}
		settled, _ := slices.BinarySearchFunc(page, position{p.component, false}, position.compare)
		if 2*settled >= len(page) && settled > 0 {
			return page[:settled], nil
		}
		exists, _, err := l.n.below(ctx, l.dirKey+objstore.Key(p.component)+"/")
		if err != nil {
			return nil, err
		}
		if exists {
			there[p] = told{}
			at, _ := slices.BinarySearchFunc(page, p, position.compare)
			page = slices.Insert(page, at, p)
		}
	}
	return page, nil
}

// describe makes entries of positions, and asks for those that need it, several at a time. What is gone meanwhile is left out.
func (l *listing) describe(ctx context.Context, page []position, there positions) ([]objstore.DirEntry, error) {
	entries := make([]objstore.DirEntry, len(page))
	errs := make([]error, len(page))
	slots := make(chan struct{}, headsMax)
	var all sync.WaitGroup
	for i, p := range page {
		_, dir := there[position{p.component, true}]
		beside := dir && !p.dir
		if what := there[p]; what.all {
			entries[i] = l.entry(p, beside, what.raw, what.raw.Version != "")
			continue
		}
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			raw, exists, err := l.n.head(ctx, l.key(p))
			if errs[i] = err; err == nil {
				entries[i] = l.entry(p, beside, raw, exists)
			}
		})
	}
	all.Wait()
	if err := cmp.Or(errs...); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(entries, func(e objstore.DirEntry) bool { return e.Info.ID == 0 }), nil
}

// stored is the stored name of a position.
func (p position) stored() string { return place{component: p.component}.stored(p.dir) }

func (l *listing) key(p position) objstore.Key { return l.dirKey + objstore.Key(p.stored()) }

// entry is a position whose object is raw, if it exists. Without one there may be a directory, and no file.
func (l *listing) entry(p position, beside bool, raw objstore.Info, exists bool) objstore.DirEntry {
	typ := objstore.TypeDir
	switch {
	case !p.dir && !exists:
		return objstore.DirEntry{}
	case !p.dir:
		typ = typeOf(raw)
	}
	there := l.n.see(l.since, l.dir, p.stored(), typ, raw, exists)
	return objstore.DirEntry{
		Name: objstore.EscapeName(p.component, beside), Info: l.n.describe(there.id, typ, raw, exists && p.dir),
	}
}
