package fs

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/etagfs/etagfs/objstore"
)

func TestAppendersAreMergedNotRefused(t *testing.T) {
	w := newWorld(t)
	a, b := w.mount(Options{}), w.mount(Options{})
	a.put("log", "start\n")
	first, second := a.open(alice, "log", appending), b.open(bob, "log", appending)
	a.write(first, 0, "first 1\n")
	b.write(second, 0, "second 1\n")
	b.flush(second)
	a.flush(first)
	a.write(first, 0, "first 2\n")
	a.flush(first)
	b.write(second, 0, "second 2\n")
	b.close(second)
	a.close(first)
	w.want("the log", w.stored("log"), "start\nsecond 1\nfirst 1\nfirst 2\nsecond 2\n")
	if len(w.conflicts()) != 0 {
		t.Error("a merged append was kept as well")
	}
	if !a.kernel.told("rebased", "") {
		t.Error("the kernel was not told that the writer's bytes have moved")
	}
}

func TestRebasedAppenderReadsTheMergedFile(t *testing.T) {
	m := newMount(t)
	m.put("log", "start\n")
	h := m.open(alice, "log", OpenMode{Read: true, Write: true, Append: true})
	m.write(h, 0, "mine\n")
	m.put("log", "rewritten and longer\n")
	m.flush(h)
	m.want("the handle", m.read(h), "rewritten and longer\nmine\n")
	m.write(h, 0, "again\n")
	m.close(h)
	m.want("the log", m.stored("log"), "rewritten and longer\nmine\nagain\n")
}

func TestOnlyPureAppendsAreMerged(t *testing.T) {
	for _, test := range []struct {
		name   string
		mode   AppendMode
		change func(m *mounted, h *Handle) error
	}{
		{"strict", AppendStrict, func(m *mounted, h *Handle) error { return nil }},
		{"a write at an offset", AppendRebase, func(m *mounted, h *Handle) error {
			_, err := h.WriteAt(m.ctx, []byte("X"), 0, WriteMode{})
			return err
		}},
		{"a truncation", AppendRebase, func(m *mounted, h *Handle) error { return h.Truncate(m.ctx, 1) }},
		{"an allocation", AppendRebase, func(m *mounted, h *Handle) error { return h.Allocate(m.ctx, 0, 9, objstore.PunchHole, false) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := newWorld(t).mount(Options{Append: test.mode})
			m.put("log", "start\n")
			h := m.open(alice, "log", appending)
			m.write(h, 0, "mine\n")
			if err := test.change(m, h); err != nil {
				t.Fatal(err)
			}
			m.put("log", "theirs\n")
			m.loses(h)
			m.want("the log", m.stored("log"), "theirs\n")
		})
	}
}

func TestTruncatingOpenIsNoAppend(t *testing.T) {
	m := newMount(t)
	m.put("log", "start\n")
	h := m.open(alice, "log", OpenMode{Write: true, Append: true, Truncate: true})
	m.write(h, 0, "mine\n")
	m.put("log", "theirs\n")
	m.loses(h)
}

func TestAppendToAnUnlinkedOrReplacedFileIsBusy(t *testing.T) {
	m := newMount(t)
	for name, elsewhere := range map[string]func(){
		"unlinked": func() {
			if _, err := m.store.Unlink(m.ctx, m.Root(), "unlinked", objstore.Unconditional(), objstore.Visible); err != nil {
				t.Fatal(err)
			}
		},
		"replaced": func() {
			m.put("other", "other")
			_, err := m.store.Move(m.ctx, objstore.MoveRequest{
				Parent: m.Root(), Name: "other", Cond: objstore.Unconditional(),
				NewParent: m.Root(), NewName: "replaced", NewCond: objstore.Unconditional(),
			})
			if err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			m.put(name, "start\n")
			h := m.open(alice, name, appending)
			m.write(h, 0, "mine\n")
			elsewhere()
			c := m.loses(h)
			m.want("mine", m.side(c.ID, objstore.SideMine), "start\nmine\n")
		})
	}
}

// 64 appenders, half of them on another mount: C3's one exception loses and doubles no line.
func TestC3AppendersLoseNoLine(t *testing.T) {
	const writers, lines = 64, 20
	w := newWorld(t)
	mounts := []*mounted{w.mount(Options{}), w.mount(Options{})}
	mounts[0].put("log", "")
	var wait sync.WaitGroup
	for i := range writers {
		m := mounts[i%2]
		h := m.open(Caller{UID: 1, Thread: uint32(1000 + 100*i)}, "log", appending)
		wait.Go(func() {
			for n := range lines {
				line := fmt.Sprintf("%d %d\n", i, n)
				if _, err := h.WriteAt(w.ctx, []byte(line), 0, WriteMode{Append: true}); err != nil {
					t.Error(err)
				}
				if err := h.Flush(w.ctx, h.opener()); err != nil {
					t.Error(err)
				}
			}
			h.Release(w.ctx)
		})
	}
	wait.Wait()
	text := w.stored("log")
	got := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	next := make([]int, writers)
	for _, line := range got {
		var i, n int
		if _, err := fmt.Sscanf(line, "%d %d", &i, &n); err != nil || next[i] != n {
			t.Fatalf("line %q comes where %d was due", line, next[i])
		}
		next[i]++
	}
	if len(got) != writers*lines {
		t.Errorf("%d lines, want %d", len(got), writers*lines)
	}
}

func TestPendingAppendersOfOneFileAreMerged(t *testing.T) {
	m := newMount(t)
	first := m.createMode(alice, "log", appending)
	second := m.open(bob, "log", appending)
	m.write(first, 0, "first\n")
	m.write(second, 0, "second\n")
	m.close(second)
	m.close(first)
	m.want("the log", m.stored("log"), "second\nfirst\n")
}

func TestAutocommitShowsALogWhileItIsWritten(t *testing.T) {
	m := newMount(t)
	m.put("log", "start\n")
	h := m.open(alice, "log", appending)
	plain := m.create(alice, "plain")
	m.write(plain, 0, "text")
	m.write(h, 0, "line\n")
	m.ticks <- time.Time{}
	m.ticks <- time.Time{} // the first has been worked on when the second is taken
	m.want("the log", m.stored("log"), "start\nline\n")
	if m.isStored("plain") {
		t.Error("a handle that does not append was committed")
	}
	m.close(h)
	m.close(plain)
}

// C2's exception: with follow=append a reader sees the file grow.
func TestC2ReaderSeesAppendsAndNothingElse(t *testing.T) {
	for _, test := range []struct {
		name    string
		follow  FollowMode
		grown   string
		regrown string
	}{
		{"append", FollowAppend, "start\none\n", "start\none\ntwo\n"},
		{"none", FollowNone, "start\n", "start\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := newWorld(t).mount(Options{Follow: test.follow})
			m.put("log", "start\n")
			reader := m.open(bob, "log", readOnly)
			h := m.open(alice, "log", appending)
			m.write(h, 0, "one\n")
			m.flush(h)
			m.want("after an append", m.read(reader), test.grown)
			attr, err := reader.Attr(m.ctx)
			if err != nil || attr.Size != int64(len(test.grown)) {
				t.Errorf("size %d, %v", attr.Size, err)
			}
			m.write(h, 0, "two\n")
			m.close(h)
			m.want("after another", m.read(reader), test.regrown)
			m.put("log", "START")
			appender := m.open(alice, "log", appending)
			m.write(appender, 0, " again")
			m.close(appender)
			m.want("after a rewrite", m.read(reader), test.regrown)
			reader.Release(m.ctx)
		})
	}
}

// C2: what a reader could already read stays while it grows.
func TestC2GrowingReaderNeverSeesBytesChange(t *testing.T) {
	m := newMount(t)
	m.put("log", "")
	h := m.open(alice, "log", appending)
	done := make(chan struct{})
	var wait sync.WaitGroup
	for range 4 {
		reader := m.open(bob, "log", readOnly)
		wait.Go(func() {
			seen := ""
			for {
				select {
				case <-done:
					reader.Release(m.ctx)
					return
				default:
				}
				p := make([]byte, 1<<16)
				n, err := reader.ReadAt(m.ctx, p, 0)
				if err != nil || !strings.HasPrefix(string(p[:n]), seen) {
					t.Errorf("read %d bytes after %d, or others: %v", n, len(seen), err)
				}
				seen = string(p[:n])
			}
		})
	}
	for i := range 500 {
		m.write(h, 0, fmt.Sprintf("line %d\n", i))
		m.flush(h)
	}
	reader := m.open(bob, "log", readOnly)
	m.want("the end", m.read(reader)[len(m.read(reader))-9:], "line 499\n")
	close(done)
	wait.Wait()
	m.close(h)
}

// Commits that come faster than readers can be moved on do not leave them behind.
func TestGrowthCatchesUp(t *testing.T) {
	m := newMount(t)
	m.put("log", "0")
	reader := m.open(bob, "log", readOnly)
	other := newMountOf(m.world)
	m.notices.draining.Lock() // this mount is slow to hear of commits
	h := other.open(alice, "log", appending)
	for i := 1; i <= 5; i++ {
		other.write(h, 0, fmt.Sprint(i))
		other.flush(h)
	}
	m.notices.draining.Unlock()
	m.notices.drain(m.ctx)
	m.want("the reader", m.read(reader), "012345")
	m.kernel.mu.Lock()
	defer m.kernel.mu.Unlock()
	opened := View{Object: reader.View().Object, Version: firstVersion(m.kernel.calls)}
	if !slices.ContainsFunc(m.kernel.calls, func(c kernelCall) bool {
		return c.what == "committed" && c.old == opened && c.new == reader.View() && c.appended && c.size == 6
	}) {
		t.Errorf("the kernel was not told that %v grew into %v: %+v", opened, reader.View(), m.kernel.calls)
	}
}

// firstVersion is what the first appending commit replaced.
func firstVersion(calls []kernelCall) objstore.Version {
	for _, c := range calls {
		if c.what == "committed" && c.old.Version != "" {
			return c.old.Version
		}
	}
	return ""
}

func newMountOf(w *world) *mounted { return w.mount(Options{}) }

func TestAppendThatCannotBeKeptIsNotBusy(t *testing.T) {
	w := newWorld(t)
	faults := w.withFaults()
	m := w.mount(Options{Append: AppendStrict})
	m.put("log", "start\n")
	h := m.open(alice, "log", appending)
	m.write(h, 0, "mine\n")
	m.put("log", "theirs\n")
	faults.keep = objstore.ErrNoSpace
	if err := h.Flush(m.ctx, alice); !errors.Is(err, objstore.ErrNoSpace) || errors.Is(err, ErrBusy) {
		t.Fatalf("flush: %v, want no space", err)
	}
	if lines := m.log.matching("kept=\"not yet: "); len(lines) != 1 {
		t.Errorf("logged %q", lines)
	}
	faults.keep = 0
	c := m.loses(h)
	m.want("mine", m.side(c.ID, objstore.SideMine), "start\nmine\n")
}

// "exec 9> lock" of many shells: nobody's content is lost by emptying what is empty.
func TestC3EmptyingAnEmptyFileLosesNothing(t *testing.T) {
	m := newMount(t)
	m.put("lock", "")
	a, b, c := m.open(alice, "lock", truncate), m.open(bob, "lock", truncate), m.open(bob, "lock", truncate)
	d := m.open(bob, "lock", truncate)
	m.close(a)
	m.close(b)
	m.write(c, 0, "text")
	m.loses(c) // it has bytes to lose
	m.put("lock", "filled")
	m.loses(d)
	m.want("stored", m.stored("lock"), "filled")
}

// Who opens a log to append while another is about to make it has no file before, and loses nothing to the other.
func TestAppendersThatMakeTheFileAreMerged(t *testing.T) {
	m := newMount(t)
	first, second, third := m.createMode(alice, "log", appending), m.open(bob, "log", appending), m.open(bob, "log", appending)
	m.write(first, 0, "first\n")
	m.write(second, 0, "second\n")
	m.close(first)
	m.flush(third) // as a shell does before a redirected command writes
	m.close(second)
	m.write(third, 0, "third\n")
	m.close(third)
	m.want("the log", m.stored("log"), "first\nsecond\nthird\n")
}

// C3: who has made a file and written nothing loses nothing when another writes it first, until it writes.
func TestFileThatIsOnlyMadeIsLeftToWhoWritesIt(t *testing.T) {
	m := newMount(t)
	maker, writer := m.create(alice, "f"), m.open(bob, "f", OpenMode{Write: true})
	m.write(writer, 0, "written")
	m.close(writer)
	m.flush(maker)
	m.want("the file", m.stored("f"), "written")
	m.write(maker, 0, "late")
	m.loses(maker)
	m.want("the file", m.stored("f"), "written")
}

// C5: an fsync that finds everything committed, in the background a moment ago, is answered once the kernel was told of that as well.
func TestC5SyncWaitsForWhatTheBackgroundHasCommitted(t *testing.T) {
	m := newMount(t)
	m.notices.locked = time.Hour // this test may take its time
	begun, let := make(chan struct{}), make(chan struct{})
	var once sync.Once
	m.put("f", "base")
	h := m.open(alice, "f", appending)
	m.kernel.busy = func() {
		once.Do(func() { close(begun) })
		<-let
	}
	m.write(h, 0, "more")
	m.ticks <- time.Time{}
	<-begun
	synced := make(chan error, 1)
	go func() { synced <- h.Sync(m.ctx, alice) }()
	for range 1000 { // it goes as far as it can
		runtime.Gosched()
	}
	select {
	case err := <-synced:
		t.Errorf("answered before the kernel was told: %v", err)
		close(let)
	default:
		close(let)
		if err := <-synced; err != nil {
			t.Error(err)
		}
	}
	m.close(h)
}

// A rename or a link that cannot be done does not make an appender lose whose bytes go behind what others have committed meanwhile.
func TestAppenderDoesNotLoseByARenameOrLinkThatIsRefused(t *testing.T) {
	for name, change := range map[string]func(m *mounted, h *Handle) error{
		"rename": func(m *mounted, _ *Handle) error {
			return m.Rename(m.ctx, alice, m.Root(), "log", m.Root(), "taken", objstore.RenameNoReplace)
		},
		"link": func(m *mounted, h *Handle) error {
			_, err := m.Link(m.ctx, alice, h.View(), m.Root(), "taken")
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMount(t)
			m.put("taken", "")
			m.put("log", "start\n")
			h := m.open(alice, "log", appending)
			m.write(h, 0, "mine\n")
			m.put("log", "start\ntheirs\n")
			if err := change(m, h); !errors.Is(err, ErrExists) {
				t.Errorf("%s to a name that is taken: %v", name, err)
			}
			m.close(h)
			m.want("the log", m.stored("log"), "start\ntheirs\nmine\n")
			if n := len(m.conflicts()); n != 0 {
				t.Errorf("%d copies are kept", n)
			}
		})
	}
}

// opening is a namespace of which an open of what is current is preceded by something else, once.
type opening struct {
	objstore.Namespace
	before func()
}

func (o *opening) Open(ctx context.Context, id objstore.ID, v objstore.Version) (objstore.Reader, error) {
	if before := o.before; before != nil && v == "" {
		o.before = nil
		before()
	}
	return o.Namespace.Open(ctx, id, v)
}

// POSIX: the bytes of an appender whose file is unlinked in this mount go with it, also if that comes while they are put behind those of others.
func TestAppenderOfAFileUnlinkedMeanwhileDoesNotLose(t *testing.T) {
	w := newWorld(t)
	store := &opening{Namespace: w.store}
	w.store = store
	m := w.mount(Options{})
	m.put("log", "start\n")
	h := m.open(alice, "log", appending)
	m.write(h, 0, "mine\n")
	m.put("log", "start\ntheirs\n")
	store.before = func() {
		if err := m.Unlink(m.ctx, bob, m.Root(), "log"); err != nil {
			t.Error(err)
		}
	}
	m.close(h)
	if store.before != nil {
		t.Error("nothing was put behind anything: this shows nothing")
	}
	if n := len(m.conflicts()); n != 0 {
		t.Errorf("%d copies are kept of what was unlinked", n)
	}
}

// As on other file systems, a write takes a file's capabilities, also that of an appender which went on with what another has made of the file.
func TestAppenderThatWentOnWithAFileTakesItsCapabilities(t *testing.T) {
	m := newMount(t)
	h := m.createMode(alice, "f", appending)
	other, _, err := m.Open(m.ctx, bob, View{Object: h.file.id}, readWrite)
	if err != nil {
		t.Fatal(err)
	}
	m.close(other)
	view := View{Object: h.file.id, Version: other.Base()}
	if err := m.SetXattr(m.ctx, root, view, xattrCapability, []byte("capable"), XattrMode{}); err != nil {
		t.Fatal(err)
	}
	m.flush(h)
	m.write(h, 0, "text")
	m.close(h)
	m.want("the file", m.stored("f"), "text")
	if info, err := m.store.Lookup(m.ctx, m.Root(), "f"); err != nil || len(info.Xattrs) > 0 {
		t.Errorf("it has %q: %v", info.Xattrs, err)
	}
}
