package mount

import (
	"slices"
	"testing"
)

// checkInvariants verifies what must hold whenever the table's lock is free.
func (t *table) checkInvariants(tb testing.TB) {
	tb.Helper()
	t.mu.Lock()
	defer t.mu.Unlock()
	total := 0
	for id, o := range t.objects {
		total += len(o.nodes)
		if len(o.nodes) == 0 {
			tb.Errorf("object %d has no nodes", id)
		}
		if o.current != nil && (!slices.Contains(o.nodes, o.current) || !o.current.settled()) {
			tb.Errorf("object %d: LOOKUP hands out a node it must not: %+v", id, o.current)
		}
		owned, writing := 0, o.writers
		for _, n := range o.nodes {
			if n.object != id || t.nodes[n.id] != n {
				tb.Errorf("node %d is not where it belongs", n.id)
			}
			if n.owner != nil {
				owned++
			}
			if n.busy {
				writing--
			}
		}
		if owned > o.writers || writing > owned {
			tb.Errorf("object %d: %d nodes are owned, %d writers counted", id, owned, o.writers)
		}
	}
	if total != len(t.nodes) {
		tb.Errorf("%d nodes, %d of them belong to objects", len(t.nodes), total)
	}
	for _, n := range t.nodes {
		t.checkNode(tb, n)
	}
	for e, n := range t.entries {
		if !slices.Contains(n.names, e) {
			tb.Errorf("entry %v does not lead back from node %d", e, n.id)
		}
	}
}

func (t *table) checkNode(tb testing.TB, n *node) {
	if n.lookups == 0 && len(n.files) == 0 && n.opening == 0 {
		tb.Errorf("node %d has nothing to live for", n.id)
	}
	if n.reserved && (n.owner != nil || len(n.files) > 0) {
		tb.Errorf("node %d is reserved and open", n.id)
	}
	if n.owner != nil && n.view.Committed() {
		tb.Errorf("node %d is owned and shows the committed %v", n.id, n.view)
	}
	for i, f := range n.files {
		if f.node != n || f.index != i {
			tb.Errorf("node %d: file %d is not where it belongs", n.id, f.id)
		}
		if d := f.description; d.mode.Write && !f.guest && d != n.owner && !n.busy && !n.spent {
			tb.Errorf("node %d: file %d writes and is not its owner's", n.id, f.id)
		}
	}
	for _, e := range n.names {
		if t.entries[e] != n {
			tb.Errorf("node %d: name %v does not lead to it", n.id, e)
		}
	}
}
