package fs

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/etagfs/etagfs/objstore"
)

// A file has listed the writers that may still commit something, whatever becomes of them.
func TestWritersAreListedAsTheyStand(t *testing.T) {
	listed := func(m *mounted, h *Handle, want bool) {
		t.Helper()
		checkInvariants(t, m.FS)
		if got := m.newestWriter(h.file) != nil; got != want {
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
		u.put(tx, standing{changed: true, postponed: n == 0})
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
	u.all, u.opened, u.deferred = ranking{}, nil, nil
}

// However many others are writing a file, who looks it up, renames it or changes its attributes has to do with the newest of them at most:
// the others are locked meanwhile, and whoever asked one of them would wait for ever.
func TestChangesOfAFileGoNotThroughItsWriters(t *testing.T) {
	const writers = 64
	for name, test := range map[string]struct {
		made bool // the file is not made yet
		call func(m *mounted, id objstore.ID) error
	}{
		"look-up of what many make": {true, func(m *mounted, id objstore.ID) error {
			entry, err := m.Lookup(m.ctx, bob, m.Root(), "f")
			if err == nil && entry.Attr.Size != writers {
				err = fmt.Errorf("%d bytes are seen, not those of the newest writer", entry.Attr.Size)
			}
			return err
		}},
		"mode of what many make": {true, func(m *mounted, id objstore.ID) error { return chmodBeside(m, id) }},
		"mode":                   {false, func(m *mounted, id objstore.ID) error { return chmodBeside(m, id) }},
		"capability": {false, func(m *mounted, id objstore.ID) error {
			return m.SetXattr(m.ctx, root, View{Object: id}, xattrCapability, []byte("c"), XattrMode{})
		}},
		"rename": {false, func(m *mounted, id objstore.ID) error {
			return m.Rename(m.ctx, alice, m.Root(), "f", m.Root(), "g", objstore.RenameReplace)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			m := newWorld(t).mount(Options{Guard: GuardProcess})
			all := beside(m, writers, test.made)
			for _, h := range all[:writers-1] {
				h.tx.mu.Lock()
			}
			err := test.call(m, all[0].file.id)
			for _, h := range all[:writers-1] {
				h.tx.mu.Unlock()
			}
			if err != nil {
				t.Error(err)
			}
			checkInvariants(t, m.FS)
			m.detach(all[0].file, all[0].tx.base) // they would lose
			for _, h := range all {
				h.Release(m.ctx)
			}
		})
	}
}

func chmodBeside(m *mounted, id objstore.ID) error {
	mode := uint32(0o600)
	_, err := m.SetAttr(m.ctx, bob, View{Object: id}, nil, Change{Mode: &mode})
	return err
}

// beside has n processes write as many bytes as there were before them to f, which they are making, too, or is there. Who they are is known.
func beside(m *mounted, n int, made bool) (all []*Handle) {
	if !made {
		m.put("f", "text")
	}
	for i := range n {
		c := Caller{UID: 1000, GID: 1000, Thread: uint32(100 * (i + 10))}
		var h *Handle
		var err error
		if made && i == 0 {
			h, _, err = m.Create(m.ctx, c, m.Root(), "f", readWrite, 0o644)
		} else if made {
			h, _, err = m.Open(m.ctx, c, View{Object: all[0].file.id}, readWrite)
		} else {
			h = m.open(c, "f", readWrite)
		}
		if err != nil {
			m.t.Fatal(err)
		}
		m.write(h, 0, strings.Repeat("w", i+1))
		all = append(all, h)
	}
	m.ownWriter(alice, all[0].file)
	m.ownWriter(bob, all[0].file)
	return all
}

// A ranking has its newest at hand, whatever is added to it and removed from it.
func TestRankingKnowsItsNewest(t *testing.T) {
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 1))
		var r ranking
		all, in := make([]*transaction, 30), map[*transaction]bool{}
		for i := range all {
			all[i] = &transaction{id: HandleID(i)}
		}
		for range 500 {
			tx := all[random.IntN(len(all))]
			in[tx] = random.IntN(2) == 0
			r.put(tx, in[tx])
			var want *transaction
			for _, tx := range all {
				if in[tx] {
					want = tx
				}
			}
			if got := r.newest(); got != want {
				t.Fatalf("seed %d: %v is the newest, want %v", seed, got, want)
			}
		}
	}
}
