package memstore

import (
	"fmt"
	"slices"
	"strings"

	"github.com/etagfs/etagfs/objstore"
)

// checkInvariants reports what is inconsistent in b, if anything. Tests run it.
func (b *Bucket) checkInvariants() error {
	b.engine.mu.Lock()
	defer b.engine.mu.Unlock()
	seen := map[objstore.ID]int{b.root.id: 0}
	if err := b.checkDir(b.root, seen); err != nil {
		return err
	}
	// INVARIANT: nodes holds exactly what has a name, and the root.
	for id, n := range b.nodes {
		if names, ok := seen[id]; !ok || names != len(n.names) {
			return fmt.Errorf("node %d has %d names, the tree %d", id, len(n.names), names)
		}
	}
	if len(seen) != len(b.nodes) {
		return fmt.Errorf("the tree has %d nodes, the map %d", len(seen), len(b.nodes))
	}
	return nil
}

// checkDir checks dir and all below it, and counts the names of every node in seen.
func (b *Bucket) checkDir(dir *node, seen map[objstore.ID]int) error {
	// INVARIANT: order is the sorted keys of nodes.
	if len(dir.dir.order) != len(dir.dir.nodes) || !slices.IsSorted(dir.dir.order) {
		return fmt.Errorf("directory %d: order and nodes differ", dir.id)
	}
	// INVARIANT: an implicit directory is not empty.
	if !dir.explicit && dir.isEmpty() {
		return fmt.Errorf("directory %d is implicit and empty", dir.id)
	}
	subdirs := 0
	for stored, n := range dir.dir.nodes {
		seen[n.id]++
		// INVARIANT: an entry and its node know each other, and both know the type.
		if !n.names[entry{dir, stored}] || b.nodes[n.id] != n || strings.HasSuffix(stored, "/") != n.isDir() {
			return fmt.Errorf("entry %q of directory %d does not match node %d", stored, dir.id, n.id)
		}
		// INVARIANT: an etag that looks like one of ours is that of the content and the version.
		if _, _, own := n.etag.Split(); own && n.etag != objstore.MakeETag(n.content.hash(), n.version) {
			return fmt.Errorf("node %d: etag %s does not match", n.id, n.etag)
		}
		if !n.isDir() {
			continue
		}
		subdirs++
		// INVARIANT: a directory has one name.
		if len(n.names) != 1 {
			return fmt.Errorf("directory %d has %d names", n.id, len(n.names))
		}
		if err := b.checkDir(n, seen); err != nil {
			return err
		}
	}
	// INVARIANT: subdirs counts the directories.
	if subdirs != dir.dir.subdirs {
		return fmt.Errorf("directory %d counts %d directories of %d", dir.id, dir.dir.subdirs, subdirs)
	}
	return nil
}
