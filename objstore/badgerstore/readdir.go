package badgerstore

import (
	"context"
	"slices"
	"strings"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/record"
)

// ReadDir implements [objstore.Namespace]. The order is that of components; a directory comes before an object
// of the same component. Names that are hashes come last, in their own order. What is lost is noticed at the
// end of a listing, so that its begin takes no longer in a large directory.
func (b *Bucket) ReadDir(ctx context.Context, dir objstore.ID, after string, max int) (entries []objstore.DirEntry, more bool, err error) {
	err = b.read(ctx, "readdir", idText(dir), func(v *view) error {
		o, err := v.directory(dir)
		if err != nil {
			return err
		}
		w := &dirWalk{v: v, dir: o.ID, children: o.Children, hasSubdirs: o.Subdirs > 0, max: max}
		if err := w.run(after); err != nil {
			return err
		}
		entries, more = w.entries, w.more
		return nil
	})
	return entries, more, err
}

// dirWalk collects a page of a directory in the order of components. That is not the order of
// stored names: "a/" comes after "a-b" there. So at each key the walk
// looks for directories whose component is a prefix of the key's.
type dirWalk struct {
	v          *view
	dir        uint64
	children   uint64 // how many entries there should be
	hasSubdirs bool
	max        int

	seen     uint64        // keys the walk went over
	hashes   []hashedEntry // of those it went over
	last     string        // component up to which everything has been visited
	began    bool          // last counts
	fileDone bool          // the object named last has been visited too
	entries  []objstore.DirEntry
	more     bool
}

// hashedEntry is an entry whose name is a hash.
type hashedEntry struct {
	name  string
	value any
}

func (w *dirWalk) run(after string) error {
	hashed := false
	if after != "" {
		if hashed = w.resume(after); !hashed {
			beside, err := w.exists(w.last + "/")
			if err != nil {
				return err
			}
			_, w.fileDone, _ = objstore.Unescape(after)
			w.fileDone = w.fileDone || !beside
		}
	}
	if !hashed {
		if err := w.byComponent(); err != nil || w.more {
			return err
		}
	}
	return w.end(after, hashed)
}

// end adds the entries whose names are hashes, behind after if that is one. Unless the walk was over all keys,
// another is for them, which counts the entries if that is still to be done.
func (w *dirWalk) end(after string, hashed bool) error {
	var err error
	checked := w.v.e.isChecked(w.dir)
	switch prefix := record.EntryPrefix(w.dir); {
	case after == "":
	case checked:
		w.hashes = nil
		err = w.v.scanKeys(prefix, w.collect)
	default:
		w.hashes = nil
		w.seen, err = w.v.scanIntact(prefix, w.collect)
	}
	if err == nil && !checked {
		err = w.v.e.compareEntries(w.dir, w.seen, w.children)
	}
	if err != nil {
		return err
	}
	if !hashed {
		after = ""
	}
	return w.byHash(after)
}

// resume sets the walk behind a name; it reports whether the name is a hash.
func (w *dirWalk) resume(after string) (hashed bool) {
	component, _, hashed := objstore.Unescape(after)
	w.last, w.began = component, !hashed
	return hashed
}

func (w *dirWalk) exists(stored string) (bool, error) {
	if !w.hasSubdirs && strings.HasSuffix(stored, "/") {
		return false, nil
	}
	return w.v.exists(place{Parent: w.dir, Stored: stored})
}

func (w *dirWalk) byComponent() error {
	return w.v.scanFrom(record.EntryPrefix(w.dir), record.EntryKey(place{Parent: w.dir, Stored: w.last}),
		func(key []byte, value any) (bool, error) {
			w.seen++
			err := w.visit(record.EntryStored(key), value)
			return !w.more, err
		})
}

// visit handles one key and the directories that come before it.
func (w *dirWalk) visit(stored string, value any) error {
	name, isDir := component(stored)
	if w.began && name < w.last {
		return nil // a directory visited as a prefix of an earlier key
	}
	for i := 0; i <= len(name) && !w.more; i++ {
		whole := i == len(name)
		if whole && isDir || !whole && name[i] >= '/' {
			continue // not before this key, or this key itself
		}
		if err := w.visitDir(name[:i]); err != nil {
			return err
		}
	}
	if w.more || isDir {
		return w.orMore(isDir, name, value)
	}
	if w.began && name == w.last && w.fileDone {
		return nil
	}
	beside, err := w.exists(stored + "/")
	if err != nil {
		return err
	}
	if err := w.add(objstore.EscapeName(name, beside), value); err != nil || w.more {
		return err
	}
	w.last, w.began, w.fileDone = name, true, true
	return nil
}

// orMore handles a key that is a directory's.
func (w *dirWalk) orMore(isDir bool, name string, value any) error {
	if w.more || !isDir || w.began && name <= w.last {
		return nil
	}
	return w.enter(name, value)
}

// visitDir handles the directory of a component, if there is one and it is next.
func (w *dirWalk) visitDir(name string) error {
	if !w.hasSubdirs || w.began && name <= w.last {
		return nil
	}
	value, err := w.v.get(record.EntryKey(place{Parent: w.dir, Stored: name + "/"}))
	if err != nil || value == nil {
		return err
	}
	return w.enter(name, value)
}

func (w *dirWalk) enter(name string, value any) error {
	if err := w.add(objstore.EscapeName(name, false), value); err != nil || w.more {
		return err
	}
	w.last, w.began, w.fileDone = name, true, false
	return nil
}

// add appends an entry, unless its name is a hash or the page is full.
func (w *dirWalk) add(name string, value any) error {
	if _, _, hashed := objstore.Unescape(name); hashed {
		w.hashes = append(w.hashes, hashedEntry{name, value})
		return nil
	}
	return w.append(name, value)
}

func (w *dirWalk) append(name string, value any) error {
	if len(w.entries) >= w.max {
		w.more = true
		return nil
	}
	o, err := w.object(value)
	if err == nil {
		if w.entries == nil {
			w.entries = make([]objstore.DirEntry, 0, min(uint64(w.max), w.children))
		}
		w.entries = append(w.entries, objstore.DirEntry{Name: name, Info: infoOf(o)})
	}
	return err
}

func (w *dirWalk) object(value any) (*record.Object, error) {
	switch v := value.(type) {
	case *record.Object:
		return v, nil
	case record.Ref:
		o, err := w.v.free(v.ID)
		if err == nil && o == nil {
			err = damaged("object %d is lost", v.ID)
		}
		return o, err
	}
	return nil, damaged("an entry is none")
}

// collect notes an entry whose name is a hash.
func (w *dirWalk) collect(key []byte) (bool, error) {
	stored := record.EntryStored(key)
	if len(stored) < longNameBytes && strings.IndexByte(stored, 0) < 0 {
		return true, nil
	}
	name, err := w.v.shown(place{Parent: w.dir, Stored: stored})
	if _, _, hashed := objstore.Unescape(name); err != nil || !hashed {
		return true, err
	}
	value, err := w.v.get(key)
	w.hashes = append(w.hashes, hashedEntry{name, value})
	return true, err
}

// byHash adds the entries whose names are hashes greater than after.
func (w *dirWalk) byHash(after string) error {
	slices.SortFunc(w.hashes, func(a, b hashedEntry) int { return strings.Compare(a.name, b.name) })
	for _, h := range w.hashes {
		if h.name <= after {
			continue
		}
		if err := w.append(h.name, h.value); err != nil || w.more {
			return err
		}
	}
	return nil
}

// longNameBytes is less than any stored name has whose escape is a hash for its length.
const longNameBytes = objstore.NameBytesMax - 32
