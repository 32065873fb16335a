package mount

import (
	"slices"
	"testing"

	"github.com/etagfs/etagfs/objstore"
)

// However many nodes come and go, each is in the chain of its hash, and there are about as many chains as nodes.
func TestChainsGrowAndShrinkWithTheirNodes(t *testing.T) {
	const nodes = 5000
	c := newChains(func(n *node) uint64 { return hashID(n.object) }, func(n *node) **node { return &n.next })
	find := func(id objstore.ID) *node {
		for n := c.first(hashID(id)); n != nil; n = n.next {
			if n.object == id {
				return n
			}
		}
		return nil
	}
	check := func(most int) {
		t.Helper()
		seen := 0
		for range c.all(t) {
			seen++
		}
		if seen != c.count || c.ready > most || len(c.pages)*chainsPerPage >= c.ready+chainsPerPage {
			t.Errorf("%d nodes, %d counted, in %d chains on %d pages", seen, c.count, c.ready, len(c.pages))
		}
	}
	for id := range objstore.ID(nodes) {
		c.add(&node{object: id})
	}
	check(nodes)
	for id := range objstore.ID(nodes) {
		n := find(id)
		if n == nil {
			t.Fatalf("node %d of %d is not found", id, nodes)
		}
		c.remove(n)
		if find(id) != nil {
			t.Fatalf("node %d is found once removed", id)
		}
		if id%1000 == 0 {
			check(nodes)
		}
	}
	check(2 * chainsPerPage)
	if c.count != 0 {
		t.Errorf("%d nodes are counted once all are removed", c.count)
	}
}

// Nodes of one hash stay in their order while chains are split and joined around them, and any of them can be made the first.
func TestChainsKeepTheOrderOfAHash(t *testing.T) {
	const crowded, others = 7, 5000
	c := newChains(func(n *node) uint64 { return hashID(n.object) }, func(n *node) **node { return &n.next })
	first := &node{id: 1, object: crowded}
	c.add(first)
	for id := uint64(2); id <= 4; id++ {
		c.addBehind(first, &node{id: id, object: crowded})
	}
	order := func(want ...uint64) {
		t.Helper()
		var got []uint64
		for n := c.first(hashID(crowded)); n != nil; n = n.next {
			if n.object == crowded {
				got = append(got, n.id)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("the order is %v, want %v", got, want)
		}
	}
	var rest []*node
	for id := range objstore.ID(others) {
		rest = append(rest, &node{object: 1000 + id})
		c.add(rest[id])
	}
	order(1, 4, 3, 2)
	for n := c.first(hashID(crowded)); ; n = n.next {
		if n.id == 3 && n.object == crowded {
			c.lead(n)
			break
		}
	}
	order(3, 1, 4, 2)
	for _, n := range rest {
		c.remove(n)
	}
	order(3, 1, 4, 2)
	if c.count != 4 {
		t.Errorf("%d nodes are counted, want 4", c.count)
	}
}

// What a node shows is told apart whether its version is a number or any text, and it takes no more than it must.
func TestNodeShowsAnyVersion(t *testing.T) {
	versions := []objstore.Version{"", "0", "1", "01", "a0", "A0", "ffffffffffffffff", "10000000000000000", `"etag-of-a-bucket"`}
	n := &node{object: 7}
	for _, is := range versions {
		v := n.view()
		v.Version = is
		n.show(v, 1)
		if got := n.view(); got != v || n.hasVersion() != (is != "") {
			t.Errorf("a node that shows %+v shows %+v", v, got)
		}
		for _, other := range versions {
			w := v
			w.Version = other
			if n.shows(w) != (is == other) {
				t.Errorf("a node of version %q shows that of %q: %v", is, other, n.shows(w))
			}
		}
	}
	v := n.view()
	v.Writer = 3
	n.show(v, 1)
	if n.view() != v || !n.shows(v) {
		t.Errorf("a node that shows a writer shows %+v", n.view())
	}
	v.Version, v.Writer = "b", 0
	n.show(v, 1)
	if n.rest(); n.inUse != nil {
		t.Errorf("a node that nobody uses keeps %+v", *n.inUse)
	}
}
