package crash

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// loss is what a crash may take.
type loss int

const (
	lossKill  loss = iota // what was in flight
	lossPower             // everything after the last durable call
)

// cut is how many calls of each lane a survey shows, and the states they made.
type cut struct {
	survived []int
	states   []laneState
}

// cut finds the smallest cut the survey allows, or says why there is none.
func (h *history) cut(s survey, l loss) (cut, error) {
	problems := slices.Clone(s.Problems)
	for _, path := range s.strangers(len(h.lanes)) {
		problems = append(problems, "nobody made "+path)
	}
	if !h.counted(s.Counter) {
		problems = append(problems, fmt.Sprintf("the counter went from %v to %v", h.counter, s.Counter))
	}
	c := cut{survived: make([]int, len(h.lanes)), states: make([]laneState, len(h.lanes))}
	possible := make([][]bool, len(h.lanes))
	for lane := range h.lanes {
		possible[lane] = h.possible(lane, s)
		c.survived[lane] = slices.Index(possible[lane], true)
		if c.survived[lane] < 0 {
			problems = append(problems, h.explain(lane, s))
		}
	}
	if len(problems) > 0 {
		return cut{}, errors.New(strings.Join(problems, "\n"))
	}
	if err := h.close(c.survived, possible, l); err != nil {
		return cut{}, err
	}
	for lane, n := range c.survived {
		c.states[lane] = h.replay(lane, n, nil)
	}
	return c, nil
}

// replay is the state of a lane after its first n calls. f, if any, is called
// before each step with the number of calls made; it stops the replay by returning false.
func (h *history) replay(lane, n int, f func(made int, s laneState) bool) laneState {
	state := h.base[lane].clone()
	for made := 0; ; made++ {
		if f != nil && !f(made, state) || made == n {
			return state
		}
		if c := h.lanes[lane][made]; !c.failed {
			state.apply(c.op)
		}
	}
}

// possible tells for each number of calls whether the survey can be what they made.
func (h *history) possible(lane int, s survey) []bool {
	found := s.Tree.lane(lane)
	low, high := h.increments(lane, s.Counter)
	possible := make([]bool, len(h.lanes[lane])+1)
	h.replay(lane, len(h.lanes[lane]), func(made int, state laneState) bool {
		possible[made] = low <= made && made <= high && found.equal(state.tree)
		return true
	})
	return possible
}

// increments bounds the number of calls by what the counter shows: no
// increment after the one found is in, and none acknowledged up to it is out.
func (h *history) increments(lane int, found counterAt) (low, high int) {
	high = len(h.lanes[lane])
	for i, c := range h.lanes[lane] {
		switch {
		case c.op.Kind != opIncrement || c.failed:
		case c.op.Lane == found.Lane && c.op.Seq == found.Seq:
			low = i + 1
		case c.op.Size > found.Value, c.op.Size == found.Value && c.ended != 0:
			return low, min(high, i)
		case c.ended != 0:
			low = i + 1
		}
	}
	return low, high
}

// counted reports whether the counter is as the worker found it, or as one of its calls made it.
func (h *history) counted(found counterAt) bool {
	for _, calls := range h.lanes {
		for _, c := range calls {
			if c.op.Kind == opIncrement && !c.failed && found == (counterAt{c.op.Size, c.op.Lane, c.op.Seq}) {
				return found.Value > h.counter.Value
			}
		}
	}
	return found == h.counter
}

// close raises survived, within what is possible, until every call that must
// be in is: those the loss may not take, and those answered before the start of one that is in.
func (h *history) close(survived []int, possible [][]bool, l loss) error {
	for lane := range h.lanes {
		needed, why := h.safe(lane, l)
		if err := h.raise(survived, possible, lane, needed, why); err != nil {
			return err
		}
	}
	for changed := true; changed; {
		changed = false
		for _, n := range h.newest(survived) {
			for lane := range h.lanes {
				needed := h.answered(lane, n.started)
				if needed <= survived[lane] {
					continue
				}
				if err := h.raise(survived, possible, lane, needed, "there is "+n.op.String()+", begun later"); err != nil {
					return err
				}
				changed = true
			}
		}
	}
	return nil
}

// safe is how many calls of lane l may not take.
func (h *history) safe(lane int, l loss) (n int, why string) {
	for i, c := range h.lanes[lane] {
		if c.ended != 0 && (l == lossKill || c.durable()) {
			n, why = i+1, "it was acknowledged"
			if l == lossPower {
				why = "durable was " + c.op.String()
			}
		}
	}
	return n, why
}

// newest is the last survivor of each lane that has one.
func (h *history) newest(survived []int) (calls []call) {
	for lane, n := range survived {
		if n > 0 {
			calls = append(calls, h.lanes[lane][n-1])
		}
	}
	return calls
}

func (h *history) raise(survived []int, possible [][]bool, lane, needed int, why string) error {
	for n := max(survived[lane], needed); n < len(possible[lane]); n++ {
		if possible[lane][n] {
			survived[lane] = n
			return nil
		}
	}
	return fmt.Errorf("lost: %s; %s\n(the lane shows %s of its %d calls)",
		h.lanes[lane][needed-1].op, why, spans(possible[lane]), len(h.lanes[lane]))
}

// explain names what differs from the state that comes nearest to what is found.
func (h *history) explain(lane int, s survey) string {
	found := s.Tree.lane(lane)
	nearest, least := 0, -1
	h.replay(lane, len(h.lanes[lane]), func(made int, state laneState) bool {
		if n := len(differences(found, state.tree)); least < 0 || n <= least {
			nearest, least = made, n
		}
		return true
	})
	low, high := h.increments(lane, s.Counter)
	text := fmt.Sprintf("lane %d: no number of its %d calls gives what is there (by the counter %d to %d). Nearest is %d, but",
		lane, len(h.lanes[lane]), low, high, nearest)
	for _, path := range differences(found, h.replay(lane, nearest, nil).tree) {
		is, there := found[path]
		agrees := make([]bool, len(h.lanes[lane])+1)
		h.replay(lane, len(h.lanes[lane]), func(made int, state laneState) bool {
			should, expected := state.tree[path]
			agrees[made] = there == expected && is.equal(should)
			return true
		})
		switch {
		case !slices.Contains(agrees, true):
			text += fmt.Sprintf("\n  %s is as no call left it", path)
		case !there:
			text += fmt.Sprintf("\n  %s is not there, as after %s", path, spans(agrees))
		default:
			text += fmt.Sprintf("\n  %s is as after %s", path, spans(agrees))
		}
	}
	return text
}

// differences are the paths on which two trees differ.
func differences(t, u tree) (paths []string) {
	all := t.clone()
	maps.Copy(all, u)
	for path := range all {
		a, inT := t[path]
		b, inU := u[path]
		if inT != inU || !a.equal(b) {
			paths = append(paths, path)
		}
	}
	slices.Sort(paths)
	return paths
}

// spans prints the indices of what is true as ranges.
func spans(set []bool) string {
	var parts []string
	for i := 0; i < len(set); i++ {
		if !set[i] {
			continue
		}
		first := i
		for i+1 < len(set) && set[i+1] {
			i++
		}
		parts = append(parts, fmt.Sprintf("%d-%d", first, i))
	}
	return strings.Join(parts, ",")
}
