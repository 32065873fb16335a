package mount

import (
	"context"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/etagfs/etagfs/fs"
	"github.com/etagfs/etagfs/objstore"
)

// With isolation=mount a file has one node, whose id is the object's: so what open_by_handle_at(2) and NFS servers keep of a file, which is its
// node's id, finds it after the kernel has forgotten the node, and after the mount has begun anew. The kernel then looks up "." of an id
// that it does not hold. Objects are never given an id again, so the generation of a node says nothing.

// localIDs is from where on ids are a mount's own: those of working copies that have lost, and of the control directory.
const localIDs = 1 << 62

// exported reports whether an id is of an object, and of the node it has.
func exported(id uint64) bool { return id > fuse.FUSE_ROOT_ID && id < localIDs }

// shareFiles makes the table one of files that are shared; only the root may be in it.
func (t *table) shareFiles() { t.sharing, t.lastID = true, localIDs }

// objectOf is the object of a node, which the kernel need not hold.
func (t *table) objectOf(id uint64) (objstore.ID, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := t.nodes.get(id); n != nil {
		return n.object, true
	}
	return objstore.ID(id), t.sharing && exported(id)
}

// lookupByID answers a LOOKUP of "." or "..": somebody has a handle.
func (b *bridge) lookupByID(c fs.Caller, id uint64, base string, out *fuse.EntryOut) fuse.Status {
	object, ok := b.table.objectOf(id)
	if !ok {
		return fuse.Status(syscall.ESTALE)
	}
	ctx := context.Background()
	if base == ".." {
		var err error
		if object, err = b.fs.Parent(ctx, object); err != nil {
			return b.status("lookup", err)
		}
	}
	view := fs.View{Object: object}
	attr, err := b.fs.Stat(ctx, c, view)
	if movedOn(err) {
		return fuse.Status(syscall.ESTALE)
	}
	if err != nil {
		return b.status("lookup", err)
	}
	n := b.table.enterByID(&fs.Entry{View: view, Attr: attr}, id, base == ".")
	if n == nil {
		return fuse.Status(syscall.ESTALE)
	}
	fillEntry(out, n, &attr, belief{})
	return fuse.OK
}

// enterByID counts a reference to the current node of what was found; with same it must have that id.
func (t *table) enterByID(e *fs.Entry, id uint64, same bool) *node {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.currentOf(e.View.Object)
	if n == nil {
		n = t.shown(e)
	}
	if same && n.id != id {
		t.drop(n)
		return nil
	}
	n.lookups++
	return n
}
