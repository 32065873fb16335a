package quiet

import (
	"testing"
	"time"
)

// count makes an observer look after each interval's use of the processor, and
// returns after which of them it called.
func count(intervals []time.Duration, cost time.Duration) (called []int) {
	var total time.Duration
	at := 0
	o := observer{
		used: func() time.Duration { return total },
		rest: func() { called = append(called, at); total += cost },
	}
	for at = range intervals {
		total += intervals[at]
		o.look()
	}
	return called
}

func TestRestIsToldFromWork(t *testing.T) {
	const work, little = time.Second, restShare
	for _, test := range []struct {
		name      string
		intervals []time.Duration
		first     int // the look that calls; -1: none
		calls     int
	}{
		{"nothing was ever done", []time.Duration{0, 0, 0, 0}, -1, 0},
		{"work goes on", []time.Duration{work, work, work, work}, -1, 0},
		{"work ended", []time.Duration{work, work, 0, 0, 0, 0, 0}, 2, calls},
		{"work ended and began again", []time.Duration{work, 0, work, 0, 0, 0, 0, 0}, 1, 1 + calls},
		{"too little to be work adds up", []time.Duration{little, little, 0, 0, 0, 0, 0}, 1, calls},
	} {
		t.Run(test.name, func(t *testing.T) {
			called := count(test.intervals, work)
			first := -1
			if len(called) > 0 {
				first = called[0]
			}
			if first != test.first || len(called) != test.calls {
				t.Errorf("called after %v, want the first after %d and %d in all", called, test.first, test.calls)
			}
		})
	}
}

func TestCloseWaitsForTheCall(t *testing.T) {
	ticks := make(chan time.Time)
	began, finish := make(chan struct{}), make(chan struct{})
	ended := false
	var used time.Duration
	w := Start(ticks, func() time.Duration { return used }, func() {
		close(began)
		<-finish
		ended = true
	})
	used = workMin
	ticks <- time.Time{} // work
	ticks <- time.Time{}
	<-began
	close(finish)
	w.Close()
	if !ended {
		t.Error("closed while a call was being made")
	}
}
