package badgerstore

import (
	"fmt"

	"github.com/etagfs/etagfs/objstore/badgerstore/internal/record"
)

// firstRoot is the id of the main bucket's directory: the first number a store gives out.
const firstRoot = 1

// lostBucket is the name a directory gets that was the one of a bucket.
func (t tree) lostBucket(root uint64) (string, error) {
	if root == firstRoot { // every store has that bucket, from the first
		value, err := t.src.get(record.BucketKey(MainBucket))
		if err != nil || value == nil {
			return MainBucket, err
		}
	}
	return fmt.Sprintf("lost-%d", root), nil
}

// cureDetached gives a directory that is nowhere the place it says it has, or one that is free.
func cureDetached(o *record.Object) cure {
	id, remedy := o.ID, "it is entered there again, or else in "+lostName
	if o.Place.Parent == 0 {
		remedy = "it becomes that of a bucket"
	}
	return cure{stagePlaces, remedy, func(m *mending) (done bool, err error) {
		err = m.commit(func(t *tx) error {
			o, err := t.free(id)
			if err != nil || o == nil || !o.IsDir() {
				return err
			}
			done = true
			if o.Place.Parent == 0 {
				name, err := t.lostBucket(id)
				t.set(record.BucketKey(name), record.Bucket{Root: id, Created: t.now})
				return err
			}
			return m.placeAgain(t, o)
		})
		return done, err
	}}
}

// placeAgain enters a directory where it says it is, if that is possible.
func (m *mending) placeAgain(t *tx, o *record.Object) error {
	p := o.Place
	value, err := t.get(record.EntryKey(p))
	if err != nil {
		return err
	}
	parent, err := t.free(p.Parent)
	if err != nil {
		return err
	}
	_, named := component(p.Stored)
	if value != nil || !named || parent == nil || !parent.IsDir() {
		if p, err = m.lostPlace(t, fmt.Sprintf("directory-%d", o.ID), true); err != nil {
			return err
		}
	}
	o = o.Clone()
	o.Place = p
	t.store(o)
	t.set(record.EntryKey(p), record.Ref{ID: o.ID, Dir: true})
	return nil
}

// cureCircle takes the directory with the lowest id out of a circle.
func cureCircle(start uint64) cure {
	return cure{stageCircles, "one of them is moved to " + lostName, func(m *mending) (done bool, err error) {
		err = m.commit(func(t *tx) error {
			o, err := t.inCircle(start)
			if err != nil || o == nil {
				return err
			}
			done = true
			t.set(record.EntryKey(o.Place), nil)
			o = o.Clone()
			if o.Place, err = m.lostPlace(t, fmt.Sprintf("directory-%d", o.ID), true); err != nil {
				return err
			}
			t.store(o)
			t.set(record.EntryKey(o.Place), record.Ref{ID: o.ID, Dir: true})
			return nil
		})
		return done, err
	}}
}

// inCircle is the directory with the lowest id in the circle that the ancestors of one lead to; nil if they lead to none.
func (t tree) inCircle(start uint64) (lowest *record.Object, err error) {
	seen := map[uint64]int{} // visits
	for id := start; ; {
		o, err := t.free(id)
		if err != nil || o == nil || o.Place.Parent == 0 {
			return nil, err
		}
		switch seen[id]++; seen[id] {
		case 2:
			if lowest == nil || o.ID < lowest.ID {
				lowest = o
			}
		case 3:
			return lowest, nil
		}
		id = o.Place.Parent
	}
}
