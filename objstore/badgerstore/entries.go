package badgerstore

import (
	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/record"
)

// attach gives o the free name p and returns o as it is then.
func (t *tx) attach(p place, o *record.Object) (*record.Object, error) {
	if err := t.countEntry(p.Parent, o.IsDir(), 1); err != nil {
		return nil, err
	}
	o, err := t.touched(o)
	if err != nil {
		return nil, err
	}
	if !hasName(o) {
		t.objects++
	}
	entry := record.EntryKey(p)
	switch {
	case o.IsDir():
		o.Place = p
		t.set(entry, record.Ref{ID: o.ID, Dir: true})
	case o.Links == 0 && o.Place.Parent == 0:
		o.Place = p
		t.set(record.ObjectKey(o.ID), p)
	case o.Links == 0:
		t.set(record.EntryKey(o.Place), record.Ref{ID: o.ID})
		t.setName(o.ID, o.Place)
		o.Links, o.Place = 1, place{}
		fallthrough
	default:
		o.Links++
		t.set(entry, record.Ref{ID: o.ID})
		t.setName(o.ID, p)
	}
	t.store(o)
	return o, nil
}

func (t *tx) setName(id uint64, p place) {
	key := record.NameKey(id, p)
	t.set(key, raw(record.EncodeName(key)))
}

// detach takes the name p from o and returns o as it is then, perhaps without any name.
func (t *tx) detach(p place, o *record.Object) (*record.Object, error) {
	if err := t.markGone(p, o, o.IsDir()); err != nil {
		return nil, err
	}
	if err := t.countEntry(p.Parent, o.IsDir(), -1); err != nil {
		return nil, err
	}
	o, err := t.touched(o)
	if err != nil {
		return nil, err
	}
	t.set(record.EntryKey(p), nil)
	if o.Links > 0 {
		t.set(record.NameKey(o.ID, p), nil)
		if o.Links--; o.Links > 0 {
			t.store(o)
			return o, nil
		}
	}
	o.Place = place{}
	t.objects--
	t.set(record.ObjectKey(o.ID), nil)
	return o, nil
}

// countEntry notes that a directory gained or lost an entry.
func (t *tx) countEntry(id uint64, isDir bool, by int) error {
	dir, err := t.directory(objstore.ID(id))
	if err != nil {
		return err
	}
	if dir, err = t.touched(dir); err != nil {
		return err
	}
	dir.Attr.Mtime = t.now
	dir.Children += uint64(by)
	if isDir {
		dir.Subdirs += uint64(by)
	}
	t.store(dir)
	return nil
}

// hasName reports whether o has a name.
func hasName(o *record.Object) bool { return o.Links > 0 || o.Place.Parent != 0 }

// add attaches o and tells that its name came.
func (b *Bucket) add(t *tx, p place, o *record.Object) (*record.Object, error) {
	shift, err := b.beginShift(t, p)
	if err != nil {
		return nil, err
	}
	if o, err = t.attach(p, o); err != nil {
		return nil, err
	}
	if err := shift.tell(b, t); err != nil {
		return nil, err
	}
	name, err := t.shown(p)
	if err != nil {
		return nil, err
	}
	t.tell(b.root, objstore.Change{
		Kind: objstore.ChangeCreated, Object: objstore.ID(o.ID), Parent: objstore.ID(p.Parent), Name: name,
		New: objstore.VersionOf(o.Version), Size: infoOf(o).Size,
	})
	if o.Links > 1 {
		b.tellLinks(t, o)
	}
	return o, t.tellObject(o, p)
}

// drop detaches o and tells that its name went. The content of an object
// that has no name left is given up.
func (b *Bucket) drop(t *tx, p place, o *record.Object) (*record.Object, error) {
	shift, err := b.beginShift(t, p)
	if err != nil {
		return nil, err
	}
	name, err := t.shown(p)
	if err != nil {
		return nil, err
	}
	if isObject(o) {
		if err := t.event(objstore.EventDelete, o, p, place{}); err != nil {
			return nil, err
		}
	}
	if o, err = t.detach(p, o); err != nil {
		return nil, err
	}
	t.tell(b.root, objstore.Change{
		Kind: objstore.ChangeRemoved, Object: objstore.ID(o.ID), Parent: objstore.ID(p.Parent), Name: name,
		Old: objstore.VersionOf(o.Version),
	})
	if err := shift.tell(b, t); err != nil {
		return nil, err
	}
	return o, b.afterDetach(t, o)
}

// afterDetach gives up the content of o if it has no name left.
func (b *Bucket) afterDetach(t *tx, o *record.Object) error {
	if hasName(o) {
		b.tellLinks(t, o)
		return nil
	}
	t.dropLayout(o)
	return t.discard(contentOf(o))
}

// tellLinks tells that the link count of a file changed that has other names.
func (b *Bucket) tellLinks(t *tx, o *record.Object) {
	t.tell(b.root, objstore.Change{Kind: objstore.ChangeAttr, Object: objstore.ID(o.ID)})
}

// tellContent tells that o has a new version in place of old.
func (b *Bucket) tellContent(t *tx, o *record.Object, old uint64, appended bool) error {
	c := objstore.Change{
		Kind: objstore.ChangeContent, Object: objstore.ID(o.ID), Old: objstore.VersionOf(old),
		New: objstore.VersionOf(o.Version), Size: o.Content.Size, Appended: appended,
	}
	p, ok, err := t.placeOf(o)
	if err != nil {
		return err
	}
	if ok {
		c.Parent = objstore.ID(p.Parent)
		if c.Name, err = t.shown(p); err != nil {
			return err
		}
	}
	t.tell(b.root, c)
	return t.tellObjects(o)
}

// shift is the object beside a directory that comes or goes: its shown name
// depends on whether the directory is there.
type shift struct {
	p      place
	id     uint64 // 0: there is none
	before string
}

// beginShift looks for an object beside the directory at p, before p changes.
func (b *Bucket) beginShift(t *tx, p place) (s shift, err error) {
	name, isDir := component(p.Stored)
	if !isDir {
		return s, nil
	}
	s.p = place{Parent: p.Parent, Stored: name}
	o, err := t.entry(s.p)
	if err != nil || o == nil {
		return shift{}, err
	}
	s.id = o.ID
	s.before, err = t.shown(s.p)
	return s, err
}

// tell tells of the new name, if it changed.
func (s shift) tell(b *Bucket, t *tx) error {
	if s.id == 0 {
		return nil
	}
	now, err := t.shown(s.p)
	if err != nil || now == s.before {
		return err
	}
	t.tell(b.root, objstore.Change{
		Kind: objstore.ChangeMoved, Object: objstore.ID(s.id), Parent: objstore.ID(s.p.Parent), Name: s.before,
		NewParent: objstore.ID(s.p.Parent), NewName: now,
	})
	return nil
}

// makeExplicit makes a directory an object of its own, because it was changed
// through the namespace and must not vanish with the last key below it.
func (t *tx) makeExplicit(id uint64) error {
	dir, err := t.directory(objstore.ID(id))
	if err != nil || dir.Explicit {
		return err
	}
	if dir, err = t.touched(dir); err != nil {
		return err
	}
	dir.Explicit, dir.Version, dir.Modified = true, dir.MetaVersion, t.now
	t.store(dir)
	return t.tellObject(dir, dir.Place)
}

// prune removes directory id and those above it while they are implicit and empty.
func (b *Bucket) prune(t *tx, id uint64) error {
	for id != b.root {
		dir, err := t.directory(objstore.ID(id))
		if err != nil {
			return err
		}
		if dir.Explicit || dir.Children > 0 {
			return nil
		}
		p := dir.Place
		if _, err := b.drop(t, p, dir); err != nil {
			return err
		}
		id = p.Parent
	}
	return nil
}
