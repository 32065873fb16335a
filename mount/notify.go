package mount

import (
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/etagfs/etagfs/fs"
	"github.com/etagfs/etagfs/objstore"
)

// notifications are what a FUSE server can tell the kernel.
type notifications interface {
	// InodeNotify drops attributes and, with off >= 0, the pages of length bytes from off (0: all).
	InodeNotify(node uint64, off int64, length int64) fuse.Status
	// EntryNotify drops an entry. It takes the kernel's lock on the directory.
	EntryNotify(parent uint64, name string) fuse.Status
	// PruneNotify drops the names of nodes, and the nodes, that nobody uses.
	PruneNotify(nodes []uint64) fuse.Status
}

// onlyAttributes is the offset that leaves pages alone.
const onlyAttributes = -1

// notifier is [fs.Kernel]: it translates objects and views to nodes and names.
//
// Its calls return when the kernel has answered. Requests the kernel makes with a directory
// locked never wait for one; what they make stale they leave to expire.
type notifier struct {
	// Constant.
	table *table
	log   *slog.Logger

	mu sync.Mutex
	// Guarded by mu.
	kernel  notifications // nil until mounted and once unmounted
	expired []name
	working bool // a goroutine is expiring
	idle    sync.Cond
}

func newNotifier(t *table, log *slog.Logger) *notifier {
	k := &notifier{table: t, log: log}
	k.idle.L = &k.mu
	return k
}

// connect begins telling kernel; nil ends it.
func (k *notifier) connect(kernel notifications) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.kernel = kernel
}

func (k *notifier) connected() notifications {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.kernel
}

// expire drops entries in the background.
func (k *notifier) expire(entries []name) {
	if len(entries) == 0 {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.expired = append(k.expired, entries...)
	if !k.working {
		k.working = true
		go k.work()
	}
}

// claimTime is how long stat(2) may show others what a writer is doing. Most
// writers are done before: then the entries are right again, and dropping them
// would have cost the next open two requests.
const claimTime = 20 * time.Millisecond

// expireClaimed drops the entries of a node that has been claimed, if the writer takes long.
func (k *notifier) expireClaimed(n *node) {
	if k.table.believedOwned(n) {
		k.table.expireWith(n, time.AfterFunc(claimTime, func() { k.expire(k.table.takeOwned(n)) }))
	}
}

func (k *notifier) work() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for len(k.expired) > 0 {
		entries := k.expired
		k.expired = nil
		k.mu.Unlock()
		k.dropEntries(entries)
		k.mu.Lock()
	}
	k.working = false
	k.idle.Broadcast()
}

// wait returns once everything expired before the call is gone.
func (k *notifier) wait() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for k.working {
		k.idle.Wait()
	}
}

func (k *notifier) dropEntries(entries []name) {
	for _, e := range entries {
		if kernel := k.connected(); kernel != nil {
			k.check("entry", kernel.EntryNotify(e.parent, e.base))
		}
	}
}

func (k *notifier) drop(n uint64, off int64) {
	if kernel := k.connected(); kernel != nil {
		k.check("inode", kernel.InodeNotify(n, off, 0))
	}
}

// check logs what should not happen. The kernel does not know every node and name we ask about,
// and it goes away.
func (k *notifier) check(what string, status fuse.Status) {
	switch status {
	case fuse.OK, fuse.ENOENT, fuse.ENODEV, fuse.EBADF:
	case fuse.ENOTDIR:
	default:
		k.log.Warn("the kernel refused a notification", slog.String("of", what), slog.String("status", status.String()))
	}
}

// pageStart is the offset of the page off lies in.
func pageStart(off int64) int64 { return off &^ int64(os.Getpagesize()-1) }

// Committed implements [fs.Kernel].
func (k *notifier) Committed(old, new fs.View, appended bool, size int64) {
	if k.table.sharing {
		for _, n := range k.table.committedShared(new) {
			k.drop(n, onlyAttributes)
		}
		return
	}
	grown, stale := k.table.committed(old, new, appended, size)
	for _, g := range grown {
		k.drop(g.node, g.from)
	}
	k.dropEntries(append(stale, k.table.overtaken(new)...))
	k.wait()
}

// overtaken forgets the entries of writers of an older version than new: they show neither what is
// current nor what has just been committed.
func (t *table) overtaken(new fs.View) (stale []name) {
	for n, d := range t.believedWriters(new.Object) {
		if d.handle.Base() != new.Version {
			stale = append(stale, t.takeOwned(n)...)
		}
	}
	return stale
}

// believedWriters are the owned nodes the kernel believes entries of.
func (t *table) believedWriters(object objstore.ID) map[*node]*description {
	t.mu.Lock()
	defer t.mu.Unlock()
	w := t.written[object]
	if w == nil || len(w.believed) == 0 {
		return nil
	}
	found := make(map[*node]*description)
	for n := range w.believed {
		if t.entries.shows(n) {
			found[n] = n.inUse.owner
		}
	}
	return found
}

// grown is a node that shows a longer version now: pages from there on are stale.
type grown struct {
	node uint64
	from int64
}

// committed moves the table on to a commit of size bytes: with appended, nodes that show old show
// new; else entries that show an older version are stale. What is owned shows neither.
func (t *table) committed(old, new fs.View, appended bool, size int64) (nodes []grown, stale []name) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.changes.touchObject(new.Object)
	for n := range t.readNodesOf(new.Object) {
		if appended && n.shows(old) && n.use().reservation == nil && !t.isPassed(n) {
			nodes = append(nodes, grown{n.id, pageStart(max(n.size, 0))})
			n.show(new, size)
		}
		if n.shows(new) {
			continue
		}
		n.current = false
		stale = append(stale, t.entries.take(n)...)
	}
	return nodes, stale
}

// Rebased implements [fs.Kernel].
func (k *notifier) Rebased(writer fs.View, offset int64) { k.dropOwned(writer, pageStart(offset)) }

// rewritten drops what the kernel has of a writer's bytes: they were changed through another node.
func (k *notifier) rewritten(writer fs.View) { k.dropOwned(writer, 0) }

func (k *notifier) dropOwned(writer fs.View, off int64) {
	k.table.mu.Lock()
	n := k.table.ownedBy(writer)
	if k.table.sharing {
		n = k.table.nodeOf(writer)
	}
	k.table.mu.Unlock()
	if n != nil {
		k.drop(n.id, off)
	}
}

// AttrChanged implements [fs.Kernel].
func (k *notifier) AttrChanged(object objstore.ID) {
	for _, n := range k.table.touched(object) {
		k.drop(n, onlyAttributes)
	}
}

// setBeside drops the attributes the kernel has of n's object as other nodes show it, before a request through n that has changed them
// is answered: who has it open there is told no later than who asked.
func (k *notifier) setBeside(n *node) {
	for _, id := range k.table.knownBeside(n) {
		k.drop(id, onlyAttributes)
	}
}

// knownBeside notes a change of attributes and returns the nodes beside n that the kernel may keep some of. It is given
// none to keep of what is owned.
func (t *table) knownBeside(n *node) (ids []uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.changes.touchObject(n.object)
	for other := range t.readNodesOf(n.object) {
		if other != n {
			ids = append(ids, other.id)
		}
	}
	if w := t.written[n.object]; w != nil {
		for other := range w.known {
			ids = append(ids, other.id)
		}
		clear(w.known)
	}
	return ids
}

// DirTimesChanged implements [fs.Kernel]. Most directories are not looked at between the
// CREATE of a file and its commit: then the kernel has nothing to drop.
func (k *notifier) DirTimesChanged(dir objstore.ID) {
	for _, n := range k.table.timed(dir) {
		k.drop(n, onlyAttributes)
	}
}

// timed notes a change of a directory's times and returns its node if the
// kernel believes older ones.
func (t *table) timed(dir objstore.ID) []uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.changes.touchObject(dir)
	n := t.currentOf(dir)
	if n == nil || !n.timesKnown {
		return nil
	}
	n.timesKnown = false
	return []uint64{n.id}
}

// touched notes a change of attributes and returns the nodes that show them.
func (t *table) touched(object objstore.ID) []uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.changes.touchObject(object)
	var ids []uint64
	for n := range t.nodesOf(object) {
		ids = append(ids, n.id)
		n.timesKnown = false
	}
	return ids
}

// EntryGone implements [fs.Kernel].
func (k *notifier) EntryGone(dir objstore.ID, base string, _ objstore.ID) { k.entryChanged(dir, base) }

// EntryCame implements [fs.Kernel].
func (k *notifier) EntryCame(dir objstore.ID, base string) { k.entryChanged(dir, base) }

func (k *notifier) entryChanged(dir objstore.ID, base string) {
	for _, n := range k.table.touched(dir) {
		e, from := name{n, base}, int64(onlyAttributes)
		k.table.unlinked(e)
		if k.table.unlist(n) {
			from = 0
		}
		k.drop(n, from)
		if k.table.believes.names {
			k.dropEntries([]name{e})
		}
	}
}

// EntryMoving implements [fs.Kernel].
func (k *notifier) EntryMoving(dir objstore.ID, base string) (moved func()) {
	t, at := k.table, place{dir, base}
	if !t.believes.names {
		return func() {}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.moving[at]++
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.moving[at]--; t.moving[at] == 0 {
			delete(t.moving, at)
		}
	}
}
