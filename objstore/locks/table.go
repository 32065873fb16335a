package locks

import (
	"errors"
	"slices"
	"sync"

	"github.com/etagfs/etagfs/objstore"
)

// ErrDeadlock is a wait that would never end: who holds the lock waits, at last, for the one who asks.
var ErrDeadlock = errors.New("deadlock of file locks")

// ErrHeld is a lock of another that stands in the way.
var ErrHeld = errors.New("another holds a lock")

// ErrEnded is a wait whose session ended.
var ErrEnded = errors.New("the session of the locks ended")

// Table is the locks of a namespace.
type Table struct {
	mu sync.Mutex
	// Guarded by mu.
	objects map[objstore.ID]*object
	holding map[process]int   // locks by process, those not known left out
	waiting map[Owner][]*Wait // fcntl alone, for the search for deadlocks
	last    SessionID
	// expecting: what is not reclaimed is neither granted nor refused.
	expecting bool
}

// object is what is known of an object with locks or waits.
type object struct {
	id    objstore.ID
	held  Set
	waits []*Wait // in the order they came
}

// Wait is a request that is not granted, or was not when it was made.
type Wait struct {
	// Constant.
	lock   Lock
	object *object
	atOnce bool // it waits only to be told whether it is granted
	// over is closed when it is granted, or failed.
	over chan struct{}
	err  error // why it failed; set before over is closed
}

// New returns a table without locks.
func New() *Table {
	return &Table{
		objects: make(map[objstore.ID]*object),
		holding: make(map[process]int),
		waiting: make(map[Owner][]*Wait),
	}
}

// request takes k or waits in line for it.
func (t *Table) request(id objstore.ID, k Lock) (*Wait, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	o := t.object(id)
	defer t.advance(o)
	t.convert(o, k)
	if !k.Owner.Flock && t.closesCircle(o, k) {
		return nil, ErrDeadlock
	}
	return t.enqueue(o, &Wait{lock: k}), nil
}

// enqueue is the end of the line. mu is held.
func (t *Table) enqueue(o *object, w *Wait) *Wait {
	w.object, w.over = o, make(chan struct{})
	o.waits = append(o.waits, w)
	if k := w.lock; !k.Owner.Flock {
		t.waiting[k.Owner] = append(t.waiting[k.Owner], w)
	}
	return w
}

// reclaim takes k back, which was held in a table that is gone.
func (t *Table) reclaim(id objstore.ID, k Lock) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.expecting {
		return false
	}
	o := t.object(id)
	defer t.advance(o)
	if slices.ContainsFunc(o.held, k.conflicts) {
		return false
	}
	t.hold(o, k)
	return true
}

// settle ends the time in which locks are taken back. Who waits comes first, in order; who asked to be told at once
// is refused if that has left nothing for it.
func (t *Table) settle() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.expecting = false
	for _, o := range t.objects {
		t.advance(o)
		o.waits = slices.DeleteFunc(o.waits, func(w *Wait) bool {
			if w.atOnce {
				t.fail(w, ErrHeld)
			}
			return w.atOnce
		})
		t.advance(o)
	}
}

// fail ends a wait that was taken out of the line. mu is held.
func (t *Table) fail(w *Wait, reason error) {
	t.endWait(w)
	w.err = reason
	close(w.over)
}

// withdraw ends a wait, unless it was granted at the last moment.
func (t *Table) withdraw(w *Wait, reason error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !slices.Contains(w.object.waits, w) {
		return w.err
	}
	w.object.waits = slices.DeleteFunc(w.object.waits, func(other *Wait) bool { return other == w })
	t.fail(w, reason)
	t.advance(w.object)
	return reason
}

// conflict is the first lock, by where it starts, that k would wait for: fcntl(2) has F_GETLK answer with that one.
func (t *Table) conflict(id objstore.ID, k Lock) (first Lock, found bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	o := t.objects[id]
	if o == nil {
		return Lock{}, false
	}
	for _, held := range o.held {
		if k.conflicts(held) && (!found || held.Start < first.Start) {
			first, found = held, true
		}
	}
	return first, found
}

func (t *Table) holds(id objstore.ID, k Lock) (any, exclusive bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	o := t.objects[id]
	if o == nil {
		return false, false
	}
	return o.held.Holds(k)
}

// try takes k or is refused: at once but while locks are taken back, when it returns a wait.
func (t *Table) try(id objstore.ID, k Lock) (*Wait, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	o := t.object(id)
	defer t.advance(o)
	t.convert(o, k)
	switch {
	case t.expecting:
		return t.enqueue(o, &Wait{lock: k, atOnce: true}), false
	case slices.ContainsFunc(o.held, k.conflicts):
		return nil, false
	}
	t.hold(o, k)
	return nil, true
}

func (t *Table) unlock(id objstore.ID, k Lock) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if o := t.objects[id]; o != nil {
		t.cut(o, k)
		t.advance(o)
	}
}

// end releases what a session holds and fails what it waits for.
func (t *Table) end(s SessionID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, o := range t.objects {
		o.waits = slices.DeleteFunc(o.waits, func(w *Wait) bool {
			if w.lock.Owner.Session != s {
				return false
			}
			t.fail(w, ErrEnded)
			return true
		})
		o.held = slices.DeleteFunc(o.held, func(k Lock) bool {
			if k.Owner.Session != s {
				return false
			}
			t.count(k, -1)
			return true
		})
		t.advance(o)
	}
}

// object is the entry of id, to be given back with advance. mu is held.
func (t *Table) object(id objstore.ID) *object {
	o := t.objects[id]
	if o == nil {
		o = &object{id: id}
		t.objects[id] = o
	}
	return o
}

// convert gives up the flock(2) lock that a request of the other kind replaces: it does so even if it is refused. mu is held.
func (t *Table) convert(o *object, k Lock) {
	differs := func(other Lock) bool { return other.Owner == k.Owner && other.Exclusive != k.Exclusive }
	if k.Owner.Flock && slices.ContainsFunc(o.held, differs) {
		t.cut(o, k)
	}
}

// advance grants what can be granted and forgets an object nobody has or wants. mu is held.
func (t *Table) advance(o *object) {
	for again := !t.expecting; again; {
		again = false
		for i, w := range o.waits {
			if !t.grantable(o, w.lock, o.waits[:i]) {
				continue
			}
			o.waits = slices.Delete(o.waits, i, i+1)
			t.endWait(w)
			t.hold(o, w.lock)
			close(w.over)
			again = true // what it gave up, or now holds, may matter to those before it
			break
		}
	}
	if len(o.held) == 0 && len(o.waits) == 0 {
		delete(t.objects, o.id)
	}
}

// grantable reports whether k can be had, as one who waits behind earlier. mu is held.
func (t *Table) grantable(o *object, k Lock, earlier []*Wait) bool {
	if slices.ContainsFunc(o.held, k.conflicts) {
		return false
	}
	if k.Process == 0 || t.holding[k.process()] > 0 {
		return true
	}
	return !slices.ContainsFunc(earlier, func(w *Wait) bool { return k.conflicts(w.lock) })
}

// endWait takes w out of the search for deadlocks. mu is held.
func (t *Table) endWait(w *Wait) {
	owner := w.lock.Owner
	left := slices.DeleteFunc(t.waiting[owner], func(other *Wait) bool { return other == w })
	if len(left) == 0 {
		delete(t.waiting, owner)
	} else {
		t.waiting[owner] = left
	}
}

// hold makes k held. mu is held.
func (t *Table) hold(o *object, k Lock) { t.change(o, k, o.held.Add) }

// cut takes k's range out of the locks of its owner. mu is held.
func (t *Table) cut(o *object, k Lock) { t.change(o, k, o.held.Cut) }

// change changes what k's owner holds. mu is held.
func (t *Table) change(o *object, k Lock, do func(Lock)) {
	t.countOf(o, k.Owner, -1)
	do(k)
	t.countOf(o, k.Owner, 1)
}

func (t *Table) countOf(o *object, owner Owner, by int) {
	for _, k := range o.held {
		if k.Owner == owner {
			t.count(k, by)
		}
	}
}

func (t *Table) count(k Lock, by int) {
	if k.Process == 0 {
		return
	}
	t.holding[k.process()] += by
	if t.holding[k.process()] == 0 {
		delete(t.holding, k.process())
	}
}

// closesCircle reports whether somebody who stands in k's way waits for k's owner. mu is held.
func (t *Table) closesCircle(o *object, k Lock) bool {
	seen := make(map[Owner]bool)
	var leads func(o *object, k Lock, to Owner) bool
	leads = func(o *object, k Lock, to Owner) bool {
		for _, other := range o.held {
			if !k.conflicts(other) || seen[other.Owner] {
				continue
			}
			seen[other.Owner] = true
			for _, w := range t.waiting[other.Owner] {
				for _, blocks := range w.object.held {
					if blocks.Owner == to && w.lock.conflicts(blocks) {
						return true
					}
				}
				if leads(w.object, w.lock, to) {
					return true
				}
			}
		}
		return false
	}
	return leads(o, k, k.Owner)
}
