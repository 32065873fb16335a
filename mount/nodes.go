package mount

import (
	"iter"
	"math"
	"sync"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/etagfs/etagfs/fs"
	"github.com/etagfs/etagfs/objstore"
)

// freshNodes are made at a time. They are let go of when none of them is in use: about as many share a span of Go's heap anyway.
const freshNodes = 64

// table is every node the kernel may name. Nodes hold no state of files: that
// is package fs's. The table's lock is innermost: nothing is called with it held.
type table struct {
	// Constant.
	now      func() time.Time
	believes beliefs
	sharing  bool // isolation=mount
	passes   bool // the kernel may read large files by itself
	crowd    crowd

	mu sync.Mutex
	// Guarded by mu.
	nodes     index
	fresh     []node       // to be given out, the first next: made many at a time, so that they lie close together when much around them is gone
	objects   chains       // nodes that nobody owns by object; the one that is current comes before the others of its object
	written   writtenFiles // the others
	entries   entries
	retries   map[uint32]*retry // by thread, never 0
	strangers map[name]*retry   // of threads that are 0
	changes   changes
	moving    map[place]int            // names that others are about to move, by how many
	locked    map[objstore.ID]struct{} // objects that have been locked; their opens do not share nodes
	lastID    uint64                   // ids are never reused, but for those that are an object's
	pins      pins
	shared    map[uint64]*shared // by node; with sharing, of those that have been open
	ghosts    ghosts
	left      sync.Cond          // that a shared file has left its node
	through   map[*node]*through // how the kernel reads those that it may read by itself, or will if it can
}

// beliefs are what the kernel may remember until it is told otherwise.
type beliefs struct {
	// names, and that there is none. Forgetting one takes the kernel's lock on the directory, which a request may hold that waits for
	// another mount to forget: so only the mount of the process that has the store believes them.
	names      bool
	attributes func() time.Duration // for how long it may, from now on
}

func newTable(root objstore.ID, now func() time.Time, believes beliefs) *table {
	t := &table{
		now:       now,
		believes:  believes,
		nodes:     newIndex(),
		objects:   newChains(func(n *node) uint64 { return hashID(n.object) }, func(n *node) **node { return &n.next }),
		written:   make(writtenFiles),
		entries:   newEntries(),
		retries:   make(map[uint32]*retry),
		strangers: make(map[name]*retry),
		changes:   newChanges(),
		shared:    make(map[uint64]*shared),
		moving:    make(map[place]int),
		locked:    make(map[objstore.ID]struct{}),
		ghosts:    make(ghosts),
		through:   make(map[*node]*through),
		lastID:    fuse.FUSE_ROOT_ID - 1,
		crowd:     crowd{most: crowdNodes},
	}
	t.left.L = &t.mu
	n := t.add(fs.View{Object: root}, false)
	n.lookups = 1 // the kernel never forgets it
	t.makeCurrent(n)
	return t
}

// at is the node of a request, nil if the kernel names one it does not hold.
func (t *table) at(id uint64) *node {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.nodes.get(id)
}

// mark is now, in the order of changes.
func (t *table) mark() mark {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.changes.last
}

// looking is mark for a lookup by a thread.
func (t *table) looking(thread uint32) mark {
	t.mu.Lock()
	defer t.mu.Unlock()
	if r := t.retries[thread]; r != nil {
		r.looked = true
	}
	return t.changes.last
}

// add makes a node. mu is held.
func (t *table) add(view fs.View, regular bool) *node {
	n := t.newNode()
	n.id, n.object, n.regular = t.nextID(view.Object), view.Object, regular
	n.show(view, 0)
	t.nodes.put(n)
	t.chain(n)
	t.crowd.came(t.nodes.count)
	return n
}

// newNode is one that never was in use: who has forgotten a node may still look at it. mu is held.
func (t *table) newNode() *node {
	if len(t.fresh) == 0 {
		t.fresh = make([]node, freshNodes)
	}
	n := &t.fresh[0]
	t.fresh = t.fresh[1:]
	return n
}

// nextID is an id for a node of an object. mu is held.
func (t *table) nextID(object objstore.ID) uint64 {
	if id := uint64(object); t.sharing && exported(id) && t.nodes.get(id) == nil {
		return id
	}
	t.lastID++
	return t.lastID
}

// nodesOf are the nodes of an object, those that are owned last. mu is held.
func (t *table) nodesOf(id objstore.ID) iter.Seq[*node] {
	return func(yield func(*node) bool) {
		for n := range t.readNodesOf(id) {
			if !yield(n) {
				return
			}
		}
		t.written.all(id)(yield)
	}
}

// readNodesOf are the nodes of an object that nobody owns. mu is held.
func (t *table) readNodesOf(id objstore.ID) iter.Seq[*node] {
	return func(yield func(*node) bool) {
		for n := t.objects.first(hashID(id)); n != nil; n = n.next {
			if n.object == id && !yield(n) {
				return
			}
		}
	}
}

// anyOf is some node of an object; nil: there is none. mu is held.
func (t *table) anyOf(id objstore.ID) *node {
	for n := range t.nodesOf(id) {
		return n
	}
	return nil
}

// hashID spreads ids, which are given out in order but not all to objects.
func hashID(id objstore.ID) uint64 { return uint64(id) * 0x9e3779b97f4a7c15 >> 32 }

// currentOf is the node LOOKUP hands out for an object; nil: the next one makes it. A file may have a node for each of very many
// writers: they are not gone through. mu is held.
func (t *table) currentOf(id objstore.ID) *node {
	if n := t.anyOf(id); n != nil && n.current {
		return n
	}
	return nil
}

// makeCurrent makes n, of whose object no node is current, the one LOOKUP hands out. mu is held.
func (t *table) makeCurrent(n *node) {
	n.current = true
	t.objects.lead(n)
}

// belief is what the kernel may believe of an answer until it is told, and its attributes no longer than that.
type belief struct {
	entry      bool
	attributes time.Duration
}

// enter gives the kernel a reference to the node that shows e to this thread. since was
// taken before e was read. The node is nil if e is a writer's view and the
// writer is gone: look again.
func (t *table) enter(at name, e *fs.Entry, thread uint32, since mark) (*node, belief) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.pick(at, e, thread)
	if n == nil {
		return nil, belief{}
	}
	return n, t.admit(at, n, since)
}

// enterListed is enter for an entry of a listing. nil means that the kernel
// shall ask about this one itself, or believes it already: told again it would forget the file's ACL.
func (t *table) enterListed(at name, e *fs.Entry, since mark) (*node, belief) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !e.View.Committed() || t.beingWritten(e.View.Object) {
		return nil, belief{}
	}
	n := t.shown(e)
	if t.believes.names && t.entries.at(at) == n {
		return nil, belief{}
	}
	return n, t.admit(at, n, since)
}

// admit counts a reference and says what may be believed. A file that is being written has
// names that mean different things to different processes. mu is held.
func (t *table) admit(at name, n *node, since mark) belief {
	n.lookups++
	overtaken := t.changes.objectSince(since, n.object)
	if !overtaken { // else what was found may have lost its name since
		delete(t.ghosts, n.object) // a file made without a name may get one
	}
	t.entries.look(n, at)
	if volatile(n.object) || overtaken {
		return belief{}
	}
	names := t.believable(at, since)
	if !n.regular {
		n.timesKnown = true
		return belief{entry: names, attributes: t.believes.attributes()}
	}
	if !n.settled() {
		return belief{}
	}
	b := belief{attributes: t.believes.attributes()}
	if t.isWritten(n) {
		b.attributes = 0
	}
	b.entry = names && n.current && !t.beingWritten(n.object)
	if b.entry {
		t.entries.believe(n)
	}
	return b
}

// beingWritten reports whether an object has a writer, or is about to. mu is held.
func (t *table) beingWritten(id objstore.ID) bool { return t.written[id] != nil }

// pick chooses the node for a lookup. mu is held.
func (t *table) pick(at name, e *fs.Entry, thread uint32) *node {
	if e.Attr.Type == objstore.TypeFile {
		if n := t.pickForRetry(at, e, thread); n != nil {
			return n
		}
	}
	if !e.View.Committed() {
		return t.ownedBy(e.View)
	}
	return t.shown(e)
}

// enterMade is enter for an entry the thread has just made. If its writer is gone already
// the node shows nothing, and is never used.
func (t *table) enterMade(at name, e *fs.Entry, thread uint32, since mark) (*node, belief) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.takeRetry(thread)
	t.forgetTimes(at.parent)
	n := t.pick(at, e, thread)
	if n == nil {
		n = t.add(fs.View{Object: e.View.Object}, true)
		n.used().spent = true
	}
	return n, t.admit(at, n, since)
}

// shown is the current node if it shows e's committed view, or else a new current one. mu is held.
func (t *table) shown(e *fs.Entry) *node {
	old := t.currentOf(e.View.Object)
	if old != nil && old.shows(e.View) {
		old.size = e.Attr.Size
		return old
	}
	if old != nil {
		old.current = false
	}
	n := t.add(e.View, e.Attr.Type == objstore.TypeFile)
	t.makeCurrent(n)
	n.size, n.directory = e.Attr.Size, e.Attr.Type == objstore.TypeDir
	return n
}

// ownedBy is the node of a writer's view, nil if the writer is gone. mu is held.
func (t *table) ownedBy(v fs.View) *node {
	if w := t.written[v.Object]; w != nil {
		return w.nodes[v.Writer]
	}
	return nil
}

// forget returns references of the kernel.
func (t *table) forget(id, lookups uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.nodes.get(id)
	if n == nil || id == fuse.FUSE_ROOT_ID {
		return
	}
	n.lookups -= min(lookups, n.lookups)
	t.drop(n)
}

// drop removes n if nothing refers to it: when the kernel forgets a node, the RELEASE
// of its last file may still be under way. mu is held.
func (t *table) drop(n *node) {
	n.rest()
	if n.lookups > 0 || n.isOpen() || t.nodes.get(n.id) != n {
		return
	}
	t.nodes.remove(n.id)
	delete(t.shared, n.id)
	for _, e := range t.entries.take(n) {
		if dir := t.nodes.get(e.parent); dir != nil && dir.forgotten < math.MaxUint16 {
			dir.forgotten++
		}
	}
	t.pins.loosen(n)
	t.objects.remove(n)
	if t.anyOf(n.object) == nil {
		delete(t.ghosts, n.object)
		delete(t.locked, n.object)
	}
}

// viewOf is what a node shows, and whether there is such a node.
func (t *table) viewOf(id uint64) (fs.View, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.nodes.get(id)
	if n == nil {
		return fs.View{}, false
	}
	return n.view(), true
}

// unchanged reports whether the kernel may remember for long what was found at e after since.
func (t *table) unchanged(e name, since mark) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.believable(e, since)
}

// believable is unchanged; mu is held.
func (t *table) believable(e name, since mark) bool {
	if !t.believes.names || t.changes.nameSince(since, e) {
		return false
	}
	if len(t.moving) == 0 {
		return true
	}
	dir := t.nodes.get(e.parent)
	return dir != nil && t.moving[place{dir.object, e.base}] == 0
}

// forgetTimes notes that a request changed names in a directory: the kernel forgets the
// directory's times by itself.
func (t *table) forgetTimes(dir uint64) {
	if n := t.nodes.get(dir); n != nil {
		n.timesKnown = false
	}
}

// renamed follows a rename the kernel made.
func (t *table) renamed(from, to name, exchange bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.changes.touchName(from)
	t.changes.touchName(to)
	t.forgetTimes(from.parent)
	t.forgetTimes(to.parent)
	t.entries.move(from, to, exchange)
}

// unlinked follows an unlink the kernel made.
func (t *table) unlinked(e name) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.changes.touchName(e)
	t.forgetTimes(e.parent)
	t.entries.remove(e)
}
