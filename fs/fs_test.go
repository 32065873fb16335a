package fs

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/etagfs/etagfs/objstore"
)

// The callers of the tests: two users, the first with two processes, one of two threads.
var (
	alice       = Caller{UID: 1000, GID: 1000, Thread: 100}
	aliceThread = Caller{UID: 1000, GID: 1000, Thread: 101}
	aliceOther  = Caller{UID: 1000, GID: 1000, Thread: 200}
	bob         = Caller{UID: 2000, GID: 2000, Thread: 300}
	root        = Caller{Thread: 400}
	nobody      = Caller{UID: 1000, GID: 1000} // in another pid namespace
)

// world is a store with one or more mounts of it.
type world struct {
	t     *testing.T
	ctx   context.Context
	store objstore.Namespace
}

func newWorld(t *testing.T) *world {
	return &world{t: t, ctx: context.Background(), store: newStore(t)}
}

// mounted is a mount in a test.
type mounted struct {
	*world
	*FS
	kernel    *recordingKernel
	processes *fakeProcesses
	log       *logLines
	ticks     chan time.Time // for autocommit
	storing   chan time.Time // of atimes
	later     atomic.Int64   // nanoseconds its clock is ahead
}

func (w *world) mount(options Options) *mounted {
	m := &mounted{
		world: w, kernel: &recordingKernel{}, processes: &fakeProcesses{holding: map[uint32]bool{}},
		log: &logLines{}, ticks: make(chan time.Time), storing: make(chan time.Time),
	}
	config := Config{
		Namespace: w.store, Options: options, Processes: m.processes, Kernel: m.kernel, Host: "testhost",
		Logger: slog.New(slog.NewTextHandler(m.log, nil)),
		Clock:  func() time.Time { return time.Now().Add(time.Duration(m.later.Load())) },
		Tick: func(every time.Duration) (<-chan time.Time, func()) {
			if every == accessInterval {
				return m.storing, func() {}
			}
			return m.ticks, func() {}
		},
	}
	var err error
	m.FS, err = New(w.ctx, config)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		checkInvariants(w.t, m.FS)
		if err := m.Close(w.ctx); err != nil && !errors.Is(err, ErrBusy) {
			w.t.Errorf("close: %v", err)
		}
	})
	return m
}

// newMount is one mount of a new store.
func newMount(t *testing.T) *mounted { return newWorld(t).mount(Options{}) }

// fakeProcesses has threads 100-199 in process 100, and so on.
type fakeProcesses struct {
	mu      sync.Mutex
	holding map[uint32]bool // threads whose process holds another descriptor
}

func (p *fakeProcesses) ThreadGroup(thread uint32) (uint32, bool) {
	return thread / 100 * 100, thread != 0
}

func (p *fakeProcesses) HoldsOther(thread uint32, _ objstore.ID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.holding[thread]
}

func (p *fakeProcesses) hold(thread uint32, holds bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.holding[thread] = holds
}

func (p *fakeProcesses) Groups(uint32) []uint32 { return nil }

func (p *fakeProcesses) Started(process uint32) (uint64, bool) { return uint64(process), process != 0 }

func (p *fakeProcesses) Name(process uint32) string { return "program" }

// recordingKernel writes down what it is told.
type recordingKernel struct {
	busy func() // constant: called before it takes note of a commit, if not nil

	mu    sync.Mutex
	calls []kernelCall
	lost  []Attr // of what lost a name
}

type kernelCall struct {
	what     string
	old, new View
	appended bool
	object   objstore.ID
	name     string
	size     int64
}

func (k *recordingKernel) record(c kernelCall) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.calls = append(k.calls, c)
}

func (k *recordingKernel) Committed(old, new View, appended bool, size int64) {
	if k.busy != nil {
		k.busy()
	}
	k.record(kernelCall{what: "committed", old: old, new: new, appended: appended, size: size})
}
func (k *recordingKernel) Rebased(v View, offset int64) {
	k.record(kernelCall{what: "rebased", old: v, size: offset})
}
func (k *recordingKernel) Lost(a Attr) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.lost = append(k.lost, a)
}

func (k *recordingKernel) AttrChanged(o objstore.ID) { k.record(kernelCall{what: "attr", object: o}) }
func (k *recordingKernel) DirTimesChanged(dir objstore.ID) {
	k.record(kernelCall{what: "times", object: dir})
}
func (k *recordingKernel) EntryGone(dir objstore.ID, name string, o objstore.ID) {
	k.record(kernelCall{what: "gone", object: dir, name: name})
}
func (k *recordingKernel) EntryCame(dir objstore.ID, name string) {
	k.record(kernelCall{what: "came", object: dir, name: name})
}

func (k *recordingKernel) EntryMoving(dir objstore.ID, name string) func() {
	k.record(kernelCall{what: "moving", object: dir, name: name})
	return func() { k.record(kernelCall{what: "moved", object: dir, name: name}) }
}

func (k *recordingKernel) told(what, name string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.ContainsFunc(k.calls, func(c kernelCall) bool { return c.what == what && (name == "" || c.name == name) })
}

// logLines collects a log.
type logLines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logLines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logLines) matching(part string) (lines []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.text.String()) {
		if strings.Contains(line, part) {
			lines = append(lines, line)
		}
	}
	return lines
}

// The verbs of the tests. All fail the test if the operation fails.

func (m *mounted) create(c Caller, name string) *Handle {
	m.t.Helper()
	return m.createMode(c, name, OpenMode{Read: true, Write: true})
}

func (m *mounted) createMode(c Caller, name string, mode OpenMode) *Handle {
	m.t.Helper()
	h, _, err := m.Create(m.ctx, c, m.Root(), name, mode, 0o644)
	if err != nil {
		m.t.Fatalf("create %s: %v", name, err)
	}
	return h
}

// open opens as the kernel does: lookup, open, and once more if the view was stale.
func (m *mounted) open(c Caller, name string, mode OpenMode) *Handle {
	m.t.Helper()
	h, err := m.tryOpen(c, name, mode)
	if err != nil {
		m.t.Fatalf("open %s: %v", name, err)
	}
	return h
}

func (m *mounted) tryOpen(c Caller, name string, mode OpenMode) (*Handle, error) {
	entry, err := m.Lookup(m.ctx, c, m.Root(), name)
	if err != nil {
		return nil, err
	}
	h, _, err := m.Open(m.ctx, c, entry.View, mode)
	if !errors.Is(err, ErrStale) {
		return h, err
	}
	again := m.Lookup
	if mode.Write {
		again = m.LookupCommitted
	}
	if entry, err = again(m.ctx, c, m.Root(), name); err != nil {
		return nil, err
	}
	mode.Current = true
	h, _, err = m.Open(m.ctx, c, entry.View, mode)
	return h, err
}

var (
	readOnly  = OpenMode{Read: true}
	readWrite = OpenMode{Read: true, Write: true}
	writeOnly = OpenMode{Write: true}
	truncate  = OpenMode{Write: true, Truncate: true}
	appending = OpenMode{Write: true, Append: true}
)

func (m *mounted) write(h *Handle, off int64, text string) {
	m.t.Helper()
	if n, err := h.WriteAt(m.ctx, []byte(text), off, WriteMode{Append: h.Mode().Append}); err != nil || n != len(text) {
		m.t.Fatalf("write %q: %d, %v", text, n, err)
	}
}

func (m *mounted) read(h *Handle) string {
	m.t.Helper()
	size, err := h.size()
	if err != nil {
		m.t.Fatalf("size: %v", err)
	}
	p := make([]byte, size+100)
	n, err := h.ReadAt(m.ctx, p, 0)
	if err != nil {
		m.t.Fatalf("read: %v", err)
	}
	return string(p[:n])
}

func (m *mounted) flush(h *Handle) {
	m.t.Helper()
	if err := h.Flush(m.ctx, h.opener()); err != nil {
		m.t.Fatalf("flush: %v", err)
	}
}

func (h *Handle) opener() Caller {
	if h.tx != nil {
		return h.tx.opener
	}
	return alice
}

// close is close(2) of the only descriptor.
func (m *mounted) close(h *Handle) {
	m.t.Helper()
	m.flush(h)
	h.Release(m.ctx)
}

// loses closes a handle that must lose, and returns what is kept.
func (m *mounted) loses(h *Handle) objstore.Conflict {
	m.t.Helper()
	err := h.Flush(m.ctx, h.opener())
	if !errors.Is(err, ErrBusy) {
		m.t.Fatalf("flush of the loser: %v, want ErrBusy", err)
	}
	h.Release(m.ctx)
	var e *Error
	if !errors.As(err, &e) || e.Kept == "" {
		m.t.Fatalf("%v does not say where the bytes are", err)
	}
	c, err := m.store.Conflict(m.ctx, e.Kept)
	if err != nil {
		m.t.Fatalf("kept copy %s: %v", e.Kept, err)
	}
	return c
}

// side is the content of a side of a conflict.
func (w *world) side(id objstore.ConflictID, side objstore.ConflictSide) string {
	w.t.Helper()
	r, err := w.store.OpenConflict(w.ctx, id, side)
	if err != nil {
		w.t.Fatalf("side %d of %s: %v", side, id, err)
	}
	defer r.Close()
	return w.all(r)
}

func (w *world) all(r objstore.Reader) string {
	w.t.Helper()
	body := r.Stream(w.ctx, 0, -1)
	defer body.Close()
	text, err := io.ReadAll(body)
	if err != nil {
		w.t.Fatal(err)
	}
	return string(text)
}

// put is a file with a content, committed through the mount.
func (m *mounted) put(name, text string) {
	m.t.Helper()
	h, _, err := m.Create(m.ctx, root, m.Root(), name, OpenMode{Read: true, Write: true}, 0o666)
	if errors.Is(err, ErrStale) {
		h = m.open(root, name, truncate)
	} else if err != nil {
		m.t.Fatal(err)
	}
	m.write(h, 0, text)
	m.close(h)
}

// stored is what the store has at a name of the root.
func (w *world) stored(name string) string {
	w.t.Helper()
	info, err := w.store.Lookup(w.ctx, w.store.Root(), name)
	if err != nil {
		w.t.Fatalf("the store has no %s: %v", name, err)
	}
	r, err := w.store.Open(w.ctx, info.ID, "")
	if err != nil {
		w.t.Fatal(err)
	}
	defer r.Close()
	return w.all(r)
}

func (w *world) isStored(name string) bool {
	w.t.Helper()
	_, err := w.store.Lookup(w.ctx, w.store.Root(), name)
	if err != nil && !errors.Is(err, objstore.ErrNotFound) {
		w.t.Fatal(err)
	}
	return err == nil
}

func (w *world) conflicts() []objstore.Conflict {
	w.t.Helper()
	all, err := w.store.ListConflicts(w.ctx)
	if err != nil {
		w.t.Fatal(err)
	}
	return all
}

func (w *world) want(what, got, want string) {
	w.t.Helper()
	if got != want {
		w.t.Errorf("%s is %q, want %q", what, got, want)
	}
}
