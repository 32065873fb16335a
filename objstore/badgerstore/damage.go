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

// checkEntries compares, once in the life of the process, the number of entries of a directory
// with what its record says, and each entry with its checksum: a flipped bit in a key makes a name vanish, or
// become another, without an error from Badger, and then absence is no answer.
func (e *Engine) checkEntries(v *view, dir uint64) error {
	e.mu.Lock()
	checked := e.checked[dir]
	e.mu.Unlock()
	if checked {
		return nil
	}
	o, err := v.directory(objstore.ID(dir))
	if err != nil || o.Children > countedEntriesMax {
		return err
	}
	n, err := v.countIntact(record.EntryPrefix(dir))
	if err != nil {
		return err
	}
	if n != o.Children {
		return damaged("directory %d has %d entries where %d should be: names are lost", dir, n, o.Children)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.checked) >= checkedMax {
		clear(e.checked)
	}
	e.checked[dir] = true
	return nil
}

// countIntact is the number of keys with the prefix, each of which has the value that was stored under it.
func (v *view) countIntact(prefix []byte) (n uint64, err error) {
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
