package fs

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/etagfs/etagfs/objstore"
)

// faults is a namespace whose stages fail as asked.
type faults struct {
	objstore.Namespace
	commit  objstore.Kind // what a commit answers without doing it
	lost    objstore.Kind // what it answers after doing it
	keep    objstore.Kind
	stage   objstore.Kind // what NewStage answers
	sync    int
	between func() // runs before each commit
	after   func() // runs after each commit
}

func (w *world) withFaults() *faults {
	f := &faults{Namespace: w.store}
	w.store = f
	return f
}

func (f *faults) Sync(ctx context.Context) error {
	f.sync++
	return f.Namespace.Sync(ctx)
}

func (f *faults) NewStage(ctx context.Context, spec objstore.StageSpec) (objstore.Stage, error) {
	if f.stage != 0 {
		return nil, &objstore.Error{Op: "new stage", Kind: f.stage}
	}
	s, err := f.Namespace.NewStage(ctx, spec)
	return &faultyStage{s, f}, err
}

type faultyStage struct {
	objstore.Stage
	faults *faults
}

func (s *faultyStage) Commit(ctx context.Context, r objstore.CommitRequest) (objstore.CommitResult, error) {
	if s.faults.between != nil {
		s.faults.between()
	}
	if s.faults.commit != 0 {
		return objstore.CommitResult{}, &objstore.Error{Op: "commit", Kind: s.faults.commit}
	}
	if err := ctx.Err(); err != nil {
		return objstore.CommitResult{}, err
	}
	result, err := s.Stage.Commit(ctx, r)
	if err == nil && s.faults.lost != 0 {
		return objstore.CommitResult{}, &objstore.Error{Op: "commit", Kind: s.faults.lost}
	}
	if s.faults.after != nil {
		s.faults.after()
	}
	return result, err
}

func (s *faultyStage) Keep(ctx context.Context, c objstore.Conflict) (objstore.Conflict, error) {
	if s.faults.keep != 0 {
		return objstore.Conflict{}, &objstore.Error{Op: "keep", Kind: s.faults.keep}
	}
	return s.Stage.Keep(ctx, c)
}

func faulty(t *testing.T) (*mounted, *faults) {
	w := newWorld(t)
	f := w.withFaults()
	return w.mount(Options{}), f
}

func TestC4UnknownOutcomeIsKeptAndNeverRetried(t *testing.T) {
	for _, append := range []bool{false, true} {
		m, f := faulty(t)
		m.put("f", "base")
		h := m.open(alice, "f", OpenMode{Write: true, Append: append})
		m.write(h, 0, "mine")
		f.lost = objstore.ErrUnknown
		if err := h.Flush(m.ctx, alice); !errors.Is(err, objstore.ErrUnknown) || errors.Is(err, ErrBusy) {
			t.Fatalf("flush: %v", err)
		}
		f.lost = 0
		before := m.stored("f")
		m.write(h, 0, "more")
		if err := h.Flush(m.ctx, alice); !errors.Is(err, objstore.ErrUnknown) {
			t.Fatalf("second flush: %v", err)
		}
		h.Release(m.ctx)
		m.want("the file", m.stored("f"), before)
		all := m.conflicts()
		if len(all) != 1 || all[0].Reason != objstore.ReasonUnknown {
			t.Fatalf("kept: %+v", all)
		}
		want := "more"
		if append {
			want = "baseminemore"
		}
		m.want("mine", m.side(all[0].ID, objstore.SideMine), want)
		if lines := m.log.matching("commit failed"); len(lines) == 0 || !strings.Contains(lines[0], "level=ERROR") {
			t.Errorf("logged was %q", lines)
		}
	}
}

func TestUnclassifiedFailureOfACommitIsUnknown(t *testing.T) {
	m, f := faulty(t)
	h := m.create(alice, "f")
	m.write(h, 0, "mine")
	f.commit = 255 // of no known kind
	if err := h.Flush(m.ctx, alice); !errors.Is(err, objstore.ErrUnknown) {
		t.Fatalf("flush: %v", err)
	}
	f.commit = 0
	m.put("f", "the name is free again")
	h.Release(m.ctx)
	if all := m.conflicts(); len(all) != 1 || all[0].Reason != objstore.ReasonUnknown {
		t.Errorf("kept: %+v", all)
	}
}

func TestC4FailedCommitIsKeptAndTriedAgain(t *testing.T) {
	m, f := faulty(t)
	h := m.create(alice, "f")
	m.write(h, 0, "mine")
	f.commit = objstore.ErrNoSpace
	for range 2 {
		if err := h.Flush(m.ctx, alice); !errors.Is(err, objstore.ErrNoSpace) {
			t.Fatalf("flush: %v", err)
		}
	}
	all := m.conflicts()
	if len(all) != 1 || all[0].Reason != objstore.ReasonFailed || all[0].Path != "f" {
		t.Fatalf("kept: %+v", all)
	}
	m.want("mine", m.side(all[0].ID, objstore.SideMine), "mine")
	f.commit = 0
	m.close(h)
	m.want("the file", m.stored("f"), "mine")
	if all := m.conflicts(); len(all) != 0 {
		t.Errorf("still kept after the commit: %+v", all)
	}
}

func TestC4BytesThatCannotBeKeptAreNeverBusy(t *testing.T) {
	for kind, want := range map[objstore.Kind]objstore.Kind{
		objstore.ErrNoSpace: objstore.ErrNoSpace, objstore.ErrUnavailable: objstore.ErrUnavailable, objstore.ErrNotFound: objstore.ErrUnavailable,
	} {
		m, f := faulty(t)
		m.put("f", "base")
		h := m.open(alice, "f", readWrite)
		m.write(h, 0, "mine")
		m.put("f", "theirs")
		f.keep = kind
		err := h.Flush(m.ctx, alice)
		if objstore.KindOf(err) != want || KindOf(err) != 0 {
			t.Errorf("flush: %v, want %v", err, want)
		}
		h.Release(m.ctx)
	}
}

func TestC8FsyncIsDurableAndCloseVisible(t *testing.T) {
	for _, test := range []struct {
		name string
		mode DurabilityMode
		want []objstore.Durability
	}{
		{"fsync", DurableFsync, []objstore.Durability{objstore.Visible, objstore.Durable, objstore.Durable}},
		{"close", DurableClose, []objstore.Durability{objstore.Durable, objstore.Durable, objstore.Durable}},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			recorder := &durabilities{Namespace: w.store}
			w.store = recorder
			m := w.mount(Options{Durability: test.mode})
			h := m.create(alice, "f")
			m.write(h, 0, "1")
			m.flush(h)
			m.write(h, 0, "2")
			if err := h.Sync(m.ctx, alice); err != nil {
				t.Fatal(err)
			}
			synced := recorder.syncs
			if err := h.Sync(m.ctx, alice); err != nil || recorder.syncs != synced+1 {
				t.Errorf("fsync of a clean handle: %v, %d syncs of the store", err, recorder.syncs-synced)
			}
			m.close(h)
			h = m.open(alice, "f", OpenMode{Write: true, Sync: true})
			m.write(h, 0, "3")
			m.want("after an O_SYNC write", m.stored("f"), "3")
			m.close(h)
			if len(recorder.asked) != len(test.want) {
				t.Fatalf("asked for %v", recorder.asked)
			}
			for i, d := range recorder.asked {
				if d != test.want[i] {
					t.Errorf("commit %d asked for %v, want %v", i, d, test.want[i])
				}
			}
		})
	}
}

// durabilities records what commits ask for.
type durabilities struct {
	objstore.Namespace
	asked []objstore.Durability
	syncs int
}

func (d *durabilities) Sync(ctx context.Context) error {
	d.syncs++
	return d.Namespace.Sync(ctx)
}

func (d *durabilities) NewStage(ctx context.Context, spec objstore.StageSpec) (objstore.Stage, error) {
	s, err := d.Namespace.NewStage(ctx, spec)
	return &durabilityStage{s, d}, err
}

type durabilityStage struct {
	objstore.Stage
	recorder *durabilities
}

func (s *durabilityStage) Commit(ctx context.Context, r objstore.CommitRequest) (objstore.CommitResult, error) {
	s.recorder.asked = append(s.recorder.asked, r.Durability)
	return s.Stage.Commit(ctx, r)
}

func TestSyncWriteThatLosesSaysSo(t *testing.T) {
	m := newMount(t)
	m.put("f", "base")
	h := m.open(alice, "f", OpenMode{Write: true, Sync: true})
	m.put("f", "theirs")
	if n, err := h.WriteAt(m.ctx, []byte("mine"), 0, WriteMode{}); !errors.Is(err, ErrBusy) || n != 0 {
		t.Fatalf("write: %d, %v", n, err)
	}
	m.loses(h)
}

func TestC9CommitIgnoresInterrupts(t *testing.T) {
	m, _ := faulty(t)
	ctx, cancel := context.WithCancel(m.ctx)
	h := m.create(alice, "f")
	m.write(h, 0, "1")
	cancel()
	if err := h.Flush(ctx, alice); err != nil {
		t.Fatal(err)
	}
	m.write(h, 0, "2")
	if err := h.Sync(ctx, alice); err != nil {
		t.Fatal(err)
	}
	m.close(h)
	m.want("the file", m.stored("f"), "2")
}

func TestCommitInFlightElsewhereIsAskedAgain(t *testing.T) {
	m, f := faulty(t)
	h := m.create(alice, "f")
	m.write(h, 0, "text")
	asked := 0
	f.between = func() {
		asked++
		f.commit = objstore.ErrConflict
		if asked == 3 {
			f.commit = 0
		}
	}
	m.close(h)
	if asked != 3 {
		t.Errorf("asked %d times", asked)
	}
	m.want("the file", m.stored("f"), "text")
}

// The removal's answer and the commit's may cross: a commit that finds its file gone waits for
// removals of this mount that are under way.
func TestC9CommitThatMeetsAnUnlinkOfThisMountSucceeds(t *testing.T) {
	w := newWorld(t)
	slow := &slowUnlink{Namespace: w.store, removed: make(chan struct{}), answer: make(chan struct{}), refused: make(chan struct{})}
	w.store = slow
	m := w.mount(Options{})
	m.put("f", "base")
	h := m.open(alice, "f", readWrite)
	m.write(h, 0, "mine")
	unlinked, flushed := make(chan error), make(chan error)
	go func() { unlinked <- m.Unlink(m.ctx, bob, m.Root(), "f") }()
	<-slow.removed
	go func() { flushed <- h.Flush(m.ctx, alice) }()
	<-slow.refused
	close(slow.answer)
	if err := <-flushed; err != nil {
		t.Errorf("flush: %v", err)
	}
	if err := <-unlinked; err != nil {
		t.Error(err)
	}
	h.Release(m.ctx)
	if len(m.conflicts()) != 0 {
		t.Error("the unlinked file made a conflict")
	}
}

// slowUnlink answers an unlink only when told to, and tells when a commit was refused.
type slowUnlink struct {
	objstore.Namespace
	removed, answer, refused chan struct{}
}

func (s *slowUnlink) Unlink(ctx context.Context, dir objstore.ID, name string, cond objstore.Cond, d objstore.Durability) (objstore.RemoveResult, error) {
	result, err := s.Namespace.Unlink(ctx, dir, name, cond, d)
	s.removed <- struct{}{}
	<-s.answer
	return result, err
}

func (s *slowUnlink) NewStage(ctx context.Context, spec objstore.StageSpec) (objstore.Stage, error) {
	stage, err := s.Namespace.NewStage(ctx, spec)
	return &toldStage{stage, s}, err
}

type toldStage struct {
	objstore.Stage
	slow *slowUnlink
}

func (s *toldStage) Commit(ctx context.Context, r objstore.CommitRequest) (objstore.CommitResult, error) {
	result, err := s.Stage.Commit(ctx, r)
	if err != nil {
		close(s.slow.refused)
	}
	return result, err
}

// A commit that could not even be prepared has neither lost nor an unknown outcome.
func TestC9FailureToPrepareACommitIsNoConflict(t *testing.T) {
	for _, kind := range []objstore.Kind{objstore.ErrNotFound, objstore.ErrPrecondition, objstore.ErrUnknown, objstore.ErrNoSpace} {
		m, f := faulty(t)
		h := m.createMode(alice, "touched", writeOnly)
		f.stage = kind
		err := h.Flush(m.ctx, alice)
		if err == nil || errors.Is(err, ErrBusy) || errors.Is(err, objstore.ErrUnknown) || objstore.IsLostCondition(err) {
			t.Errorf("flush after %v: %v", kind, err)
		}
		f.stage = 0
		m.close(h)
		if !m.isStored("touched") || len(m.conflicts()) != 0 {
			t.Errorf("after %v: stored %v, kept %v", kind, m.isStored("touched"), m.conflicts())
		}
	}
}

func TestReleasedWriterNeverCommits(t *testing.T) {
	m, f := faulty(t)
	m.put("f", "base")
	h := m.open(alice, "f", readWrite)
	m.write(h, 0, "mine")
	f.commit = objstore.ErrNoSpace
	h.Release(m.ctx)
	f.commit = 0
	if err := h.tx.finish(m.ctx, alice, "close", objstore.Visible, untilTold); err != nil {
		t.Errorf("a commit after release: %v", err)
	}
	m.want("the file", m.stored("f"), "base")
	if all := m.conflicts(); len(all) != 1 || m.side(all[0].ID, objstore.SideMine) != "mine" {
		t.Errorf("kept: %+v", all)
	}
}

// A chmod that meets the commit of a pending create is in neither's way.
func TestC9ChmodDuringTheFirstCommitIsNotLost(t *testing.T) {
	m, f := faulty(t)
	h := m.create(alice, "f")
	m.write(h, 0, "text")
	mode, mtime := uint32(0o600), time.Unix(77, 0)
	done := make(chan error, 1)
	f.between = func() {
		f.between = nil
		go func() {
			_, err := m.SetAttr(m.ctx, bob, h.View(), nil, Change{Mode: &mode, Mtime: &mtime})
			done <- err
		}()
		for range 1000 { // let it come as far as it can
			runtime.Gosched()
		}
	}
	m.flush(h)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if attr := m.storedAttr("f"); attr.Mode != mode || !attr.Mtime.Equal(mtime) {
		t.Errorf("%+v", attr)
	}
	m.close(h)
}

func TestC4DirectoryMadeElsewhereAtAPendingName(t *testing.T) {
	w := newWorld(t)
	m, other := w.mount(Options{}), w.mount(Options{})
	h := m.create(alice, "name")
	m.write(h, 0, "mine")
	if _, err := other.Mkdir(w.ctx, bob, other.Root(), "name", 0o755); err != nil {
		t.Fatal(err)
	}
	c := m.loses(h)
	w.want("mine", w.side(c.ID, objstore.SideMine), "mine")
}

// C1, C4: what nobody has closed is not published when the mount ends, nor is it lost.
func TestCloseOfTheMountKeepsWhatIsOpen(t *testing.T) {
	m := newMount(t)
	m.put("f", "base")
	m.put("g", "base")
	m.put("log", "one")
	pending, loser, half := m.create(alice, "new"), m.open(bob, "f", readWrite), m.open(bob, "g", readWrite)
	appender := m.open(bob, "log", OpenMode{Write: true, Append: true})
	m.write(pending, 0, "text")
	m.write(loser, 0, "mine")
	m.write(half, 0, "half")
	if _, err := appender.WriteAt(m.ctx, []byte("two"), 0, WriteMode{Append: true}); err != nil {
		t.Fatal(err)
	}
	m.put("f", "theirs")
	if err := m.Close(m.ctx); err != nil {
		t.Errorf("close: %v", err)
	}
	if _, err := m.ns.Lookup(m.ctx, m.Root(), "new"); !errors.Is(err, objstore.ErrNotFound) {
		t.Errorf("the pending file: %v", err)
	}
	m.want("the loser's", m.stored("f"), "theirs")
	m.want("the half", m.stored("g"), "base")
	m.want("the log", m.stored("log"), "onetwo")
	all := m.conflicts()
	for _, c := range all {
		if c.Operation != "unmount" {
			t.Errorf("kept: %+v", c)
		}
	}
	if len(all) != 3 {
		t.Errorf("%d kept: %+v", len(all), all)
	}
	if _, _, err := m.Create(m.ctx, alice, m.Root(), "late", readWrite, 0o644); !errors.Is(err, objstore.ErrClosed) {
		t.Errorf("create after close: %v", err)
	}
}

func TestReadOnlyMountRefusesChanges(t *testing.T) {
	w := newWorld(t)
	w.mount(Options{}).put("f", "text")
	m := w.mount(Options{ReadOnly: true})
	f, err := m.walk(alice, "f")
	if err != nil {
		t.Fatal(err)
	}
	size := int64(0)
	_, _, create := m.Create(m.ctx, alice, m.Root(), "x", readWrite, 0o644)
	_, mkdir := m.Mkdir(m.ctx, alice, m.Root(), "x", 0o755)
	_, truncated := m.SetAttr(m.ctx, alice, f.View, nil, Change{Size: &size})
	_, link := m.Link(m.ctx, alice, f.View, m.Root(), "x")
	_, _, open := m.Open(m.ctx, alice, f.View, readWrite)
	for what, err := range map[string]error{
		"create": create, "mkdir": mkdir, "truncate": truncated, "link": link, "open": open,
		"unlink": m.Unlink(m.ctx, alice, m.Root(), "f"), "rmdir": m.Rmdir(m.ctx, alice, m.Root(), "f"),
		"rename": m.Rename(m.ctx, alice, m.Root(), "f", m.Root(), "g", objstore.RenameReplace),
	} {
		if !errors.Is(err, objstore.ErrReadOnly) {
			t.Errorf("%s: %v", what, err)
		}
	}
	m.want("reading", m.cat(alice, "f"), "text")
}
