package fs

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/etagfs/etagfs/objstore"
)

func (m *mounted) setattr(c Caller, v View, h *Handle, change Change) Attr {
	m.t.Helper()
	attr, err := m.SetAttr(m.ctx, c, v, h, change)
	if err != nil {
		m.t.Fatalf("setattr: %v", err)
	}
	return attr
}

func (m *mounted) storedAttr(name string) objstore.Attr {
	m.t.Helper()
	return m.storedInfo(name).Attr
}

func (m *mounted) storedInfo(name string) objstore.Info {
	m.t.Helper()
	info, err := m.store.Lookup(m.ctx, m.Root(), name)
	if err != nil {
		m.t.Fatal(err)
	}
	return info
}

// POSIX: utimensat, chmod and chown mark the last status change for update, whatever they change.
func TestChangeOfAttributesOfAWorkingCopyMovesItsStatusTime(t *testing.T) {
	m := newMount(t)
	m.put("changed", "text")
	old, mode := time.Unix(1000, 5), uint32(0o600)
	for _, h := range []*Handle{m.create(alice, "pending"), m.open(alice, "changed", readWrite)} {
		m.write(h, 0, "bytes")
		for _, change := range []Change{{Atime: &old}, {Mtime: &old}, {Mode: &mode}} {
			before, err := h.Attr(m.ctx)
			if err != nil {
				t.Fatal(err)
			}
			m.later.Add(int64(time.Second))
			m.setattr(alice, h.View(), nil, change)
			if after, err := h.Attr(m.ctx); err != nil || !after.Ctime.After(before.Ctime) {
				t.Errorf("%+v: the status changed at %v, then at %v: %v", change, before.Ctime, after.Ctime, err)
			}
		}
		m.close(h)
	}
}

func TestTimesSetOnAnOpenFileSurviveItsCommit(t *testing.T) {
	old := time.Unix(1000, 5)
	m := newMount(t)
	m.put("changed", "text")
	pending, changed := m.create(alice, "pending"), m.open(alice, "changed", readWrite)
	for name, h := range map[string]*Handle{"pending": pending, "changed": changed} {
		m.write(h, 0, "bytes")
		m.setattr(alice, h.View(), nil, Change{Atime: &old, Mtime: &old})
		if attr, err := h.Attr(m.ctx); err != nil || !attr.Mtime.Equal(old) || !attr.Atime.Equal(old) {
			t.Errorf("%s before the close: %+v, %v", name, attr, err)
		}
		m.close(h)
		if attr := m.storedAttr(name); !attr.Mtime.Equal(old) || !attr.Atime.Equal(old) {
			t.Errorf("%s after the close: %+v", name, attr)
		}
	}
	h := m.open(alice, "changed", readWrite)
	m.write(h, 0, "later")
	m.setattr(alice, h.View(), nil, Change{Mtime: &old})
	m.write(h, 0, "again")
	m.close(h)
	if attr := m.storedAttr("changed"); attr.Mtime.Equal(old) {
		t.Error("a write after utimensat did not move the time")
	}
	h = m.open(alice, "changed", readWrite)
	m.setattr(alice, h.View(), nil, Change{Mtime: &old})
	if attr := m.storedAttr("changed"); !attr.Mtime.Equal(old) {
		t.Error("times of an unchanged file wait for its commit")
	}
	m.close(h)
	if attr := m.storedAttr("changed"); !attr.Mtime.Equal(old) {
		t.Error("the close of an unchanged file moved its time")
	}
}

// What a writer sets for its content is not seen before its content is.
func TestTimesOfAChangedFileAreCommittedWithIt(t *testing.T) {
	m := newMount(t)
	m.put("f", "text")
	before := m.storedAttr("f")
	h := m.open(alice, "f", readWrite)
	m.write(h, 0, "bytes")
	old, mode := time.Unix(1000, 0), uint32(0o640)
	m.setattr(alice, h.View(), nil, Change{Mtime: &old, Mode: &mode})
	now := m.storedAttr("f")
	if !now.Mtime.Equal(before.Mtime) {
		t.Error("the time came before the content")
	}
	if now.Mode != mode {
		t.Error("the mode waits for the content")
	}
	m.put("f", "theirs")
	m.loses(h)
	if m.storedAttr("f").Mtime.Equal(old) {
		t.Error("the loser's time came through")
	}
}

func TestTruncateByPath(t *testing.T) {
	m := newMount(t)
	m.put("f", "0123456789")
	for _, test := range []struct {
		size int64
		want string
	}{{4, "0123"}, {6, "0123\x00\x00"}, {0, ""}} {
		entry, _ := m.walk(bob, "f")
		if attr := m.setattr(bob, entry.View, nil, Change{Size: &test.size}); attr.Size != test.size {
			t.Errorf("it says size %d", attr.Size)
		}
		m.want("the file", m.stored("f"), test.want)
	}
}

func TestC3TruncateByPathIsATransaction(t *testing.T) {
	m := newMount(t)
	m.put("f", "0123456789")
	h := m.open(alice, "f", readWrite)
	m.write(h, 0, "mine")
	entry, _ := m.walk(bob, "f")
	size := int64(2)
	m.setattr(bob, entry.View, nil, Change{Size: &size})
	m.loses(h)
	m.want("the file", m.stored("f"), "01")
	if _, err := m.SetAttr(m.ctx, bob, entry.View, nil, Change{Size: &size}); !errors.Is(err, ErrStale) {
		t.Errorf("truncate of a stale view: %v", err)
	}
}

func TestTruncateOfWhatTheCallerSees(t *testing.T) {
	m := newMount(t)
	h := m.create(alice, "f")
	m.write(h, 0, "0123456789")
	size := int64(3)
	m.setattr(bob, h.View(), nil, Change{Size: &size})
	m.want("the working copy", m.read(h), "012")
	m.setattr(alice, h.View(), h, Change{Size: new(int64)})
	m.want("ftruncate", m.read(h), "")
	m.close(h)
	h = m.open(alice, "f", readWrite)
	m.write(h, 0, "text")
	if _, err := m.SetAttr(m.ctx, bob, h.View(), nil, Change{Size: &size}); !errors.Is(err, ErrStale) {
		t.Errorf("a stranger truncates a working copy: %v", err)
	}
	m.close(h)
}

func TestSetIDBitsGoWithAWriteAndWithAChown(t *testing.T) {
	m := newMount(t)
	mode, group := uint32(0o6755), uint32(0o2744)
	set := func(mode uint32) View {
		entry, _ := m.walk(root, "f")
		m.setattr(root, entry.View, nil, Change{Mode: &mode})
		return entry.View
	}
	m.put("f", "text")
	set(mode)
	h := m.open(alice, "f", readWrite)
	if _, err := h.WriteAt(m.ctx, []byte("x"), 0, WriteMode{ClearSetID: true}); err != nil {
		t.Fatal(err)
	}
	if attr, _ := h.Attr(m.ctx); attr.Mode != 0o755 {
		t.Errorf("the writer sees mode %o", attr.Mode)
	}
	m.close(h)
	if got := m.storedAttr("f").Mode; got != 0o755 {
		t.Errorf("mode %o after a write", got)
	}
	set(mode)
	h = m.open(root, "f", readWrite)
	m.write(h, 0, "root")
	m.close(h)
	if got := m.storedAttr("f").Mode; got != mode {
		t.Errorf("mode %o after a privileged write", got)
	}
	owner := uint32(1)
	m.setattr(root, set(mode), nil, Change{UID: &owner})
	if got := m.storedAttr("f").Mode; got != 0o755 {
		t.Errorf("mode %o after chown", got)
	}
	m.setattr(root, set(group), nil, Change{GID: &owner})
	if got := m.storedAttr("f").Mode; got != group {
		t.Errorf("mode %o after chown: without group execution it means locking", got)
	}
	pending := m.create(root, "pending")
	m.setattr(root, pending.View(), nil, Change{Mode: &mode})
	m.setattr(root, pending.View(), nil, Change{UID: &owner})
	m.close(pending)
	if got := m.storedAttr("pending"); got.Mode != 0o755 || got.UID != owner {
		t.Errorf("%+v after chown of a pending create", got)
	}
}

func TestUnlinkedFileKeepsItsAttributes(t *testing.T) {
	m := newMount(t)
	m.put("f", "text")
	h, pending := m.open(alice, "f", readWrite), m.create(alice, "pending")
	for name, h := range map[string]*Handle{"f": h, "pending": pending} {
		m.write(h, 0, "longer text")
		if err := m.Unlink(m.ctx, bob, m.Root(), name); err != nil {
			t.Fatal(err)
		}
		mode, mtime := uint32(0o600), time.Unix(9, 0)
		m.setattr(alice, h.View(), nil, Change{Mode: &mode, Mtime: &mtime})
		attr, err := h.Attr(m.ctx)
		if err != nil || attr.Nlink != 0 || attr.Mode != mode || attr.Size != 11 {
			t.Errorf("%s: %+v, %v", name, attr, err)
		}
		m.close(h)
	}
}

func TestGroupComesFromASetGroupIDDirectory(t *testing.T) {
	m := newMount(t)
	d, err := m.Mkdir(m.ctx, root, m.Root(), "d", 0o777)
	if err != nil {
		t.Fatal(err)
	}
	mode, gid := uint32(0o2777), uint32(55)
	m.setattr(root, d.View, nil, Change{Mode: &mode, GID: &gid})
	sub, err := m.Mkdir(m.ctx, alice, d.View.Object, "sub", 0o755)
	if err != nil || sub.Attr.GID != gid || sub.Attr.Mode != 0o2755 || sub.Attr.UID != alice.UID {
		t.Errorf("directory %+v, %v", sub.Attr, err)
	}
	h, file, err := m.Create(m.ctx, alice, d.View.Object, "f", readWrite, 0o644)
	if err != nil || file.Attr.GID != gid || file.Attr.Mode != 0o644 {
		t.Errorf("file %+v, %v", file.Attr, err)
	}
	m.close(h)
}

func TestOwnerAndUmaskCanBeOverridden(t *testing.T) {
	w := newWorld(t)
	w.mount(Options{}).put("f", "text")
	m := w.mount(Options{UID: Override{true, 5}, GID: Override{true, 6}, Umask: Override{true, 0o022}})
	entry, err := m.walk(alice, "f")
	if err != nil || entry.Attr.UID != 5 || entry.Attr.GID != 6 || entry.Attr.Mode != 0o644 {
		t.Errorf("%+v, %v", entry.Attr, err)
	}
	h := m.create(alice, "g")
	if attr, err := h.Attr(m.ctx); err != nil || attr.UID != 5 {
		t.Errorf("pending: %+v, %v", attr, err)
	}
	m.close(h)
}

func TestXattrsTellVersions(t *testing.T) {
	m, c := conflicted(t)
	get := func(c Caller, v View, name string) string {
		t.Helper()
		value, err := m.GetXattr(m.ctx, c, v, "user.etagfs."+name)
		if err != nil && !errors.Is(err, ErrNoXattr) {
			t.Fatalf("%s: %v", name, err)
		}
		return string(value)
	}
	entry, _ := m.walk(bob, "f")
	m.want("etag", get(bob, entry.View, "etag"), string(c.Theirs.ETag))
	m.want("version", get(bob, entry.View, "version"), string(entry.View.Version))
	m.want("base", get(bob, entry.View, "base"), "")
	m.want("conflict", get(bob, entry.View, "conflict"), string(c.ID))
	m.want("conflict of another user", get(alice, entry.View, "conflict"), "")

	h := m.open(alice, "f", readWrite)
	m.write(h, 0, "mine")
	m.want("a writer's base", get(alice, h.View(), "base"), string(c.Theirs.ETag))
	m.put("f", "third")
	if err := h.Flush(m.ctx, alice); !errors.Is(err, ErrBusy) {
		t.Fatal(err)
	}
	if get(alice, h.View(), "conflict") == "" {
		t.Error("a loser does not know its kept copy")
	}
	h.Release(m.ctx)
	pending := m.create(alice, "new")
	m.want("etag before the first commit", get(alice, pending.View(), "etag"), "")
	m.close(pending)

	if names, err := m.ListXattr(m.ctx, bob, entry.View); err != nil || len(names) != 0 {
		t.Errorf("listed %q, %v", names, err)
	}
	if err := m.SetXattr(m.ctx, bob, entry.View, "user.etagfs.etag", nil, XattrMode{}); !errors.Is(err, ErrNotPermitted) {
		t.Errorf("set: %v", err)
	}
	if err := m.RemoveXattr(m.ctx, bob, entry.View, "user.mine"); !errors.Is(err, ErrNoXattr) {
		t.Errorf("remove: %v", err)
	}
	if _, err := m.GetXattr(m.ctx, bob, entry.View, "security.capability"); !errors.Is(err, ErrNoXattr) {
		t.Errorf("get of another: %v", err)
	}
}

// speckled is a stage of 30,000 bytes with data in 0..5 and 20,000..20,006.
type speckled struct{ objstore.Stage }

func (speckled) Size() int64 { return 30000 }

func (speckled) NextData(_ context.Context, off int64) (int64, error) {
	switch {
	case off < 5 || off >= 20000 && off < 20006:
		return off, nil
	case off < 20000:
		return 20000, nil
	}
	return 0, objstore.ErrRange
}

func (speckled) NextHole(_ context.Context, off int64) (int64, error) {
	switch {
	case off < 5:
		return 5, nil
	case off >= 20000 && off < 20006:
		return 20006, nil
	}
	return off, nil
}

func TestHolesAreWholeBlocks(t *testing.T) {
	for off, want := range map[int64]struct{ data, hole int64 }{
		0: {0, 4096}, 100: {100, 4096}, 4095: {4095, 4096}, 4096: {16384, 4096}, 5000: {16384, 5000},
		16384: {16384, 20480}, 20479: {20479, 20480}, 20480: {-1, 20480}, 29999: {-1, 29999},
	} {
		if at, err := nextHoleBlock(t.Context(), speckled{}, off); err != nil || at != want.hole {
			t.Errorf("the hole from %d on is at %d, %v; want %d", off, at, err, want.hole)
		}
		at, err := nextDataBlock(t.Context(), speckled{}, off)
		if errors.Is(err, objstore.ErrRange) {
			at, err = -1, nil
		}
		if err != nil || at != want.data {
			t.Errorf("the data from %d on is at %d, %v; want %d", off, at, err, want.data)
		}
	}
}

func TestSeekDataAndHoles(t *testing.T) {
	m := newMount(t)
	h := m.create(alice, "f")
	m.write(h, 1<<20, "data")
	if at, err := h.NextData(m.ctx, 0); err != nil || at == 0 || at > 1<<20 {
		t.Errorf("data at %d, %v", at, err)
	}
	if at, err := h.NextHole(m.ctx, 0); err != nil || at != 0 {
		t.Errorf("hole at %d, %v", at, err)
	}
	m.close(h)
	reader := m.open(bob, "f", readOnly)
	if at, err := reader.NextData(m.ctx, 5); err != nil || at <= 5 || at > 1<<20 {
		t.Errorf("data at %d, %v", at, err)
	}
	if at, err := reader.NextHole(m.ctx, 5); err != nil || at != 5 {
		t.Errorf("hole at %d, %v", at, err)
	}
	if at, err := reader.NextHole(m.ctx, 1<<20); err != nil || at != 1<<20+4 {
		t.Errorf("the hole at the end at %d, %v", at, err)
	}
	if _, err := reader.NextData(m.ctx, 1<<20+4); !errors.Is(err, objstore.ErrRange) {
		t.Errorf("data beyond the end: %v", err)
	}
	if err := reader.Truncate(m.ctx, 0); !errors.Is(err, ErrBadHandle) {
		t.Errorf("ftruncate of a reader: %v", err)
	}
	if _, err := reader.WriteAt(m.ctx, []byte("x"), 0, WriteMode{}); !errors.Is(err, ErrBadHandle) {
		t.Errorf("write to a reader: %v", err)
	}
	reader.Release(m.ctx)
}

func TestStatfsAsksTheStore(t *testing.T) {
	m := newMount(t)
	m.put("f", "text")
	usage, err := m.Statfs(m.ctx)
	if err != nil || usage.Objects < 2 {
		t.Errorf("%+v, %v", usage, err)
	}
	if err := m.Sync(m.ctx); err != nil {
		t.Error(err)
	}
}

// POSIX: what utimensat sets, stat tells, whoever has the file open and whether it has been committed since it was opened.
func TestTimesSetByPathAreThoseOfWhoHasNothingUncommitted(t *testing.T) {
	old := time.Unix(1000, 5)
	for name, isolation := range isolations() {
		t.Run(name, func(t *testing.T) {
			m := newWorld(t).mount(Options{Isolation: isolation})
			m.put("opened", "text")
			m.put("synced", "text")
			opened, synced := m.open(alice, "opened", readWrite), m.open(alice, "synced", readWrite)
			m.write(synced, 0, "bytes")
			if err := synced.Sync(m.ctx, alice); err != nil {
				t.Fatal(err)
			}
			for _, h := range []*Handle{opened, synced} {
				m.setattr(alice, View{Object: h.View().Object, Version: h.Base()}, nil, Change{Atime: &old, Mtime: &old})
				if attr, err := h.Attr(m.ctx); err != nil || !attr.Mtime.Equal(old) || !attr.Atime.Equal(old) {
					t.Errorf("the handle shows %v and %v: %v", attr.Atime, attr.Mtime, err)
				}
				m.close(h)
			}
		})
	}
}

// What a released handle knew may have been overtaken before the file lost its name.
func TestReleasedHandleSaysNothingOfAFileWithoutAName(t *testing.T) {
	m := newMount(t)
	m.put("f", "text")
	h := m.open(alice, "f", readWrite)
	m.close(h)
	if err := m.Unlink(m.ctx, alice, m.Root(), "f"); err != nil {
		t.Fatal(err)
	}
	if attr, err := h.Attr(m.ctx); KindOf(err) != ErrStale {
		t.Errorf("%+v, %v", attr, err)
	}
}

// POSIX: the times and the size that a file has when its name goes are those it has afterwards, also if nothing of it was ever committed.
func TestPendingCreateLosesItsNameAsItIs(t *testing.T) {
	old := time.Unix(1000, 5)
	remove := map[string]func(m *mounted) error{
		"unlinked": func(m *mounted) error { return m.Unlink(m.ctx, alice, m.Root(), "f") },
		"replaced": func(m *mounted) error {
			m.put("other", "text")
			return m.Rename(m.ctx, alice, m.Root(), "other", m.Root(), "f", objstore.RenameReplace)
		},
	}
	for name, isolation := range isolations() {
		for how, remove := range remove {
			t.Run(name+" "+how, func(t *testing.T) {
				m := newWorld(t).mount(Options{Isolation: isolation})
				h := m.create(alice, "f")
				m.write(h, 0, "four")
				m.setattr(alice, h.View(), nil, Change{Atime: &old, Mtime: &old})
				before, err := h.Attr(m.ctx)
				if err != nil {
					t.Fatal(err)
				}
				if err := remove(m); err != nil {
					t.Fatal(err)
				}
				before.Nlink = 0
				if n := len(m.kernel.lost); n != 1 || m.kernel.lost[0] != before {
					t.Errorf("lost is %+v, which was %+v", m.kernel.lost, before)
				}
				m.close(h)
			})
		}
	}
}
