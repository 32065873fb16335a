package memstore

import (
	"fmt"
	"slices"
	"strings"

	"github.com/etagfs/etagfs/objstore"
)

// checkName refuses what POSIX has no such name for.
func checkName(name string) error {
	switch {
	case name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\x00"):
		return problem(objstore.ErrInvalid, "not a name of a directory entry")
	case len(name) > objstore.NameBytesMax:
		return problem(objstore.ErrTooLarge, "the name is longer than 255 bytes")
	}
	return nil
}

// node is the object id.
func (b *Bucket) node(id objstore.ID) (*node, error) {
	if n := b.nodes[id]; n != nil && !b.deleted {
		return n, nil
	}
	return nil, problem(objstore.ErrNotFound, fmt.Sprintf("there is no object %d", id))
}

// directory is the directory id.
func (b *Bucket) directory(id objstore.ID) (*node, error) {
	n, err := b.node(id)
	if err == nil && !n.isDir() {
		return nil, objstore.ErrNotDir
	}
	return n, err
}

// find is the entry shown as name in directory parent; n is nil if there is none.
// Then the entry is where a file of that name would go.
func (b *Bucket) find(parent objstore.ID, name string) (at entry, n *node, err error) {
	if err := checkName(name); err != nil {
		return at, nil, err
	}
	dir, err := b.directory(parent)
	if err != nil {
		return at, nil, err
	}
	component, beside, hashed := objstore.Unescape(name)
	if hashed {
		at, n = findHashed(dir, name)
		return at, n, nil
	}
	stored := component
	if !beside && dir.dir.nodes[component+"/"] != nil {
		stored = component + "/"
	}
	at = entry{dir, stored}
	if n = dir.dir.nodes[stored]; n != nil && at.shown() != name {
		n = nil // the name is none that anything is shown under
	}
	return at, n, nil
}

// findHashed looks for a name that does not tell its component.
func findHashed(dir *node, name string) (entry, *node) {
	for _, stored := range dir.dir.order {
		if at := (entry{dir, stored}); at.shown() == name {
			return at, dir.dir.nodes[stored]
		}
	}
	return entry{dir, ""}, nil
}

// findExisting is find for an entry that must be there.
func (b *Bucket) findExisting(parent objstore.ID, name string) (entry, *node, error) {
	at, n, err := b.find(parent, name)
	if err == nil && n == nil {
		err = objstore.ErrNotFound
	}
	return at, n, err
}

// checkFree refuses a new entry at a place that find gave for name, unless it would
// be shown as name: names that look like escapes but are none cannot be made.
func checkFree(at entry, name string) error {
	if at.stored == "" || at.dir.dir.nodes[at.stored] != nil || at.shown() != name {
		return problem(objstore.ErrInvalid, "the name is reserved for escaped keys")
	}
	return nil
}

// asDir is the entry of a directory where find gave that of a file.
func (e entry) asDir() entry { return entry{e.dir, e.stored + "/"} }

// shownEntry is an entry and its shown name.
type shownEntry struct {
	name string
	node *node
}

// sortedByName is every entry of dir in the order of shown names.
func sortedByName(dir *node) []shownEntry {
	all := make([]shownEntry, 0, len(dir.dir.order))
	for _, stored := range dir.dir.order {
		all = append(all, shownEntry{entry{dir, stored}.shown(), dir.dir.nodes[stored]})
	}
	slices.SortFunc(all, func(a, b shownEntry) int { return strings.Compare(a.name, b.name) })
	return all
}

// pathOf is one path of n from the root.
func (b *Bucket) pathOf(n *node) string {
	var parts []string
	for n != b.root {
		at, ok := n.place()
		if !ok {
			return ""
		}
		parts = append(parts, at.shown())
		n = at.dir
	}
	slices.Reverse(parts)
	return strings.Join(parts, "/")
}

// nodeAtPath is what a path from the root leads to, or nil.
func (b *Bucket) nodeAtPath(path string) *node {
	n := b.root
	for name := range strings.SplitSeq(path, "/") {
		_, next, err := b.find(n.id, name)
		if err != nil || next == nil {
			return nil
		}
		n = next
	}
	return n
}

// idText names an object in errors.
func idText(id objstore.ID) string { return fmt.Sprintf("object %d", id) }
