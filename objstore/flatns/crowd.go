package flatns

import (
	"github.com/etagfs/etagfs/objstore"
)

// A bucket has any number of names, and a process does not. What a namespace remembers of a name is little, but for the whole description of
// the object, which only the last ones have that were seen; and who uses the namespace has it forget the names nobody uses any more.

// wholeMost is how many whole descriptions are kept: about a KB each.
const wholeMost = 2048

// sighting is the store's description of an object at a moment; none has no version.
type sighting struct {
	version objstore.Version // the store's
	content objstore.Version
	whole   *objstore.Info // nil: no longer known
}

// wholes are the nodes whose sightings are whole, in the order in which they became it. Some have been forgotten since.
type wholes struct {
	nodes []*node
	first int // the one that goes next, once there are wholeMost
}

// note keeps the store's description of d. It requires mu.
func (n *Namespace) note(d *node, raw objstore.Info) {
	if raw.Version == "" {
		d.seen.version, d.seen.content, d.seen.whole = "", "", nil
		return
	}
	listed := d.whole
	d.seen = sighting{raw.Version, contentOf(raw), &raw}
	if listed {
		return
	}
	d.whole = true
	w := &n.wholes
	if len(w.nodes) < wholeMost {
		w.nodes = append(w.nodes, d)
		return
	}
	w.nodes[w.first].whole, w.nodes[w.first].seen.whole = false, nil
	w.nodes[w.first] = d
	w.first = (w.first + 1) % wholeMost
}

// crowd is when somebody is to have the namespace forget.
type crowd struct {
	most int    // nodes that are not too many
	now  int    // more than so many are, as many were in use
	ask  func() // nil: nobody does
}

// OnCrowd implements [objstore.Forgetter].
func (n *Namespace) OnCrowd(most int, ask func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.crowd = crowd{most: most, now: most, ask: ask}
}

// tell notes that the id of d is told to somebody, who may use it from now on. It requires mu.
func (n *Namespace) tell(d *node) {
	n.told++
	d.told = n.told
	if len(n.nodes) > n.crowd.now && n.crowd.ask != nil {
		n.crowd.ask()
	}
}

// Forget implements [objstore.Forgetter]. What has anything below it stays, and so does what is read or about to be changed.
func (n *Namespace) Forget(settle func(), used func(objstore.ID) bool) {
	n.mu.Lock()
	before := n.told
	n.mu.Unlock()
	settle()
	n.mu.Lock()
	defer n.mu.Unlock()
	for id, d := range n.nodes {
		if d.told <= before && n.spare(d) && !used(id) {
			n.forget(d)
		}
	}
	n.crowd.now = max(n.crowd.most, len(n.nodes)+len(n.nodes)/4)
}

// spare reports whether the namespace itself can do without a node. It requires mu.
func (n *Namespace) spare(d *node) bool {
	if d == n.root || len(d.children) > 0 || d.readers > 0 || n.occupied[spot{d.parent, d.stored}] != nil {
		return false
	}
	for s := range n.occupied {
		if s.dir == d {
			return false
		}
	}
	return true
}
