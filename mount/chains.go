package mount

import "math/bits"

const chainsPerPage = 512

// chains are a set of nodes that are found by a hash of something in them. A node is itself a link of its chain, so it
// takes no more than the link and the head of a chain, a third of what a map would. There are about as many chains as nodes: with
// each node that comes one chain is split in two, so that no request pays for the growth of the whole.
type chains struct {
	// Constant.
	hash func(*node) uint64 // the same as long as the node is in the set
	link func(*node) **node // in the node, of this set alone

	pages []*chainPage
	ready int // chains in use: the first of the pages, and at least one page of them
	count int // of nodes
}

type chainPage [chainsPerPage]*node

func newChains(hash func(*node) uint64, link func(*node) **node) chains {
	return chains{hash: hash, link: link, pages: []*chainPage{new(chainPage)}, ready: chainsPerPage}
}

// head is the head of the chain of a hash. The last chains may not have been split yet: then theirs is the one they will come from.
func (c *chains) head(hash uint64) **node {
	half := 1 << (bits.Len(uint(c.ready)) - 1) // the largest power of two among so many
	i := int(hash & uint64(2*half-1))
	if i >= c.ready {
		i -= half
	}
	return c.chain(i)
}

func (c *chains) chain(i int) **node { return &c.pages[i/chainsPerPage][i%chainsPerPage] }

// first is the first node of the chain that has all nodes of a hash, and others.
func (c *chains) first(hash uint64) *node { return *c.head(hash) }

// add puts in a node that is not there, before those of its chain.
func (c *chains) add(n *node) {
	head := c.head(c.hash(n))
	*c.link(n), *head = *head, n
	c.grow()
}

// addBehind puts in a node that is not there, next to one of its hash that is.
func (c *chains) addBehind(first, n *node) {
	*c.link(n), *c.link(first) = *c.link(first), n
	c.grow()
}

func (c *chains) grow() {
	if c.count++; c.count > c.ready {
		c.split()
	}
}

// lead puts a node that is there before those of its chain.
func (c *chains) lead(n *node) {
	head := c.take(n)
	*c.link(n), *head = *head, n
}

// take takes a node out of its chain, whose head it returns.
func (c *chains) take(n *node) (head **node) {
	head = c.head(c.hash(n))
	place := head
	for *place != n {
		place = c.link(*place)
	}
	*place, *c.link(n) = *c.link(n), nil
	return head
}

// remove takes out a node that is there.
func (c *chains) remove(n *node) {
	c.take(n)
	c.count--
	// Four at a time: when the last node goes no chains are too many.
	for range 4 {
		if c.count < c.ready/4 && c.ready > chainsPerPage {
			c.join()
		}
	}
}

// split begins one more chain, with those of another that belong there, in their order.
func (c *chains) split() {
	if c.ready == len(c.pages)*chainsPerPage {
		c.pages = append(c.pages, new(chainPage))
	}
	half := 1 << (bits.Len(uint(c.ready)) - 1)
	stay, leave := c.chain(c.ready-half), c.chain(c.ready)
	c.ready++
	for n := *stay; n != nil; n = *stay {
		if c.hash(n)&uint64(half) == 0 {
			stay = c.link(n)
			continue
		}
		*stay, *leave = *c.link(n), n
		leave = c.link(n)
	}
	*leave = nil
}

// join is the reverse of split.
func (c *chains) join() {
	c.ready--
	half := 1 << (bits.Len(uint(c.ready)) - 1)
	gone, to := c.chain(c.ready), c.chain(c.ready-half)
	for *to != nil {
		to = c.link(*to)
	}
	*to, *gone = *gone, nil
	if c.ready%chainsPerPage == 0 {
		c.pages = c.pages[: c.ready/chainsPerPage : c.ready/chainsPerPage]
	}
}
