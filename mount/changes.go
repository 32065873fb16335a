package mount

import (
	"hash/maphash"

	"github.com/etagfs/etagfs/objstore"
)

// mark is a moment in the order of changes.
type mark uint64

// changes tells whether something changed between a question to package fs and
// the moment its answer is entered in the table, so that an answer overtaken by a
// change is not cached. It remembers when any of the things that share a slot last
// changed: a false yes costs one more lookup. table.mu guards it.
type changes struct {
	seed    maphash.Seed
	last    mark
	objects [256]mark
	names   [256]mark
}

func newChanges() changes { return changes{seed: maphash.MakeSeed()} }

func (c *changes) objectSlot(id objstore.ID) *mark {
	return &c.objects[uint64(id)%uint64(len(c.objects))]
}

func (c *changes) nameSlot(e name) *mark {
	return &c.names[(maphash.String(c.seed, e.base)^e.parent)%uint64(len(c.names))]
}

func (c *changes) touchObject(id objstore.ID) {
	c.last++
	*c.objectSlot(id) = c.last
}

func (c *changes) touchName(e name) {
	c.last++
	*c.nameSlot(e) = c.last
}

func (c *changes) objectSince(m mark, id objstore.ID) bool { return *c.objectSlot(id) > m }

func (c *changes) nameSince(m mark, e name) bool { return *c.nameSlot(e) > m }
