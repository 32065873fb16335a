package mount

import "slices"

// name is a directory entry: the nodeid of the directory and the name in it.
type name struct {
	parent uint64
	base   string
}

// entries are the names of files that the kernel was allowed to believe for a
// long time, and what each shows. table.mu guards them.
type entries map[name]*node

// put notes that e shows n.
func (es entries) put(e name, n *node) {
	old := es[e]
	if old == n {
		return
	}
	if old != nil {
		old.unname(e)
	}
	es[e] = n
	n.names = append(n.names, e)
}

// remove forgets e.
func (es entries) remove(e name) {
	if n := es[e]; n != nil {
		delete(es, e)
		n.unname(e)
	}
}

// take forgets every entry that shows n: they are to be invalidated.
func (es entries) take(n *node) []name {
	taken := n.names
	n.names = nil
	for _, e := range taken {
		delete(es, e)
	}
	return taken
}

// move follows a rename made by the kernel, which moves an entry with its timeout.
func (es entries) move(from, to name, exchange bool) {
	moved, replaced := es[from], es[to]
	es.remove(from)
	es.remove(to)
	if moved != nil {
		es.put(to, moved)
		moved.found = to
	}
	if exchange && replaced != nil {
		es.put(from, replaced)
		replaced.found = from
	}
}

func (n *node) unname(e name) {
	n.names = slices.DeleteFunc(n.names, func(other name) bool { return other == e })
}
