package fs

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/etagfs/etagfs/objstore"
)

// sharedMounts are two mounts of one store with one working copy per file each.
func sharedMounts(t *testing.T) (m, other *mounted) {
	w := newWorld(t)
	return w.mount(Options{Isolation: IsolateMount}), w.mount(Options{Isolation: IsolateMount})
}

func TestSharedHandlesOfAMountReadWhatEachOtherWrite(t *testing.T) {
	m, other := sharedMounts(t)
	m.put("f", "base")
	early := m.open(bob, "f", readOnly)
	first, second := m.open(alice, "f", readWrite), m.open(bob, "f", readWrite)
	m.write(first, 0, "B")
	m.write(second, 4, "+more")
	late := m.open(root, "f", readOnly)
	for name, h := range map[string]*Handle{"early": early, "first": first, "second": second, "late": late} {
		m.want(name, m.read(h), "Base+more")
		if h.View() != early.View() {
			t.Errorf("%s shows %v, not %v", name, h.View(), early.View())
		}
	}
	entry, _ := m.walk(bob, "f")
	if entry.Attr.Size != 9 || entry.View != early.View() {
		t.Errorf("the name leads to %+v", entry)
	}
	m.want("another mount", other.cat(bob, "f"), "base")
	m.close(late)
	m.want("after a reader's close", m.stored("f"), "base")
	m.close(first)
	m.want("after the first writer's close", m.stored("f"), "Base+more")
	m.write(second, 0, "F")
	m.close(second)
	m.want("after the second's", m.stored("f"), "Fase+more")
	m.close(early)
	if kept := m.conflicts(); len(kept) != 0 {
		t.Errorf("somebody lost: %v", kept)
	}
}

func TestC3SharedCopyLosesOnceAndTheNextOpenBeginsWithTheWinner(t *testing.T) {
	m, other := sharedMounts(t)
	m.put("f", "base")
	reader, first, second := m.open(bob, "f", readOnly), m.open(alice, "f", readWrite), m.open(bob, "f", readWrite)
	m.write(first, 0, "mine")
	m.write(second, 4, "!")
	other.put("f", "theirs")
	c := m.loses(first)
	m.want("what is kept", m.side(c.ID, objstore.SideMine), "mine!")
	if c.UID != bob.UID {
		t.Errorf("it belongs to %d, who did not write last", c.UID)
	}
	m.want("who had it open", m.read(reader), "mine!")
	m.want("the store", m.stored("f"), "theirs")
	if v := second.View(); v.Committed() || !m.kernel.parted(v) {
		t.Errorf("the kernel does not know that %v has lost", v)
	}
	next := m.open(alice, "f", readWrite)
	m.want("a new open", m.read(next), "theirs")
	m.write(next, 0, "T")
	m.close(next)
	m.want("its commit", m.stored("f"), "Theirs")
	m.write(second, 5, "!")
	again := m.loses(second)
	m.want("what is kept then", m.side(again.ID, objstore.SideMine), "mine!!")
	if all := m.conflicts(); len(all) != 1 {
		t.Errorf("%d copies are kept, not one", len(all))
	}
	m.want("the reader", m.read(reader), "mine!!")
	reader.Release(m.ctx)
}

func TestSharedCopyMovesOnAtOpensAndLocksWhileUnchanged(t *testing.T) {
	m, other := sharedMounts(t)
	m.put("f", "one")
	h := m.open(alice, "f", readWrite)
	other.put("f", "second")
	m.want("C2, before", m.read(h), "one")
	reader := m.open(bob, "f", readOnly)
	m.want("C5, the new open", m.read(reader), "second")
	m.want("and with it the old handle", m.read(h), "second")
	if !m.kernel.forgot(h.View()) {
		t.Error("the kernel was not told")
	}
	other.put("f", "third!!")
	if _, err := h.Refresh(m.ctx, func() {}); err != nil {
		t.Fatal(err)
	}
	m.want("after a lock", m.read(reader), "third!!")
	m.write(h, 0, "T")
	other.put("f", "fourth")
	m.want("changed, it stays", m.read(m.open(bob, "f", readOnly)), "Third!!")
	m.loses(h)
}

func TestC2SharedCopySeesAppendsOfOtherMounts(t *testing.T) {
	m, other := sharedMounts(t)
	m.put("log", "one\n")
	h := m.open(alice, "log", readOnly)
	tail := other.open(bob, "log", appending)
	other.write(tail, 0, "two\n")
	other.close(tail)
	m.Settle(m.ctx)
	m.want("tail -f", m.read(h), "one\ntwo\n")
	m.close(h)
}

func TestSharedTruncationByPathIsTheWritersToCommit(t *testing.T) {
	m, _ := sharedMounts(t)
	m.put("f", "content")
	cut := func(size int64) {
		t.Helper()
		entry, _ := m.walk(bob, "f")
		if attr, err := m.SetAttr(m.ctx, bob, entry.View, nil, Change{Size: &size}); err != nil || attr.Size != size {
			t.Fatalf("%+v, %v", attr, err)
		}
	}
	h := m.open(alice, "f", readWrite)
	cut(3)
	m.want("the writer", m.read(h), "con")
	m.want("the store", m.stored("f"), "content")
	m.close(h)
	m.want("after its close", m.stored("f"), "con")
	reader := m.open(alice, "f", readOnly)
	cut(1)
	m.want("without a writer", m.stored("f"), "c")
	m.close(reader)
	cut(0)
	cut(0)
	m.want("and nobody at all", m.stored("f"), "")
}

func TestSharedFileWithoutANameIsSharedByWhoHasIt(t *testing.T) {
	m, _ := sharedMounts(t)
	m.put("f", "base")
	h, reader := m.open(alice, "f", readWrite), m.open(bob, "f", readOnly)
	if err := m.Unlink(m.ctx, bob, m.Root(), "f"); err != nil {
		t.Fatal(err)
	}
	m.write(h, 0, "B")
	again, _, err := m.Open(m.ctx, bob, reader.View(), readWrite)
	if err != nil {
		t.Fatal(err)
	}
	m.write(again, 4, "!")
	m.want("the reader", m.read(reader), "Base!")
	if attr, err := reader.Attr(m.ctx); err != nil || attr.Nlink != 0 || attr.Size != 5 {
		t.Errorf("%+v, %v", attr, err)
	}
	m.close(h)
	m.close(again)
	m.close(reader)
	if m.isStored("f") || len(m.conflicts()) > 0 {
		t.Error("the name came back, or somebody lost")
	}
}

func TestSharedCreateIsSeenInItsMountOnlyUntilItIsClosed(t *testing.T) {
	m, other := sharedMounts(t)
	h := m.create(alice, "new")
	if _, _, err := m.Create(m.ctx, bob, m.Root(), "new", OpenMode{Write: true, Exclusive: true}, 0o600); !errors.Is(err, ErrExists) {
		t.Errorf("C6: %v", err)
	}
	second := m.open(bob, "new", readWrite)
	m.write(second, 0, "two of us")
	m.want("the creator", m.read(h), "two of us")
	if _, err := other.Lookup(m.ctx, alice, m.Root(), "new"); !errors.Is(err, objstore.ErrNotFound) {
		t.Errorf("another mount: %v", err)
	}
	m.close(second)
	m.want("another mount then", other.cat(alice, "new"), "two of us")
	m.close(h)

	lock := m.createMode(alice, "lock", OpenMode{Write: true, Exclusive: true})
	if _, _, err := other.Create(m.ctx, bob, m.Root(), "lock", OpenMode{Write: true, Exclusive: true}, 0o600); !errors.Is(err, ErrExists) {
		t.Errorf("C6 between mounts: %v", err)
	}
	m.close(lock)
}

func TestSharedCopyCommitsWhatNoCloseCouldSee(t *testing.T) {
	m, _ := sharedMounts(t)
	m.put("f", "base")
	h, reader := m.open(alice, "f", readWrite), m.open(bob, "f", readOnly)
	m.flush(h)
	m.write(h, 0, "B") // as the kernel does with stores through a mapping
	h.Release(m.ctx)
	m.want("after the writer's last release", m.stored("f"), "Base")
	m.close(reader)
}

func TestC4SharedCopyThatNobodyClosedIsKept(t *testing.T) {
	w := newWorld(t)
	m := w.mount(Options{Isolation: IsolateMount})
	m.put("f", "base")
	h, second := m.open(alice, "f", readWrite), m.open(bob, "f", readWrite)
	m.write(h, 0, "B")
	m.write(second, 4, "!")
	if err := m.FS.Close(m.ctx); err != nil {
		t.Fatal(err)
	}
	all := w.conflicts()
	if len(all) != 1 {
		t.Fatalf("%d copies are kept, not one", len(all))
	}
	w.want("the copy", w.side(all[0].ID, objstore.SideMine), "Base!")
	w.want("the store", w.stored("f"), "base")
}

// Writers come and go at their own byte of a file each; a rename, an unlinked twin and a truncation by path of another file
// go on beside them.
func TestC9SharedWritersOfOneMountNeverLose(t *testing.T) {
	m, other := sharedMounts(t)
	const writers, rounds = 8, 40
	m.put("f", string(make([]byte, writers)))
	var all sync.WaitGroup
	for id := range writers {
		c := Caller{UID: 1000, Thread: uint32(1000 + 100*id)}
		all.Go(func() {
			for round := range rounds {
				h, err := m.tryOpen(c, "f", readWrite)
				if err != nil {
					t.Errorf("open: %v", err)
					return
				}
				if _, err := h.WriteAt(m.ctx, []byte{byte(round + 1)}, int64(id), WriteMode{}); err != nil {
					t.Errorf("write: %v", err)
				}
				if err := h.Flush(m.ctx, c); err != nil {
					t.Errorf("close: %v", err)
				}
				h.Release(m.ctx)
			}
		})
	}
	all.Go(func() {
		for range rounds {
			_ = other.cat(bob, "f")
		}
	})
	all.Wait()
	for id, b := range []byte(m.stored("f")) {
		if b != rounds {
			t.Errorf("writer %d's byte is %d", id, b)
		}
	}
	if kept := m.conflicts(); len(kept) != 0 {
		t.Errorf("%d lost", len(kept))
	}
}

// Two mounts count in one file, each by several processes that share a copy: what a close has answered is never lost.
func TestC3SharedCountersOfTwoMountsLoseNoIncrement(t *testing.T) {
	m, other := sharedMounts(t)
	m.put("n", "0")
	var counted [2]int
	var all sync.WaitGroup
	for i, mount := range []*mounted{m, other} {
		all.Go(func() {
			for range 60 {
				h, err := mount.tryOpen(alice, "n", readWrite)
				if err != nil {
					t.Errorf("open: %v", err)
					return
				}
				var n int
				if _, err := fmt.Sscan(mount.read(h), &n); err != nil {
					t.Errorf("the counter: %v", err)
				}
				mount.write(h, 0, fmt.Sprint(n+1))
				if err := h.Flush(mount.ctx, alice); err == nil {
					counted[i]++
				} else if !errors.Is(err, ErrBusy) {
					t.Errorf("close: %v", err)
				}
				h.Release(mount.ctx)
			}
		})
	}
	all.Wait()
	m.want("the counter", m.stored("n"), fmt.Sprint(counted[0]+counted[1]))
}

func (k *recordingKernel) Forget(v View) { k.record(kernelCall{what: "forget", old: v}) }
func (k *recordingKernel) Parted(v View) { k.record(kernelCall{what: "parted", old: v}) }

func (k *recordingKernel) forgot(v View) bool { return k.heard("forget", v) }
func (k *recordingKernel) parted(v View) bool { return k.heard("parted", v) }

func (k *recordingKernel) heard(what string, v View) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.ContainsFunc(k.calls, func(c kernelCall) bool { return c.what == what && c.old == v })
}
