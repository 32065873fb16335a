package flatns

import (
	"context"

	"github.com/etagfs/etagfs/objstore"
)

// Kept copies outlive the mount that kept them, and its ids do not: by another mount they were given to other files. So the object
// of a copy is not told where it is one at another path; the copy's path alone says then which file is meant.

// Conflict implements [objstore.Conflicts].
func (n *Namespace) Conflict(ctx context.Context, id objstore.ConflictID) (objstore.Conflict, error) {
	c, err := n.Conflicts.Conflict(ctx, id)
	c.Object = n.objectOf(c)
	return c, err
}

// ListConflicts implements [objstore.Conflicts].
func (n *Namespace) ListConflicts(ctx context.Context) ([]objstore.Conflict, error) {
	all, err := n.Conflicts.ListConflicts(ctx)
	for i, c := range all {
		all[i].Object = n.objectOf(c)
	}
	return all, err
}

// objectOf is the object of a copy; 0 if that is another file here, or may be.
func (n *Namespace) objectOf(c objstore.Conflict) objstore.ID {
	n.mu.Lock()
	defer n.mu.Unlock()
	found := n.nodes[c.Object]
	if found == nil && c.Object > n.lastID {
		return c.Object
	}
	if found == nil { // it is gone, or was forgotten
		return 0
	}
	if key, named := n.keyLocked(found); !named || string(key) != c.Path {
		return 0
	}
	return c.Object
}
