package mount

import (
	"slices"

	"github.com/etagfs/etagfs/objstore"
)

// name is a directory entry: the nodeid of the directory and the name in it.
type name struct {
	parent uint64
	base   string
}

// place is a directory entry whether the kernel knows the directory or not.
type place struct {
	dir  objstore.ID
	base string
}

// entries are the names of files that the kernel was allowed to believe for a
// long time, and what each shows. table.mu guards them.
//
// Nearly every node is believed to have one name at most, the one it was last found under.
// That one is in the node; others are kept here.
type entries struct {
	nodes  map[name]*node
	others map[*node][]name // believed beside, or instead of, the one the node was found under
}

func newEntries() entries {
	return entries{nodes: make(map[name]*node), others: make(map[*node][]name)}
}

// look notes where n was found.
func (es *entries) look(n *node, at name) {
	if n.found == at {
		return
	}
	if n.believed {
		es.others[n] = append(es.others[n], n.found)
	}
	n.found = at
	if n.believed = es.nodes[at] == n; n.believed {
		es.removeOther(n, at)
	}
}

// believe notes that the kernel believes what n was found under.
func (es *entries) believe(n *node) {
	if n.believed {
		return
	}
	es.remove(n.found)
	es.nodes[n.found] = n
	n.believed = true
}

// remove forgets e.
func (es *entries) remove(e name) {
	n := es.nodes[e]
	if n == nil {
		return
	}
	delete(es.nodes, e)
	if n.found == e {
		n.believed = false
	} else {
		es.removeOther(n, e)
	}
}

func (es *entries) removeOther(n *node, e name) {
	left := slices.DeleteFunc(es.others[n], func(other name) bool { return other == e })
	if es.others[n] = left; len(left) == 0 {
		delete(es.others, n)
	}
}

// of are the entries that show n.
func (es *entries) of(n *node) []name {
	if !n.believed {
		return es.others[n]
	}
	return append([]name{n.found}, es.others[n]...)
}

// shows reports whether any entry shows n.
func (es *entries) shows(n *node) bool { return n.believed || len(es.others[n]) > 0 }

// take forgets every entry that shows n: they are to be invalidated.
func (es *entries) take(n *node) []name {
	taken := es.of(n)
	for _, e := range taken {
		delete(es.nodes, e)
	}
	n.believed = false
	delete(es.others, n)
	return taken
}

// move follows a rename made by the kernel, which moves an entry with its timeout.
func (es *entries) move(from, to name, exchange bool) {
	moved, replaced := es.nodes[from], es.nodes[to]
	es.remove(from)
	es.remove(to)
	if moved != nil {
		es.look(moved, to)
		es.believe(moved)
	}
	if exchange && replaced != nil {
		es.look(replaced, from)
		es.believe(replaced)
	}
}
