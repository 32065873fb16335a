package crash

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
)

// run is a store that goes through many crashes, and what is known of it.
type run struct {
	executable string
	orders     orders
	loss       loss // taken by the crash before the next survey
	history    *history
	versions   versions
	winners    map[int64]op // increments acknowledged, by value
	survey     survey       // the last
	cut        cut
}

func newRun(executable string, o orders) *run {
	return &run{executable: executable, orders: o, history: newHistory(o.Lanes), versions: versions{}, winners: map[int64]op{}}
}

// crashPoint says when a worker is to be crashed: at the first of these.
type crashPoint struct {
	answers int             // so many calls were answered since the survey
	more    int             // once the crash is done so many more are waited for; their errors count
	signal  <-chan struct{} // this is closed; nil: never
	trace   *tracer         // this kills it; nil: it does not
}

// round starts a worker, checks what it finds against all that is known, lets
// it work until the crash point, and lets crash end it. Everything the worker told until then counts.
func (r *run) round(at crashPoint, crash func(*process) error) error {
	r.orders.FirstSeq += 1 << 20
	p, err := startProcess(r.executable, r.orders, at.trace)
	if err != nil {
		return err
	}
	l := listen(r, p, at.answers)
	crashed := make(chan error, 1)
	go func() {
		select {
		case <-l.reached:
		case <-at.signal:
		}
		l.over.Store(at.more == 0)
		err := crash(p)
		if at.more > 0 && err == nil {
			l.last.Store(l.calls.Load() + int64(at.more))
			<-l.enough
		}
		crashed <- err
		p.kill() // a crash that failed must not leave it waiting
	}()
	if err = l.run(); err != nil {
		err = fmt.Errorf("%w\nthe worker's log: %s", err, p.words())
	}
	return errors.Join(err, <-crashed, p.end())
}

// finish starts a worker that only looks, and closes the store.
func (r *run) finish() error {
	o := r.orders
	o.Calls = 0
	p, err := startProcess(r.executable, o, nil)
	if err != nil {
		return err
	}
	return errors.Join(listen(r, p, -1).run(), p.end())
}

// listener takes in what a worker tells.
type listener struct {
	of      *run
	process *process
	answers int           // to wait for; negative: for the end
	reached chan struct{} // closed after that many, and at the end
	over    atomic.Bool   // the crash has begun: errors of the worker are its effects

	calls  atomic.Int64  // answered so far
	last   atomic.Int64  // to wait for; 0: not decided
	enough chan struct{} // closed after that many, and at the end
}

func listen(r *run, p *process, answers int) *listener {
	return &listener{of: r, process: p, answers: answers, reached: make(chan struct{}), enough: make(chan struct{})}
}

// run returns when the worker has ended, or told what must not be.
func (l *listener) run() error {
	reached := sync.OnceFunc(func() { close(l.reached) })
	enough := sync.OnceFunc(func() { close(l.enough) })
	defer enough()
	defer reached()
	surveyed := false
	for {
		e, err := l.process.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if e.Error != "" && l.over.Load() {
			continue
		}
		if err := l.of.take(e); err != nil {
			return err
		}
		surveyed = surveyed || e.Survey != nil
		n := l.of.history.calls
		l.calls.Store(int64(n))
		if surveyed && l.answers >= 0 && n >= l.answers {
			reached()
		}
		if last := l.last.Load(); last > 0 && int64(n) >= last {
			enough()
		}
	}
}

// take takes in one event.
func (r *run) take(e event) error {
	h := r.history
	switch {
	case e.Error != "":
		return errors.New(e.Error)
	case e.Survey != nil:
		return r.check(*e.Survey)
	case e.Drop != "":
		h.drop(e.Drop)
	case e.Dropped != "":
		return h.forget(e.Dropped)
	case e.Closing:
		h.closing = true
	case e.Begin != nil:
		return h.begin(*e.Begin)
	case e.Staged != nil:
		h.stage(e.Staged.Lane)
	case e.Refused != nil:
		h.refuse(e.Refused.Lane)
	case e.End != nil:
		h.end(e.End.Op.Lane, e.End.Failed)
		return errors.Join(r.versions.give(e.End.Version, e.End.Op), r.win(*e.End))
	}
	return nil
}

// check compares a survey with the history and makes it the base of the next.
func (r *run) check(s survey) error {
	c, err := r.history.cut(s, r.loss)
	if err != nil {
		return err
	}
	if err := r.history.checkKept(c, s, r.loss); err != nil {
		return err
	}
	r.survey, r.cut = s, c
	r.history = r.history.after(c, s)
	return nil
}

// win records an acknowledged increment. While a worker lives each value is won once.
func (r *run) win(a answer) error {
	if a.Op.Kind != opIncrement || a.Failed {
		return nil
	}
	if before, ok := r.winners[a.Op.Size]; ok && before.Seq>>20 == a.Op.Seq>>20 {
		return fmt.Errorf("%s and %s both won", before, a.Op)
	}
	r.winners[a.Op.Size] = a.Op
	return nil
}
