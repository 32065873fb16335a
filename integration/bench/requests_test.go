package main

import (
	"maps"
	"slices"
	"testing"
)

func TestRequestsAreCountedByName(t *testing.T) {
	text := `# tracer: nop
#           TASK-PID     CPU#  |||||  TIMESTAMP  FUNCTION
            bash-12      [000] .....   101.000001: fuse_request_send: connection 41 req 2 opcode 1 (FUSE_LOOKUP) len 48 
            bash-12      [000] .....   101.000002: fuse_request_send: connection 41 req 4 opcode 35 (FUSE_CREATE) len 59 
            bash-12      [001] .....   101.000003: fuse_request_send: connection 41 req 6 opcode 1 (FUSE_LOOKUP) len 48 
   fuse_x (FUSE_-13      [001] .....   101.000004: fuse_request_send: connection 41 req 8 opcode 18 (FUSE_RELEASE) len 64 
            bash-12      [001] .....   101.000005: fuse_request_send: connection 41 req 9 opcode 99 (0x63) len 64 
`
	counts := countRequests([]byte(text))
	want := requestCounts{"LOOKUP": 2, "CREATE": 1, "RELEASE": 1, "0x63": 1}
	if !maps.Equal(counts, want) {
		t.Errorf("got %v, want %v", counts, want)
	}
	if got := counts.synchronous(); got != 4 {
		t.Errorf("%v of them are waited for, want 4", got)
	}
	if got := counts.names(); !slices.Equal(got, []string{"LOOKUP", "0x63", "CREATE", "RELEASE"}) {
		t.Errorf("in the order %v", got)
	}
}

func TestWithoutATraceNothingIsCounted(t *testing.T) {
	var none *requestTrace
	if err := none.begin(41); err != nil {
		t.Error(err)
	}
	if counts, err := none.end(1); counts != nil || err != nil {
		t.Errorf("got %v, %v", counts, err)
	}
	if err := none.close(); err != nil {
		t.Error(err)
	}
}
