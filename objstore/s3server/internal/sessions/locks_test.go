package sessions

import (
	"testing"
	"time"

	"github.com/etagfs/etagfs/objstore/locks"
)

// A server that was stopped does not take its clients for dead who could not reach it: they keep their locks for
// another lease.
func TestClientsOfAStoppedServerKeepTheirLocks(t *testing.T) {
	const lease = time.Hour
	for name, c := range map[string]struct {
		late time.Duration // that the server looks
		kept bool
	}{"in time": {time.Second, false}, "after it was stopped": {lease, true}} {
		t.Run(name, func(t *testing.T) {
			l := &leased{table: locks.New(), lease: lease}
			if _, err := l.session(); err != nil {
				t.Fatal(err)
			}
			fence := l.fence()
			l.heard, l.due = time.Now().Add(-lease-c.late), time.Now().Add(-c.late)
			l.check()
			if got := l.fence() == fence; got != c.kept {
				t.Errorf("the locks are kept: %v", got)
			}
			l.due = time.Now()
			l.check() // it has listened since, and heard nothing
			if l.fence() != 0 {
				t.Error("a client that is gone has locks")
			}
			l.end()
		})
	}
}
