package mount

import (
	"time"

	"github.com/etagfs/etagfs/fs"
)

const (
	// holdTime is how long a reserved node is kept from other threads.
	holdTime = time.Second
	// retryTime is how long a refused thread may take to come back. It only
	// bounds memory: coming back late must not fail.
	retryTime = time.Minute
	// retriesMax is the number of retries above which old ones are swept.
	retriesMax = 1024
)

// retry is what is known of a thread that was answered ESTALE. The kernel looks the path up
// again with the same thread and repeats the operation, once: a second ESTALE would reach the
// application. So the lookup gives it a node on which it cannot be refused.
// A path that cannot be looked up again (/proc/self/fd/N) is repeated on the
// same node.
//
// A thread the kernel does not name (0: another pid namespace) cannot be told from others.
// Once one was refused, each lookup of that name by any such thread gets a node of its own for
// a while; whether it repeats on the same node cannot be known.
type retry struct {
	refused *node
	write   bool  // it wants to write: nobody's working copy will do
	given   *node // by the lookup in between; nil: none yet
	until   time.Time
}

// refuse notes that a thread is about to be answered ESTALE. mu is held.
func (t *table) refuse(n *node, thread uint32, write bool) {
	now := t.now()
	r := &retry{refused: n, write: write, until: now.Add(retryTime)}
	if thread == 0 {
		sweep(t.strangers, now)
		t.strangers[n.found] = r
		return
	}
	sweep(t.retries, now)
	t.retries[thread] = r
}

// refuseCreate is refuse for a CREATE of a name that exists after all.
func (t *table) refuseCreate(at name, thread uint32) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.refuse(&node{found: at}, thread, true)
}

// sweep removes what is over, if there is much.
func sweep[K comparable](retries map[K]*retry, now time.Time) {
	if len(retries) < retriesMax {
		return
	}
	for k, r := range retries {
		if now.After(r.until) {
			delete(retries, k)
		}
	}
}

// retryOf is the retry a thread may be making at a name, nil if there is none. mu is held.
func (t *table) retryOf(thread uint32, at name) *retry {
	r := t.retries[thread]
	if thread == 0 {
		r = t.strangers[at]
	}
	if r == nil || t.now().After(r.until) {
		return nil
	}
	return r
}

// takeRetry is retryOf for the repeated operation: it ends the retry of a known thread. mu is held.
func (t *table) takeRetry(thread uint32) *retry {
	if thread == 0 {
		return nil
	}
	r := t.retryOf(thread, name{})
	delete(t.retries, thread)
	return r
}

// repeats reports whether a thread was refused and comes back with this operation, and ends that.
func (t *table) repeats(thread uint32) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.takeRetry(thread) != nil
}

// endRetry ends a retry whose name turned out to be gone.
func (t *table) endRetry(thread uint32) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.takeRetry(thread)
}

// wantsCommitted reports whether a lookup shall not show a working copy: it may come from a
// thread that was refused writing.
func (t *table) wantsCommitted(thread uint32, at name) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.retryOf(thread, at)
	return r != nil && r.write
}

// pickForRetry chooses the node for the lookup after a refusal; nil if this is not one. mu is held.
func (t *table) pickForRetry(at name, e *fs.Entry, thread uint32) *node {
	r := t.retryOf(thread, at)
	switch {
	case r == nil:
		return nil
	case !e.View.Committed():
		r.given = t.ownedBy(e.View)
		return r.given
	case thread == 0:
		return t.reserve(e.View, thread)
	}
	// The kernel looks up twice when the node changes; the first answer is forgotten.
	if n := r.given; n != nil && n.object == e.View.Object && n.reservation != nil && t.nodes.get(n.id) == n {
		return n
	}
	r.given = t.reserve(e.View, thread)
	return r.given
}

// reserve makes a node for one OPEN. mu is held.
func (t *table) reserve(v fs.View, thread uint32) *node {
	n := t.add(v, true)
	n.reservation = &reservation{thread: thread, until: t.now().Add(holdTime)}
	return n
}
