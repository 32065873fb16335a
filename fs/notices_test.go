package fs

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/etagfs/etagfs/objstore"
)

// heard empties what the kernel was told, after all has been handled.
func (m *mounted) heard() []kernelCall {
	m.notices.drain(m.ctx)
	m.kernel.mu.Lock()
	defer m.kernel.mu.Unlock()
	calls := m.kernel.calls
	m.kernel.calls = nil
	return calls
}

func TestC5ForeignChangesAreToldToTheKernel(t *testing.T) {
	w := newWorld(t)
	a, b := w.mount(Options{}), w.mount(Options{})
	b.put("f", "one")
	f, _ := a.walk(alice, "f")
	a.heard()
	root := a.Root()
	for _, test := range []struct {
		name string
		do   func() error
		want func(c kernelCall) bool
	}{
		{"commit", func() error { b.put("f", "two"); return nil }, func(c kernelCall) bool {
			return c.what == "committed" && c.old == f.View && c.new.Object == f.View.Object && !c.appended && c.size == 3
		}},
		{"chmod", func() error {
			mode := uint32(0o600)
			_, err := b.SetAttr(w.ctx, alice, f.View, nil, Change{Mode: &mode})
			return err
		}, func(c kernelCall) bool { return c.what == "attr" && c.object == f.View.Object }},
		{"create", func() error { b.put("g", "text"); return nil }, func(c kernelCall) bool {
			return c.what == "came" && c.object == root && c.name == "g"
		}},
		{"mkdir", func() error { _, err := b.Mkdir(w.ctx, alice, root, "d", 0o755); return err }, func(c kernelCall) bool {
			return c.what == "came" && c.object == root && c.name == "d"
		}},
		{"rename, old name", func() error { b.rename(alice, "g", "h"); return nil }, func(c kernelCall) bool {
			return c.what == "gone" && c.object == root && c.name == "g"
		}},
		{"rename, new name", func() error { b.rename(alice, "h", "i"); return nil }, func(c kernelCall) bool {
			return c.what == "came" && c.object == root && c.name == "i"
		}},
		{"unlink", func() error { return b.Unlink(w.ctx, alice, root, "i") }, func(c kernelCall) bool {
			return c.what == "gone" && c.object == root && c.name == "i"
		}},
		{"rmdir", func() error { return b.Rmdir(w.ctx, alice, root, "d") }, func(c kernelCall) bool {
			return c.what == "gone" && c.object == root && c.name == "d"
		}},
	} {
		b.heard()
		if err := test.do(); err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		if calls := a.heard(); !slices.ContainsFunc(calls, test.want) {
			t.Errorf("%s: the other kernel was told %+v", test.name, calls)
		}
		for _, c := range b.heard() {
			if c.what == "gone" || c.what == "came" {
				t.Errorf("%s: the own kernel was told %+v", test.name, c)
			}
		}
	}
}

// C5: the answer to a close comes after the kernel's copies are gone.
func TestC5FlushAnswersAfterTheKernel(t *testing.T) {
	m := newMount(t)
	m.put("f", "one")
	h := m.open(alice, "f", readWrite)
	m.write(h, 0, "two")
	before := View{Object: h.View().Object, Version: h.tx.base.Version}
	m.kernel.mu.Lock()
	m.kernel.calls = nil
	m.kernel.mu.Unlock()
	m.flush(h)
	m.kernel.mu.Lock()
	told := slices.ContainsFunc(m.kernel.calls, func(c kernelCall) bool { return c.what == "committed" && c.old == before })
	m.kernel.mu.Unlock()
	if !told {
		t.Error("flush answered first")
	}
	view, ok := h.Release(m.ctx)
	entry, _ := m.walk(bob, "f")
	if !ok || view != entry.View {
		t.Errorf("the node becomes %v, %v; the file is %v", view, ok, entry.View)
	}
}

// The kernel may hold a lock that an operation on names has to wait for: such an operation
// never waits for the kernel.
func TestOperationsOnNamesNeverWaitForTheKernel(t *testing.T) {
	w := newWorld(t)
	m, other := w.mount(Options{}), w.mount(Options{})
	m.put("f", "text")
	other.put("g", "text")
	m.notices.drain(w.ctx)
	m.notices.draining.Lock() // the kernel does not answer
	defer m.notices.draining.Unlock()
	other.put("g", "more")
	m.rename(alice, "f", "h")
	if _, err := m.Mkdir(w.ctx, alice, m.Root(), "d", 0o755); err != nil {
		t.Fatal(err)
	}
	h := m.create(alice, "new")
	m.write(h, 0, "text")
	m.rename(alice, "new", "newer")
	if _, err := m.Link(w.ctx, alice, h.View(), m.Root(), "link"); err != nil {
		t.Fatal(err)
	}
	x := m.createMode(alice, "x", OpenMode{Write: true, Exclusive: true})
	if err := m.Unlink(w.ctx, alice, m.Root(), "x"); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Lookup(w.ctx, bob, m.Root(), "g"); err != nil {
		t.Fatal(err)
	}
	x.end()
	h.end()
}

// The kernel has the file locked, and whom it waits for may be waiting for the file: such an operation
// is answered all the same.
func TestOperationsOnALockedFileAreAnsweredWithoutTheKernel(t *testing.T) {
	m := newMount(t)
	m.put("f", "text")
	h := m.open(alice, "f", OpenMode{Read: true, Write: true, Sync: true})
	entry, _ := m.walk(alice, "f")
	m.notices.drain(m.ctx)
	m.notices.draining.Lock() // the kernel does not answer
	defer m.notices.draining.Unlock()
	m.write(h, 0, "more")
	if err := h.Truncate(m.ctx, 2); err != nil {
		t.Fatal(err)
	}
	if err := h.Sync(m.ctx, alice); err != nil {
		t.Fatal(err)
	}
	size := int64(1)
	if _, err := m.SetAttr(m.ctx, alice, View{Object: entry.View.Object, Version: h.tx.base.Version}, nil, Change{Size: &size}); err != nil {
		t.Fatal(err)
	}
	h.end()
}

// Who waits for the kernel waits for so many looks, each of which has come: a machine that stood still for long has only one for him.
func TestWaitsForTheKernelAreCountedByLooks(t *testing.T) {
	n := newNotices(&recordingKernel{}, nil)
	for _, told := range []bool{true, false} {
		n.push(objstore.Change{Kind: objstore.ChangeAttr, Object: 1})
		look, waited := make(chan time.Time), make(chan error, 1)
		const looks = 3
		go func() { waited <- n.awaitOr(t.Context(), look, looks) }()
		for i := range looks - 1 {
			select {
			case look <- time.Time{}:
			case err := <-waited:
				t.Fatalf("it gives up after %d looks: %v", i, err)
			}
		}
		if told {
			n.drain(t.Context())
		} else {
			look <- time.Time{}
		}
		if err := <-waited; err != nil || n.empty() != told {
			t.Errorf("told %v: it ends with %v, and nothing is left to tell: %v", told, err, n.empty())
		}
	}
}

// What was held back as one's own is told if it turns out to be another's.
func TestNoticesTellWhatAFailedOperationHeldBack(t *testing.T) {
	kernel := &recordingKernel{}
	n := newNotices(kernel, nil)
	at := entryKey{1, "name"}
	change := objstore.Change{Kind: objstore.ChangeCreated, Parent: 1, Name: "name", Object: 2}

	done := n.expect(nameChange{objstore.ChangeCreated, at})
	n.push(change)
	done(nil)
	n.drain(t.Context())
	if kernel.told("came", "name") {
		t.Error("an own change was told")
	}
	done = n.expect(nameChange{objstore.ChangeCreated, at})
	n.push(change)
	done(objstore.ErrPrecondition)
	n.drain(t.Context())
	if !kernel.told("came", "name") {
		t.Error("another's change was not told")
	}
	kernel.calls = nil
	n.expect(nameChange{objstore.ChangeCreated, at})(nil)
	n.push(change)
	n.drain(t.Context())
	if !kernel.told("came", "name") || len(n.own) != 0 {
		t.Error("an expectation outlived its operation")
	}
}

func TestNoticesKeepTheirOrderUnderLoad(t *testing.T) {
	kernel := &recordingKernel{}
	n := newNotices(kernel, nil)
	const changes, drainers = 2000, 4
	var wait sync.WaitGroup
	for range drainers {
		wait.Go(func() {
			for range changes / drainers {
				n.drain(t.Context())
			}
		})
	}
	for i := range changes {
		n.push(objstore.Change{Kind: objstore.ChangeAttr, Object: objstore.ID(i)})
	}
	wait.Wait()
	n.drain(t.Context())
	for i, c := range kernel.calls {
		if c.object != objstore.ID(i) {
			t.Fatalf("call %d is about %d", i, c.object)
		}
	}
	if len(kernel.calls) != changes {
		t.Errorf("%d calls", len(kernel.calls))
	}
}

func TestC5DirectoryTimesMoveWithThePendingCreatesCommit(t *testing.T) {
	m := newMount(t)
	h := m.create(alice, "g")
	m.kernel.mu.Lock()
	m.kernel.calls = nil
	m.kernel.mu.Unlock()
	m.close(h)
	if !m.kernel.told("times", "") {
		t.Error("the directory's times are stale and the kernel does not know")
	}
}

// C7: the kernel has forgotten both names of a rename by others before it is made, and believes neither until it was told of it.
func TestKernelForgetsNamesThatOthersAreAboutToMove(t *testing.T) {
	m := newMount(t)
	m.put("f", "content")
	m.heard()
	moved := m.Moving(m.ctx, objstore.MoveRequest{Parent: m.Root(), Name: "f", NewParent: m.Root(), NewName: "g"})
	for _, name := range []string{"f", "g"} {
		if !m.kernel.told("moving", name) || !m.kernel.told("came", name) || m.kernel.told("moved", name) {
			t.Errorf("%s before the rename: %+v", name, m.kernel.calls)
		}
	}
	moved()
	for _, name := range []string{"f", "g"} {
		if !m.kernel.told("moved", name) {
			t.Errorf("%s after the rename: %+v", name, m.kernel.calls)
		}
	}
}
