package main

import (
	"fmt"
	"regexp"

	"github.com/etagfs/etagfs/integration/internal/measure"
)

// requestTrace counts the FUSE requests of one connection. A nil trace counts nothing.
type requestTrace struct {
	trace    *measure.Trace
	counting bool
}

func openRequestTrace() (*requestTrace, error) {
	t, err := measure.OpenTrace("fuse/fuse_request_send")
	if err != nil {
		return nil, err
	}
	return &requestTrace{trace: t}, nil
}

// begin counts from now on what goes to device; 0: nothing.
func (t *requestTrace) begin(device uint32) error {
	if t == nil || device == 0 {
		return nil
	}
	if err := t.trace.Filter(fmt.Sprintf("connection == %d", device)); err != nil {
		return err
	}
	t.counting = true
	return t.trace.Begin()
}

// end gives the requests per operation since begin; nil if they were not or
// not all counted.
func (t *requestTrace) end(operations int) (requestCounts, error) {
	if t == nil || !t.counting {
		return nil, nil
	}
	t.counting = false
	text, whole, err := t.trace.End()
	if err != nil || !whole {
		return nil, err
	}
	counts := countRequests(text)
	for name := range counts {
		counts[name] /= float64(operations)
	}
	return counts, nil
}

// countRequests reads lines such as
//
//	cat-17 [001] ..... 3.1: fuse_request_send: connection 41 req 8 opcode 1 (FUSE_LOOKUP) len 48
func countRequests(text []byte) requestCounts {
	counts := make(requestCounts)
	opcode := regexp.MustCompile(`fuse_request_send: .* opcode \d+ \((?:FUSE_)?(\w+)\)`)
	for _, match := range opcode.FindAllSubmatch(text, -1) {
		counts[string(match[1])]++
	}
	return counts
}

func (t *requestTrace) close() error {
	if t == nil {
		return nil
	}
	return t.trace.Close()
}
