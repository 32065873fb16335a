package locks

import (
	"slices"
	"testing"
)

// checkInvariants checks what must hold whenever the table's lock is free.
func (t *Table) checkInvariants(tb testing.TB) {
	tb.Helper()
	t.mu.Lock()
	defer t.mu.Unlock()
	holding, waiting := make(map[process]int), 0
	for id, o := range t.objects {
		if o.id != id || len(o.held) == 0 && len(o.waits) == 0 {
			tb.Errorf("object %d is kept as %d, with %d locks and %d waits", o.id, id, len(o.held), len(o.waits))
		}
		for i, k := range o.held {
			if k.Process != 0 {
				holding[k.process()]++
			}
			if k.Start > k.End {
				tb.Errorf("object %d: empty lock %+v", id, k)
			}
			for _, other := range o.held[i+1:] {
				if k.conflicts(other) || k.Owner == other.Owner && k.overlaps(other) || k.joins(other) {
					tb.Errorf("object %d: %+v beside %+v", id, k, other)
				}
			}
		}
		for i, w := range o.waits {
			if !w.lock.Owner.Flock {
				waiting++
				if !slices.Contains(t.waiting[w.lock.Owner], w) {
					tb.Errorf("object %d: the wait for %+v is not searched for deadlocks", id, w.lock)
				}
			}
			inWay := func(other *Wait) bool { return w.lock.conflicts(other.lock) }
			if !t.expecting && !slices.ContainsFunc(o.held, w.lock.conflicts) && !slices.ContainsFunc(o.waits[:i], inWay) {
				tb.Errorf("object %d: %+v waits for nothing", id, w.lock)
			}
		}
	}
	for process, n := range t.holding {
		if holding[process] != n {
			tb.Errorf("process %v holds %d locks and is counted %d", process, holding[process], n)
		}
		delete(holding, process)
	}
	for _, all := range t.waiting {
		waiting -= len(all)
	}
	if len(holding) != 0 || waiting != 0 {
		tb.Errorf("not counted: locks of %v and %d waits", holding, waiting)
	}
}
