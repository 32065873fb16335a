package memstore

import (
	"time"

	"github.com/etagfs/etagfs/objstore"
)

// tx is one mutation of a bucket, under Engine.mu from begin to end.
type tx struct {
	b       *Bucket
	now     time.Time
	undo    []func()
	changes []objstore.Change
	events  []objstore.Event
	creates objstore.EventKind // how contents come about in this tx
}

// mutate runs f as one tx: all of it is applied and told to the watchers, or none.
func (b *Bucket) mutate(f func(*tx) error) error {
	if b.deleted {
		return problem(objstore.ErrNotFound, "the bucket has been deleted")
	}
	t := &tx{b: b, now: b.engine.tick(), creates: objstore.EventPut}
	if err := f(t); err != nil {
		t.rollback()
		return err
	}
	for _, change := range t.changes {
		for _, w := range b.watchers {
			w.f(change)
		}
	}
	for _, event := range t.events {
		for _, f := range b.feeds {
			f.f(event)
		}
	}
	return nil
}

func (t *tx) rollback() {
	for i := len(t.undo) - 1; i >= 0; i-- {
		t.undo[i]()
	}
}

func (t *tx) tell(change objstore.Change) { t.changes = append(t.changes, change) }

// newID and newVersion are not undone: what was given out once never comes back.
func (t *tx) newID() objstore.ID {
	t.b.engine.lastID++
	return t.b.engine.lastID
}

func (t *tx) newVersion() objstore.Version {
	t.b.engine.versions++
	return objstore.VersionOf(t.b.engine.versions)
}

// newNode makes a node that has no name yet, with empty content.
func (t *tx) newNode(id objstore.ID, typ objstore.FileType, attr objstore.NewAttr) *node {
	n := &node{id: id, typ: typ, btime: t.now, names: map[entry]bool{}}
	n.content = emptyContent()
	n.version = t.newVersion()
	n.etag = objstore.MakeETag(n.content.hash(), n.version)
	n.modified = t.now
	n.attr = objstore.Attr{
		Mode: attr.Mode & modeMask, UID: attr.UID, GID: attr.GID,
		Atime: t.now, Mtime: t.now, Ctime: t.now, Btime: t.now,
	}
	return n
}

// modeMask are the bits a mode may have.
const modeMask = 0o7777

// save notes the state of n before it is changed, and moves ctime and the metadata version.
func (t *tx) save(n *node) {
	old := n.state
	t.undo = append(t.undo, func() { n.state = old })
	n.metaVersion++
	n.attr.Ctime = t.now
}

// setContent gives n a new version. What was told of the old one does not hold for it.
func (t *tx) setContent(n *node, c *content) {
	t.save(n)
	n.content, n.checksum, n.parts = c, objstore.Checksum{}, nil
	n.version = t.newVersion()
	n.etag = objstore.MakeETag(c.hash(), n.version)
	n.modified = t.now
	n.attr.Mtime = t.now
}

// attach enters n under a stored name that is free.
func (t *tx) attach(at entry, n *node) {
	t.touchDir(at.dir)
	t.save(n)
	t.rawAttach(at, n)
	t.undo = append(t.undo, func() { t.rawDetach(at, n) })
}

// detach takes n's name away.
func (t *tx) detach(at entry, n *node) {
	t.markGone(at, n)
	t.touchDir(at.dir)
	t.save(n)
	t.rawDetach(at, n)
	t.undo = append(t.undo, func() { t.rawAttach(at, n) })
}

func (t *tx) touchDir(dir *node) {
	t.save(dir)
	dir.attr.Mtime = t.now
}

func (t *tx) rawAttach(at entry, n *node) {
	at.dir.dir.insert(at.stored, n)
	n.names[at] = true
	t.b.nodes[n.id] = n
}

func (t *tx) rawDetach(at entry, n *node) {
	at.dir.dir.remove(at.stored)
	delete(n.names, at)
	if len(n.names) == 0 {
		delete(t.b.nodes, n.id)
	}
}

// add enters n and tells that its name came.
func (t *tx) add(at entry, n *node) {
	beside := t.besideOf(at)
	before := beside.shownIf()
	t.attach(at, n)
	t.tellShift(beside, before)
	t.tellObject(at, n)
	t.tell(objstore.Change{
		Kind: objstore.ChangeCreated, Object: n.id, Parent: at.dir.id, Name: at.shown(),
		New: n.version, Size: n.info().Size,
	})
	if len(n.names) > 1 {
		t.tellLinks(n)
	}
}

// drop takes n's name away and tells that it went.
func (t *tx) drop(at entry, n *node) {
	beside := t.besideOf(at)
	before, name := beside.shownIf(), at.shown()
	t.tellGone(at, n)
	t.detach(at, n)
	t.tell(objstore.Change{
		Kind: objstore.ChangeRemoved, Object: n.id, Parent: at.dir.id, Name: name, Old: n.version,
	})
	t.tellShift(beside, before)
	if len(n.names) > 0 {
		t.tellLinks(n)
	}
}

// tellLinks tells that the link count of a file changed that has other names.
func (t *tx) tellLinks(n *node) {
	t.tell(objstore.Change{Kind: objstore.ChangeAttr, Object: n.id})
}

// tellContent tells that n has a new version in place of old.
func (t *tx) tellContent(n *node, old objstore.Version, appended bool) {
	change := objstore.Change{
		Kind: objstore.ChangeContent, Object: n.id, Old: old, New: n.version,
		Size: n.content.size, Appended: appended,
	}
	if place, ok := n.place(); ok {
		change.Parent, change.Name = place.dir.id, place.shown()
	}
	t.tell(change)
	t.tellObjects(n)
}

// besideOf is the entry of the object beside the directory at a place: its
// shown name depends on whether the directory is there.
func (t *tx) besideOf(at entry) entry {
	if len(at.stored) == 0 || at.stored[len(at.stored)-1] != '/' {
		return entry{}
	}
	stored := at.stored[:len(at.stored)-1]
	if at.dir.dir.nodes[stored] == nil {
		return entry{}
	}
	return entry{at.dir, stored}
}

// shownIf is the shown name, or nothing for no entry.
func (e entry) shownIf() string {
	if e.dir == nil {
		return ""
	}
	return e.shown()
}

// tellShift tells that the object beside a directory is now shown under another name.
func (t *tx) tellShift(beside entry, before string) {
	if beside.dir == nil || beside.shown() == before {
		return
	}
	t.tell(objstore.Change{
		Kind: objstore.ChangeMoved, Object: beside.dir.dir.nodes[beside.stored].id,
		Parent: beside.dir.id, Name: before, NewParent: beside.dir.id, NewName: beside.shown(),
	})
}

// makeExplicit makes dir an object of its own, because it was changed through
// the namespace and must not vanish with the last key below it.
func (t *tx) makeExplicit(dir *node) {
	if dir.explicit {
		return
	}
	t.save(dir)
	old := dir.version
	dir.explicit = true
	dir.version = t.newVersion()
	dir.etag = objstore.MakeETag(dir.content.hash(), dir.version)
	dir.modified = t.now
	t.tellContent(dir, old, false)
}

// prune removes dir and those above it while they are implicit and empty.
func (t *tx) prune(dir *node) {
	for dir != t.b.root && !dir.explicit && dir.isEmpty() {
		at, _ := dir.place()
		t.drop(at, dir)
		dir = at.dir
	}
}
