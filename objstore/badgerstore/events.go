package badgerstore

import (
	"cmp"
	"slices"
	"strings"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/record"
)

// WatchObjects implements [objstore.Feed].
func (b *Bucket) WatchObjects(f func(objstore.Event)) (stop func()) {
	return b.e.watchers.add(&watcher{root: b.root, events: f})
}

// keyOf is the key of the entry at p, and the root directory of its bucket.
func (t tree) keyOf(p place) (root uint64, key objstore.Key, err error) {
	text := p.Stored
	for {
		dir, err := t.directory(objstore.ID(p.Parent))
		if err != nil {
			return 0, "", err
		}
		if dir.Place.Parent == 0 {
			return dir.ID, objstore.Key(text), nil
		}
		p = dir.Place
		text = p.Stored + text
	}
}

// event tells that something happened to o, whose place is p. other is the other place of a rename.
func (t *tx) event(kind objstore.EventKind, o *record.Object, p, other place) error {
	if !t.e.watchers.wantEvents() {
		return nil
	}
	root, key, err := t.keyOf(p)
	if err != nil {
		return err
	}
	info := objectInfoOf(o)
	e := &objstore.Event{Kind: kind, Key: key, Time: t.now, Version: info.Version, ETag: info.ETag, Size: info.Size}
	if other.Parent != 0 {
		if _, e.Other, err = t.keyOf(other); err != nil {
			return err
		}
	}
	t.changes = append(t.changes, change{root: root, event: e})
	return nil
}

// tellObject tells that there is an object at p, or a new content of it.
func (t *tx) tellObject(o *record.Object, p place) error {
	kind := t.creates
	if kind == 0 {
		kind = objstore.EventPut
	}
	if !isObject(o) {
		return nil
	}
	return t.event(kind, o, p, place{})
}

// tellObjects is tellObject for all names of o, whose content was replaced. A
// directory may have lost it.
func (t *tx) tellObjects(o *record.Object) error {
	if o.IsDir() && !o.Explicit {
		return t.event(objstore.EventDelete, o, o.Place, place{})
	}
	if o.Links == 0 || !t.e.watchers.wantEvents() {
		return t.tellObject(o, o.Place)
	}
	names, err := t.namesOf(o.ID)
	if err != nil {
		return err
	}
	for _, p := range names {
		if err := t.tellObject(o, p); err != nil {
			return err
		}
	}
	return nil
}

// tellRenamed tells that o moved, over replaced if that is not nil.
func (t *tx) tellRenamed(from, to place, o, replaced *record.Object) error {
	if isObject(o) || o.IsDir() {
		if err := t.event(objstore.EventRenamedFrom, o, from, to); err != nil {
			return err
		}
		return t.event(objstore.EventRenamedTo, o, to, from)
	}
	if isObject(replaced) {
		return t.event(objstore.EventDelete, replaced, to, place{})
	}
	return nil
}

// tellExchanged tells that src and dst swapped their places.
func (t *tx) tellExchanged(from, newFrom, to, newTo place, src, dst *record.Object) error {
	for _, e := range []struct {
		kind      objstore.EventKind
		at, other place
		o         *record.Object
	}{
		{objstore.EventRenamedFrom, from, newTo, src},
		{objstore.EventRenamedFrom, to, newFrom, dst},
		{objstore.EventRenamedTo, newTo, from, src},
		{objstore.EventRenamedTo, newFrom, to, dst},
	} {
		if !isObject(e.o) && !e.o.IsDir() {
			continue
		}
		if err := t.event(e.kind, e.o, e.at, e.other); err != nil {
			return err
		}
	}
	return nil
}

// namesOf are the places of an object that has several, in a fixed order.
func (t tree) namesOf(id uint64) (all []place, err error) {
	err = t.src.scan(record.NamePrefix(id), func(key []byte, _ any) (bool, error) {
		all = append(all, record.NamePlace(key))
		return true, nil
	})
	slices.SortFunc(all, func(a, b place) int {
		return cmp.Or(cmp.Compare(a.Parent, b.Parent), strings.Compare(a.Stored, b.Stored))
	})
	return all, err
}
