package mount

import (
	"context"
	"time"

	"github.com/etagfs/etagfs/fs"
	"github.com/etagfs/etagfs/objstore"
)

// ghosts are the attributes of objects that lost their last name through this mount, as long as the kernel has a
// node of them: it is somebody's working directory, or open with O_PATH, which is not told. What is left of a file that is open its
// handles know, and the last of them leaves it here. Of a directory that somebody else has removed only that is known. Guarded by table.mu.
type ghosts map[objstore.ID]fs.Attr

// Lost implements [fs.Kernel].
func (k *notifier) Lost(a fs.Attr) {
	for _, n := range k.table.lost(a) {
		k.drop(n, onlyAttributes)
	}
}

// lost notes that an object lost a name, and returns nodes whose attributes the kernel does not forget by itself: it knows only of the
// one it found under that name.
func (t *table) lost(a fs.Attr) (stale []uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.anyOf(a.Object) == nil {
		return nil
	}
	t.changes.touchObject(a.Object)
	if a.Nlink == 0 {
		t.ghosts[a.Object] = a
	}
	for n := range t.nodesOf(a.Object) {
		stale = append(stale, n.id)
	}
	if len(stale) == 1 {
		return nil
	}
	return stale
}

// ghost is what is left of an object.
func (t *table) ghost(object objstore.ID) (fs.Attr, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	a, ok := t.ghosts[object]
	return a, ok
}

// bequeath keeps what a handle knows of a file without a name beyond its close.
func (b *bridge) bequeath(h *fs.Handle) {
	for h.Detached() {
		since := b.table.mark()
		a, err := h.Attr(context.Background())
		if err != nil || b.table.inherit(a, since) {
			return
		}
	}
}

// inherit makes a ghost of a file that is about to be closed; false if the object has changed since.
func (t *table) inherit(a fs.Attr, since mark) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.changes.objectSince(since, a.Object) {
		return false
	}
	if a.Nlink == 0 && t.anyOf(a.Object) != nil {
		t.ghosts[a.Object] = a
	}
	return true
}

// goneMode is the mode of a directory that others have removed: whoever is in it may see that nothing is there.
const goneMode = 0o555

// remains is what is left of a node's object, which the store does not have any more.
func (t *table) remains(n *node, now time.Time) (fs.Attr, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	a, ok := t.ghosts[n.object]
	if ok || !n.directory || t.nodes.get(n.id) != n {
		return a, ok
	}
	a = fs.Attr{Object: n.object, Type: objstore.TypeDir, Mode: goneMode, Atime: now, Mtime: now, Ctime: now}
	t.ghosts[n.object] = a
	return a, true
}

// changeGhost changes what is left of an object.
func (t *table) changeGhost(object objstore.ID, c fs.Change, now time.Time) (fs.Attr, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	a, ok := t.ghosts[object]
	if !ok || c.Size != nil {
		return a, false
	}
	assign(&a.Mode, c.Mode)
	assign(&a.UID, c.UID)
	assign(&a.GID, c.GID)
	assign(&a.Atime, c.Atime)
	assign(&a.Mtime, c.Mtime)
	a.Ctime = now
	t.ghosts[object] = a
	return a, true
}

func assign[T any](to *T, from *T) {
	if from != nil {
		*to = *from
	}
}
