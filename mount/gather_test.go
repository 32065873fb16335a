package mount

import (
	"fmt"
	"slices"
	"testing"

	"github.com/etagfs/etagfs/fs"
	"github.com/etagfs/etagfs/objstore"
)

// Every node is found under its name, and by its object, after memory was given back; so are those that come later.
func TestNodesAreFoundWhenMemoryIsGivenBack(t *testing.T) {
	k := newKernel(t)
	table := k.bridge.table
	const nodes = 3 * chainsPerPage
	at := func(i int) name { return name{1, fmt.Sprintf("file %d", i)} }
	var made []*node
	look := func(i int) {
		table.mu.Lock()
		defer table.mu.Unlock()
		n := table.add(fs.View{Object: objstore.ID(1000 + i)}, true)
		n.lookups = 1 // of the kernel
		table.entries.look(n, at(i))
		table.entries.believe(n)
		made = append(made, n)
	}
	for i := range nodes {
		look(i)
	}
	table.gather()
	look(nodes)
	table.mu.Lock()
	defer table.mu.Unlock()
	for i, n := range made {
		if n.found != at(i) || table.entries.at(at(i)) != n || !slices.Contains(slices.Collect(table.nodesOf(n.object)), n) {
			t.Fatalf("node %d is found at %+v, and there is %p instead of %p", i, n.found, table.entries.at(at(i)), n)
		}
	}
}
