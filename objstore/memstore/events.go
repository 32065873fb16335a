package memstore

import "github.com/etagfs/etagfs/objstore"

// feed is one caller of WatchObjects.
type feed struct{ f func(objstore.Event) }

// WatchObjects implements [objstore.Feed].
func (b *Bucket) WatchObjects(f func(objstore.Event)) (stop func()) {
	added := &feed{f}
	b.engine.mu.Lock()
	defer b.engine.mu.Unlock()
	b.feeds = append(b.feeds, added)
	return func() {
		b.engine.mu.Lock()
		defer b.engine.mu.Unlock()
		var left []*feed
		for _, other := range b.feeds {
			if other != added {
				left = append(left, other)
			}
		}
		b.feeds = left
	}
}

func (t *tx) event(kind objstore.EventKind, key, other objstore.Key, n *node) {
	info := n.object()
	t.events = append(t.events, objstore.Event{
		Kind: kind, Key: key, Other: other, Time: t.now,
		Version: info.Version, ETag: info.ETag, Size: info.Size,
	})
}

// tellObject tells that there is an object at a place, or a new content of it.
func (t *tx) tellObject(at entry, n *node) {
	if n.isObject() {
		t.event(t.creates, at.key(), "", n)
	}
}

// tellObjects is tellObject for all names of n, whose content was replaced. A
// directory may have lost it.
func (t *tx) tellObjects(n *node) {
	for _, at := range n.places() {
		if n.isObject() {
			t.tellObject(at, n)
		} else {
			t.event(objstore.EventDelete, at.key(), "", n)
		}
	}
}

// tellGone tells that the object at a place is about to go.
func (t *tx) tellGone(at entry, n *node) {
	if n.isObject() {
		t.event(objstore.EventDelete, at.key(), "", n)
	}
}

// tellRenamed tells that n moved, over replaced if that is not nil.
func (t *tx) tellRenamed(from, to entry, n, replaced *node) {
	a, b := from.key(), to.key()
	switch {
	case n.isObject() || n.isDir():
		t.event(objstore.EventRenamedFrom, a, b, n)
		t.event(objstore.EventRenamedTo, b, a, n)
	case replaced != nil && replaced.isObject():
		t.event(objstore.EventDelete, b, "", replaced)
	}
}

// tellExchanged tells that src and dst swapped their places.
func (t *tx) tellExchanged(from, newFrom, to, newTo entry, src, dst *node) {
	for _, e := range []struct {
		kind objstore.EventKind
		at   entry
		to   entry
		n    *node
	}{
		{objstore.EventRenamedFrom, from, newTo, src},
		{objstore.EventRenamedFrom, to, newFrom, dst},
		{objstore.EventRenamedTo, newTo, from, src},
		{objstore.EventRenamedTo, newFrom, to, dst},
	} {
		if e.n.isObject() || e.n.isDir() {
			t.event(e.kind, e.at.key(), e.to.key(), e.n)
		}
	}
}
