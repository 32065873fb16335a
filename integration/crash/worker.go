package crash

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
)

// orders are what a worker is to do.
type orders struct {
	Target   string // a name openTarget knows
	Dir      string
	Seed     uint64
	Lanes    int
	FirstSeq int
	Calls    int // of each lane; negative: until killed. Afterwards the target is closed
	Mix      mix
	Traced   bool // by a tracer
}

// event is one thing a worker tells. Exactly one field is set.
type event struct {
	Survey  *survey // what it found; always the first
	Drop    string  // this kept copy is about to be dropped
	Dropped string  // it is
	Ready   bool    // the calls begin
	Begin   *op     // the call is about to be made
	Staged  *op
	Refused *op
	End     *answer
	Error   string // something that must not happen
	Closing bool   // all calls are made, the target is about to be closed
}

// answer is the outcome of a call.
type answer struct {
	Op      op
	Version string
	Failed  bool
}

// worker makes calls on a target and tells of them.
type worker struct {
	orders orders
	target target

	mu  sync.Mutex
	out *json.Encoder // guarded by mu
}

// runWorker follows orders and tells of it on out, one JSON object per line.
// A line is one write, so that none is torn by a kill.
func runWorker(ctx context.Context, o orders, open func(orders) (target, error), out io.Writer) {
	w := &worker{orders: o, out: json.NewEncoder(out)}
	if err := w.run(ctx, open); err != nil {
		w.tell(event{Error: err.Error()})
	}
}

func (w *worker) tell(e event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.out.Encode(e); err != nil {
		panic(fmt.Sprintf("crash: nobody listens: %v", err))
	}
}

func (w *worker) run(ctx context.Context, open func(orders) (target, error)) error {
	var err error
	if w.orders.Traced {
		if err := letTrace(); err != nil {
			return err
		}
	}
	if w.target, err = open(w.orders); err != nil {
		return fmt.Errorf("open: %w", err)
	}
	s, err := w.target.survey(ctx)
	if err != nil {
		return fmt.Errorf("survey: %w", err)
	}
	w.tell(event{Survey: &s})
	if w.orders.Calls == 0 {
		s.Kept = nil // who makes no calls only looks
	}
	for _, k := range s.Kept {
		w.tell(event{Drop: k.ID})
		if err := w.target.drop(ctx, k.ID); err != nil {
			return fmt.Errorf("drop %s: %w", k.ID, err)
		}
		w.tell(event{Dropped: k.ID})
	}
	w.tell(event{Ready: true})
	if err := w.lanes(ctx, s); err != nil {
		return err
	}
	w.tell(event{Closing: true})
	if err := w.target.close(ctx); err != nil {
		return fmt.Errorf("close: %w", err)
	}
	return nil
}

// lanes runs all lanes and returns the first error.
func (w *worker) lanes(ctx context.Context, s survey) error {
	errs := make([]error, w.orders.Lanes)
	var running sync.WaitGroup
	for lane := range w.orders.Lanes {
		script := &script{
			mix:   w.orders.Mix,
			rng:   rand.New(rand.NewPCG(w.orders.Seed, uint64(lane))),
			lane:  lane,
			seq:   w.orders.FirstSeq,
			state: laneState{s.Tree.lane(lane), map[string]held{}},
		}
		running.Go(func() {
			if errs[lane] = w.lane(ctx, script); errs[lane] != nil {
				w.tell(event{Error: errs[lane].Error()})
			}
		})
	}
	running.Wait()
	if i := slices.IndexFunc(errs, func(err error) bool { return err != nil }); i >= 0 {
		return fmt.Errorf("lane %d ended early", i)
	}
	return nil
}

// lane makes the calls of one script.
func (w *worker) lane(ctx context.Context, s *script) error {
	for n := 0; w.orders.Calls < 0 || n < w.orders.Calls; n++ {
		o := s.next()
		if o.Kind == opIncrement {
			value, err := w.target.counter(ctx, o.Lane)
			if err != nil {
				return fmt.Errorf("read the counter: %w", err)
			}
			o.Size = value + 1
		}
		w.tell(event{Begin: &o})
		got, err := w.target.do(ctx, o, progress{
			staged:  func() { w.tell(event{Staged: &o}) },
			refused: func() { w.tell(event{Refused: &o}) },
		})
		if err != nil {
			return fmt.Errorf("%s: %w", o, err)
		}
		w.tell(event{End: &answer{o, got.version, got.failed}})
		if got.failed {
			continue
		}
		if kept := s.state.apply(o) != nil; kept != got.kept {
			return fmt.Errorf("%s: kept: %t, should be: %t", o, got.kept, kept)
		}
	}
	return nil
}
