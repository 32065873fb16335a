package mount

import "github.com/etagfs/etagfs/fs/strtab"

// GiveBack lets go of memory that only work in progress needed. It is for moments of rest: what is kept is put side by side, of
// which requests may wait for a moment.
func (m *Mount) GiveBack() {
	m.files.GiveBack()
	m.table.gather()
}

// gather puts the names of nodes side by side.
func (t *table) gather() {
	var names strtab.Table
	for first := 0; t.gatherFrom(first, &names); first += chainsPerPage {
	}
}

// gatherFrom does that for a page of chains, and is false behind the last. Chains that are split or joined meanwhile may be left out, or met twice.
func (t *table) gatherFrom(first int, names *strtab.Table) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if first >= t.objects.ready {
		return false
	}
	for i := first; i < min(first+chainsPerPage, t.objects.ready); i++ {
		for n := *t.objects.chain(i); n != nil; n = n.next {
			n.found.base = names.Copy(n.found.base)
		}
	}
	return true
}
