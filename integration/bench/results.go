package main

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/etagfs/etagfs/integration/internal/measure"
)

// row is one line of the output for each subject.
type row struct {
	name string
	unit measure.Unit
}

// requestCounts are FUSE requests per operation, by name.
type requestCounts map[string]float64

// asynchronousRequests are those no caller waits for.
var asynchronousRequests = map[string]bool{
	"FORGET": true, "BATCH_FORGET": true, "RELEASE": true, "RELEASEDIR": true,
	"INTERRUPT": true, "NOTIFY_REPLY": true, "INIT": true, "DESTROY": true,
}

// synchronous adds up the requests a caller waits for.
func (c requestCounts) synchronous() float64 {
	sum := 0.0
	for name, n := range c {
		if !asynchronousRequests[name] {
			sum += n
		}
	}
	return sum
}

// names lists the requests, most frequent first.
func (c requestCounts) names() []string {
	return slices.SortedFunc(maps.Keys(c), func(a, b string) int {
		if c[a] != c[b] {
			return int(math.Copysign(1, c[b]-c[a]))
		}
		if a < b {
			return -1
		}
		return 1
	})
}

// measurement is one row on one subject in one round.
type measurement struct {
	value    float64
	requests requestCounts // nil: not counted
}

// failure is a step that could not be done.
type failure struct {
	subject, row string
	round        int
	err          error
}

// String is one line for people.
func (f failure) String() string {
	return fmt.Sprintf("%s on %s in round %d: %v", f.row, f.subject, f.round, f.err)
}

// results is everything measured so far.
type results struct {
	rounds   int
	values   measure.Values // one per round; NaN: not measured
	requests map[measure.Cell]requestCounts
	failures []failure
}

func newResults(rounds int) *results {
	return &results{rounds: rounds, values: make(measure.Values), requests: make(map[measure.Cell]requestCounts)}
}

// add files a measurement under its round, from 1. Round 0 gives the requests only.
func (r *results) add(c measure.Cell, round int, m measurement) {
	if round == 0 {
		if m.requests != nil {
			r.requests[c] = m.requests
		}
		return
	}
	if r.values[c] == nil {
		r.values[c] = slices.Repeat([]float64{math.NaN()}, r.rounds)
	}
	r.values[c][round-1] = m.value
}

func (r *results) fail(c measure.Cell, round int, err error) {
	r.failures = append(r.failures, failure{subject: c.Subject, row: c.Row, round: round, err: err})
}

// cells lists what has values or requests.
func (r *results) cells() []measure.Cell {
	return slices.AppendSeq(slices.Collect(maps.Keys(r.values)), maps.Keys(r.requests))
}

// measured reports whether any round has a value for c.
func (r *results) measured(c measure.Cell) bool { return measure.Summarize(r.values[c]).N > 0 }
