package badgerstore

import (
	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/record"
)

const (
	// countedEntriesMax is the largest directory that is counted when a name is not found in it.
	countedEntriesMax = 1 << 18
	// checkedMax bounds the memory for directories that were found whole.
	checkedMax = 1 << 16
)

// checkEntries compares, once in the life of the process, the number of entries of a directory that is not too large
// with what its record says, and each entry with its checksum: a flipped bit in a key makes a name vanish, or
// become another, without an error from Badger, and then absence is no answer.
func (e *Engine) checkEntries(v *view, dir uint64) error {
	if e.isChecked(dir) {
		return nil
	}
	o, err := v.directory(objstore.ID(dir))
	if err != nil || o.Children > countedEntriesMax {
		return err
	}
	n, err := v.scanIntact(record.EntryPrefix(dir), func([]byte) (bool, error) { return true, nil })
	if err != nil {
		return err
	}
	return e.compareEntries(dir, n, o.Children)
}

// isChecked reports whether the entries of a directory have been counted.
func (e *Engine) isChecked(dir uint64) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.checked[dir]
}

// compareEntries notes that a directory has as many entries as it should have, or says that it has not.
func (e *Engine) compareEntries(dir, entries, children uint64) error {
	if entries != children {
		return damaged("directory %d has %d entries where %d should be: names are lost", dir, entries, children)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.checked) >= checkedMax {
		clear(e.checked)
	}
	e.checked[dir] = true
	return nil
}

// scanIntact is scanKeys for keys each of which must have the value that was stored under it, and counts them.
func (v *view) scanIntact(prefix []byte, f func(key []byte) (bool, error)) (n uint64, err error) {
	c := v.cursor(prefix)
	defer c.close()
	for c.seek(prefix); c.valid(); c.next() {
		item := c.it.Item()
		intact := false
		c.guarded(func() {
			_ = item.Value(func(p []byte) error { // an error leaves it not intact
				intact = record.Intact(item.Key(), p)
				return nil
			})
		})
		if !intact {
			return n, damaged("the key %x has not the value that was stored under it", item.Key())
		}
		n++
		if more, err := f(item.Key()); err != nil || !more {
			return n, err
		}
	}
	return n, c.err
}

// checkLost says whether key, which was not found, may have been lost: it checks
// the last directory on the way that is there.
func (b *Bucket) checkLost(v *view, key objstore.Key) error {
	dirs, _ := splitKey(key)
	dir := b.root
	for _, component := range dirs {
		o, err := v.entry(place{Parent: dir, Stored: component + "/"})
		if err != nil {
			return err
		}
		if o == nil {
			break
		}
		dir = o.ID
	}
	return b.e.checkEntries(v, dir)
}
