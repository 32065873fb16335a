package badgerstore

import "github.com/dgraph-io/badger/v4"

// cursor goes through keys as Badger's iterator does. Where Badger panics over a damaged table, it ends, with an error.
type cursor struct {
	it  *badger.Iterator
	err error // why it ended before the last key
}

// cursor goes through the keys with the prefix. It must be closed before the view.
func (v *view) cursor(prefix []byte) *cursor {
	return &cursor{it: v.db().NewIterator(badger.IteratorOptions{Prefix: prefix})}
}

func (c *cursor) seek(key []byte) {
	defer damagedTable(&c.err)
	c.it.Seek(key)
}

func (c *cursor) next() {
	defer damagedTable(&c.err)
	c.it.Next()
}

func (c *cursor) valid() bool { return c.err == nil && c.it.Valid() }

func (c *cursor) close() { c.it.Close() }
