package fs

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/etagfs/etagfs/objstore"
)

var (
	modelSeed   = flag.Uint64("model.seed", 0, "rerun the model test with this seed alone")
	modelRounds = flag.Int("model.rounds", 150, "how many seeds the model test tries")
)

// TestModel runs random operations of several processes on one mount, with commits of
// another mount between, against a model that knows versions, and compares every
// answer, every byte and every kept copy. It covers C1, C2, C3, C4, C6, C7 and C9.
func TestModel(t *testing.T) {
	if *modelSeed != 0 {
		runModel(t, *modelSeed)
		return
	}
	for range *modelRounds {
		if seed := rand.Uint64(); !t.Run(fmt.Sprint(seed), func(t *testing.T) { runModel(t, seed) }) {
			t.Fatalf("rerun with -model.seed=%d", seed)
		}
	}
}

func runModel(t *testing.T, seed uint64) {
	w := newWorld(t)
	m := &model{
		t: t, mount: w.mount(Options{}), other: w.mount(Options{}),
		random: rand.New(rand.NewPCG(seed, 0)),
		names:  map[string]*modelFile{}, pending: map[string]*modelFile{}, kept: map[objstore.ConflictID]string{},
	}
	for range 120 {
		m.step()
		m.compare()
		if t.Failed() {
			t.Logf("after:\n%s", strings.Join(m.history, "\n"))
			return
		}
	}
	for _, h := range slices.Clone(m.handles) {
		m.release(h)
	}
	m.compare()
}

// model is what the mount must be.
type model struct {
	t            *testing.T
	mount, other *mounted
	random       *rand.Rand
	history      []string
	process      uint32

	names   map[string]*modelFile // committed
	pending map[string]*modelFile
	handles []*modelHandle
	version int
	kept    map[objstore.ConflictID]string
}

// modelFile is a file: committed if it has a version.
type modelFile struct {
	content   string
	version   int
	names     int
	published *modelHandle // whose own empty publication version is
}

type modelHandle struct {
	real    *Handle
	caller  Caller
	file    *modelFile
	write   bool
	base    int
	content string
	prefix  int // leading bytes that are the base's
	changed bool
	pure    bool // only appended since the base
	start   int  // where the appended bytes begin
	state   txState
	follows *modelHandle
	latest  int // readers: the newest version they may grow to
	keptID  objstore.ConflictID
}

func (m *model) log(format string, args ...any) {
	m.history = append(m.history, fmt.Sprintf(format, args...))
}

func (m *model) pick() string { return []string{"a", "b", "c"}[m.random.IntN(3)] }

func (m *model) text() string {
	return strings.Repeat(string(rune('a'+m.random.IntN(26))), 1+m.random.IntN(6))
}

func (m *model) step() {
	operations := []func(){
		m.create, m.create, m.open, m.open, m.open, m.change, m.change, m.change, m.change,
		m.flushAny, m.flushAny, m.releaseAny, m.unlink, m.rename, m.foreignPut, m.foreignUnlink,
	}
	operations[m.random.IntN(len(operations))]()
}

func (m *model) caller() Caller {
	m.process += 100
	return Caller{UID: 1, Thread: 1000 + m.process}
}

func (m *model) expect(what string, err error, want error) {
	m.t.Helper()
	if want == nil && err != nil || want != nil && !errors.Is(err, want) {
		m.t.Errorf("%s: %v, want %v", what, err, want)
	}
}

func (m *model) create() {
	name, exclusive, c := m.pick(), m.random.IntN(2) == 0, m.caller()
	h, _, err := m.mount.Create(m.mount.ctx, c, m.mount.Root(), name, OpenMode{Read: true, Write: true, Exclusive: exclusive}, 0o644)
	m.log("create %s exclusive=%v: %v", name, exclusive, err)
	switch taken := m.names[name] != nil || m.pending[name] != nil; {
	case taken && exclusive:
		m.expect("create", err, ErrExists)
		return
	case taken:
		m.expect("create", err, ErrStale)
		return
	}
	m.expect("create", err, nil)
	handle := &modelHandle{real: h, caller: c, file: &modelFile{}, write: true, changed: !exclusive, pure: true}
	if exclusive {
		m.commit(handle, name)
		handle.file.published = handle
	} else {
		m.pending[name] = handle.file
	}
	m.handles = append(m.handles, handle)
}

func (m *model) open() {
	name, c := m.pick(), m.caller()
	mode := []OpenMode{readOnly, readOnly, readWrite, appending, {Write: true, Truncate: true}}[m.random.IntN(5)]
	mode.Read = true
	if f := m.names[name]; f != nil && f.content == "" {
		mode.Truncate = false // a store may call what comes to an empty file an append, or not
	}
	real, err := m.mount.tryOpen(c, name, mode)
	m.log("open %s %+v: %v", name, mode, err)
	file := m.names[name]
	if file == nil {
		file = m.pending[name]
	}
	if file == nil {
		m.expect("open", err, objstore.ErrNotFound)
		return
	}
	m.expect("open", err, nil)
	h := &modelHandle{real: real, caller: c, file: file, write: mode.Write}
	h.rebase()
	h.latest = h.base
	switch {
	case !mode.Write:
		h.follows = m.shared(file)
	case mode.Truncate:
		h.content, h.prefix, h.changed, h.pure = "", 0, true, false
	case file.version == 0:
		h.changed = true
	}
	m.handles = append(m.handles, h)
}

// rebase makes the file's version what h starts from.
func (h *modelHandle) rebase() {
	h.base, h.content, h.prefix, h.start = h.file.version, h.file.content, len(h.file.content), len(h.file.content)
	h.changed, h.pure = false, true
}

// shared is the writer whose view any reader may use.
func (m *model) shared(f *modelFile) *modelHandle {
	for _, h := range slices.Backward(m.handles) {
		if h.file == f && h.write && h.state == txOpen && h.base == f.version && (f.version == 0 || f.published == h) {
			return h
		}
	}
	return nil
}

func (m *model) any(write bool) *modelHandle {
	var all []*modelHandle
	for _, h := range m.handles {
		if h.write || !write {
			all = append(all, h)
		}
	}
	if len(all) == 0 {
		return nil
	}
	return all[m.random.IntN(len(all))]
}

func (m *model) change() {
	h := m.any(true)
	if h == nil {
		return
	}
	ctx := m.mount.ctx
	switch off, text := m.random.IntN(12), m.text(); {
	case m.random.IntN(4) == 0:
		m.log("truncate %d to %d", h.real.ID(), off)
		m.expect("truncate", h.real.Truncate(ctx, int64(off)), nil)
		h.prefix = min(h.prefix, off)
		h.content = (h.content + strings.Repeat("\x00", off))[:off]
		h.pure = false
	case h.real.Mode().Append:
		m.log("append %q to %d", text, h.real.ID())
		_, err := h.real.WriteAt(ctx, []byte(text), 3, WriteMode{Append: true})
		m.expect("append", err, nil)
		h.content += text
	default:
		m.log("write %q at %d of %d", text, off, h.real.ID())
		_, err := h.real.WriteAt(ctx, []byte(text), int64(off), WriteMode{})
		m.expect("write", err, nil)
		h.prefix, h.pure = min(h.prefix, off), false
		padded := h.content + strings.Repeat("\x00", max(0, off-len(h.content)))
		h.content = padded[:off] + text + padded[min(len(padded), off+len(text)):]
	}
	h.changed = true
}

// commit makes h's bytes those of its file, at name if it is new.
func (m *model) commit(h *modelHandle, name string) {
	f := h.file
	appended := f.version != 0 && h.prefix >= len(f.content)
	m.version++
	before := f.version
	f.content, f.version, f.published = h.content, m.version, nil
	if before == 0 {
		f.names = 1
		m.names[name] = f
		delete(m.pending, name)
	}
	h.rebase()
	m.committed(f, before, appended)
	m.settleFollowers(h)
}

// settleFollowers has the readers of what h shows stay with its base.
func (m *model) settleFollowers(h *modelHandle) {
	for _, r := range m.handles {
		if r.follows == h {
			r.follows, r.content, r.latest = nil, h.file.content, h.file.version
		}
	}
}

// committed lets readers grow.
func (m *model) committed(f *modelFile, before int, appended bool) {
	for _, r := range m.handles {
		if r.file == f && !r.write && r.follows == nil && appended && r.latest == before {
			r.content, r.latest = f.content, f.version
		}
	}
}

// finish is what a flush of h must do and answer.
func (m *model) finish(h *modelHandle) error {
	if h.state == txLost {
		return ErrBusy
	}
	if !h.write || h.state != txOpen || !h.changed {
		return nil
	}
	name := m.pendingName(h.file)
	taken := m.names[name] != nil
	switch {
	case h.base == 0 && h.file.version == 0 && name != "" && !taken:
		m.commit(h, name)
	case h.base != 0 && h.base == h.file.version && h.file.names > 0:
		m.commit(h, "")
	case h.real.Mode().Append && h.pure && h.file.version != 0 && h.file.names > 0 && h.hasAppended():
		h.content = h.file.content + h.content[h.start:]
		h.prefix = len(h.file.content)
		m.commit(h, "")
	case h.real.Mode().Append && h.pure && h.base == 0 && h.file.version != 0 && h.file.names > 0:
		h.content = h.file.content // it has only made the file, which another did first
		h.rebase()
		m.settleFollowers(h)
	case h.pure && h.content == "" && h.base == 0 && h.file.version != 0 && h.file.names > 0:
		h.changed = false // nor is anything lost here
	default:
		h.state = txLost
		delete(m.pending, name)
		return ErrBusy
	}
	return nil
}

// hasAppended tells a create or open that wrote nothing from one that did.
func (h *modelHandle) hasAppended() bool { return len(h.content) > h.start }

func (m *model) pendingName(f *modelFile) string {
	for name, p := range m.pending {
		if p == f {
			return name
		}
	}
	return ""
}

func (m *model) flushAny() {
	if h := m.any(false); h != nil {
		m.flush(h)
	}
}

func (m *model) flush(h *modelHandle) {
	err := h.real.Flush(m.mount.ctx, h.caller)
	m.log("flush %d: %v", h.real.ID(), err)
	m.expect("flush", err, m.finish(h))
	m.noteKept(h)
}

// noteKept remembers what must be kept of a loser.
func (m *model) noteKept(h *modelHandle) {
	if h.state != txLost {
		return
	}
	h.real.tx.mu.Lock()
	h.keptID = h.real.tx.kept.id
	h.real.tx.mu.Unlock()
	m.kept[h.keptID] = h.content
}

func (m *model) releaseAny() {
	if h := m.any(false); h != nil {
		m.release(h)
	}
}

// release is close(2) of the last descriptor.
func (m *model) release(h *modelHandle) {
	m.flush(h)
	m.log("release %d", h.real.ID())
	h.real.Release(m.mount.ctx)
	m.handles = slices.DeleteFunc(m.handles, func(other *modelHandle) bool { return other == h })
	if h.file.published == h {
		h.file.published = nil
	}
	if name := m.pendingName(h.file); name != "" && !slices.ContainsFunc(m.handles, func(o *modelHandle) bool { return o.file == h.file }) {
		delete(m.pending, name)
	}
}

// dropName takes a committed name away. What loses its last name through the mount is detached.
func (m *model) dropName(name string, here bool) {
	f := m.names[name]
	delete(m.names, name)
	if f.names--; f.names == 0 && here {
		m.detach(f)
	}
}

func (m *model) detach(f *modelFile) {
	for _, h := range m.handles {
		if h.file == f && h.write && h.state == txOpen {
			h.state = txDetached
		}
	}
}

func (m *model) dropPending(name string) {
	if f := m.pending[name]; f != nil {
		m.detach(f)
		delete(m.pending, name)
	}
}

func (m *model) unlink() {
	name := m.pick()
	err := m.mount.Unlink(m.mount.ctx, alice, m.mount.Root(), name)
	m.log("unlink %s: %v", name, err)
	if m.names[name] == nil && m.pending[name] == nil {
		m.expect("unlink", err, objstore.ErrNotFound)
		return
	}
	m.expect("unlink", err, nil)
	if m.names[name] != nil {
		m.dropName(name, true)
	}
	m.dropPending(name)
}

func (m *model) rename() {
	from, to := m.pick(), m.pick()
	if from == to {
		return
	}
	err := m.mount.Rename(m.mount.ctx, alice, m.mount.Root(), from, m.mount.Root(), to, objstore.RenameReplace)
	m.log("rename %s %s: %v", from, to, err)
	file := m.pending[from]
	if file == nil {
		file = m.names[from]
	}
	if file == nil {
		m.expect("rename", err, objstore.ErrNotFound)
		return
	}
	var lost error
	for _, h := range slices.Backward(m.handles) {
		if h.file == file && h.write && h.state == txOpen && h.changed {
			lost = m.finish(h)
			m.noteKept(h)
			break
		}
	}
	if m.names[from] == nil {
		m.expect("rename of a pending create that lost", err, lost)
		return
	}
	m.expect("rename", err, nil)
	moved := m.names[from]
	if m.names[to] != nil && m.names[to] != moved {
		m.dropName(to, true)
	}
	m.dropPending(to)
	delete(m.names, from)
	m.names[to] = moved
}

// foreignPut commits from another mount.
func (m *model) foreignPut() {
	name, text := m.pick(), m.text()
	if f := m.names[name]; f != nil && f.content == "" {
		return // see open
	}
	m.log("elsewhere: put %s %q", name, text)
	m.other.put(name, text)
	f := m.names[name]
	if f == nil {
		f = &modelFile{names: 1}
		m.names[name] = f
	}
	m.version++
	f.content, f.version, f.published = text, m.version, nil
	m.committed(f, 0, false)
}

func (m *model) foreignUnlink() {
	name := m.pick()
	err := m.other.Unlink(m.other.ctx, root, m.other.Root(), name)
	m.log("elsewhere: unlink %s: %v", name, err)
	if m.names[name] == nil {
		m.expect("unlink elsewhere", err, objstore.ErrNotFound)
		return
	}
	m.dropName(name, false)
}

// compare looks at everything there is.
func (m *model) compare() {
	m.t.Helper()
	m.mount.notices.drain(m.mount.ctx)
	var listed []string
	for name, f := range m.names {
		listed = append(listed, name)
		m.mount.want("the file "+name, m.mount.stored(name), f.content)
	}
	for name := range m.pending {
		if m.names[name] == nil {
			listed = append(listed, name)
		}
	}
	slices.Sort(listed)
	got := m.mount.list(nobody, "")
	slices.Sort(got)
	if !slices.Equal(got, listed) {
		m.t.Errorf("listed %q, want %q", got, listed)
	}
	for _, h := range m.handles {
		want := h.content
		if h.follows != nil {
			want = h.follows.content
		}
		m.mount.want(fmt.Sprintf("handle %d", h.real.ID()), m.mount.read(h.real), want)
		if attr, err := h.real.Attr(m.mount.ctx); err != nil || attr.Size != int64(len(want)) {
			m.t.Errorf("handle %d has size %d, %v, want %d", h.real.ID(), attr.Size, err, len(want))
		}
	}
	m.compareKept()
	checkInvariants(m.t, m.mount.FS)
}

func (m *model) compareKept() {
	m.t.Helper()
	var ids []objstore.ConflictID
	for _, c := range m.mount.conflicts() {
		ids = append(ids, c.ID)
		m.mount.want("the kept copy", m.mount.side(c.ID, objstore.SideMine), m.kept[c.ID])
	}
	want := slices.Sorted(maps.Keys(m.kept))
	slices.Sort(ids)
	if !slices.Equal(ids, want) {
		m.t.Errorf("kept %q, want %q", ids, want)
	}
}
