package fs

import "testing"

// A file has listed the writers that may still commit something, whatever becomes of them.
func TestWritersAreListedAsTheyStand(t *testing.T) {
	listed := func(m *mounted, h *Handle, want bool) {
		t.Helper()
		checkInvariants(t, m.FS)
		if got := len(m.uncommittedOf(h.file)) > 0; got != want {
			t.Errorf("a writer that may commit something is listed: %v, want %v", got, want)
		}
	}
	m := newMount(t)
	maker, _, err := m.Create(m.ctx, alice, m.Root(), "f", readWrite, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	other, _, err := m.Open(m.ctx, bob, View{Object: maker.file.id}, readWrite)
	if err != nil {
		t.Fatal(err)
	}
	m.flush(other)
	listed(m, maker, true)
	m.refresh(maker, nil)
	listed(m, maker, false)
	m.write(maker, 0, "text")
	listed(m, maker, true)
	m.flush(maker)
	listed(m, maker, false)
	if err := maker.Truncate(m.ctx, 0); err != nil {
		t.Fatal(err)
	}
	listed(m, maker, true)
	if err := m.Unlink(m.ctx, alice, m.Root(), "f"); err != nil {
		t.Fatal(err)
	}
	listed(m, maker, false)
	maker.Release(m.ctx)
	other.Release(m.ctx)

	m = newWorld(t).mount(Options{Isolation: IsolateMount})
	m.put("f", "")
	emptied := m.open(alice, "f", truncate)
	listed(m, emptied, true)
	m.close(emptied)
}

// Who has opened a file is asked once of each writer, and again only of the asker's own: the number of a process that ended
// may be another's.
func TestLookupAsksOnceWhoHasOpened(t *testing.T) {
	m := newMount(t)
	m.put("f", "text")
	asked := &askedProcesses{Processes: m.FS.processes}
	m.FS.processes = asked
	for n := range 10 {
		h := m.open(Caller{Thread: uint32(100 * (n + 10))}, "f", readWrite)
		m.write(h, 0, "T")
		defer h.Release(m.ctx)
		defer m.detach(h.file, h.tx.base) // it would lose
	}
	own := m.open(Caller{Thread: 5001}, "f", readWrite)
	m.write(own, 0, "own")
	look := func(thread uint32) (view View, threads int) {
		t.Helper()
		before := asked.threads
		entry, err := m.Lookup(m.ctx, Caller{Thread: thread}, m.Root(), "f")
		if err != nil {
			t.Fatal(err)
		}
		return entry.View, asked.threads - before
	}
	if view, _ := look(9001); !view.Committed() {
		t.Errorf("a process that has not opened it sees %+v", view)
	}
	if _, threads := look(9001); threads != 1 {
		t.Errorf("%d threads were asked about, want the asker alone", threads)
	}
	if view, threads := look(5002); view != own.View() || threads != 2 {
		t.Errorf("a thread of the newest writer's process sees %+v, and %d threads were asked about, want 2", view, threads)
	}
	m.close(own)
}

// askedProcesses counts questions; it is for one goroutine.
type askedProcesses struct {
	Processes
	threads int
}

func (p *askedProcesses) ThreadGroup(thread uint32) (uint32, bool) {
	p.threads++
	return p.Processes.ThreadGroup(thread)
}

// However many others have changed a file, a lookup looks at those its own process has opened, and a flush whose commit was put off is
// found among as many as were.
func TestLookupGoesNotThroughTheWritersOfOthers(t *testing.T) {
	const others = 4096
	m := newMount(t)
	m.put("f", "text")
	h := m.open(Caller{Thread: 100}, "f", readWrite)
	u := &h.file.uncommitted
	defer h.Release(m.ctx)
	for n := range others {
		tx := &transaction{fs: m.FS, file: h.file, id: HandleID(1000 + n), opener: Caller{Thread: uint32(100 * (n + 10))}}
		tx.listing.open, tx.changes = true, 1
		u.put(tx, true, n == 0)
	}
	if got := len(u.listDeferred()); got != 1 {
		t.Errorf("%d are looked at for what was put off, want 1", got)
	}
	looked := func(thread uint32) int { return len(u.openedBy(&asker{fs: m.FS, caller: Caller{Thread: thread}})) }
	if got := looked(9); got != others {
		t.Errorf("%d are asked who has opened them, want all %d once", got, others)
	}
	m.ownWriter(Caller{Thread: 9}, h.file)
	if got := looked(9); got != 0 {
		t.Errorf("one who has opened nothing looks at %d, want none", got)
	}
	if got := looked(1001); got != 1 {
		t.Errorf("a thread of one of them looks at %d, want its own", got)
	}
	h.file.uncommitted.all, h.file.uncommitted.opened, h.file.uncommitted.deferred = nil, nil, nil
}
