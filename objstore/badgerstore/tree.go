package badgerstore

import (
	"strings"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/record"
)

// place is where an entry is.
type place = record.Place

// tree finds objects in a source.
type tree struct{ src source }

func damaged(format string, args ...any) error { return problem(objstore.ErrCorrupt, format, args...) }

// entry is the object whose name is at p; nil if there is none.
func (t tree) entry(p place) (*record.Object, error) {
	value, err := t.src.get(record.EntryKey(p))
	if err != nil || value == nil {
		return nil, err
	}
	switch v := value.(type) {
	case *record.Object:
		return v, nil
	case record.Ref:
		o, err := t.free(v.ID)
		if err == nil && (o == nil || o.ID != v.ID || o.IsDir() != v.Dir) {
			err = damaged("the entry %q of directory %d names object %d, which is lost", p.Stored, p.Parent, v.ID)
		}
		return o, err
	}
	return nil, damaged("the entry %q of directory %d is none", p.Stored, p.Parent)
}

// free is the object that lives under its id; nil if there is none.
func (t tree) free(id uint64) (*record.Object, error) {
	value, err := t.src.get(record.ObjectKey(id))
	o, _ := value.(*record.Object)
	return o, err
}

// object is the object id, wherever it lives; nil if it has no name.
func (t tree) object(id uint64) (*record.Object, error) {
	value, err := t.src.get(record.ObjectKey(id))
	if err != nil || value == nil {
		return nil, err
	}
	p, embedded := value.(record.Place)
	if !embedded {
		return value.(*record.Object), nil
	}
	value, err = t.src.get(record.EntryKey(p))
	if err != nil {
		return nil, err
	}
	o, ok := value.(*record.Object)
	if !ok || o.ID != id {
		return nil, damaged("object %d is lost: it should be at %q in directory %d", id, p.Stored, p.Parent)
	}
	return o, nil
}

// exists reports whether there is an entry at p.
func (t tree) exists(p place) (bool, error) {
	value, err := t.src.get(record.EntryKey(p))
	return value != nil, err
}

// existing is object for one that must be there.
func (t tree) existing(id objstore.ID) (*record.Object, error) {
	o, err := t.object(uint64(id))
	if err == nil && o == nil {
		err = problem(objstore.ErrNotFound, "there is no object %d", id)
	}
	return o, err
}

// directory is existing for a directory.
func (t tree) directory(id objstore.ID) (*record.Object, error) {
	o, err := t.existing(id)
	if err == nil && !o.IsDir() {
		return nil, objstore.ErrNotDir
	}
	return o, err
}

// file is existing for a regular file.
func (t tree) file(id objstore.ID) (*record.Object, error) {
	o, err := t.existing(id)
	switch {
	case err != nil:
		return nil, err
	case o.IsDir():
		return nil, objstore.ErrIsDir
	case o.Type != objstore.TypeFile:
		return nil, problem(objstore.ErrInvalid, "not a regular file")
	}
	return o, nil
}

// placeOf is one of the places of o; of most objects the only one.
func (t tree) placeOf(o *record.Object) (p place, ok bool, err error) {
	if o.Links == 0 {
		return o.Place, o.Place.Parent != 0, nil
	}
	err = t.src.scan(record.NamePrefix(o.ID), func(key []byte, _ any) (bool, error) {
		q := record.NamePlace(key)
		if !ok || q.Parent < p.Parent || q.Parent == p.Parent && q.Stored < p.Stored {
			p, ok = q, true
		}
		return true, nil
	})
	if err == nil && !ok {
		err = damaged("the names of object %d are lost", o.ID)
	}
	return p, ok, err
}

// splitKey is the components of the directories on the way to a key, and the
// stored name of its last one.
func splitKey(key objstore.Key) (dirs []string, stored string) {
	parts := strings.Split(string(key), "/")
	last := len(parts) - 1
	if parts[last] != "" || last == 0 {
		return parts[:last], parts[last]
	}
	return parts[:last-1], parts[last-1] + "/"
}

// placeAt is where key is or would be; ok is false if a directory on the way is missing.
func (t tree) placeAt(root uint64, key objstore.Key) (p place, ok bool, err error) {
	dirs, stored := splitKey(key)
	dir := root
	for _, component := range dirs {
		value, err := t.src.get(record.EntryKey(place{Parent: dir, Stored: component + "/"}))
		if err != nil || value == nil {
			return place{}, false, err
		}
		ref, ok := value.(record.Ref)
		if !ok {
			return place{}, false, damaged("the directory %q in %d is none", component, dir)
		}
		dir = ref.ID
	}
	return place{Parent: dir, Stored: stored}, stored != "", nil
}

// nodeAt is whatever has the name key, or nil.
func (t tree) nodeAt(root uint64, key objstore.Key) (*record.Object, error) {
	p, ok, err := t.placeAt(root, key)
	if err != nil || !ok {
		return nil, err
	}
	return t.entry(p)
}

// objectAt is what S3 sees at key, or nil.
func (t tree) objectAt(root uint64, key objstore.Key) (*record.Object, error) {
	o, err := t.nodeAt(root, key)
	if err != nil || !isObject(o) {
		return nil, err
	}
	return o, nil
}

// isWithin reports whether directory id is dir or below it.
func (t tree) isWithin(id, dir uint64) (bool, error) {
	for id != dir {
		o, err := t.directory(objstore.ID(id))
		if err != nil {
			return false, err
		}
		if o.Place.Parent == 0 {
			return false, nil
		}
		id = o.Place.Parent
	}
	return true, nil
}

// parentOf is the directory that holds directory o; the root is its own.
func parentOf(o *record.Object) uint64 {
	if o.Place.Parent == 0 {
		return o.ID
	}
	return o.Place.Parent
}
