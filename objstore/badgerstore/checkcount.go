package badgerstore

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/etagfs/etagfs/objstore/badgerstore/internal/extent"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/record"
)

// tallyMax is how many pages and payloads are counted in one walk; 32 bytes each.
const tallyMax = 2 << 20

// reference is how often a page or payload was found to be referred to.
type reference struct {
	extent.Ref
	count  uint64
	stored bool // it is there
	listed bool // references to it are counted in a record
}

// tally counts references to what lies in a window, in the order of references. The window
// becomes narrower when there are too many in it.
//
// INVARIANT: once sorted, found is in order, without doubles.
type tally struct {
	max   int
	from  extent.Ref // of the window
	to    extent.Ref // its end; the zero Ref: there is none
	found []reference
}

func byRef(a, b extent.Ref) int { return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.ID, b.ID)) }

func (t *tally) inWindow(r extent.Ref) bool {
	return byRef(r, t.from) >= 0 && (t.to == extent.Ref{} || byRef(r, t.to) < 0)
}

func (t *tally) add(r extent.Ref) {
	if !t.inWindow(r) {
		return
	}
	t.found = append(t.found, reference{Ref: r, count: 1})
	if len(t.found) < t.max {
		return
	}
	t.sort()
	if half := t.max / 2; len(t.found) > half {
		t.to = t.found[half].Ref
		t.found = t.found[:half]
	}
}

// sort puts what was found in order and joins doubles.
func (t *tally) sort() {
	slices.SortFunc(t.found, func(a, b reference) int { return byRef(a.Ref, b.Ref) })
	n := 0
	for _, r := range t.found {
		if n > 0 && t.found[n-1].Ref == r.Ref {
			t.found[n-1].count += r.count
			continue
		}
		t.found[n] = r
		n++
	}
	t.found = t.found[:n]
}

// find is what is known of r, once sorted; nil if nothing refers to it.
func (t *tally) find(r extent.Ref) *reference {
	i, ok := slices.BinarySearchFunc(t.found, r, func(a reference, r extent.Ref) int { return byRef(a.Ref, r) })
	if !ok {
		return nil
	}
	return &t.found[i]
}

// next moves the window on; false if it was at the end.
func (t *tally) next() bool {
	if t.to == (extent.Ref{}) {
		return false
	}
	t.from, t.to, t.found = t.to, extent.Ref{}, t.found[:0]
	return true
}

// refer counts the references a record has.
func (c *checker) refer(key []byte, value any) {
	switch v := value.(type) {
	case *record.Object:
		c.referTo(v.Content)
	case *record.Part:
		c.referTo(v.Content)
	case *record.Conflict:
		for _, s := range []*record.Side{&v.Mine, &v.Base, &v.Theirs} {
			if s.Held {
				c.referTo(s.Content)
			}
		}
	case *record.Garbage:
		for _, d := range v.Dropped {
			c.tally.add(extent.Ref{Kind: extent.RefKind(d.Kind), ID: d.ID})
		}
	case *extent.Page:
		refs, err := c.tree.refs(extent.Ref{Kind: extent.RefPage, ID: record.Number(key)})
		if err == nil && refs.Garbage != 0 {
			return // the references of freed pages have moved
		}
		for _, r := range v.Refs() {
			c.tally.add(r)
		}
	}
}

func (c *checker) referTo(content record.Content) {
	if x, err := extentsOf(content); err == nil {
		for _, r := range x.Refs() {
			c.tally.add(r)
		}
	}
}

// counts compares the references that were found with those that are counted, window by window.
func (c *checker) counts() error {
	for {
		c.tally.sort()
		for _, step := range []func() error{c.stored, c.listed, c.leftOver} {
			if err := step(); err != nil {
				return err
			}
		}
		if !c.tally.next() {
			return nil
		}
		for _, tag := range []byte(walkOrder) {
			if tag == record.TagPayload {
				continue
			}
			if err := c.v.scanKeys([]byte{tag}, c.referAgain); err != nil {
				return err
			}
		}
	}
}

// referAgain counts the references of a record that has been checked.
func (c *checker) referAgain(key []byte) (bool, error) {
	if err := c.going(); err != nil || len(key) < record.KeyBytesMin(key[0]) {
		return true, err
	}
	value, err := c.v.read(key)
	if err == nil {
		c.refer(key, value)
	}
	return true, readable(err)
}

// stored looks at all pages and inline payloads in the window.
func (c *checker) stored() error {
	if err := c.storedAs(record.TagPayload, extent.RefInline); err != nil {
		return err
	}
	return c.storedAs(record.TagPage, extent.RefPage)
}

func (c *checker) storedAs(tag byte, kind extent.RefKind) error {
	return c.v.scanKeys([]byte{tag}, func(key []byte) (bool, error) {
		if err := c.going(); err != nil || len(key) < record.KeyBytesMin(tag) {
			return true, err
		}
		return true, readable(c.storedOne(extent.Ref{Kind: kind, ID: record.Number(key)}))
	})
}

func (c *checker) storedOne(r extent.Ref) error {
	if !c.tally.inWindow(r) {
		return nil
	}
	if r.ID >= c.lease {
		return c.curable(cureNumber(r.ID), FindingNumber, "there is %s, but numbers from %d on are yet to be given out", refText(r), c.lease)
	}
	if known := c.tally.find(r); known != nil {
		known.stored = true
		return nil
	}
	refs, err := c.tree.refs(r)
	if err == nil && refs.Garbage == 0 {
		err = c.curable(cureUnreferenced(r), FindingUnreferenced, "nothing refers to %s", refText(r))
	}
	return err
}

// listed compares the counts that are recorded in the window.
func (c *checker) listed() error {
	return c.v.scanKeys([]byte{record.TagRefs}, func(key []byte) (bool, error) {
		if err := c.going(); err != nil || len(key) < record.KeyBytesMin(record.TagRefs) {
			return true, err
		}
		r := extent.Ref{Kind: extent.RefKind(key[1]), ID: record.Number(key[1:])}
		if r.Kind > extent.RefPage || !c.tally.inWindow(r) {
			return true, nil
		}
		value, err := c.v.read(key)
		if refs, ok := value.(record.Refs); ok && err == nil {
			err = c.listedOne(r, refs)
		} else if known := c.tally.find(r); known != nil {
			known.listed = true // in a record that is damaged
		}
		return true, readable(err)
	})
}

func (c *checker) listedOne(r extent.Ref, refs record.Refs) error {
	known := c.tally.find(r)
	if refs.Garbage != 0 {
		return c.freed(r, known, refs.Garbage)
	}
	if known == nil {
		return c.curable(cureCount(r, 0), FindingOvercounted, "%d references to %s are counted and there are none", refs.Count, refText(r))
	}
	known.listed = true
	return c.compare(*known, refs.Count)
}

// compare reports a count that is not the number of references.
func (c *checker) compare(r reference, counted uint64) error {
	kind := FindingUndercounted
	switch {
	case counted == r.count:
		return nil
	case counted > r.count:
		kind = FindingOvercounted
	}
	return c.curable(cureCount(r.Ref, r.count), kind, "%d references to %s are counted and there are %d", counted, refText(r.Ref), r.count)
}

// freed checks a page that a garbage record is to remove.
func (c *checker) freed(r extent.Ref, known *reference, number uint64) error {
	if known != nil {
		known.listed = true
		return c.curable(cureFreed(r, number, known.count), FindingQueue, "garbage %d is to remove %s, to which there are %d references", number, refText(r), known.count)
	}
	value, err := c.v.read(record.GarbageKey(number))
	if err != nil {
		return err
	}
	if g, ok := value.(*record.Garbage); !ok || !slices.Contains(g.Freed, r.ID) {
		return c.curable(cureCount(r, 1), FindingQueue, "%s is to be removed with garbage %d, which does not know of it", refText(r), number)
	}
	return nil
}

// leftOver looks at what is referred to and was not met.
func (c *checker) leftOver() error {
	for _, r := range c.tally.found {
		if !isBlob(r.Kind) && !r.stored { // blobs were looked for with the contents that have bytes in them
			if err := c.found(FindingMissing, "%s is referred to and not there", refText(r.Ref)); err != nil {
				return err
			}
			continue
		}
		counted := uint64(1)
		if isBlob(r.Kind) {
			counted = 0
		}
		if !r.listed {
			if err := c.compare(r, counted); err != nil {
				return err
			}
		}
	}
	return nil
}

// garbage checks what is to be removed.
func (c *checker) garbage(number uint64, g *record.Garbage) error {
	for _, id := range g.Freed {
		r := extent.Ref{Kind: extent.RefPage, ID: id}
		refs, err := c.tree.refs(r)
		if err == nil && refs.Garbage != number {
			err = c.curable(cureQueue(number), FindingQueue, "garbage %d is to remove %s, which was not freed by it", number, refText(r))
		}
		if err != nil {
			return err
		}
	}
	for _, u := range g.Unlink {
		c.unlink[u.ID] = true
		r := extent.Ref{Kind: extent.RefKind(u.Kind), ID: u.ID}
		refs, err := c.tree.refs(r)
		if err == nil && refs.Count > 0 {
			err = c.curable(cureQueue(number), FindingQueue, "garbage %d is to remove %s, to which %d references are counted", number, refText(r), refs.Count)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func refText(r extent.Ref) string {
	switch r.Kind {
	case extent.RefInline:
		return fmt.Sprintf("inline payload %d", r.ID)
	case extent.RefPage:
		return fmt.Sprintf("page %d of extents", r.ID)
	default:
		return blobOf(r.Kind, r.ID).String()
	}
}
