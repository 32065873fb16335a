package mount

import (
	"iter"
	"maps"

	"github.com/etagfs/etagfs/fs"
	"github.com/etagfs/etagfs/objstore"
)

// writtenFiles are the nodes that show working copies, by object and writer: very many may write one file, and what a lookup, an open and a commit
// ask of a file's nodes they do not ask of each. table.mu guards them.
type writtenFiles map[objstore.ID]*writers

// writers are the nodes of a file's writers, and those that are about to have one.
type writers struct {
	nodes    map[fs.HandleID]*node
	believed map[*node]struct{} // of nodes, those the kernel may believe entries of: it never comes to that later
	known    map[*node]struct{} // of nodes, those the kernel may have kept attributes of since they were nobody's
	claims   int                // nodes that are being claimed
}

// of is what an object has, made at need.
func (o writtenFiles) of(id objstore.ID) *writers {
	w := o[id]
	if w == nil {
		w = &writers{nodes: make(map[fs.HandleID]*node), believed: make(map[*node]struct{}), known: make(map[*node]struct{})}
		o[id] = w
	}
	return w
}

// rest lets go of what an object does not need.
func (o writtenFiles) rest(id objstore.ID) {
	if w := o[id]; w != nil && len(w.nodes) == 0 && w.claims == 0 {
		delete(o, id)
	}
}

// claim counts a node that is being claimed; the claim is ended once by unclaim.
func (o writtenFiles) claim(n *node) {
	n.used().claiming = true
	o.of(n.object).claims++
}

// unclaim may be called for a node that is not being claimed.
func (o writtenFiles) unclaim(n *node) {
	if u := n.used(); u.claiming {
		u.claiming = false
		o.of(n.object).claims--
		o.rest(n.object)
	}
}

// all are the nodes of the writers of an object, in no order.
func (o writtenFiles) all(id objstore.ID) iter.Seq[*node] {
	if w := o[id]; w != nil {
		return maps.Values(w.nodes)
	}
	return func(func(*node) bool) {}
}

// own makes n, which shows a working copy, that of its writer. mu is held.
func (t *table) own(n *node, by *description) {
	n.used().owner = by
	t.objects.remove(n)
	w := t.written.of(n.object)
	w.nodes[n.inUse.writer] = n
	w.known[n] = struct{}{}
	if t.entries.shows(n) {
		w.believed[n] = struct{}{}
	}
}

// free makes n nobody's, which still shows what it did. mu is held.
func (t *table) free(n *node) {
	w := t.written.of(n.object)
	delete(w.nodes, n.inUse.writer)
	delete(w.believed, n)
	delete(w.known, n)
	t.written.rest(n.object)
	n.inUse.owner = nil
	t.chain(n)
}

// chain puts n among the nodes of its object that nobody owns. mu is held.
func (t *table) chain(n *node) {
	if current := t.currentOf(n.object); current != nil {
		t.objects.addBehind(current, n)
	} else {
		t.objects.add(n)
	}
}
