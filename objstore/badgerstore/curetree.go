package badgerstore

import (
	"fmt"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/record"
)

// lostName is the directory of a bucket for what has lost its place.
const lostName = "lost+found"

// lostMode is the mode of directories whose own is lost.
const lostMode = 0o700

func cureTwin(bucket string) cure {
	return cure{stageBuckets, fmt.Sprintf("%q is set aside", bucket), func(m *mending) (bool, error) {
		return m.remove(record.BucketKey(bucket))
	}}
}

// cureRoot makes the directory of a bucket anew. The entries that were in it are under its id.
func cureRoot(bucket string) cure {
	return cure{stageBuckets, "the directory is made anew, with mode 0700", func(m *mending) (bool, error) {
		return true, m.commit(func(t *tx) error {
			rec, err := t.bucket(bucket)
			if err != nil {
				return err
			}
			value, err := t.get(record.ObjectKey(rec.Root))
			if err != nil {
				return err
			}
			if o, ok := value.(*record.Object); ok && o.IsDir() {
				c := o.Clone()
				c.Place = place{}
				t.store(c)
				return nil
			}
			if value != nil {
				if rec.Root, err = t.e.numbers.next(); err != nil {
					return err
				}
				t.set(record.BucketKey(bucket), rec)
			}
			return t.anew(rec.Root, place{})
		})
	}}
}

// anew makes the directory of an id.
func (t *tx) anew(id uint64, p place) error {
	o, err := t.newObject(id, objstore.TypeDir, objstore.NewAttr{Mode: lostMode})
	if err != nil {
		return err
	}
	o.Explicit, o.Place = true, p
	t.store(o)
	if p.Parent != 0 {
		t.set(record.EntryKey(p), record.Ref{ID: id, Dir: true})
	}
	return nil
}

// cureDirectory makes the directory of an id that has entries and no directory.
func cureDirectory(id uint64) cure {
	return cure{stageDirectories, "the directory is made anew in " + lostName + ", with mode 0700", func(m *mending) (bool, error) {
		value, err := m.get(record.ObjectKey(id))
		if o, ok := value.(*record.Object); err != nil || ok && o.IsDir() {
			return false, err
		}
		to := id
		err = m.commit(func(t *tx) error {
			p, err := m.lostPlace(t, fmt.Sprintf("directory-%d", id), true)
			if err == nil && value != nil { // something else has the id
				to, err = t.e.numbers.next()
			}
			if err != nil {
				return err
			}
			return t.anew(to, p)
		})
		if err == nil && to != id {
			err = m.moveEntries(id, to)
		}
		return err == nil, err
	}}
}

// moveEntries moves what is in one directory to another, which is new.
func (m *mending) moveEntries(from, to uint64) error {
	keys, err := m.keys(record.EntryPrefix(from))
	for _, key := range keys {
		if err != nil {
			break
		}
		p := place{Parent: from, Stored: record.EntryStored(key)}
		err = m.commit(func(t *tx) error { return t.moveEntry(p, place{Parent: to, Stored: p.Stored}) })
	}
	return err
}

// moveEntry gives what has the name at p another.
func (t *tx) moveEntry(p, to place) error {
	value, err := t.get(record.EntryKey(p))
	if err != nil {
		return err
	}
	switch v := value.(type) {
	case *record.Object:
		o := v.Clone()
		o.Place = to
		t.set(record.EntryKey(to), o)
		t.set(record.ObjectKey(o.ID), to)
	case record.Ref:
		t.set(record.EntryKey(to), v)
		if !v.Dir {
			t.set(record.NameKey(v.ID, p), nil)
			t.setName(v.ID, to)
			break
		}
		dir, err := t.free(v.ID)
		if err != nil {
			return err
		}
		if dir != nil && dir.Place == p {
			dir = dir.Clone()
			dir.Place = to
			t.store(dir)
		}
	default:
		return nil
	}
	t.set(record.EntryKey(p), nil)
	return nil
}

// lostPlace is a place in lost+found that nothing has. Names there say what has them.
func (m *mending) lostPlace(t *tx, name string, isDir bool) (place, error) {
	root, err := m.lostRoot()
	if err != nil {
		return place{}, err
	}
	dir, err := m.lostDirectory(t, root)
	if err != nil {
		return place{}, err
	}
	p, _, err := t.unused(place{Parent: dir, Stored: name})
	if isDir {
		p.Stored += "/"
	}
	return p, err
}

// lostDirectory is the directory for what is lost.
func (m *mending) lostDirectory(t *tx, root uint64) (uint64, error) {
	for n := 0; ; n++ {
		name := lostName
		if n > 0 {
			name = fmt.Sprintf("%s.%d", lostName, n)
		}
		value, err := t.get(record.EntryKey(place{Parent: root, Stored: name + "/"}))
		if err != nil {
			return 0, err
		}
		if ref, ok := value.(record.Ref); ok {
			if o, err := t.free(ref.ID); err != nil || o != nil && o.IsDir() {
				return ref.ID, err
			}
			continue
		}
		p, free, err := t.unused(place{Parent: root, Stored: name})
		if err != nil {
			return 0, err
		}
		if !free {
			continue
		}
		p.Stored += "/"
		id, err := t.e.numbers.next()
		if err == nil {
			err = t.anew(id, p)
		}
		return id, err
	}
}

// unused is p, or p with a number behind it, so that nothing has the name. free: it is p.
func (t *tx) unused(p place) (q place, free bool, err error) {
	q = p
	for n := 0; ; n++ {
		if n > 0 {
			q.Stored = fmt.Sprintf("%s.%d", p.Stored, n)
		}
		file, err := t.exists(q)
		if err != nil {
			return q, false, err
		}
		dir, err := t.exists(place{Parent: q.Parent, Stored: q.Stored + "/"})
		if err != nil || !file && !dir {
			return q, n == 0, err
		}
	}
}

func cureLinks(id uint64) cure {
	return cure{stagePlaces, "its names are counted anew; without any it gets one in " + lostName, func(m *mending) (bool, error) {
		names, err := m.keys(record.NamePrefix(id))
		if err != nil {
			return false, err
		}
		done := false
		err = m.commit(func(t *tx) error {
			o, err := t.free(id)
			if err != nil || o == nil || o.IsDir() {
				return err
			}
			done = true
			o = o.Clone()
			if o.Links = uint32(len(names)); o.Links == 0 {
				p, err := m.lostPlace(t, fmt.Sprintf("file-%d", id), false)
				if err != nil {
					return err
				}
				o.Links = 1
				t.set(record.EntryKey(p), record.Ref{ID: id})
				t.setName(id, p)
			}
			t.set(record.ObjectKey(id), o)
			return nil
		})
		return done, err
	}}
}
