package memstore

import (
	"context"
	"strings"

	"github.com/etagfs/etagfs/objstore"
)

// listEntries is the length of a page nobody limited.
const listEntries = 1000

// List implements [objstore.Store].
func (b *Bucket) List(ctx context.Context, opt objstore.ListOptions) (page objstore.ListPage, err error) {
	if opt.Max <= 0 {
		opt.Max = listEntries
	}
	l := &lister{opt: opt}
	err = b.read(ctx, "list", string(opt.Prefix), func() error {
		l.walk(b.root, "")
		return nil
	})
	if err != nil {
		return objstore.ListPage{}, err
	}
	return l.page, nil
}

// lister collects one page.
type lister struct {
	opt  objstore.ListOptions
	page objstore.ListPage
}

// walk visits the keys below dir, whose key is path, in byte order. It reports
// whether to go on.
func (l *lister) walk(dir *node, path string) bool {
	if !l.mayHold(path) {
		return true
	}
	if path != "" && dir.isObject() && !l.add(path, dir) {
		return false
	}
	for _, stored := range dir.dir.order {
		n := dir.dir.nodes[stored]
		switch {
		case n.isDir():
			if !l.walk(n, path+stored) {
				return false
			}
		case n.isObject():
			if !l.add(path+stored, n) {
				return false
			}
		}
	}
	return true
}

// mayHold reports whether keys that begin with path can be in the listing.
func (l *lister) mayHold(path string) bool {
	prefix, after := string(l.opt.Prefix), string(l.opt.StartAfter)
	if !strings.HasPrefix(path, prefix) && !strings.HasPrefix(prefix, path) {
		return false
	}
	if path <= after && !strings.HasPrefix(after, path) {
		return false
	}
	group, rolled := l.roll(path)
	return !rolled || group > after && group != l.last()
}

// add appends a key or its common prefix. It reports whether to go on.
func (l *lister) add(path string, n *node) bool {
	if !strings.HasPrefix(path, string(l.opt.Prefix)) {
		return true
	}
	entry := objstore.ListEntry{Key: objstore.Key(path)}
	if group, rolled := l.roll(path); rolled {
		entry = objstore.ListEntry{Key: objstore.Key(group), Prefix: true}
	}
	if entry.Key <= l.opt.StartAfter || string(entry.Key) == l.last() {
		return true
	}
	if len(l.page.Entries) == l.opt.Max {
		l.page.More = true
		return false
	}
	if !entry.Prefix {
		entry.Info = n.object()
	}
	l.page.Entries = append(l.page.Entries, entry)
	return true
}

// roll is the common prefix that stands for path, if the delimiter comes after the prefix.
func (l *lister) roll(path string) (group string, rolled bool) {
	rest, ok := strings.CutPrefix(path, string(l.opt.Prefix))
	if !ok || l.opt.Delimiter == "" {
		return "", false
	}
	at := strings.Index(rest, l.opt.Delimiter)
	if at < 0 {
		return "", false
	}
	return path[:len(path)-len(rest)+at+len(l.opt.Delimiter)], true
}

// last is the last entry so far; no key is empty.
func (l *lister) last() string {
	if len(l.page.Entries) == 0 {
		return ""
	}
	return string(l.page.Entries[len(l.page.Entries)-1].Key)
}
