package mount

import (
	"hash/maphash"
	"maps"
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
	seed   maphash.Seed
	found  chains            // nodes that are believed under the name they were found under
	extra  map[name]*node    // what is believed beside, or instead of, that
	others map[*node]nameSet // the same, by node: none is gone through to find one, for a file may have any number of links
}

// nameSet is a set of entries.
type nameSet map[name]struct{}

func newEntries() entries {
	es := entries{seed: maphash.MakeSeed(), extra: make(map[name]*node), others: make(map[*node]nameSet)}
	seed := es.seed
	es.found = newChains(func(n *node) uint64 { return hashName(seed, n.found) }, func(n *node) **node { return &n.alike })
	return es
}

func hashName(seed maphash.Seed, e name) uint64 {
	return maphash.String(seed, e.base) ^ hashID(objstore.ID(e.parent))
}

// at is the node that e shows, nil if e is not believed.
func (es *entries) at(e name) *node {
	for n := es.found.first(hashName(es.seed, e)); n != nil; n = n.alike {
		if n.found == e {
			return n
		}
	}
	return es.extra[e]
}

// look notes where n was found.
func (es *entries) look(n *node, at name) {
	if n.found == at {
		return
	}
	if n.believed {
		es.found.remove(n)
		es.addOther(n, n.found)
	}
	n.found = at
	if n.believed = es.extra[at] == n; n.believed {
		es.removeOther(n, at)
		es.found.add(n)
	}
}

// believe notes that the kernel believes what n was found under.
func (es *entries) believe(n *node) {
	if n.believed {
		return
	}
	es.remove(n.found)
	es.found.add(n)
	n.believed = true
}

// remove forgets e.
func (es *entries) remove(e name) {
	switch n := es.at(e); {
	case n == nil:
	case n.found == e:
		es.found.remove(n)
		n.believed = false
	default:
		es.removeOther(n, e)
	}
}

func (es *entries) addOther(n *node, e name) {
	if es.others[n] == nil {
		es.others[n] = make(nameSet)
	}
	es.others[n][e] = struct{}{}
	es.extra[e] = n
}

func (es *entries) removeOther(n *node, e name) {
	delete(es.extra, e)
	delete(es.others[n], e)
	if len(es.others[n]) == 0 {
		delete(es.others, n)
	}
}

// of are the entries that show n.
func (es *entries) of(n *node) []name {
	all := slices.Collect(maps.Keys(es.others[n]))
	if n.believed {
		all = append(all, n.found)
	}
	return all
}

// shows reports whether any entry shows n.
func (es *entries) shows(n *node) bool { return n.believed || len(es.others[n]) > 0 }

// take forgets every entry that shows n: they are to be invalidated.
func (es *entries) take(n *node) []name {
	taken := es.of(n)
	if n.believed {
		es.found.remove(n)
		n.believed = false
	}
	for e := range es.others[n] {
		delete(es.extra, e)
	}
	delete(es.others, n)
	return taken
}

// move follows a rename made by the kernel, which moves an entry with its timeout.
func (es *entries) move(from, to name, exchange bool) {
	moved, replaced := es.at(from), es.at(to)
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
