package mount

import (
	"syscall"
	"testing"

	"github.com/etagfs/etagfs/objstore"
)

// However many have a file open and have changed it, what an open, a lookup and a commit go through of its nodes are not theirs; nor is
// the node of one of them looked for among the others'.
func TestOpenGoesNotThroughTheNodesOfWriters(t *testing.T) {
	const writers = 200
	k := newKernel(t)
	k.put("f", "found")
	var all []*opened
	for n := range writers {
		f := k.mustOpen(uint32(100+n), "f", syscall.O_RDWR)
		if errno := f.write(0, "mine"); errno != 0 {
			t.Fatal(errno)
		}
		all = append(all, f)
	}
	table := k.bridge.table
	object := objectAt(t, table, all[0].node)
	table.mu.Lock()
	gone, owned := 0, len(table.written[object].nodes)
	for range table.readNodesOf(object) {
		gone++
	}
	last := table.nodes.get(all[writers-1].node)
	if table.ownedBy(last.view()) != last || len(table.written[object].believed) > 1 {
		t.Errorf("the last writer's node is not found, or %d are believed", len(table.written[object].believed))
	}
	table.mu.Unlock()
	if owned != writers || gone > 1 {
		t.Errorf("%d of %d nodes are writers', and %d others are gone through, want at most one", owned, writers, gone)
	}
	table.checkInvariants(t)
	for i, f := range all {
		if errno := f.close(); i == 0 && errno != 0 {
			t.Errorf("the first close: %v", errno)
		}
	}
	if table.checkInvariants(t); len(table.written) != 0 {
		t.Errorf("%d files have writers after the last has closed", len(table.written))
	}
}

func objectAt(t *testing.T, table *table, id uint64) objstore.ID {
	t.Helper()
	view, ok := table.viewOf(id)
	if !ok {
		t.Fatal("no such node")
	}
	return view.Object
}
