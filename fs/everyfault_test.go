package fs

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/faultstore"
)

// TestEveryFaultIsToldHonestly lets every operation of the store fail, one in each run, before it is done,
// after, and in the middle of what is read. Whatever fails: a close that succeeds has stored its bytes; one that fails has
// left them in a kept copy; nobody is told ErrBusy who had no rival (C9), or whose bytes are not kept (C4); every file
// has one of the contents it was given, as a whole, also after the mount has ended; a check of the store, if it has one, finds
// nothing; and nothing of all that goes on.
func TestEveryFaultIsToldHonestly(t *testing.T) {
	for _, fault := range []struct {
		phase faultstore.Phase
		kind  objstore.Kind
	}{
		{faultstore.Before, objstore.ErrUnavailable},
		{faultstore.Before, objstore.ErrNoSpace},
		{faultstore.Before, objstore.ErrCorrupt},
		{faultstore.After, objstore.ErrUnknown},
		{faultstore.Body, objstore.ErrUnavailable},
		{faultstore.Body, objstore.ErrCorrupt},
	} {
		for n := int64(1); ; n++ {
			before := runtime.NumGoroutine()
			s := newFaultRun(t, faultstore.When(faultstore.Match{Phase: fault.phase, Nth: n}, faultstore.Fail(fault.kind)))
			s.name = fmt.Sprintf("operation %d, phase %v, %v", n, fault.phase, fault.kind)
			s.run()
			s.end(before)
			if n > s.operations.Load() || t.Failed() {
				t.Logf("%v, %v: %d operations", fault.phase, fault.kind, n)
				break
			}
		}
	}
}

// whole is a store with all its interfaces.
type whole interface {
	objstore.Store
	objstore.Namespace
}

// ending is a test whose stores end when they are told to, and not with it.
type ending struct {
	testing.TB
	last []func()
}

// Cleanup implements [testing.TB].
func (e *ending) Cleanup(f func()) { e.last = append(e.last, f) }

func (e *ending) run() {
	for _, f := range slices.Backward(e.last) {
		f()
	}
}

// faultRun is one run of the scenario.
type faultRun struct {
	*mounted
	inner whole // the store without faults
	ends  *ending
	rival *mounted // a mount of it
	name  string

	operations atomic.Int64
	struck     atomic.Bool
	keeps      atomic.Bool // the fault struck a keep
}

func newFaultRun(t *testing.T, fault faultstore.Injector) *faultRun {
	s := &faultRun{ends: &ending{TB: t}}
	s.inner = newStore(s.ends).(whole)
	watch := faultstore.Call("watch", func(ctx context.Context, op faultstore.Op) error {
		err := fault.Decide(ctx, op)
		if err != nil {
			s.struck.Store(true)
			if op.Kind == faultstore.OpKeep {
				s.keeps.Store(true)
			}
		}
		return err
	})
	clean := &world{t: t, ctx: context.Background(), store: s.inner}
	s.rival = clean.mount(Options{})
	s.rival.put("old", "old")
	armed := atomic.Bool{}
	faulty := faultstore.NewBucket(s.inner, s.inner, faultstore.Call("armed", func(ctx context.Context, op faultstore.Op) error {
		for n := s.operations.Load(); op.Nth > n && !s.operations.CompareAndSwap(n, op.Nth); n = s.operations.Load() {
		}
		if !armed.Load() {
			return nil
		}
		return watch.Decide(ctx, op)
	}))
	w := &world{t: t, ctx: context.Background(), store: faulty}
	s.mounted = w.mount(Options{})
	w.store = s.inner // what the test itself looks at
	armed.Store(true)
	return s
}

func (s *faultRun) run() {
	s.edit("new", readWrite, true, "fresh", false)
	s.edit("old", readWrite, false, "edited", false)
	s.edit("old", OpenMode{Write: true, Truncate: true}, false, "rewritten", false)
	s.edit("excl", OpenMode{Write: true, Exclusive: true}, true, "exclusive", false)
	s.edit("old", OpenMode{Write: true}, false, "lost, and longer than any", true)
	s.append()
	s.renameOpen()
	s.unlinkOpen()
	_, err := s.Mkdir(s.ctx, alice, s.Root(), "dir", 0o755)
	s.honest("mkdir", err)
	size := int64(2)
	if entry, err := s.Lookup(s.ctx, alice, s.Root(), "old"); err == nil {
		_, err = s.SetAttr(s.ctx, alice, entry.View, nil, Change{Size: &size})
		s.honest("truncate", err)
	}
	checkInvariants(s.t, s.FS)
}

// contentsOf are what each file may have, whichever of its commits was made last.
var contentsOf = map[string][]string{
	"old":    {"old", "edited", "rewritten", "rival", "rival again", "rival again+line"},
	"new":    {"", "fresh"},
	"excl":   {"", "exclusive"},
	"tmp":    {"", "renamed"},
	"target": {"", "renamed", "gonemed"},
}

// end closes the mount, and looks at what is left of it.
func (s *faultRun) end(goroutines int) {
	s.t.Helper()
	s.honest("end", s.FS.Close(s.ctx))
	for name, contents := range contentsOf {
		if !s.isStored(name) {
			continue
		}
		got := s.stored(name)
		if name == "old" && len(got) == 2 { // truncated, and before that any of them
			continue
		}
		if !slices.Contains(contents, got) {
			s.t.Errorf("%s: in the end %s is %q", s.name, name, got)
		}
	}
	if err := s.rival.FS.Close(s.ctx); err != nil {
		s.t.Errorf("%s: the end of the rival: %v", s.name, err)
	}
	s.ends.run()
	if now := goroutinesLeft(goroutines); now > goroutines {
		s.t.Errorf("%s: %d goroutines before, %d after", s.name, goroutines, now)
	}
}

// honest accepts an error only of a run with a fault, and only a plain one.
func (s *faultRun) honest(what string, err error) {
	s.t.Helper()
	if err == nil {
		return
	}
	if !s.struck.Load() || errors.Is(err, ErrBusy) || errors.Is(err, objstore.ErrPrecondition) {
		s.t.Errorf("%s: %s: %v", s.name, what, err)
	}
}

// edit opens or creates a file, writes text over it and closes it.
func (s *faultRun) edit(name string, mode OpenMode, create bool, text string, contended bool) {
	s.t.Helper()
	var h *Handle
	var err error
	if create {
		h, _, err = s.Create(s.ctx, alice, s.Root(), name, mode, 0o644)
	} else {
		h, err = s.tryOpen(alice, name, mode)
	}
	if err != nil {
		s.honest("open", err)
		return
	}
	defer h.Release(s.ctx)
	if _, err := h.WriteAt(s.ctx, []byte(text), 0, WriteMode{ClearSetID: true}); err != nil {
		s.honest("write", err)
		return
	}
	if contended {
		s.rival.put(name, "rival")
	}
	s.closed(h, h.Flush(s.ctx, alice), name, text, contended)
}

// closed checks what a flush answered.
func (s *faultRun) closed(h *Handle, err error, name, text string, contended bool) {
	s.t.Helper()
	switch {
	case err == nil:
		if contended {
			s.t.Errorf("%s: %s: a loser's close succeeded", s.name, name)
		} else if got := s.stored(name); got != text {
			s.t.Errorf("%s: %s: close succeeded and stored %q, want %q", s.name, name, got, text)
		}
		return
	case errors.Is(err, ErrBusy) && !contended:
		s.t.Errorf("%s: %s: a false conflict: %v", s.name, name, err)
	case !errors.Is(err, ErrBusy):
		s.honest("close", err)
	}
	if !s.isKept(text) && !(s.keeps.Load() && !errors.Is(err, ErrBusy)) {
		s.t.Errorf("%s: %s: %v, and %q is not kept", s.name, name, err, text)
	}
}

func (s *faultRun) isKept(text string) bool {
	for _, c := range s.conflicts() {
		if s.side(c.ID, objstore.SideMine) == text {
			return true
		}
	}
	return false
}

func (s *faultRun) append() {
	h, err := s.tryOpen(alice, "old", appending)
	if err != nil {
		s.honest("open", err)
		return
	}
	defer h.Release(s.ctx)
	before := s.stored("old")
	if _, err := h.WriteAt(s.ctx, []byte("+line"), 0, WriteMode{Append: true}); err != nil {
		s.honest("append", err)
		return
	}
	s.rival.put("old", "rival again")
	err = h.Flush(s.ctx, alice)
	if err == nil {
		s.want(s.name+": the log", s.stored("old"), "rival again+line")
		return
	}
	s.honest("append", err)
	if kept := s.isKept(before + "+line"); !kept && !s.keeps.Load() {
		s.t.Errorf("%s: %v, and the line is not kept", s.name, err)
	}
}

func (s *faultRun) renameOpen() {
	h, _, err := s.Create(s.ctx, alice, s.Root(), "tmp", readWrite, 0o644)
	if err != nil {
		s.honest("create", err)
		return
	}
	defer h.Release(s.ctx)
	if _, err := h.WriteAt(s.ctx, []byte("renamed"), 0, WriteMode{}); err != nil {
		s.honest("write", err)
		return
	}
	err = s.Rename(s.ctx, alice, s.Root(), "tmp", s.Root(), "target", objstore.RenameReplace)
	s.honest("rename", err)
	name := "target"
	if err != nil && !s.isStored(name) {
		name = "tmp"
	}
	s.closed(h, h.Flush(s.ctx, alice), name, "renamed", false)
}

func (s *faultRun) unlinkOpen() {
	h, err := s.tryOpen(alice, "target", readWrite)
	if err != nil {
		if !errors.Is(err, objstore.ErrNotFound) || !s.struck.Load() {
			s.honest("open", err)
		}
		return
	}
	defer h.Release(s.ctx)
	if _, err := h.WriteAt(s.ctx, []byte("gone"), 0, WriteMode{}); err != nil {
		s.honest("write", err)
		return
	}
	err = s.Unlink(s.ctx, alice, s.Root(), "target")
	s.honest("unlink", err)
	if err != nil {
		return // whether the name is gone is unknown, and so what close must say
	}
	if err := h.Flush(s.ctx, alice); err != nil {
		s.t.Errorf("%s: close of an unlinked file: %v", s.name, err)
	}
}
