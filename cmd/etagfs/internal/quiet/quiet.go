// Package quiet tells when a process has come to rest: the moment to give back
// what only work needed.
//
// Rest is told from the processor time the process uses, so whatever works in it
// counts, and looking costs next to nothing. Work too little to be told from rest
// adds up, and is answered like any other.
package quiet

import "time"

const (
	// Interval is the time between two looks.
	Interval = 5 * time.Second
	// restShare is the processor time below which an interval was rest: 1 %.
	restShare = Interval / 100
	// workMin is the processor time since the last call that is worth a round of calls.
	workMin = 2 * restShare
	// calls are made one after the other, an interval apart: some of what work needed
	// is let go of step by step only.
	calls = 5
)

// Watch looks at a process until it is closed.
type Watch struct {
	stop chan struct{}
	done chan struct{}
}

// Start calls rest when the process is at rest, from a goroutine of its own. It
// looks at each tick; used is the processor time of the process.
func Start(ticks <-chan time.Time, used func() time.Duration, rest func()) *Watch {
	w := &Watch{stop: make(chan struct{}), done: make(chan struct{})}
	go w.run(ticks, observer{used: used, rest: rest})
	return w
}

func (w *Watch) run(ticks <-chan time.Time, o observer) {
	defer close(w.done)
	for {
		select {
		case <-ticks:
			o.look()
		case <-w.stop:
			return
		}
	}
}

// Close ends the calls and waits for the one being made.
func (w *Watch) Close() {
	close(w.stop)
	<-w.done
}

// observer decides whether to call rest.
type observer struct {
	used func() time.Duration
	rest func()

	looked time.Duration // used at the last look
	called time.Duration // used after the last call
	owed   int           // calls
}

func (o *observer) look() {
	now := o.used()
	if now-o.called >= workMin {
		o.owed = calls
	}
	resting := now-o.looked <= restShare
	o.looked = now
	if !resting || o.owed == 0 {
		return
	}
	o.owed--
	o.rest()
	o.looked = o.used() // what rest itself takes is not work
	o.called = o.looked
}
