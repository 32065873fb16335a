package flatns

import (
	"fmt"
	"slices"
	"strings"

	"github.com/etagfs/etagfs/objstore"
)

// node is a file, symlink or directory that has an id.
type node struct {
	id  objstore.ID       // constant
	typ objstore.FileType // constant

	// Guarded by Namespace.mu.
	parent   *node            // nil: the root, or its name is gone
	stored   string           // component; of a directory with "/"
	children map[string]*node // of a directory, by stored name
	born     uint64           // epoch of the last change of this mount to it or its name
	seen     sighting         // as the store described it
	whole    bool             // it is among Namespace.wholes
	explicit bool             // of a directory: a marker was seen
	readers  int              // that are not closed
	told     uint64           // when its id was told last, by Namespace.told
}

func (d *node) isDir() bool { return d.typ == objstore.TypeDir }

// node is the node id.
func (n *Namespace) node(id objstore.ID) (*node, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if found := n.nodes[id]; found != nil {
		return found, nil
	}
	return nil, problem(objstore.ErrNotFound, fmt.Sprintf("there is no object %d", id))
}

// directory is the directory id.
func (n *Namespace) directory(id objstore.ID) (*node, error) {
	found, err := n.node(id)
	if err == nil && !found.isDir() {
		return nil, objstore.ErrNotDir
	}
	return found, err
}

// file is the regular file id.
func (n *Namespace) file(id objstore.ID) (*node, error) {
	found, err := n.node(id)
	switch {
	case err != nil:
		return nil, err
	case found.isDir():
		return nil, objstore.ErrIsDir
	case found.typ != objstore.TypeFile:
		return nil, problem(objstore.ErrInvalid, "not a regular file")
	}
	return found, nil
}

// key is where a node is now; false if its name is gone.
func (n *Namespace) key(d *node) (objstore.Key, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.keyLocked(d)
}

// keyLocked requires mu.
func (n *Namespace) keyLocked(d *node) (objstore.Key, bool) {
	var parts []string
	for ; d != n.root; d = d.parent {
		if d.parent == nil {
			return "", false
		}
		parts = append(parts, d.stored)
	}
	slices.Reverse(parts)
	return objstore.Key(strings.Join(parts, "")), true
}

// spot is a stored name in a directory.
type spot struct {
	dir    *node
	stored string
}

// occupy keeps others from taking note of what the store says of some names, and of what is below them, until the
// change of this mount that is under way is in the table. Who occupies looks nothing up until release.
func (n *Namespace) occupy(spots ...spot) (release func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, s := range spots {
		n.settle(s)
	}
	for _, s := range spots { // one that was waited for first may be taken again
		if n.occupied[s] != nil {
			n.settle(s)
		}
	}
	done := make(chan struct{})
	for _, s := range spots {
		n.occupied[s] = done
	}
	return func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		for _, s := range spots {
			if n.occupied[s] == done {
				delete(n.occupied, s)
			}
		}
		close(done)
	}
}

// settle waits until neither the spot nor what it is in is occupied. It requires mu, and lets go of it meanwhile.
func (n *Namespace) settle(s spot) {
	for {
		busy := n.occupied[s]
		for d := s.dir; busy == nil && d.parent != nil; d = d.parent {
			busy = n.occupied[spot{d.parent, d.stored}]
		}
		if busy == nil {
			return
		}
		n.mu.Unlock()
		<-busy
		n.mu.Lock()
	}
}

// now is the moment up to which this mount's changes are known to a request that begins.
func (n *Namespace) now() uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.epoch
}

// see notes what the store answered, at a request that began at a moment, for a stored name, and says which
// node that is. What this mount has changed since is not overwritten by it.
func (n *Namespace) see(since uint64, dir *node, stored string, typ objstore.FileType, raw objstore.Info, explicit bool) *node {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.settle(spot{dir, stored})
	there := dir.children[stored]
	if there != nil && there.born > since {
		n.tell(there)
		return there
	}
	if there != nil && (there.typ != typ || typ == objstore.TypeSymlink && there.seen.content != contentOf(raw)) {
		n.forget(there) // a kernel may remember what an object is and where a link leads
		there = nil
	}
	if there == nil {
		there = n.enter(n.newID(), dir, stored, typ)
	} else {
		n.tell(there)
	}
	n.note(there, raw)
	there.explicit = explicit
	return there
}

// missed notes that the store has nothing of a stored name. A directory that this mount has renamed since the
// request began was asked for under its old key.
func (n *Namespace) missed(since uint64, p place, stored string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.settle(spot{p.dir, stored})
	key, ok := n.keyLocked(p.dir)
	if there := p.dir.children[stored]; there != nil && there.born <= since && ok && key == p.dirKey {
		n.forget(there)
	}
}

// enter makes a node. It requires mu.
func (n *Namespace) enter(id objstore.ID, dir *node, stored string, typ objstore.FileType) *node {
	there := &node{id: id, typ: typ, parent: dir, stored: stored}
	if there.isDir() {
		there.children = make(map[string]*node)
	}
	dir.children[stored] = there
	n.nodes[id] = there
	n.tell(there)
	return there
}

// forget ends a node and what is below it. It requires mu.
func (n *Namespace) forget(gone *node) {
	for _, child := range gone.children {
		n.forget(child)
	}
	delete(gone.parent.children, gone.stored)
	delete(n.nodes, gone.id)
	gone.parent = nil
}

// relocate gives a node another name; what had it is gone. It requires mu.
func (n *Namespace) relocate(d, dir *node, stored string) (replaced *node) {
	if replaced = dir.children[stored]; replaced != nil {
		n.forget(replaced)
	}
	delete(d.parent.children, d.stored)
	d.parent, d.stored = dir, stored
	dir.children[stored] = d
	d.born = n.epoch
	return replaced
}

// isWithin reports whether d is dir or below it.
func (n *Namespace) isWithin(d, dir *node) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	for ; d != nil; d = d.parent {
		if d == dir {
			return true
		}
	}
	return false
}

// pathOf is the path of a node in shown names; an object beside a directory is not told apart.
func (n *Namespace) pathOf(d *node) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	var parts []string
	for ; d != nil && d.parent != nil; d = d.parent {
		parts = append(parts, objstore.EscapeName(strings.TrimSuffix(d.stored, "/"), false))
	}
	slices.Reverse(parts)
	return strings.Join(parts, "/")
}
