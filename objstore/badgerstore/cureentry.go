package badgerstore

import (
	"fmt"
	"strings"

	"github.com/etagfs/etagfs/objstore/badgerstore/internal/record"
)

// remedyOfLost is what becomes of an entry whose object is lost.
func remedyOfLost(r record.Ref) string {
	if r.Dir {
		return "the directory is made anew, with mode 0700"
	}
	return "the entry is set aside"
}

// cureEntry puts right all that can be wrong with an entry and where it leads.
func cureEntry(p place, remedy string) cure {
	return cure{stageEntries, remedy, func(m *mending) (bool, error) {
		value, err := m.get(record.EntryKey(p))
		if err != nil {
			return false, err
		}
		switch v := value.(type) {
		case *record.Object:
			return m.embedded(v)
		case record.Ref:
			if v.Dir {
				return m.directoryAt(p, v)
			}
			return m.nameAt(p, v)
		}
		return false, nil
	}}
}

// embedded mends an entry with an object in it.
func (m *mending) embedded(o *record.Object) (bool, error) {
	p := o.Place
	at, err := m.get(record.ObjectKey(o.ID))
	switch {
	case err != nil:
		return false, err
	case o.IsFree() && (at == nil || at == p):
		return true, m.commit(func(t *tx) error {
			t.set(record.ObjectKey(o.ID), o)
			t.set(record.EntryKey(p), record.Ref{ID: o.ID, Dir: o.IsDir()})
			if !o.IsDir() {
				t.setName(o.ID, p)
			}
			return nil
		})
	case o.IsFree():
		return m.remove(record.EntryKey(p))
	case isMisnamed(p, false):
		return true, m.rename(p, o.ID, false)
	case at == nil:
		return true, m.set(record.ObjectKey(o.ID), p)
	}
	q, isPlace := at.(record.Place)
	if q == p && isPlace {
		return false, nil
	}
	if isPlace {
		there, err := m.get(record.EntryKey(q))
		if other, ok := there.(*record.Object); err != nil || !ok || other.ID != o.ID {
			return err == nil, orElse(err, m.set(record.ObjectKey(o.ID), p))
		}
	}
	return true, m.renumber(o)
}

// isMisnamed reports whether a name is none of an entry of that type.
func isMisnamed(p place, isDir bool) bool {
	_, named := component(p.Stored)
	return named != isDir || p.Stored == ""
}

// rename gives an entry a name of its type.
func (m *mending) rename(p place, id uint64, isDir bool) error {
	name := strings.TrimRight(p.Stored, "/")
	if name == "" {
		name = fmt.Sprintf("unnamed-%d", id)
	}
	return m.commit(func(t *tx) error {
		to, err := t.renamed(p, name)
		if isDir {
			to.Stored += "/"
		}
		if err != nil {
			return err
		}
		return t.moveEntry(p, to)
	})
}

// renamed is the place for what is at p and is to have a name, or else one like it.
func (t *tx) renamed(p place, name string) (place, error) {
	old, err := t.get(record.EntryKey(p))
	if err != nil {
		return p, err
	}
	t.set(record.EntryKey(p), nil) // it is not in its own way
	to, _, err := t.unused(place{Parent: p.Parent, Stored: name})
	t.set(record.EntryKey(p), old)
	return to, err
}

// renumber gives an object an id of its own: another has the one it had.
func (m *mending) renumber(o *record.Object) error {
	return m.commit(func(t *tx) error {
		id, err := t.e.numbers.next()
		if err != nil {
			return err
		}
		for n := 0; n < int(o.PartCount); n += record.LayoutParts {
			parts, err := t.get(record.LayoutKey(o.ID, n/record.LayoutParts))
			if err != nil {
				return err
			}
			t.set(record.LayoutKey(id, n/record.LayoutParts), parts)
		}
		c := o.Clone()
		c.ID = id
		t.set(record.ObjectKey(id), c.Place)
		t.set(record.EntryKey(c.Place), c)
		return nil
	})
}

// directoryAt mends an entry that names a directory.
func (m *mending) directoryAt(p place, r record.Ref) (bool, error) {
	value, err := m.get(record.ObjectKey(r.ID))
	if err != nil {
		return false, err
	}
	o, _ := value.(*record.Object)
	switch {
	case value == nil:
		return true, m.commit(func(t *tx) error { return t.anew(r.ID, p) })
	case o == nil || !o.IsDir() || o.ID != r.ID:
		return m.remove(record.EntryKey(p))
	case o.Place == p && isMisnamed(p, true):
		return true, m.rename(p, o.ID, true)
	case o.Place == p:
		return false, nil
	}
	there, err := m.get(record.EntryKey(o.Place))
	if err != nil {
		return false, err
	}
	if isRoot, err := m.isRoot(r.ID); err != nil || isRoot || there == r {
		return err == nil, orElse(err, m.removeEntry(p))
	}
	c := o.Clone()
	c.Place = p
	return true, m.set(record.ObjectKey(c.ID), c)
}

func (m *mending) removeEntry(p place) error {
	_, err := m.remove(record.EntryKey(p))
	return err
}

// isRoot reports whether a directory is that of a bucket.
func (m *mending) isRoot(id uint64) (is bool, err error) {
	v := m.e.view()
	defer v.close()
	err = v.scan(record.BucketPrefix(), func(_ []byte, value any) (bool, error) {
		rec, ok := value.(record.Bucket)
		is = ok && rec.Root == id
		return !is, nil
	})
	return is, err
}

// nameAt mends an entry that names a file with an id of its own.
func (m *mending) nameAt(p place, r record.Ref) (bool, error) {
	value, err := m.get(record.ObjectKey(r.ID))
	if err != nil {
		return false, err
	}
	if o, _ := value.(*record.Object); o == nil || o.IsDir() || o.ID != r.ID {
		done, err := m.remove(record.EntryKey(p))
		if err == nil {
			err = m.set(record.NameKey(r.ID, p), nil)
		}
		return done, err
	}
	name, err := m.get(record.NameKey(r.ID, p))
	switch {
	case err != nil:
		return false, err
	case isMisnamed(p, false):
		return true, m.rename(p, r.ID, false)
	case name == nil:
		return true, m.commit(func(t *tx) error {
			t.setName(r.ID, p)
			return nil
		})
	}
	return false, nil
}

// curePlaced forgets where an object should be that is not there.
func curePlaced(id uint64) cure {
	return cure{stageEntries, "its place is forgotten", func(m *mending) (bool, error) {
		at, err := m.get(record.ObjectKey(id))
		p, ok := at.(record.Place)
		if err != nil || !ok {
			return false, err
		}
		value, err := m.get(record.EntryKey(p))
		if o, ok := value.(*record.Object); err != nil || ok && o.ID == id {
			return false, err
		}
		return m.remove(record.ObjectKey(id))
	}}
}

// cureName makes one of the names of a file what its entry says, or the other way.
func cureName(id uint64, p place) cure {
	return cure{stageEntries, "it is entered there again, unless the file is lost or the place taken", func(m *mending) (done bool, err error) {
		err = m.commit(func(t *tx) error {
			entry, err := t.get(record.EntryKey(p))
			if err != nil {
				return err
			}
			o, err := t.free(id)
			if err != nil {
				return err
			}
			isThere := o != nil && !o.IsDir()
			done = entry != (record.Ref{ID: id}) || !isThere
			if !done {
				return nil
			}
			parent, err := t.free(p.Parent)
			if err != nil {
				return err
			}
			if isThere && entry == nil && parent != nil && parent.IsDir() && !isMisnamed(p, false) {
				t.set(record.EntryKey(p), record.Ref{ID: id})
			} else {
				t.set(record.NameKey(id, p), nil)
			}
			return nil
		})
		return done, err
	}}
}
