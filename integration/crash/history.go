package crash

import (
	"fmt"
	"slices"
)

// call is an op as the worker told of it.
type call struct {
	op      op
	started int  // position in the history
	ended   int  // position in the history; 0: in flight when the worker ended
	staged  bool // all its bytes were in a stage before the commit was asked for
	failed  bool // refused with an error that means "not applied"; answered with it if ended
}

// durable reports whether the answer promised that a power cut takes nothing of the call.
func (c call) durable() bool {
	return !c.failed && (c.op.Kind == opSync || c.op.Durable && c.op.Kind != opHold)
}

// history is what one worker told, in order, on top of the state it found.
// Positions start at 1.
type history struct {
	base     []laneState // by lane, when the worker started
	counter  counterAt   // when the worker started
	kept     []keptCopy  // what had been kept when the worker started
	dropped  map[string]bool
	lanes    [][]call
	position int
	calls    int  // answered
	closing  bool // by its own wish: who closes a store drops what is staged
}

// counterAt is who gave the shared counter its value; the zero value is a counter that does not exist.
type counterAt struct {
	Value     int64
	Lane, Seq int
}

func newHistory(lanes int) *history {
	h := &history{lanes: make([][]call, lanes), dropped: map[string]bool{}}
	for range lanes {
		h.base = append(h.base, newLaneState())
	}
	return h
}

// begin records that o is about to be called.
func (h *history) begin(o op) error {
	if n := len(h.lanes[o.Lane]); n > 0 {
		last := h.last(o.Lane)
		if last.ended == 0 {
			return fmt.Errorf("%s begins before %s has ended", o, last.op)
		}
		if last.op.Seq >= o.Seq {
			return fmt.Errorf("%s follows %s", o, last.op)
		}
	}
	h.position++
	h.lanes[o.Lane] = append(h.lanes[o.Lane], call{op: o, started: h.position})
	return nil
}

// stage records that the bytes of the lane's call in flight are staged.
func (h *history) stage(lane int) { h.last(lane).staged = true }

// refuse records that the lane's call in flight was not applied, which it had no time to
// answer yet. What it staged goes then, as it should: its caller is about to be told.
func (h *history) refuse(lane int) { h.last(lane).failed = true }

// end records that the lane's call in flight was answered.
func (h *history) end(lane int, failed bool) {
	h.position++
	last := h.last(lane)
	last.ended, last.failed = h.position, failed
	h.calls++
}

// drop records that the kept copy id is about to be dropped.
func (h *history) drop(id string) { h.dropped[id] = true }

// forget records that it is dropped: it must not come back.
func (h *history) forget(id string) error {
	i := slices.IndexFunc(h.kept, func(k keptCopy) bool { return k.ID == id })
	if i < 0 {
		return fmt.Errorf("%s was dropped and never kept", id)
	}
	h.kept = slices.Delete(slices.Clone(h.kept), i, i+1)
	return nil
}

func (h *history) last(lane int) *call { return &h.lanes[lane][len(h.lanes[lane])-1] }

// answered is how many calls of lane were answered before position.
func (h *history) answered(lane, position int) int {
	n := 0
	for n < len(h.lanes[lane]) && h.lanes[lane][n].ended != 0 && h.lanes[lane][n].ended < position {
		n++
	}
	return n
}

// after is the history of the next worker on the store, which starts from what the cut left.
func (h *history) after(c cut, s survey) *history {
	next := newHistory(len(h.lanes))
	for lane, state := range c.states {
		next.base[lane].tree = state.tree
	}
	next.counter, next.kept = s.Counter, s.Kept
	return next
}

// versions are those given so far, over all workers of a store. None may be given twice.
type versions map[string]op

func (v versions) give(version string, o op) error {
	if version == "" {
		return nil
	}
	if before, ok := v[version]; ok {
		return fmt.Errorf("version %s was given to %s and to %s", version, before, o)
	}
	v[version] = o
	return nil
}
