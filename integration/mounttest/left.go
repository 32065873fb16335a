package mounttest

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// ExpectNothingLeft fails the test if the daemon still has a file open for writing, or bytes staged that are not committed. Whoever
// calls it has closed everything; the kernel may tell the daemon of that a moment later. Stores in memory cannot be asked.
func (m *Mount) ExpectNothingLeft() {
	m.t.Helper()
	if Binary() == "" {
		return
	}
	for patience := time.After(endTime); ; {
		left := m.left()
		if left == "" {
			return
		}
		select {
		case <-patience:
			m.t.Errorf("everything is closed, and the daemon has %s", left)
			return
		case <-time.After(busyInterval):
		}
	}
}

// left says what is open for writing, empty if nothing is. It asks the built program.
func (m *Mount) left() string {
	m.t.Helper()
	out, err := exec.Command(Binary(), "status", "--json", m.Dir).Output()
	if err != nil {
		m.t.Fatalf("status: %v", err)
	}
	var status struct {
		Writing struct {
			Open, Changed, Committing float64
		}
		StagingBytes float64 `json:"staging_bytes"`
		Transactions []json.RawMessage
	}
	if err := json.Unmarshal(out, &status); err != nil {
		m.t.Fatalf("status: %v: %s", err, out)
	}
	w := status.Writing
	if w.Open+w.Changed+w.Committing+status.StagingBytes == 0 && len(status.Transactions) == 0 {
		return ""
	}
	var left strings.Builder
	fmt.Fprintf(&left, "%v open for writing, %v changed, %v in a commit, %v bytes staged", w.Open, w.Changed, w.Committing, status.StagingBytes)
	for _, t := range status.Transactions {
		fmt.Fprintf(&left, "\n%s", t)
	}
	return left.String()
}
