package fs

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/etagfs/etagfs/objstore"
)

func TestOwnProcessReadsItsUncommittedBytes(t *testing.T) {
	m := newMount(t)
	m.put("f", "committed")
	h := m.open(alice, "f", readWrite)
	m.write(h, 0, "uncommitted")
	for c, want := range map[Caller]string{
		alice: "uncommitted", aliceThread: "uncommitted", aliceOther: "committed", bob: "committed", nobody: "committed",
	} {
		m.want("what is read", m.cat(c, "f"), want)
		if entry, _ := m.walk(c, "f"); entry.Attr.Size != int64(len(want)) {
			t.Errorf("%v sees size %d of %q", c, entry.Attr.Size, want)
		}
	}
	committed, err := m.LookupCommitted(m.ctx, alice, m.Root(), "f")
	if err != nil || committed.View.Writer != 0 {
		t.Fatalf("lookup of what is committed: %+v, %v", committed, err)
	}
	if _, _, err := m.Open(m.ctx, alice, committed.View, readOnly); !errors.Is(err, ErrStale) {
		t.Errorf("the own process opens the committed view: %v", err)
	}
	if _, _, err := m.Open(m.ctx, bob, h.View(), readOnly); !errors.Is(err, ErrStale) {
		t.Errorf("a stranger opens the writer's view: %v", err)
	}
	if _, _, err := m.Open(m.ctx, alice, h.View(), readWrite); !errors.Is(err, ErrStale) {
		t.Errorf("a second writer opens the first's view: %v", err)
	}
	if !m.CanShare(aliceThread, h.View()) || m.CanShare(bob, h.View()) {
		t.Error("CanShare says otherwise")
	}
	m.close(h)
}

func TestC2FollowerStaysAtWhatItsWriterCommitted(t *testing.T) {
	for _, mode := range []OpenMode{{Write: true}, {Write: true, Exclusive: true}} {
		m := newMount(t)
		h := m.createMode(alice, "tmp", mode)
		child := m.open(bob, "tmp", readOnly)
		if child.View() != h.View() {
			t.Fatalf("the child shows %v, not %v", child.View(), h.View())
		}
		m.write(h, 0, "one")
		m.want("before the commit", m.read(child), "one")
		m.flush(h)
		m.write(h, 0, "two and more")
		m.want("after the commit", m.read(child), "one")
		if v := child.View(); !v.Committed() || v.Version == "" {
			t.Errorf("it shows %v", v)
		}
		m.want("another reader", m.cat(bob, "tmp"), "one")
		m.close(h)
		m.want("after the close", m.read(child), "one")
		child.Release(m.ctx)
	}
}

func TestFollowerOfALoserKeepsWhatItReads(t *testing.T) {
	m := newMount(t)
	m.put("f", "base")
	h := m.open(alice, "f", readWrite)
	m.write(h, 0, "mine")
	reader := m.open(alice, "f", readOnly)
	m.put("f", "theirs")
	m.loses(h)
	m.want("the follower", m.read(reader), "mine")
	if attr, err := reader.Attr(m.ctx); err != nil || attr.Size != 4 {
		t.Errorf("%+v, %v", attr, err)
	}
	m.want("a new open", m.cat(alice, "f"), "theirs")
	reader.Release(m.ctx)
	if m.writer(h.ID()) != nil {
		t.Error("the writer's bytes are still held")
	}
}

// What was committed may be replaced before the readers that followed its writer can be pinned to it.
func TestFollowerOfAReplacedCommitIsNeverStale(t *testing.T) {
	w := newWorld(t)
	replaced := &replacedAtOpen{Namespace: w.store}
	w.store = replaced
	m := w.mount(Options{})
	h := m.create(alice, "tmp")
	child := m.open(bob, "tmp", readOnly)
	m.write(h, 0, "bytes")
	replaced.replace = func() {
		if _, err := replaced.Unlink(w.ctx, m.Root(), "tmp", objstore.Unconditional(), objstore.Visible); err != nil {
			t.Error(err)
		}
	}
	m.flush(h)
	m.want("the follower", m.read(child), "bytes")
	if attr, err := child.Attr(m.ctx); err != nil || attr.Size != 5 {
		t.Errorf("%+v, %v", attr, err)
	}
	m.close(h)
	m.want("after the close", m.read(child), "bytes")
	child.Release(m.ctx)
}

// replacedAtOpen is a store in which something happens just before a version is opened.
type replacedAtOpen struct {
	objstore.Namespace
	replace func()
}

func (r *replacedAtOpen) Open(ctx context.Context, id objstore.ID, want objstore.Version) (objstore.Reader, error) {
	if replace := r.replace; replace != nil {
		r.replace = nil
		replace()
	}
	return r.Namespace.Open(ctx, id, want)
}

func TestC5ForeignCommitHidesAPendingCreate(t *testing.T) {
	w := newWorld(t)
	a, b := w.mount(Options{}), w.mount(Options{})
	h := a.create(alice, "f")
	a.write(h, 0, "pending")
	b.put("f", "committed")
	w.want("another process", a.cat(bob, "f"), "committed")
	w.want("the creator", a.cat(alice, "f"), "pending")
	if names := a.list(bob, ""); len(names) != 1 {
		t.Errorf("listed %q", names)
	}
	a.loses(h)
}

// C5: a file that is pending when a lookup begins and committed when it ends was there all the time.
func TestC5LookupThatMeetsTheFirstCommitFindsTheFile(t *testing.T) {
	w := newWorld(t)
	meeting := &meetingLookup{Namespace: w.store}
	w.store = meeting
	m := w.mount(Options{})
	for _, mode := range []bool{true, false} {
		name := fmt.Sprint("f", mode)
		h := m.create(alice, name)
		m.write(h, 0, "text")
		meeting.meet = func() {
			meeting.meet = nil
			m.flush(h)
		}
		if entry, err := m.lookup(m.ctx, bob, m.Root(), name, mode); err != nil || entry.View.Version == "" {
			t.Errorf("lookup: %+v, %v", entry, err)
		}
		h.Release(m.ctx)
	}
}

// meetingLookup lets something happen between the store's answer and ours.
type meetingLookup struct {
	objstore.Namespace
	meet func()
}

func (l *meetingLookup) Lookup(ctx context.Context, parent objstore.ID, name string) (objstore.Info, error) {
	info, err := l.Namespace.Lookup(ctx, parent, name)
	if l.meet != nil {
		l.meet()
	}
	return info, err
}

// A process that has a file open and unchanged sees what others commit, like anybody.
func TestC5CleanHandleDoesNotHideCommits(t *testing.T) {
	m := newMount(t)
	m.put("f", "one")
	h := m.open(alice, "f", readWrite)
	m.put("f", "two")
	m.want("the own process", m.cat(alice, "f"), "two")
	m.want("the handle", m.read(h), "one")
	m.close(h)
}

func TestC5OpenAfterACommitSeesIt(t *testing.T) {
	w := newWorld(t)
	a, b := w.mount(Options{}), w.mount(Options{})
	a.put("f", "one")
	stale, err := b.walk(bob, "f")
	if err != nil {
		t.Fatal(err)
	}
	a.put("f", "two")
	for _, mode := range []OpenMode{readOnly, readWrite, truncate} {
		if _, _, err := b.Open(w.ctx, bob, stale.View, mode); !errors.Is(err, ErrStale) {
			t.Errorf("%+v of a stale view: %v", mode, err)
		}
	}
	if _, err := b.Stat(w.ctx, bob, stale.View); !errors.Is(err, ErrStale) {
		t.Errorf("stat of a stale view: %v", err)
	}
	w.want("a new open", b.cat(bob, "f"), "two")
	if v, ok := b.Current(w.ctx, stale.View.Object); !ok || v == stale.View.Version {
		t.Errorf("current is %v, %v", v, ok)
	}
	h, entry, err := b.Open(w.ctx, bob, stale.View, OpenMode{Read: true, Current: true})
	if err != nil || entry.View == stale.View {
		t.Fatalf("open of whatever is current: %+v, %v", entry, err)
	}
	w.want("what is current", b.read(h), "two")
	h.Release(w.ctx)
}

// A re-open through /proc/self/fd has no other way than the view it has.
func TestPinnedViewOpensAgain(t *testing.T) {
	m := newMount(t)
	m.put("f", "one")
	reader := m.open(bob, "f", readOnly)
	writer := m.open(alice, "f", readWrite)
	m.put("f", "two")
	pinned := OpenMode{Read: true, Pinned: true}
	again, _, err := m.Open(m.ctx, bob, reader.View(), pinned)
	if err != nil {
		t.Fatal(err)
	}
	m.want("the reader again", m.read(again), "one")
	again.Release(m.ctx)
	m.write(writer, 0, "own")
	again, _, err = m.Open(m.ctx, bob, writer.View(), pinned)
	if err != nil {
		t.Fatal(err)
	}
	m.want("the writer again", m.read(again), "own")
	again.Release(m.ctx)
	second, _, err := m.Open(m.ctx, bob, reader.View(), OpenMode{Read: true, Write: true, Pinned: true})
	if err != nil {
		t.Fatal(err)
	}
	m.want("for writing", m.read(second), "one")
	m.write(second, 0, "two")
	m.loses(second)
	reader.Release(m.ctx)
	if _, _, err := m.Open(m.ctx, bob, reader.View(), pinned); !errors.Is(err, ErrStale) {
		t.Errorf("a version nobody holds: %v", err)
	}
	m.loses(writer)
}

func TestTouchAndRedirectionAreSeenAtOnce(t *testing.T) {
	m := newMount(t)
	m.flush(m.createMode(alice, "touched", OpenMode{Write: true}))
	if !m.isStored("touched") {
		t.Error("touch of a new file is not seen")
	}
	m.put("f", "text")
	m.flush(m.open(alice, "f", truncate))
	m.want("after : > f", m.stored("f"), "")
}

func TestFlushBeforeTheFirstByteWaitsIfAnotherDescriptorIsHeld(t *testing.T) {
	m := newMount(t)
	m.put("f", "text")
	h, created := m.open(alice, "f", truncate), m.createMode(alice, "new", OpenMode{Write: true})
	m.processes.hold(alice.Thread, true)
	m.flush(h)
	m.flush(created)
	m.want("deferred", m.stored("f"), "text")
	if m.isStored("new") {
		t.Error("the create was committed")
	}
	m.write(h, 0, "output")
	m.write(created, 0, "output")
	m.flush(h)
	m.want("with bytes", m.stored("f"), "output")
	m.processes.hold(alice.Thread, false)
	m.close(created)
	m.want("the new file", m.stored("new"), "output")
	h.Release(m.ctx)
}

// C8: with a second handle on the file the other descriptor may be that one's, and then nothing
// would commit before the daemon dies: the flush does not wait.
func TestFlushWaitsOnlyIfTheOtherDescriptorIsCertainlyItsOwn(t *testing.T) {
	m := newMount(t)
	m.put("f", "text")
	other, h := m.open(alice, "f", readWrite), m.open(alice, "f", truncate)
	m.processes.hold(alice.Thread, true)
	m.flush(h)
	m.want("after the flush", m.stored("f"), "")
	m.processes.hold(alice.Thread, false)
	h.Release(m.ctx)
	other.Release(m.ctx)
}

func TestDeferredFlushIsCommittedBeforeAnybodyLooks(t *testing.T) {
	look := map[string]func(m *mounted, h *Handle) error{
		"lookup": func(m *mounted, _ *Handle) error { _, err := m.Lookup(m.ctx, bob, m.Root(), "f"); return err },
		"lookup of what is committed": func(m *mounted, _ *Handle) error {
			_, err := m.LookupCommitted(m.ctx, bob, m.Root(), "f")
			return err
		},
		"open of what was looked up before": func(m *mounted, h *Handle) error {
			if _, _, err := m.Open(m.ctx, bob, h.View(), OpenMode{}); !errors.Is(err, ErrStale) {
				return fmt.Errorf("it is not stale: %w", err)
			}
			return nil
		},
		"release": func(m *mounted, h *Handle) error { h.Release(m.ctx); return nil },
	}
	first := map[string]func(m *mounted) *Handle{
		"of a new file": func(m *mounted) *Handle { return m.create(alice, "f") },
		"of a truncated one": func(m *mounted) *Handle {
			m.put("f", "text")
			return m.open(alice, "f", truncate)
		},
	}
	for what, f := range look {
		for whose, open := range first {
			t.Run(what+" "+whose, func(t *testing.T) {
				m := newMount(t)
				h := open(m)
				m.processes.hold(alice.Thread, true)
				m.flush(h)
				if err := f(m, h); err != nil {
					t.Fatal(err)
				}
				m.want("the file", m.stored("f"), "")
				m.processes.hold(alice.Thread, false)
				if what != "release" {
					m.close(h)
				}
			})
		}
	}
}

// C3: two that only truncate conflict like any other.
func TestC3TruncateOnlyLosesToo(t *testing.T) {
	m := newMount(t)
	m.put("f", "text")
	first, second := m.open(alice, "f", truncate), m.open(bob, "f", readWrite)
	if err := second.Truncate(m.ctx, 1); err != nil {
		t.Fatal(err)
	}
	m.close(first)
	c := m.loses(second)
	m.want("mine", m.side(c.ID, objstore.SideMine), "t")
	m.want("the file", m.stored("f"), "")
}

func TestC9SeveralDescriptorsOfOneHandle(t *testing.T) {
	m := newMount(t)
	m.put("f", "base")
	h := m.open(alice, "f", readWrite)
	m.write(h, 0, "parent")
	m.flush(h)
	if err := h.Flush(m.ctx, bob); err != nil {
		t.Errorf("flush by a child: %v", err)
	}
	m.write(h, 0, "child ")
	if err := h.Flush(m.ctx, bob); err != nil {
		t.Errorf("flush by a child: %v", err)
	}
	m.close(h)
	m.want("the file", m.stored("f"), "child ")
}

func TestC9AttributesAndNamesOfOthersNeverConflict(t *testing.T) {
	m := newMount(t)
	m.put("f", "base")
	h := m.open(alice, "f", readWrite)
	m.write(h, 0, "mine")
	mode, uid, mtime := uint32(0o600), uint32(7), time.Unix(1, 0)
	entry, err := m.Lookup(m.ctx, bob, m.Root(), "f")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.SetAttr(m.ctx, bob, entry.View, nil, Change{Mode: &mode, UID: &uid, Mtime: &mtime}); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Link(m.ctx, bob, entry.View, m.Root(), "g"); err != nil {
		t.Fatal(err)
	}
	if err := m.Unlink(m.ctx, bob, m.Root(), "f"); err != nil {
		t.Fatal(err)
	}
	m.rename(bob, "g", "h")
	m.close(h)
	m.want("the file", m.stored("h"), "mine")
	info, err := m.store.Lookup(m.ctx, m.Root(), "h")
	if err != nil || info.Attr.Mode != mode || info.Attr.UID != uid || info.Attr.Mtime.Equal(mtime) {
		t.Errorf("attributes %+v, %v", info.Attr, err)
	}
}

// What a read-only handle holds can be opened for writing by that when the name is gone: the writer goes its own
// way, as one who opened before.
func TestC9HeldVersionOfAnUnlinkedFileOpensDetached(t *testing.T) {
	m := newMount(t)
	m.put("committed", "base")
	pending := m.create(alice, "pending")
	for _, name := range []string{"committed", "pending"} {
		entry, err := m.LookupCommitted(m.ctx, bob, m.Root(), name)
		if err != nil {
			t.Fatal(err)
		}
		held, _, err := m.Open(m.ctx, bob, entry.View, OpenMode{Read: true, Pinned: true})
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Unlink(m.ctx, alice, m.Root(), name); err != nil {
			t.Fatal(err)
		}
		h, _, err := m.Open(m.ctx, bob, held.View(), OpenMode{Read: true, Write: true, Pinned: true})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		m.write(h, 0, "mine")
		m.close(h)
		held.Release(m.ctx)
		if m.isStored(name) {
			t.Errorf("%s is back", name)
		}
	}
	m.close(pending)
	if len(m.conflicts()) != 0 {
		t.Errorf("kept: %v", m.conflicts())
	}
}

// C1: a file that was committed and has lost its name is never taken for an empty one by who opens it to write just then: there
// is what was held of it, or nothing.
func TestC1CommittedFileWithoutANameIsNotEmpty(t *testing.T) {
	m := newMount(t)
	m.put("f", "text")
	m.put("new", "newer")
	held := m.open(bob, "f", OpenMode{Read: true, Pinned: true})
	if err := m.Rename(m.ctx, alice, m.Root(), "new", m.Root(), "f", objstore.RenameReplace); err != nil {
		t.Fatal(err)
	}
	mode := OpenMode{Read: true, Write: true, Pinned: true}
	if h, _, err := m.Open(m.ctx, bob, View{Object: held.View().Object}, mode); !errors.Is(err, ErrStale) {
		t.Errorf("nothing in particular of it: %v", err)
		m.want("read", m.read(h), "text")
	}
	h, _, err := m.Open(m.ctx, bob, held.View(), mode)
	if err != nil {
		t.Fatal(err)
	}
	m.want("what was held", m.read(h), "text")
	m.close(h)
	m.close(held)
	m.want("stored", m.stored("f"), "newer")
}

// A change of attributes that finds the file replaced under a writer's view is to look again; through an open
// file without a name it changes what its handles show.
func TestAttributesOfAWritersViewWhoseFileIsGone(t *testing.T) {
	w := newWorld(t)
	m, other := w.mount(Options{}), w.mount(Options{})
	m.put("f", "base")
	h := m.open(alice, "f", readWrite)
	if err := other.Unlink(m.ctx, bob, other.Root(), "f"); err != nil {
		t.Fatal(err)
	}
	mode := uint32(0o600)
	if attr, err := m.SetAttr(m.ctx, alice, h.View(), nil, Change{Mode: &mode}); err != nil || attr.Mode != mode {
		t.Errorf("while it is open: mode %o, %v", attr.Mode, err)
	}
	if _, err := m.GetXattr(m.ctx, alice, h.View(), "user.other"); KindOf(err) != ErrNoXattr {
		t.Errorf("getxattr while it is open: %v", err)
	}
	view := h.View()
	h.Release(m.ctx)
	if _, err := m.SetAttr(m.ctx, alice, view, nil, Change{Mode: &mode}); !errors.Is(err, ErrStale) {
		t.Errorf("chmod when it is closed: %v, want ErrStale", err)
	}
	if _, err := m.GetXattr(m.ctx, alice, view, xattrETag); !errors.Is(err, ErrStale) {
		t.Errorf("getxattr when it is closed: %v, want ErrStale", err)
	}
}

// meetingOpen lets something happen once the store has opened a version.
type meetingOpen struct {
	objstore.Namespace
	meet func()
}

func (o *meetingOpen) Open(ctx context.Context, id objstore.ID, v objstore.Version) (objstore.Reader, error) {
	r, err := o.Namespace.Open(ctx, id, v)
	if meet := o.meet; meet != nil {
		o.meet = nil
		meet()
	}
	return r, err
}

// An open for writing that finds the file goes its own way if the file is unlinked before the answer.
func TestC9UnlinkedWhileBeingOpenedGoesItsOwnWay(t *testing.T) {
	w := newWorld(t)
	store := &meetingOpen{Namespace: w.store}
	w.store = store
	m := w.mount(Options{})
	m.put("f", "base")
	entry, _ := m.walk(bob, "f")
	store.meet = func() {
		if err := m.Unlink(m.ctx, alice, m.Root(), "f"); err != nil {
			t.Error(err)
		}
	}
	h, _, err := m.Open(m.ctx, bob, entry.View, readWrite)
	if err != nil {
		t.Fatal(err)
	}
	m.write(h, 0, "mine")
	m.close(h)
	if m.isStored("f") || len(m.conflicts()) != 0 {
		t.Errorf("stored: %v, kept: %v", m.isStored("f"), m.conflicts())
	}
}
