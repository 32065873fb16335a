package differential

import (
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/etagfs/etagfs/integration/mounttest"
)

// strange are errors that no call of a sequence has on a local disk, whatever others do meanwhile.
var strange = []string{"ESTALE", "EIO", "EBUSY", "ENOLCK", "ENOTCONN", "ECONNABORTED", "ENODEV", "EINTR", "EREMOTEIO", "ENODATA", "ENOTSUP", "EOPNOTSUPP", "ENOSYS"}

// The same calls, those of each process at the same time as those of the others: nothing hangs, nobody loses, and in the end all see the same.
func TestProcessesThatCallTogetherMeetNoStrangeErrors(t *testing.T) {
	m := mounttest.Start(t, mounttest.Options{Mount: "isolation=mount", Deadline: duration() + 5*time.Minute})
	t.Cleanup(m.ExpectNothingLeft)
	c := newCrew(t, m.Dir)
	seed, runs, until := seedGiven(t, rand.Uint64()), 0, time.Now().Add(duration())
	t.Logf("run again with ETAGFS_SEED=%d", seed)
	for ; !t.Failed() && time.Now().Before(until); runs++ {
		if err := c.begin(runs + 1); err != nil {
			t.Fatal(err)
		}
		c.together(t, sequence(seed+uint64(runs), 8*sequenceLength))
		for _, o := range last() {
			o0, o1 := c.ask(o), answer{}
			if o.Do == "cat" || o.Do == "list" {
				o.Actor = processes - 1
				if o1 = c.ask(o); o0.Said != o1.Said {
					t.Errorf("%v: one process hears %q, another %q", o, o0.Said, o1.Said)
				}
			}
		}
	}
	t.Logf("%d calls in %d sequences", runs*8*sequenceLength, runs)
}

// together has each process carry out its part of a sequence at the same time.
func (c *crew) together(t *testing.T, ops []op) {
	var all sync.WaitGroup
	for actor := range processes {
		all.Go(func() {
			for _, o := range ops {
				if o.Actor != actor {
					continue
				}
				said := c.ask(o).Said
				if slices.Contains(strange, said) || strings.HasPrefix(said, "the process is gone") {
					t.Errorf("%v: %s", o, said)
				}
			}
		})
	}
	all.Wait()
}
