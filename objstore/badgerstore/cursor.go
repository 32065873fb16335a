package badgerstore

import (
	"runtime/debug"

	"github.com/dgraph-io/badger/v4"
)

// cursor goes through keys as Badger's iterator does. Where Badger panics over a damaged table, it ends, with an error.
type cursor struct {
	e   *Engine
	it  *badger.Iterator // nil if it could not be made
	err error            // why it ended before the last key
	n   uint64           // keys it came to
}

// cursor goes through the keys with the prefix. It must be closed before the view.
func (v *view) cursor(prefix []byte) *cursor {
	c := &cursor{e: v.e}
	c.guarded(func() { c.it = v.db().NewIterator(badger.IteratorOptions{Prefix: prefix}) })
	return c
}

func (c *cursor) guarded(f func()) {
	defer c.e.caught(debug.SetPanicOnFault(true), &c.err)
	f()
}

func (c *cursor) seek(key []byte) {
	if c.err == nil {
		c.n++
		c.guarded(func() { c.it.Seek(key) })
	}
}

func (c *cursor) next() {
	c.n++
	c.guarded(c.it.Next)
}

func (c *cursor) valid() bool { return c.err == nil && c.it.Valid() }

func (c *cursor) close() {
	c.e.cursorKeys.Add(c.n)
	if c.it != nil {
		c.guarded(c.it.Close)
	}
}
