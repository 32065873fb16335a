package fs

import (
	"context"
	"sync"
	"time"

	"github.com/etagfs/etagfs/objstore"
)

// notices carries changes from the store's watch to the kernel, in order. The
// watch must not block, so it only queues; the queue is emptied in the
// background, or by an operation that must not be answered before.
type notices struct {
	// Constant.
	kernel Kernel
	grow   func(context.Context, objstore.Change) []objstore.Version
	wake   chan struct{}
	locked time.Duration // lockedPatience, but in tests

	// draining is held while changes are handled. Held over calls of kernel and grow.
	draining sync.Mutex

	// Guarded by mu.
	mu      sync.Mutex
	queue   []notice
	added   int64              // notices, ever
	handled int64              // of those, the oldest
	advance chan struct{}      // closed when handled moves, then replaced
	own     map[nameChange]int // changes this FS is making, by their number
}

// lockedPatience is how long an answer to a request waits for the kernel to forget names, if the kernel
// has the file locked meanwhile. It forgets a name with the directory locked, and whoever has that
// lock may be a rename, link or unlink that waits for the very file. Without such a one it takes
// microseconds, or as long as a machine with much else to do takes to run a goroutine: who is answered before
// is followed by readers that do not see it yet.
const lockedPatience = 100 * time.Millisecond

// settlePatience is how long those who change the store otherwise than through this FS wait for its kernel.
const settlePatience = time.Second

// telling says how long an answer waits for the kernel to be told what has changed.
type telling int

const (
	untilTold telling = iota // as long as it takes: the kernel has no lock
	briefly                  // lockedPatience: the kernel has the file locked
)

// notice is a change of the store, or with no Kind one of this package's own.
type notice struct {
	objstore.Change
	dirTimes objstore.ID // the directory whose times moved; 0: none
	rebased  View        // the writer whose bytes moved
	parted   View        // what was its object's working copy
	offset   int64       // from where on
}

// nameChange is what is known of a change of a name before it is made.
type nameChange struct {
	kind objstore.ChangeKind
	at   entryKey
}

func newNotices(kernel Kernel, grow func(context.Context, objstore.Change) []objstore.Version) *notices {
	return &notices{
		kernel: kernel, grow: grow,
		wake: make(chan struct{}, 1), advance: make(chan struct{}), locked: lockedPatience,
		own: make(map[nameChange]int),
	}
}

// push is the store's watcher: it runs under the store's locks.
func (n *notices) push(c objstore.Change) {
	n.mu.Lock()
	defer n.mu.Unlock()
	key := nameChange{c.Kind, entryKey{c.Parent, c.Name}}
	if c.Kind != objstore.ChangeContent && n.own[key] > 0 {
		n.own[key]--
		return
	}
	n.add(notice{Change: c})
}

// add requires mu.
func (n *notices) add(item notice) {
	n.queue = append(n.queue, item)
	n.added++
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

func (n *notices) put(item notice) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.add(item)
}

// expect announces changes of names that the caller's own kernel will know
// from the reply. done ends that; if the operation failed, what was held back
// was somebody else's change and is told after all.
func (n *notices) expect(changes ...nameChange) (done func(err error)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, c := range changes {
		n.own[c]++
	}
	return func(err error) {
		n.mu.Lock()
		defer n.mu.Unlock()
		for _, c := range changes {
			n.settle(c, err)
		}
	}
}

// settle ends one expectation; requires mu. Of several on the same change any may
// end first: they are equal.
func (n *notices) settle(c nameChange, err error) {
	switch {
	case n.own[c] > 1:
		n.own[c]--
	case n.own[c] == 1:
		delete(n.own, c)
	default:
		delete(n.own, c)
		if err != nil {
			n.add(notice{Change: objstore.Change{Kind: objstore.ChangeCreated, Parent: c.at.dir, Name: c.at.name}})
		}
	}
}

// run empties the queue in the background until quit is closed.
func (n *notices) run(quit <-chan struct{}) {
	for {
		select {
		case <-quit:
			return
		case <-n.wake:
			n.drain(context.Background())
		}
	}
}

// drain returns once every change queued before the call has been handled. No lock
// of this package may be held: the kernel may be waiting for one of our replies.
func (n *notices) drain(ctx context.Context) {
	if n.empty() && n.draining.TryLock() {
		n.draining.Unlock()
		return
	}
	n.draining.Lock()
	defer n.draining.Unlock()
	items := n.take()
	for _, item := range items {
		n.handle(ctx, item)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.handled += int64(len(items))
	close(n.advance)
	n.advance = make(chan struct{})
}

// told returns once every change queued before the call has been handled, or has
// been waited for as long as how says.
func (n *notices) told(ctx context.Context, how telling) {
	if how == untilTold {
		n.drain(ctx)
		return
	}
	n.settled(ctx, n.locked)
}

// settled returns once every change queued before the call has been handled, in the background, and at the latest after
// most. A machine that stands still takes one look, and not all the time there is: nobody could tell the kernel meanwhile.
func (n *notices) settled(ctx context.Context, most time.Duration) {
	const looks = 10
	look := time.NewTicker(most / looks)
	defer look.Stop()
	_ = n.awaitOr(ctx, look.C, looks) // run goes on with it
}

// await returns once every change queued before the call has been handled, in the background, or with the error of ctx.
func (n *notices) await(ctx context.Context) error { return n.awaitOr(ctx, nil, 0) }

// awaitOr is await that ends after so many looks, too, without an error.
func (n *notices) awaitOr(ctx context.Context, look <-chan time.Time, looks int) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	for last := n.added; n.handled < last; {
		advance := n.advance
		n.mu.Unlock()
		var err error
		select {
		case <-advance:
		case <-look:
			looks--
		case <-ctx.Done():
			err = ctx.Err()
		}
		n.mu.Lock()
		if err != nil || look != nil && looks == 0 {
			return err
		}
	}
	return nil
}

func (n *notices) empty() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.queue) == 0
}

func (n *notices) take() []notice {
	n.mu.Lock()
	defer n.mu.Unlock()
	queue := n.queue
	n.queue = nil
	return queue
}

func (n *notices) handle(ctx context.Context, c notice) {
	switch c.Kind {
	case objstore.ChangeContent:
		n.content(ctx, c.Change)
	case objstore.ChangeAttr:
		n.kernel.AttrChanged(c.Object)
	case objstore.ChangeCreated:
		n.kernel.EntryCame(c.Parent, c.Name)
	case objstore.ChangeRemoved:
		n.kernel.EntryGone(c.Parent, c.Name, c.Object)
		n.kernel.AttrChanged(c.Object)
	case objstore.ChangeMoved:
		n.kernel.EntryGone(c.Parent, c.Name, c.Object)
		n.kernel.EntryCame(c.NewParent, c.NewName)
		if c.Replaced != 0 {
			n.kernel.AttrChanged(c.Replaced)
		}
	default:
		n.ownChange(c)
	}
}

func (n *notices) ownChange(c notice) {
	if c.dirTimes != 0 {
		n.kernel.DirTimesChanged(c.dirTimes)
		return
	}
	if c.parted.Object != 0 {
		n.kernel.Parted(c.parted)
		return
	}
	n.kernel.Rebased(c.rebased, c.offset)
}

// content tells of a commit. Readers of an older version that could not be grown
// at its own turn, because the next commit had already come, grow now.
func (n *notices) content(ctx context.Context, c objstore.Change) {
	old, current := View{Object: c.Object, Version: c.Old}, View{Object: c.Object, Version: c.New}
	appended := c.Appended
	var grown []objstore.Version
	if appended {
		grown = n.grow(ctx, c)
		appended = grown != nil
	}
	n.kernel.Committed(old, current, appended, c.Size)
	for _, v := range grown {
		if v != c.Old {
			n.kernel.Committed(View{Object: c.Object, Version: v}, current, true, c.Size)
		}
	}
}
