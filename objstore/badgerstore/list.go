package badgerstore

import (
	"context"
	"strings"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/record"
)

// listEntries is the length of a page nobody limited.
const listEntries = 1000

// List implements [objstore.Store].
func (b *Bucket) List(ctx context.Context, opt objstore.ListOptions) (page objstore.ListPage, err error) {
	if opt.Max <= 0 {
		opt.Max = listEntries
	}
	l := &lister{ctx: ctx, opt: opt}
	err = b.read(ctx, "list", string(opt.Prefix), func(v *view) error {
		l.v = v
		root, err := v.directory(objstore.ID(b.root))
		if err != nil {
			return err
		}
		_, err = l.walk(root, "")
		return err
	})
	if err != nil {
		return objstore.ListPage{}, err
	}
	return l.page, nil
}

// lister collects one page. It visits keys in byte order: stored names are such
// that this is a depth-first walk.
type lister struct {
	ctx  context.Context // of the call
	v    *view
	opt  objstore.ListOptions
	page objstore.ListPage
}

// walk visits the keys below dir, whose key is path. It reports whether to go on.
func (l *lister) walk(dir *record.Object, path string) (more bool, err error) {
	if !l.mayHold(path) {
		return true, nil
	}
	if path != "" && isObject(dir) && !l.add(path, dir) {
		return false, nil
	}
	more = true
	err = l.v.scanFrom(record.EntryPrefix(dir.ID), l.start(dir.ID, path), func(key []byte, value any) (bool, error) {
		if err := cancelled(l.ctx); err != nil {
			return false, err
		}
		stored := record.EntryStored(key)
		if l.beyond(path+stored) || l.isDone(path) {
			return false, nil
		}
		more, err = l.visit(path+stored, value)
		return more, err
	})
	return more, err
}

// visit handles one entry, which is also what value says.
func (l *lister) visit(path string, value any) (more bool, err error) {
	switch v := value.(type) {
	case *record.Object:
		return !isObject(v) || l.add(path, v), nil
	case record.Ref:
		o, err := l.v.free(v.ID)
		switch {
		case err != nil:
			return false, err
		case o == nil:
			return false, damaged("object %d is lost", v.ID)
		case o.IsDir():
			return l.walk(o, path)
		}
		return !isObject(o) || l.add(path, o), nil
	}
	return false, damaged("an entry is none")
}

// start is the key of the first entry of dir, whose key is path, that can hold a result.
func (l *lister) start(dir uint64, path string) []byte {
	rest, ok := strings.CutPrefix(max(string(l.opt.Prefix), string(l.opt.StartAfter)), path)
	if !ok {
		return record.EntryPrefix(dir)
	}
	if slash := strings.IndexByte(rest, '/'); slash >= 0 {
		rest = rest[:slash+1]
	}
	return record.EntryKey(place{Parent: dir, Stored: rest})
}

// beyond reports whether path and all after it lie behind the prefix.
func (l *lister) beyond(path string) bool {
	prefix := string(l.opt.Prefix)
	return path > prefix && !strings.HasPrefix(path, prefix)
}

// isDone reports whether all below path is rolled up into the last entry.
func (l *lister) isDone(path string) bool {
	group, rolled := l.roll(path)
	return rolled && group == l.last()
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
func (l *lister) add(path string, o *record.Object) bool {
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
		entry.Info = objectInfoOf(o)
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
