package mount

import (
	"iter"
	"testing"

	"github.com/etagfs/etagfs/objstore"
)

// checkInvariants verifies what must hold whenever the table's lock is free.
func (t *table) checkInvariants(tb testing.TB) {
	tb.Helper()
	t.mu.Lock()
	defer t.mu.Unlock()
	total := 0
	current := make(map[objstore.ID]bool)
	for n := range t.objects.all(tb) {
		total++
		if t.nodes.get(n.id) != n {
			tb.Errorf("node %d is not where it belongs", n.id)
		}
		if u := n.use(); u.claiming && !u.busy || u.owner != nil {
			tb.Errorf("node %d is claimed by nobody, or owned and among those that are not: %+v", n.id, u)
		}
		if n.current && t.anyOf(n.object) != n {
			tb.Errorf("object %d: another node comes before the one LOOKUP hands out", n.object)
		}
		if !n.current {
			continue
		}
		if current[n.object] || !n.settled() {
			tb.Errorf("object %d: LOOKUP hands out a node it must not: %+v", n.object, n)
		}
		current[n.object] = true
	}
	for id, w := range t.written {
		total += len(w.nodes)
		t.checkWriters(tb, id, w)
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
	for n := range t.entries.found.all(tb) {
		if t.nodes.get(n.id) != n || !n.believed {
			tb.Errorf("entry %v does not lead back from node %d", n.found, n.id)
		}
	}
	for e, n := range t.entries.extra {
		if _, other := t.entries.others[n][e]; t.nodes.get(n.id) != n || !other {
			tb.Errorf("entry %v does not lead back from node %d", e, n.id)
		}
	}
	for n, others := range t.entries.others {
		if _, found := others[n.found]; len(others) == 0 || t.nodes.get(n.id) != n || found {
			tb.Errorf("node %d, found under %v, has the other names %v", n.id, n.found, others)
		}
	}
}

// checkWriters checks what an object has listed as its writers' against the nodes.
func (t *table) checkWriters(tb testing.TB, id objstore.ID, w *writers) {
	claims := 0
	for n := range t.readNodesOf(id) {
		if n.use().claiming {
			claims++
		}
	}
	if claims != w.claims || claims == 0 && len(w.nodes) == 0 {
		tb.Errorf("object %d: %d nodes are being claimed, and %d are counted", id, claims, w.claims)
	}
	for n := range w.known {
		if n.object != id || w.nodes[n.use().writer] != n {
			tb.Errorf("object %d: attributes of node %d are known as a writer's: %+v", id, n.id, n.use())
		}
	}
	for writer, n := range w.nodes {
		if _, believed := w.believed[n]; n.object != id || n.use().owner == nil || n.use().writer != writer || n.current || t.entries.shows(n) && !believed {
			tb.Errorf("object %d: node %d is not writer %d's: %+v", id, n.id, writer, n.use())
		}
	}
}

func (t *table) checkNode(tb testing.TB, n *node) {
	if n.lookups == 0 && n.use().files == nil && n.use().opening == 0 {
		tb.Errorf("node %d has nothing to live for", n.id)
	}
	if n.use().reservation != nil && !t.sharing && (n.use().owner != nil || n.use().files != nil) {
		tb.Errorf("node %d is reserved and open", n.id)
	}
	users, leaving := int(n.use().opening), 0
	for f := n.use().files; f != nil; f = f.next {
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
	if w := t.through[n]; w != nil && (w.users < 1 || w.users > users || n.use().owner != nil) {
		tb.Errorf("node %d: its way has %d users of %d", n.id, w.users, users)
	}
	if n.use().owner != nil && n.view().Committed() {
		tb.Errorf("node %d is owned and shows the committed %v", n.id, n.view())
	}
	for f := n.use().files; f != nil; f = f.next {
		if f.node != n || f.next != nil && f.next.before != f {
			tb.Errorf("node %d: file %d is not where it belongs", n.id, f.id)
		}
		if f.next != nil && f.next.guest && !f.guest {
			tb.Errorf("node %d: guest %d is behind file %d", n.id, f.next.id, f.id)
		}
		if d := f.description; d.mode.Write && !t.sharing && !f.guest && d != n.use().owner && !n.use().busy && !n.use().spent {
			tb.Errorf("node %d: file %d writes and is not its owner's", n.id, f.id)
		}
	}
	for _, e := range t.entries.of(n) {
		if t.entries.at(e) != n {
			tb.Errorf("node %d: name %v does not lead to it", n.id, e)
		}
	}
}

// all are the nodes of the chains, each of which is in the one of its hash.
func (c *chains) all(tb testing.TB) iter.Seq[*node] {
	return func(yield func(*node) bool) {
		count := 0
		for i := range c.ready {
			for n := *c.chain(i); n != nil; n = *c.link(n) {
				if count++; c.head(c.hash(n)) != c.chain(i) {
					tb.Errorf("node %d is in chain %d of %d and not in its own", n.id, i, c.ready)
				}
				if !yield(n) {
					return
				}
			}
		}
		if count != c.count {
			tb.Errorf("%d nodes are in chains, and %d are counted", count, c.count)
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
