package mount

import (
	"sync/atomic"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/etagfs/etagfs/fs/meter"
)

// activity counts and remembers what the kernel asks: all requests by kind, those that are being answered, and the last that
// were. It costs a request two looks at the clock and ten atomic operations: it waits for nothing, and allocates nothing.
type activity struct {
	epoch    time.Time // constant; times are told from here on
	requests [requestKinds]requests
	read     atomic.Uint64 // bytes
	written  atomic.Uint64 // bytes
	running  [runningSlots]running
	recent   [recentSlots]recent
	ended    atomic.Uint64 // requests that were given a place in recent
}

// requests are all of one kind.
type requests struct {
	took   meter.Histogram
	failed atomic.Uint64
}

const (
	runningSlots = 512
	// runningTries is how many places a request looks for. One that finds none is counted all the same.
	runningTries = 4
	recentSlots  = 4096
	// nameBytes is how much of a name is remembered.
	nameBytes = 48
)

// running is a place for a request that is being answered. What is there is claimed first and given back last; began is set
// last and cleared first.
type running struct {
	what  atomic.Uint64 // node << 8 | kind; 0: the place is free
	who   atomic.Uint64 // uid << 32 | thread
	began atomic.Int64  // since the epoch; 0: not to be read
	_     [40]byte      // a cache line of its own
}

// recent is a place for a request that was answered. Whoever reads or writes it holds it, and who finds it held goes on without.
type recent struct {
	held atomic.Bool
	answered
	letters int // of the name
	text    [nameBytes]byte
}

// answered is a request that was answered.
type answered struct {
	place       uint64 // among all that ended
	began, took time.Duration
	uid, thread uint32
	kind        requestKind
	status      fuse.Status
	node        uint64
	bytes       int
	name        string // its beginning; set by take
}

// asked is a request that is being answered.
type asked struct {
	of    *activity
	at    *running // nil: there was no place
	began time.Duration
	in    *fuse.InHeader
	kind  requestKind
	name  string
}

func newActivity() *activity { return &activity{epoch: time.Now().Add(-1)} }

// begin notes that a request came.
func (a *activity) begin(kind requestKind, in *fuse.InHeader, name string) asked {
	q := asked{of: a, began: time.Since(a.epoch), in: in, kind: kind, name: name}
	what := in.NodeId<<8 | uint64(kind)
	for i := range uint64(runningTries) {
		// Unique numbers are even.
		slot := &a.running[(in.Unique/2+i*runningSlots/runningTries)%runningSlots]
		if slot.what.Load() == 0 && slot.what.CompareAndSwap(0, what) {
			slot.who.Store(uint64(in.Uid)<<32 | uint64(in.Pid))
			slot.began.Store(int64(q.began))
			q.at = slot
			break
		}
	}
	return q
}

// end notes how it was answered.
func (q *asked) end(status fuse.Status, bytes int) {
	took := time.Since(q.of.epoch) - q.began
	if q.at != nil {
		q.at.began.Store(0)
		q.at.what.Store(0)
	}
	all := &q.of.requests[q.kind]
	all.took.Observe(took)
	if !status.Ok() {
		all.failed.Add(1)
	}
	place := q.of.ended.Add(1)
	q.of.recent[place%recentSlots].write(q, place, took, status, bytes)
}

// write fills the place. It is held only if somebody reads it, or was so slow that all others came round.
func (r *recent) write(q *asked, place uint64, took time.Duration, status fuse.Status, bytes int) {
	if !r.held.CompareAndSwap(false, true) {
		return
	}
	r.answered = answered{
		place: place, began: q.began, took: took, uid: q.in.Uid, thread: q.in.Pid, kind: q.kind, status: status, node: q.in.NodeId, bytes: bytes,
	}
	r.letters = copy(r.text[:], q.name)
	r.held.Store(false)
}

// take is the request that ended as the place-th, if it is still there.
func (a *activity) take(place uint64) (r answered, ok bool) {
	slot := &a.recent[place%recentSlots]
	if !slot.held.CompareAndSwap(false, true) {
		return answered{}, false
	}
	defer slot.held.Store(false)
	r = slot.answered
	r.name = string(slot.text[:slot.letters])
	return r, r.place == place
}

// unanswered is a request that is being answered.
type unanswered struct {
	kind        requestKind
	uid, thread uint32
	node        uint64
	began       time.Duration
}

// now are the requests that are being answered.
func (a *activity) now() (all []unanswered) {
	for i := range a.running {
		slot := &a.running[i]
		began, what, who := slot.began.Load(), slot.what.Load(), slot.who.Load()
		if began != 0 && what != 0 && slot.began.Load() == began {
			all = append(all, unanswered{
				kind: requestKind(what & 0xff), uid: uint32(who >> 32), thread: uint32(who), node: what >> 8, began: time.Duration(began),
			})
		}
	}
	return all
}

// Activity is what the kernel has asked for since the mount began.
type Activity struct {
	Requests     []RequestCount // of each kind that came
	Running      int            // requests that are being answered
	ReadBytes    uint64
	WrittenBytes uint64
}

// RequestCount are the requests of one kind.
type RequestCount struct {
	Kind   string // "lookup", "write", ...
	Failed uint64 // with any errno: a lookup of what does not exist is one
	Took   meter.Distribution
}

// count reads everything.
func (a *activity) count() Activity {
	c := Activity{Running: len(a.now()), ReadBytes: a.read.Load(), WrittenBytes: a.written.Load()}
	for kind := range requestKinds {
		r := RequestCount{Kind: kind.String(), Failed: a.requests[kind].failed.Load(), Took: a.requests[kind].took.Read()}
		if r.Took.Count() > 0 {
			c.Requests = append(c.Requests, r)
		}
	}
	return c
}
