package crash

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// told is a history as a test writes it down.
type told struct {
	*history
	seq int
}

func tell(lanes int) *told { return &told{newHistory(lanes), 0} }

// begin records the start of a call on a file of the lane.
func (h *told) begin(t *testing.T, o op) op {
	t.Helper()
	h.seq++
	o.Seq = h.seq
	if o.Kind == "" {
		o.Kind = opWrite
	}
	if o.Size == 0 {
		o.Size = 20
	}
	if o.Kind != opIncrement {
		o.Path = laneRoot(o.Lane) + o.Path
	}
	if o.To != "" {
		o.To = laneRoot(o.Lane) + o.To
	}
	if err := h.history.begin(o); err != nil {
		t.Fatal(err)
	}
	return o
}

// do records a call and its success.
func (h *told) do(t *testing.T, o op) op {
	t.Helper()
	o = h.begin(t, o)
	h.end(o.Lane, false)
	return o
}

// shows is a survey of exactly so many calls of each lane.
func (h *told) shows(calls ...int) survey {
	s := newSurvey()
	for lane, n := range calls {
		maps.Copy(s.Tree, h.replay(lane, n, nil).tree)
		for _, c := range h.lanes[lane][:n] {
			if c.op.Kind == opIncrement && !c.failed && c.op.Size > s.Counter.Value {
				s.Counter = counterAt{c.op.Size, c.op.Lane, c.op.Seq}
			}
		}
	}
	return s
}

func TestCut(t *testing.T) {
	tests := []struct {
		name     string
		lanes    int
		loss     loss
		tell     func(h *told) survey
		survived []int  // nil: there is none
		because  string // part of what is said then
	}{{
		name: "all that was answered is there", lanes: 2, loss: lossKill,
		tell: func(h *told) survey {
			h.do(t, op{Path: "a"})
			h.do(t, op{Lane: 1, Path: "a"})
			return h.shows(1, 1)
		},
		survived: []int{1, 1},
	}, {
		name: "a call in flight may be there", lanes: 1, loss: lossKill,
		tell: func(h *told) survey {
			h.do(t, op{Path: "a"})
			h.begin(t, op{Kind: opRemove, Path: "a"})
			return h.shows(2)
		},
		survived: []int{2},
	}, {
		name: "a call in flight may be absent", lanes: 1, loss: lossKill,
		tell: func(h *told) survey {
			h.do(t, op{Path: "a"})
			h.begin(t, op{Kind: opRemove, Path: "a"})
			return h.shows(1)
		},
		survived: []int{1},
	}, {
		name: "an answered call is lost by a kill", lanes: 1, loss: lossKill,
		tell: func(h *told) survey {
			h.do(t, op{Path: "a"})
			h.do(t, op{Path: "b"})
			return h.shows(1)
		},
		because: "lost: 0/2 write l0/b 20; it was acknowledged",
	}, {
		name: "a failed call is no call", lanes: 1, loss: lossKill,
		tell: func(h *told) survey {
			h.do(t, op{Path: "a"})
			h.begin(t, op{Path: "a"})
			h.end(0, true)
			h.do(t, op{Kind: opRename, Path: "a", To: "b"})
			return h.shows(3)
		},
		survived: []int{3},
	}, {
		name: "bytes nobody wrote", lanes: 1, loss: lossPower,
		tell: func(h *told) survey {
			h.do(t, op{Path: "a"})
			s := h.shows(1)
			s.Tree["l0/a"] = newContent(make([]byte, 20))
			return s
		},
		because: "l0/a is as no call left it",
	}, {
		name: "a name nobody made", lanes: 1, loss: lossPower,
		tell: func(h *told) survey {
			s := h.shows(0)
			s.add("elsewhere", nil)
			return s
		},
		because: "nobody made elsewhere",
	}, {
		name: "files of two moments", lanes: 1, loss: lossPower,
		tell: func(h *told) survey {
			h.do(t, op{Path: "a"})
			h.do(t, op{Path: "b"})
			h.do(t, op{Path: "a"})
			s := h.shows(3)
			delete(s.Tree, "l0/b")
			return s
		},
		because: "l0/b is not there, as after 0-1",
	}, {
		name: "a rename half done", lanes: 1, loss: lossPower,
		tell: func(h *told) survey {
			h.do(t, op{Path: "a"})
			h.do(t, op{Kind: opRename, Path: "a", To: "b"})
			s := h.shows(2)
			s.Tree["l0/a"] = s.Tree["l0/b"]
			return s
		},
		because: "no number of its 2 calls",
	}, {
		name: "the power cut takes the end", lanes: 2, loss: lossPower,
		tell: func(h *told) survey {
			h.do(t, op{Path: "a", Durable: true})
			h.do(t, op{Lane: 1, Path: "a"})
			h.do(t, op{Path: "b"})
			return h.shows(1, 0)
		},
		survived: []int{1, 0},
	}, {
		name: "a durable call is lost", lanes: 1, loss: lossPower,
		tell: func(h *told) survey {
			h.do(t, op{Path: "a", Durable: true})
			return h.shows(0)
		},
		because: "lost: 0/1 write l0/a 20 durable; durable was",
	}, {
		name: "a durable call in flight may be lost", lanes: 1, loss: lossPower,
		tell: func(h *told) survey {
			h.begin(t, op{Path: "a", Durable: true})
			return h.shows(0)
		},
		survived: []int{0},
	}, {
		name: "what was synced is lost, in another lane", lanes: 2, loss: lossPower,
		tell: func(h *told) survey {
			h.do(t, op{Lane: 1, Path: "a"})
			h.do(t, op{Kind: opSync})
			return h.shows(1, 0)
		},
		because: "lost: 1/1 write l1/a 20; there is 0/2 sync",
	}, {
		name: "a later call of another lane is there", lanes: 2, loss: lossPower,
		tell: func(h *told) survey {
			h.do(t, op{Path: "a"})
			h.do(t, op{Lane: 1, Path: "a"})
			return h.shows(0, 1)
		},
		because: "lost: 0/1 write l0/a 20; there is 1/2 write l1/a 20, begun later",
	}, {
		name: "of calls at the same time either may be there alone", lanes: 2, loss: lossPower,
		tell: func(h *told) survey {
			h.begin(t, op{Path: "a"})
			h.begin(t, op{Lane: 1, Path: "a"})
			h.end(0, false)
			h.end(1, false)
			return h.shows(0, 1)
		},
		survived: []int{0, 1},
	}, {
		name: "a chain over three lanes", lanes: 3, loss: lossPower,
		tell: func(h *told) survey {
			h.do(t, op{Path: "a"})
			h.do(t, op{Lane: 1, Kind: opSync})
			h.do(t, op{Lane: 1, Path: "a"})
			h.do(t, op{Lane: 2, Path: "a"})
			return h.shows(0, 2, 1)
		},
		because: "lost: 0/1 write l0/a",
	}, {
		name: "the counter shows a call that changed no name", lanes: 1, loss: lossPower,
		tell: func(h *told) survey {
			h.do(t, op{Path: "a"})
			h.do(t, op{Kind: opIncrement, Size: 1})
			return h.shows(2)
		},
		survived: []int{2},
	}, {
		name: "the counter shows what came after something lost", lanes: 2, loss: lossPower,
		tell: func(h *told) survey {
			h.do(t, op{Path: "a"})
			h.do(t, op{Lane: 1, Kind: opIncrement, Size: 1})
			return h.shows(0, 1)
		},
		because: "lost: 0/1 write l0/a",
	}, {
		name: "an acknowledged increment is gone", lanes: 1, loss: lossKill,
		tell: func(h *told) survey {
			h.do(t, op{Kind: opIncrement, Size: 1})
			return h.shows(0)
		},
		because: "lost: 0/1 increment",
	}, {
		name: "the counter has a value nobody gave it", lanes: 1, loss: lossPower,
		tell: func(h *told) survey {
			h.do(t, op{Kind: opIncrement, Size: 1})
			s := h.shows(1)
			s.Counter.Value = 2
			return s
		},
		because: "the counter went from",
	}, {
		name: "the counter fell behind what an earlier worker found", lanes: 1, loss: lossPower,
		tell: func(h *told) survey {
			h.counter = counterAt{5, 0, -3}
			return h.shows(0)
		},
		because: "the counter went from",
	}}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			h := tell(test.lanes)
			s := test.tell(h)
			c, err := h.cut(s, test.loss)
			if test.survived != nil {
				if err != nil || !slices.Equal(c.survived, test.survived) {
					t.Errorf("survived %v, want %v: %v", c.survived, test.survived, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), test.because) {
				t.Errorf("survived %v, %v, want none: %s", c.survived, err, test.because)
			}
		})
	}
}

func TestHistoryRefusesWhatNoWorkerDoes(t *testing.T) {
	h := tell(1)
	o := h.begin(t, op{Path: "a"})
	if err := h.history.begin(op{Seq: o.Seq + 1, Kind: opSync}); err == nil {
		t.Error("a lane made two calls at once")
	}
	h.end(0, false)
	if err := h.history.begin(o); err == nil {
		t.Error("a call was made twice")
	}
	v := versions{}
	if err := v.give("1a", o); err != nil {
		t.Error(err)
	}
	if err := v.give("1a", op{Seq: 9}); err == nil {
		t.Error("a version was given twice")
	}
}

func TestIncrementsAreWonOnce(t *testing.T) {
	r := newRun("", orders{Lanes: 2})
	first := answer{Op: op{Kind: opIncrement, Seq: 1, Size: 3}}
	if err := r.win(first); err != nil {
		t.Error(err)
	}
	if err := r.win(answer{Op: op{Kind: opIncrement, Lane: 1, Seq: 2, Size: 3}}); err == nil {
		t.Error("two won the same value")
	}
	if err := r.win(answer{Op: op{Kind: opIncrement, Lane: 1, Seq: 2, Size: 3}, Failed: true}); err != nil {
		t.Error(err)
	}
}
