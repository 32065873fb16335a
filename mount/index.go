package mount

const indexPageNodes = 64

// index finds nodes by id. Ids are given out in order and neighbours live about as long as
// each other, so pages of pointers take less memory than a map of nodes.
type index struct {
	pages map[uint64]*indexPage // by id / indexPageNodes
	count int                   // of nodes
}

type indexPage struct {
	nodes [indexPageNodes]*node
	count int // of nodes; never 0
}

func newIndex() index { return index{pages: make(map[uint64]*indexPage)} }

// get is nil if there is no such node.
func (x *index) get(id uint64) *node {
	if p := x.pages[id/indexPageNodes]; p != nil {
		return p.nodes[id%indexPageNodes]
	}
	return nil
}

// put adds a node whose id is new.
func (x *index) put(n *node) {
	p := x.pages[n.id/indexPageNodes]
	if p == nil {
		p = &indexPage{}
		x.pages[n.id/indexPageNodes] = p
	}
	p.nodes[n.id%indexPageNodes] = n
	p.count++
	x.count++
}

// remove takes out a node that is there.
func (x *index) remove(id uint64) {
	p := x.pages[id/indexPageNodes]
	p.nodes[id%indexPageNodes] = nil
	x.count--
	if p.count--; p.count == 0 {
		delete(x.pages, id/indexPageNodes)
	}
}
