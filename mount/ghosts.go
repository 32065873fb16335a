package mount

import (
	"time"

	"github.com/etagfs/etagfs/fs"
	"github.com/etagfs/etagfs/objstore"
)

// ghosts are the attributes of directories and special files that lost their last name through this mount, as long as the kernel has a
// node of them: it is somebody's working directory, or open in a way that is not told. What is left of a file its open handles know.
// Guarded by table.mu.
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
	first := t.objects[a.Object]
	if first == nil {
		return nil
	}
	t.changes.touchObject(a.Object)
	if a.Nlink == 0 && !first.regular {
		t.ghosts[a.Object] = a
	}
	if first.next == nil {
		return nil
	}
	for n := range t.nodesOf(a.Object) {
		stale = append(stale, n.id)
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
