package mount

import (
	"iter"
	"slices"
	"testing"
)

// checkInvariants verifies what must hold whenever the table's lock is free.
func (t *table) checkInvariants(tb testing.TB) {
	tb.Helper()
	t.mu.Lock()
	defer t.mu.Unlock()
	total := 0
	for id := range t.objects {
		current := 0
		for n := range t.nodesOf(id) {
			total++
			if n.object != id || t.nodes.get(n.id) != n {
				tb.Errorf("node %d is not where it belongs", n.id)
			}
			if n.claiming && !n.busy {
				tb.Errorf("node %d is claimed by nobody", n.id)
			}
			if !n.current {
				continue
			}
			if current++; current > 1 || !n.settled() {
				tb.Errorf("object %d: LOOKUP hands out a node it must not: %+v", id, n)
			}
		}
	}
	indexed := 0
	for n := range t.nodes.all() {
		indexed++
		t.checkNode(tb, n)
	}
	if total != indexed || t.nodes.count != indexed {
		tb.Errorf("%d nodes, %d of them belong to objects", indexed, total)
	}
	for at, p := range t.nodes.pages {
		held := 0
		for _, n := range p.nodes {
			if n != nil {
				held++
			}
		}
		if held == 0 || held != p.count {
			tb.Errorf("page %d of the index holds %d nodes and counts %d", at, held, p.count)
		}
	}
	for n := range t.through {
		if t.nodes.get(n.id) != n {
			tb.Errorf("node %d is gone and its way is not", n.id)
		}
	}
	for e, n := range t.entries.nodes {
		if t.nodes.get(n.id) != n || !slices.Contains(t.entries.of(n), e) {
			tb.Errorf("entry %v does not lead back from node %d", e, n.id)
		}
	}
	for n, others := range t.entries.others {
		if len(others) == 0 || t.nodes.get(n.id) != n || slices.Contains(others, n.found) {
			tb.Errorf("node %d, found under %v, has the other names %v", n.id, n.found, others)
		}
	}
}

func (t *table) checkNode(tb testing.TB, n *node) {
	if n.lookups == 0 && n.files == nil && n.opening == 0 {
		tb.Errorf("node %d has nothing to live for", n.id)
	}
	if n.reservation != nil && !t.sharing && (n.owner != nil || n.files != nil) {
		tb.Errorf("node %d is reserved and open", n.id)
	}
	users, leaving := int(n.opening), 0
	for f := n.files; f != nil; f = f.next {
		if f.through != nil && f.through != t.through[n] {
			tb.Errorf("node %d: file %d uses a way that is not its node's", n.id, f.id)
		}
		if f.through != nil {
			users++
		}
		if f.leaving {
			leaving++
		}
	}
	if s := t.shared[n.id]; s != nil && s.leaving != leaving {
		tb.Errorf("node %d: %d of its files are being released, and %d are counted", n.id, leaving, s.leaving)
	}
	if w := t.through[n]; w != nil && (w.users < 1 || w.users > users || n.owner != nil) {
		tb.Errorf("node %d: its way has %d users of %d", n.id, w.users, users)
	}
	if n.owner != nil && n.view().Committed() {
		tb.Errorf("node %d is owned and shows the committed %v", n.id, n.view())
	}
	for f := n.files; f != nil; f = f.next {
		if f.node != n || f.next != nil && f.next.before != f {
			tb.Errorf("node %d: file %d is not where it belongs", n.id, f.id)
		}
		if f.next != nil && f.next.guest && !f.guest {
			tb.Errorf("node %d: guest %d is behind file %d", n.id, f.next.id, f.id)
		}
		if d := f.description; d.mode.Write && !t.sharing && !f.guest && d != n.owner && !n.busy && !n.spent {
			tb.Errorf("node %d: file %d writes and is not its owner's", n.id, f.id)
		}
	}
	for _, e := range t.entries.of(n) {
		if t.entries.nodes[e] != n {
			tb.Errorf("node %d: name %v does not lead to it", n.id, e)
		}
	}
}

// all are the nodes, in no order.
func (x *index) all() iter.Seq[*node] {
	return func(yield func(*node) bool) {
		for _, p := range x.pages {
			for _, n := range p.nodes {
				if n != nil && !yield(n) {
					return
				}
			}
		}
	}
}
