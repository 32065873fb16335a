package mount

import (
	"context"

	"github.com/etagfs/etagfs/fs"
	"github.com/etagfs/etagfs/objstore"
)

// With isolation=mount a file has one node, as on a local disk: whoever opens it reads and writes the same working copy, and the
// kernel has one set of pages and one size for all. Writers are served through these pages, appending ones too. A file's
// node changes only if its working copy has lost to another mount: then that keeps the node it had, and lookups
// get another.
//
// A truncating open arrives as an open and a truncation, with the file locked by the kernel: it must not cut pages
// that a write of another process has filled since.

// shared is what the table keeps of a node that has been open. table.mu guards it.
type shared struct {
	writers int // of its files
	leaving int // of its files, how many are being released
	// pages is the version the kernel's pages are of once nobody has the file open; empty: of none that is committed.
	pages objstore.Version
}

// planShared chooses how an OPEN is served if files are shared. mu is held.
func (t *table) planShared(n *node, repeated bool) plan {
	switch {
	case n.current:
		return planShare
	case repeated:
		return planReopen
	default:
		return planRefuse
	}
}

// openShared opens what a node shows, which must be what its other files have open.
func (b *bridge) openShared(ctx context.Context, o *opening, c fs.Caller, mode fs.OpenMode) (*file, fs.View, error) {
	mode.Pinned = o.plan == planReopen
	h, e, err := b.fs.Open(ctx, c, o.view, mode)
	if err != nil {
		return nil, fs.View{}, err
	}
	b.table.awaitLeaving(o.node, h.ID())
	if b.table.agePages(o.node, h.Base()) {
		b.notifier.drop(o.node.id, 0)
	}
	return &file{description: newDescription(h, mode, volatile(o.node.object))}, e.View, nil
}

// agePages reports whether the kernel's pages of a node are not those of a version which is about to be opened.
func (t *table) agePages(n *node, opened objstore.Version) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.shared[n.id]
	return s != nil && n.use().files == nil && s.pages != opened
}

// leaves notes that f is about to be released.
func (t *table) leaves(f *file) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f.leaving = true
	if s := t.shared[f.node.id]; s != nil {
		s.leaving++
	}
}

// awaitLeaving waits until n has no file that is being released of another working copy than the one about to be opened: that
// copy ended with its last handle, a moment before its file is off the node.
func (t *table) awaitLeaving(n *node, opened fs.HandleID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for t.isLeft(n, opened) {
		t.left.Wait()
	}
}

// isLeft reports whether a file of another working copy is being released. mu is held.
func (t *table) isLeft(n *node, opened fs.HandleID) bool {
	if s := t.shared[n.id]; s == nil || s.leaving == 0 {
		return false
	}
	for f := n.use().files; f != nil; f = f.next {
		if f.leaving && f.description.handle.ID() != opened {
			return true
		}
	}
	return false
}

// join puts f on a node, if both are of the same working copy. mu is held.
func (t *table) join(n *node, f *file) bool {
	if first := n.use().files; first != nil && first.description.handle.ID() != f.description.handle.ID() {
		return false // the node's has lost a moment ago
	}
	s := t.shared[n.id]
	if s == nil {
		s = new(shared)
		t.shared[n.id] = s
	}
	if f.description.mode.Write {
		s.writers++
	}
	n.attach(f)
	return true
}

// finishShared is finish for a file that is shared. mu is held.
func (t *table) finishShared(o *opening, f *file) bool {
	if !t.join(o.node, f) {
		return false
	}
	o.node.used().opening--
	t.unreserve(o)
	return true
}

// unreserve ends what reserveShared began, with the last opening that was to come. mu is held.
func (t *table) unreserve(o *opening) {
	r := o.node.use().reservation
	if !o.reserved || r == nil {
		return
	}
	if r.waiting--; r.waiting <= 0 {
		t.pins.loosen(o.node)
		o.node.used().reservation = nil
	}
}

// createdShared is created for a file that is shared; nil if f cannot join its node. mu is held.
func (t *table) createdShared(f *file, v fs.View) *node {
	n := t.currentOf(v.Object)
	for n != nil && t.isLeft(n, f.description.handle.ID()) {
		t.left.Wait()
		n = t.currentOf(v.Object)
	}
	if n == nil {
		n = t.add(v, true)
		t.makeCurrent(n)
	}
	if !t.join(n, f) {
		return nil
	}
	n.lookups++
	return n
}

// leaveShared takes f, which showed a version to the end, off its node. mu is held.
func (t *table) leaveShared(f *file, version objstore.Version) {
	s := t.shared[f.node.id]
	if f.description.mode.Write {
		s.writers--
	}
	if f.leaving {
		s.leaving--
	}
	if f.node.use().files == nil {
		s.pages = version
	}
	t.left.Broadcast()
}

// isWritten reports whether a shared file is open for writing: its times change then without notice. mu is held.
func (t *table) isWritten(n *node) bool {
	s := t.shared[n.id]
	return s != nil && s.writers > 0
}

// mayBeMapped reports whether what f shows may have been stored to through a mapping.
func (t *table) mayBeMapped(f *file) bool {
	if !t.sharing {
		return f.description.mode.Read && f.description.mode.Write && !f.description.direct
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.isWritten(f.node)
}

// reserveShared keeps a file's node for the second attempt of a thread that was refused. Others may be coming back
// to it too. mu is held.
func (t *table) reserveShared(e *fs.Entry, r *retry) *node {
	n := t.shown(e)
	u := n.used()
	if u.reservation == nil {
		u.reservation = new(reservation)
	}
	if r.given != n {
		u.reservation.waiting++
	}
	u.reservation.until = t.now().Add(holdTime)
	return n
}

// nodeOf is the node that shows a working copy, nil if the kernel knows none. mu is held.
func (t *table) nodeOf(v fs.View) *node {
	if v.Committed() {
		return t.currentOf(v.Object)
	}
	for n := range t.nodesOf(v.Object) {
		if first := n.use().files; first != nil && first.description.handle.ID() == v.Writer {
			return n
		}
	}
	return nil
}

// part makes v the view of the node that shows it: it is not its object's any more. stale are entries that lead there.
func (t *table) part(v fs.View) (stale []name) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.nodeOf(v)
	if n == nil || !n.current {
		return nil
	}
	n.current = false
	n.show(v, -1)
	t.pins.loosen(n)
	return t.entries.take(n)
}

// committedShared notes a commit and returns the nodes whose attributes are others now.
func (t *table) committedShared(v fs.View) []uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.changes.touchObject(v.Object)
	if n := t.currentOf(v.Object); n != nil {
		return []uint64{n.id}
	}
	return nil
}

// Forget implements [fs.Kernel].
func (k *notifier) Forget(v fs.View) {
	k.table.mu.Lock()
	n := k.table.nodeOf(v)
	k.table.mu.Unlock()
	if n != nil {
		k.drop(n.id, 0)
	}
}

// Parted implements [fs.Kernel].
func (k *notifier) Parted(v fs.View) { k.dropEntries(k.table.part(v)) }
