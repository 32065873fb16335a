package mount

import (
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/etagfs/etagfs/fs"
)

// plan is how an OPEN, or a truncation by path, will be served.
type plan uint8

const (
	planRefuse plan = iota // ESTALE: look up again
	planRead               // read the committed version the node shows
	planFollow             // read the working copy the node shows
	planClaim              // write: the node becomes the writer's
	planBind               // reserved: whatever is current now, or was when it was looked up
	planReopen             // through /proc/self/fd: exactly what the node shows
	planShare              // isolation=mount: read and write what everybody does
)

// opening is an OPEN under way. While it lasts package fs is asked, with no lock held.
type opening struct {
	node   *node
	plan   plan
	view   fs.View      // what the node showed at the start
	owner  *description // whose it was at the start
	pin    *fs.Handle   // what a reserved node shows, if the plan is to bind it
	thread uint32
	to     purpose
	last   bool // ESTALE now would reach the application
	told   bool // the kernel is to tell of the close: it may end a lock
	// reserved: the node is kept for this opening, and for others, if files are shared.
	reserved bool
	// stale are entries of the current node, if another node has the writer.
	stale []name
	// through is how the kernel may read the node by itself, nil if it may not; size is the file's then.
	through *through
	size    int64
}

// begin decides how an OPEN of n is served. A plan other than planRefuse ends with finish or abandon.
func (t *table) begin(n *node, thread uint32, to purpose) opening {
	t.mu.Lock()
	defer t.mu.Unlock()
	o := opening{node: n, view: n.view(), owner: n.use().owner, thread: thread, to: to}
	r := t.takeRetry(thread)
	// A look that was refused may be one whose answer the kernel ignores (security.capability, before it truncates).
	repeated := r != nil && r.refused == n && !r.looked && r.purpose != toLook
	o.told = t.isLocked(n.object) || t.sharing || t.hasWriter(n.object)
	o.reserved = t.sharing && r != nil && r.given == n
	o.last = repeated || o.reserved || n.reservedTo(thread)
	o.plan = t.planFor(n, thread, to.writes(), repeated)
	switch o.plan {
	case planRefuse:
		t.refuse(n, thread, to)
		return o
	case planClaim, planBind:
		n.used().busy = true
		if o.plan == planBind {
			r := n.use().reservation
			o.pin, r.pin = r.pin, nil
		}
		if to.writes() {
			o.stale = t.beginWriting(n)
		}
	}
	o.through = t.share(n, o.plan)
	n.used().opening++
	return o
}

func (t *table) planFor(n *node, thread uint32, write, repeated bool) plan {
	if t.sharing && n.regular {
		return t.planShared(n, repeated)
	}
	u := n.use()
	r := u.reservation
	switch {
	case r != nil && !u.busy && (repeated || r.thread == thread || !t.now().Before(r.until)):
		return planBind
	case repeated:
		return planReopen
	case u.busy, u.spent, r != nil:
		return planRefuse
	case u.owner != nil && write:
		return planRefuse
	case u.owner != nil:
		return planFollow
	case !write && !t.isLocked(n.object):
		return planRead
	case n.isOpen():
		return planRefuse
	case !write:
		return planRead
	default:
		return planClaim
	}
}

// beginWriting counts a writer of n's object and returns the entries that are stale now: as
// long as there is a writer, a name means different things to different processes. Entries of n itself
// lead to the writer, and may again lead to what is current when it is done: they
// have time. mu is held.
func (t *table) beginWriting(n *node) (stale []name) {
	t.written.claim(n)
	switch current := t.currentOf(n.object); current {
	case nil:
	case n:
		n.current = false
	default:
		stale = t.entries.take(current)
	}
	return stale
}

// believedOwned reports whether the kernel believes entries that show n, which has an owner.
func (t *table) believedOwned(n *node) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return n.use().owner != nil && t.entries.shows(n)
}

// expireWith sets what ends that belief.
func (t *table) expireWith(n *node, expiry *time.Timer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if owner := n.use().owner; owner != nil {
		owner.expiry = expiry
	}
}

// takeOwned forgets the entries of n if it still has an owner.
func (t *table) takeOwned(n *node) []name {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n.use().owner == nil {
		return nil
	}
	return t.entries.take(n)
}

// finish ends an OPEN that succeeded: f is open on the node, which shows shown
// if it was claimed or bound. It is false if the node's working copy has lost since.
func (t *table) finish(o *opening, f *file, shown fs.View) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := o.node
	if t.sharing {
		return t.finishShared(o, f)
	}
	n.used().opening--
	if f.through = o.through; f.through != nil && n.size < 0 && n.shows(shown) {
		n.size = o.size
	}
	switch o.plan {
	case planClaim, planBind:
		t.pins.give(o)
		u := n.used()
		t.written.unclaim(n)
		u.busy, u.reservation = false, nil
		n.show(shown, -1)
		if o.to.writes() {
			t.own(n, f.description)
		} else {
			u.spent = !shown.Committed() // it follows a writer who has a node
		}
		t.offer(n)
	case planFollow:
		n.used().visited = true
	}
	n.attach(f)
	return true
}

// abandon ends an OPEN that failed. With refused the thread will be back.
func (t *table) abandon(o *opening, refused bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.end(o)
	if refused {
		t.refuse(o.node, o.thread, o.to)
	}
	t.drop(o.node)
}

// spend ends a truncation by path: nobody knows which version the node's pages are of now.
func (t *table) spend(o *opening) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if o.plan == planClaim || o.plan == planBind {
		u := o.node.used()
		u.spent, u.reservation = true, nil
	}
	t.end(o)
	t.drop(o.node)
}

// end undoes begin. mu is held.
func (t *table) end(o *opening) {
	o.node.used().opening--
	if o.through != nil {
		t.unshare(o.node)
	}
	t.unreserve(o)
	if o.plan == planClaim || o.plan == planBind {
		t.written.unclaim(o.node)
		o.node.used().busy = false
		t.pins.give(o)
		t.offer(o.node)
	}
}

// created is the node of a file that was just made, or opened instead, and belongs to its writer if it
// has one; nil if its working copy has lost since. stale are entries of the node that was current.
func (t *table) created(in *fuse.InHeader, f *file, shown fs.View) (n *node, stale []name) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.takeRetry(in.Pid)
	t.forgetTimes(in.NodeId)
	if t.sharing {
		return t.createdShared(f, shown), nil
	}
	n = t.add(shown, true)
	n.lookups = 1
	if f.description.mode.Write {
		t.own(n, f.description)
		if current := t.currentOf(shown.Object); current != nil {
			stale = t.entries.take(current)
		}
	} else {
		n.used().spent = !shown.Committed()
	}
	n.attach(f)
	return n, stale
}

// offer makes n the node LOOKUP hands out, if that may be and there is none. mu is held.
func (t *table) offer(n *node) {
	if n.settled() && n.hasVersion() && t.currentOf(n.object) == nil {
		t.makeCurrent(n)
	}
}

// disown ends the ownership of f's node. shown is the committed view its bytes equal; if ok is
// false there is none. With dirty the kernel's pages of the node must be dropped before settle
// lets it live on: others read beside a writer that did not use them. stale are entries
// that lead to what is not current.
func (t *table) disown(f *file, shown fs.View, ok bool) (dirty bool, stale []name) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := f.node
	if n.use().owner != f.description {
		return false, nil
	}
	u := n.used()
	t.free(n)
	u.spent = !ok
	if f.description.expiry != nil {
		f.description.expiry.Stop()
	}
	if ok {
		n.show(shown, -1)
		u.busy = u.visited && f.description.direct
		u.visited = false
		t.offer(n)
	}
	if !n.current || t.beingWritten(n.object) {
		stale = t.entries.take(n)
	}
	return u.busy, stale
}

// settle ends what disown left dirty.
func (t *table) settle(n *node) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n.used().busy = false
	t.offer(n)
}

// closed takes f off its node. shown is the committed view it showed to the end, if it did.
func (t *table) closed(f *file, shown fs.View) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f.node.detach(f)
	if f.through != nil {
		t.unshare(f.node)
	}
	if t.sharing {
		t.leaveShared(f, shown.Version)
	}
	t.drop(f.node)
}

// owned is what n shows and whether it is a writer's.
func (t *table) owned(n *node) (fs.View, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return n.view(), n.use().owner != nil
}

// witness is a handle that shows what n shows, nil if there is none. cached says that the
// kernel hears of everything that changes it.
func (t *table) witness(n *node, thread uint32) (view fs.View, h *fs.Handle, cached bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n.reservedTo(thread) {
		t.takeRetry(thread)
	}
	u := n.use()
	if u.owner != nil {
		return n.view(), u.owner.handle, false
	}
	if r := u.reservation; r != nil && r.pin != nil {
		return n.view(), r.pin, false
	}
	cached = n.settled() && !volatile(n.object) && !t.isWritten(n)
	n.timesKnown = n.timesKnown || !n.regular
	f := u.files
	for ; f != nil && f.guest; f = f.next {
		cached = false
	}
	if f != nil {
		h = f.description.handle
	}
	return n.view(), h, cached
}

// handlesOf are the handles of the files that are open on n, the owner's first, guests' last.
func (t *table) handlesOf(n *node) []*fs.Handle {
	t.mu.Lock()
	defer t.mu.Unlock()
	var own, guests []*fs.Handle
	if owner := n.use().owner; owner != nil {
		own = append(own, owner.handle)
	}
	for f := n.use().files; f != nil; f = f.next {
		if f.guest {
			guests = append(guests, f.description.handle)
		} else {
			own = append(own, f.description.handle)
		}
	}
	return append(own, guests...)
}

// attach puts f on n, behind the guests if it is none: whoever looks for one or the other finds it without going through all.
func (n *node) attach(f *file) {
	f.node = n
	place := &n.used().files
	for !f.guest && *place != nil && (*place).guest {
		f.before, place = *place, &(*place).next
	}
	f.next = *place
	if f.next != nil {
		f.next.before = f
	}
	*place = f
}

func (n *node) detach(f *file) {
	if f.next != nil {
		f.next.before = f.before
	}
	if f.before != nil {
		f.before.next = f.next
	} else {
		n.used().files = f.next
	}
	f.next, f.before = nil, nil
}
