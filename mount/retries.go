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

// purpose is what a request does to the bytes a node shows.
type purpose uint8

const (
	toLook  purpose = iota // reads attributes, or changes those that belong to no version
	toRead                 // opens for reading
	toWrite                // opens for writing
	toCut                  // truncates by path: the working copy of a writer if it sees that
)

func (p purpose) writes() bool { return p == toWrite || p == toCut }

// retry is what is known of a thread that was answered ESTALE. The kernel looks the path up
// again with the same thread and repeats the operation, once: a second ESTALE would reach the
// application. So the lookup gives it a node on which it cannot be refused, which holds what the name
// stood for then: if the name changes afterwards the operation took place before.
// A path that cannot be looked up again (/proc/self/fd/N) is repeated on the
// same node.
//
// A retry ends with the first request on a node it was given, or that makes a name. One that found no name
// may never get there: then the thread's next lookup of a file is taken for its.
//
// A thread the kernel does not name (0: another pid namespace) cannot be told from others.
// Once one was refused, each lookup of that name by any such thread gets a node of its own for
// a while; whether it repeats on the same node cannot be known.
type retry struct {
	refused *node // nil: a CREATE
	purpose purpose
	looked  bool  // the path has been looked up since
	given   *node // by that lookup; nil: none yet
	seen    *sight
	until   time.Time
}

// sight is what a retry's lookup saw of something that has neither versions nor handles.
type sight struct {
	node   *node
	attr   fs.Attr
	target string // of a symlink
}

// refuse notes that a thread is about to be answered ESTALE. mu is held.
func (t *table) refuse(n *node, thread uint32, to purpose) {
	t.refuseAt(n.found, thread, &retry{refused: n, purpose: to})
}

// refuseCreate is refuse for a CREATE of a name that exists after all.
func (t *table) refuseCreate(at name, thread uint32) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.refuseAt(at, thread, &retry{purpose: toWrite})
}

// refuseLook is refuse for a request that is no opening. It reports false if that would reach the application.
func (t *table) refuseLook(n *node, thread uint32) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if r := t.retryOf(thread, n.found); n.reservedTo(thread) || r != nil && (r.given == n || r.seen != nil && r.seen.node == n) {
		return false
	}
	t.refuse(n, thread, toLook)
	return true
}

func (t *table) refuseAt(at name, thread uint32, r *retry) {
	now := t.now()
	r.until = now.Add(retryTime)
	if thread == 0 {
		sweep(t.strangers, now)
		t.strangers[at] = r
		return
	}
	sweep(t.retries, now)
	t.retries[thread] = r
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

// repeatsCreate reports whether a CREATE at a name must not be refused again, and ends the retry.
func (t *table) repeatsCreate(thread uint32, at name) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.retryOf(thread, at)
	delete(t.retries, thread)
	return r != nil
}

// wantsCommitted reports whether a lookup shall not show a working copy: it may come from a
// thread that was refused writing. Any lookup of a retry passes here.
func (t *table) wantsCommitted(thread uint32, at name) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.retryOf(thread, at)
	return r != nil && r.purpose == toWrite
}

// pickForRetry chooses the node for the lookup after a refusal; nil if this is not one. mu is held.
func (t *table) pickForRetry(at name, e *fs.Entry, thread uint32) *node {
	r := t.retryOf(thread, at)
	switch {
	case r == nil || volatile(e.View.Object):
		return nil
	case t.sharing:
		r.given = t.reserveShared(e, r)
		return r.given
	case thread == 0:
		return t.reserve(e.View, thread)
	}
	// The kernel looks up twice when the node changes; the first answer is forgotten.
	if n := r.given; n != nil && n.shows(e.View) && n.use().reservation != nil && t.nodes.get(n.id) == n {
		return n
	}
	r.given = t.reserve(e.View, thread)
	return r.given
}

// wants is what a lookup must keep of n before the kernel hears of it.
func (t *table) wants(n *node, thread uint32) (pin, sight bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n.regular {
		r := n.use().reservation
		return r != nil && r.pin == nil, false
	}
	return false, t.retryOf(thread, n.found) != nil && !volatile(n.object)
}

// see notes what a retry's lookup saw.
func (t *table) see(thread uint32, s *sight) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if r := t.retryOf(thread, s.node.found); r != nil {
		r.seen = s
	}
}

// seen is what a retry's lookup saw of n, nil if it saw nothing.
func (t *table) seen(n *node, thread uint32) *sight {
	t.mu.Lock()
	defer t.mu.Unlock()
	if r := t.retryOf(thread, n.found); r != nil && r.seen != nil && r.seen.node == n {
		return r.seen
	}
	return nil
}

// reserve makes a node for one request. mu is held.
func (t *table) reserve(v fs.View, thread uint32) *node {
	n := t.add(v, true)
	n.used().reservation = &reservation{thread: thread, until: t.now().Add(holdTime)}
	return n
}

// reservedTo reports whether n was made for a thread that must not be refused again. table.mu is held.
func (n *node) reservedTo(thread uint32) bool {
	r := n.use().reservation
	return r != nil && r.waiting == 0 && r.thread == thread
}
