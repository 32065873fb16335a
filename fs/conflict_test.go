package fs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/etagfs/etagfs/objstore"
)

// conflicted is a mount with a lost write of bob's on "f", and the kept copy.
func conflicted(t *testing.T) (*mounted, objstore.Conflict) {
	m := newMount(t)
	m.put("f", "base")
	loser := m.open(bob, "f", readWrite)
	m.write(loser, 0, "loser")
	m.put("f", "winner")
	return m, m.loses(loser)
}

func (m *mounted) walk(c Caller, path string) (Entry, error) {
	dir, entry := m.Root(), Entry{}
	var err error
	for part := range strings.SplitSeq(path, "/") {
		if entry, err = m.Lookup(m.ctx, c, dir, part); err != nil {
			return entry, err
		}
		dir = entry.View.Object
	}
	return entry, nil
}

func (m *mounted) cat(c Caller, path string) string {
	m.t.Helper()
	entry, err := m.walk(c, path)
	if err != nil {
		m.t.Fatalf("%s: %v", path, err)
	}
	h, opened, err := m.Open(m.ctx, c, entry.View, readOnly)
	if err != nil {
		m.t.Fatalf("%s: %v", path, err)
	}
	defer h.Release(m.ctx)
	text := m.read(h)
	if int64(len(text)) != opened.Attr.Size {
		m.t.Errorf("%s has %d bytes and claims %d", path, len(text), opened.Attr.Size)
	}
	return text
}

func (m *mounted) list(c Caller, path string) (names []string) {
	m.t.Helper()
	dir := m.Root()
	if path != "" {
		entry, err := m.walk(c, path)
		if err != nil {
			m.t.Fatal(err)
		}
		dir = entry.View.Object
	}
	d, err := m.OpenDir(m.ctx, dir)
	if err != nil {
		m.t.Fatal(err)
	}
	err = d.Read(m.ctx, c, 0, ample, func(e DirEntry, _ uint64) bool {
		if e.Name != "." && e.Name != ".." {
			names = append(names, e.Name)
		}
		return true
	})
	if err != nil {
		m.t.Fatal(err)
	}
	return names
}

func TestC4ConflictIsATreeOfFiles(t *testing.T) {
	m, c := conflicted(t)
	at := ".etagfs/conflicts/" + string(c.ID)
	m.want("mine", m.cat(bob, at+"/mine"), "loser")
	m.want("base", m.cat(root, at+"/base"), "base")
	m.want("theirs", m.cat(bob, at+"/theirs"), "winner")
	m.want("the listing", strings.Join(m.list(bob, at), " "), "base info.json mine theirs")
	m.want("the area", strings.Join(m.list(bob, ".etagfs/conflicts"), " "), string(c.ID))
	m.want("the root", strings.Join(m.list(root, ""), " "), "f")

	var info map[string]any
	if err := json.Unmarshal([]byte(m.cat(bob, at+"/info.json")), &info); err != nil {
		t.Fatal(err)
	}
	for field, want := range map[string]any{
		"id": string(c.ID), "path": "f", "object": float64(c.Object), "uid": float64(bob.UID), "pid": 300.0, "host": "testhost",
		"operation": "close", "base": string(c.Base.ETag), "theirs": string(c.Theirs.ETag), "bytes": 5.0, "reason": "lost",
		"time": c.Time.UTC().Format(time.RFC3339Nano),
	} {
		if info[field] != want {
			t.Errorf("info.json: %s is %v, want %v", field, info[field], want)
		}
	}
}

// Who has inherited a descriptor may not see what its opener could write to. The process that was answered is named as such, whichever thread asked.
func TestC4ConflictOfAnInheritedDescriptorIsItsOpeners(t *testing.T) {
	m := newMount(t)
	m.put("f", "base")
	h := m.open(alice, "f", readWrite)
	m.write(h, 0, "loser")
	m.put("f", "winner")
	heir := Caller{UID: bob.UID, GID: bob.GID, Thread: bob.Thread + 1}
	if err := h.Flush(m.ctx, heir); !errors.Is(err, ErrBusy) {
		t.Fatal(err)
	}
	h.Release(m.ctx)
	c := m.conflicts()[0]
	if c.UID != alice.UID || c.PID != bob.Thread {
		t.Errorf("it is of user %d and process %d", c.UID, c.PID)
	}
	if _, err := m.walk(bob, ".etagfs/conflicts/"+string(c.ID)); !errors.Is(err, objstore.ErrNotFound) {
		t.Errorf("the heir sees the conflict: %v", err)
	}
	m.want("mine", m.cat(alice, ".etagfs/conflicts/"+string(c.ID)+"/mine"), "loser")
	if lines := m.log.matching("commit failed"); len(lines) != 1 || !strings.Contains(lines[0], "uid=2000 pid=300 ") {
		t.Errorf("%q", lines)
	}
}

func TestConflictIsHiddenFromOtherUsers(t *testing.T) {
	m, c := conflicted(t)
	if _, err := m.walk(alice, ".etagfs/conflicts/"+string(c.ID)); !errors.Is(err, objstore.ErrNotFound) {
		t.Errorf("another user sees the conflict: %v", err)
	}
	if names := m.list(alice, ".etagfs/conflicts"); len(names) != 0 {
		t.Errorf("another user lists %q", names)
	}
	area, err := m.walk(alice, ".etagfs/conflicts")
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Rmdir(m.ctx, alice, area.View.Object, string(c.ID)); !errors.Is(err, objstore.ErrNotFound) {
		t.Errorf("another user drops the conflict: %v", err)
	}
}

func TestControlDirectoryIsReadOnly(t *testing.T) {
	m, c := conflicted(t)
	dir, err := m.walk(bob, ".etagfs/conflicts/"+string(c.ID))
	if err != nil {
		t.Fatal(err)
	}
	id := dir.View.Object
	_, _, createErr := m.Create(m.ctx, bob, id, "x", readWrite, 0o600)
	_, mkdirErr := m.Mkdir(m.ctx, bob, id, "x", 0o700)
	_, symlinkErr := m.Symlink(m.ctx, bob, id, "x", "y")
	_, chmodErr := m.SetAttr(m.ctx, bob, dir.View, nil, Change{Mode: new(uint32)})
	for what, err := range map[string]error{
		"create": createErr, "mkdir": mkdirErr, "symlink": symlinkErr, "chmod": chmodErr,
		"unlink": m.Unlink(m.ctx, bob, id, "mine"),
		"rename": m.Rename(m.ctx, bob, id, "mine", id, "x", objstore.RenameReplace),
	} {
		if !errors.Is(err, ErrNotPermitted) {
			t.Errorf("%s in the control directory: %v", what, err)
		}
	}
	if err := m.Rename(m.ctx, bob, id, "mine", m.Root(), "x", objstore.RenameReplace); !errors.Is(err, ErrCrossMount) {
		t.Errorf("rename out of the control directory: %v", err)
	}
	if _, err := m.Mkdir(m.ctx, root, m.Root(), ".etagfs", 0o700); !errors.Is(err, ErrExists) {
		t.Errorf("mkdir of the control directory: %v", err)
	}
	if err := m.Rmdir(m.ctx, root, m.Root(), ".etagfs"); !errors.Is(err, ErrNotPermitted) {
		t.Errorf("rmdir of the control directory: %v", err)
	}
}

func TestControlDirectoriesAreAsOldAsTheMount(t *testing.T) {
	m, _ := conflicted(t)
	for _, path := range []string{".etagfs", ".etagfs/conflicts"} {
		dir, err := m.walk(bob, path)
		if err != nil {
			t.Fatal(err)
		}
		for what, got := range map[string]time.Time{"atime": dir.Attr.Atime, "mtime": dir.Attr.Mtime, "ctime": dir.Attr.Ctime} {
			if !got.Equal(m.began) || got.IsZero() {
				t.Errorf("%s of %s is %v, the mount began at %v", what, path, got, m.began)
			}
		}
	}
}

func TestMountIsRefusedIfTheControlNameIsTaken(t *testing.T) {
	m := newMount(t)
	m.put("taken", "text")
	_, err := New(m.ctx, Config{Namespace: m.store, Options: Options{Control: "taken"}})
	if !errors.Is(err, ErrExists) {
		t.Fatalf("mount: %v", err)
	}
	other := m.mount(Options{Control: "free"})
	if _, err := other.walk(alice, "free/conflicts"); err != nil {
		t.Error(err)
	}
	if _, err := other.walk(alice, ".etagfs"); !errors.Is(err, objstore.ErrNotFound) {
		t.Errorf("the default name: %v", err)
	}
}

func TestRmdirDropsAConflict(t *testing.T) {
	m, c := conflicted(t)
	area, err := m.walk(bob, ".etagfs/conflicts")
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Rmdir(m.ctx, bob, area.View.Object, string(c.ID)); err != nil {
		t.Fatal(err)
	}
	if all := m.conflicts(); len(all) != 0 {
		t.Errorf("still kept: %v", all)
	}
}

func (m *mounted) resolve(c Caller, id objstore.ConflictID, verb string) error {
	entry, err := m.walk(c, ".etagfs/conflicts/"+string(id))
	if err != nil {
		return err
	}
	return m.SetXattr(m.ctx, c, entry.View, "user.etagfs.resolve", []byte(verb), XattrMode{})
}

func TestKeepMineReplacesTheirs(t *testing.T) {
	m, c := conflicted(t)
	if err := m.resolve(bob, c.ID, "keep-mine"); err != nil {
		t.Fatal(err)
	}
	m.want("the file", m.stored("f"), "loser")
	if all := m.conflicts(); len(all) != 0 {
		t.Errorf("still kept: %v", all)
	}
	m.want("through the mount", m.cat(alice, "f"), "loser")
}

func TestKeepMineIsConditionalOnTheirs(t *testing.T) {
	m, c := conflicted(t)
	m.put("f", "third")
	if err := m.resolve(bob, c.ID, "keep-mine"); !errors.Is(err, ErrBusy) {
		t.Fatalf("keep-mine after another commit: %v", err)
	}
	m.want("the file", m.stored("f"), "third")
	m.want("mine", m.side(c.ID, objstore.SideMine), "loser")
}

func TestKeepMineMakesAnUnlinkedFileAgain(t *testing.T) {
	m := newMount(t)
	if _, err := m.Mkdir(m.ctx, alice, m.Root(), "d", 0o777); err != nil {
		t.Fatal(err)
	}
	d, _ := m.walk(alice, "d")
	h, _, err := m.Create(m.ctx, bob, d.View.Object, "f", readWrite, 0o640)
	if err != nil {
		t.Fatal(err)
	}
	m.flush(h)
	m.write(h, 0, "loser")
	if _, err := m.store.Unlink(m.ctx, d.View.Object, "f", objstore.Unconditional(), objstore.Visible); err != nil {
		t.Fatal(err)
	}
	c := m.loses(h)
	if c.Theirs.Exists || c.Path != "d/f" {
		t.Errorf("conflict %+v", c)
	}
	if err := m.resolve(bob, c.ID, "keep-mine"); err != nil {
		t.Fatal(err)
	}
	m.want("the file", m.cat(alice, "d/f"), "loser")
	if entry, _ := m.walk(alice, "d/f"); entry.Attr.Mode != 0o640 || entry.Attr.UID != bob.UID {
		t.Errorf("the file came back as %+v", entry.Attr)
	}
}

// holed is a namespace whose kept copies all have gaps.
type holed struct{ objstore.Namespace }

func (h holed) Conflict(ctx context.Context, id objstore.ConflictID) (objstore.Conflict, error) {
	c, err := h.Namespace.Conflict(ctx, id)
	c.Gaps = true
	return c, err
}

func TestKeepMineOfACopyWithGapsChangesNothing(t *testing.T) {
	m, c := conflicted(t)
	if _, err := KeepMine(m.ctx, holed{m.store}, c.ID); objstore.KindOf(err) != objstore.ErrUnsupported {
		t.Fatalf("keep-mine of a copy with zeros for bytes that are gone: %v", err)
	}
	m.want("the file", m.stored("f"), "winner")
	m.want("mine", m.side(c.ID, objstore.SideMine), "loser")
}

func TestKeepTheirsDrops(t *testing.T) {
	m, c := conflicted(t)
	if err := m.resolve(bob, c.ID, "keep-both"); !errors.Is(err, objstore.ErrInvalid) {
		t.Errorf("an unknown verb: %v", err)
	}
	if err := m.resolve(bob, c.ID, "keep-theirs"); err != nil {
		t.Fatal(err)
	}
	m.want("the file", m.stored("f"), "winner")
	if all := m.conflicts(); len(all) != 0 {
		t.Errorf("still kept: %v", all)
	}
}

func TestC4UnlinkedElsewhereIsBusyAndKept(t *testing.T) {
	m := newMount(t)
	m.put("f", "base")
	h := m.open(bob, "f", readWrite)
	m.write(h, 0, "loser")
	if _, err := m.store.Unlink(m.ctx, m.Root(), "f", objstore.Unconditional(), objstore.Visible); err != nil {
		t.Fatal(err)
	}
	c := m.loses(h)
	m.want("mine", m.side(c.ID, objstore.SideMine), "loser")
	m.want("base", m.side(c.ID, objstore.SideBase), "base")
	m.want("the path", c.Path, "f")
	if m.isStored("f") {
		t.Error("the name came back")
	}
}

func TestC4ParentRemovedElsewhereLosesAPendingCreate(t *testing.T) {
	m := newMount(t)
	entry, err := m.Mkdir(m.ctx, alice, m.Root(), "d", 0o777)
	if err != nil {
		t.Fatal(err)
	}
	h, _, err := m.Create(m.ctx, bob, entry.View.Object, "f", readWrite, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	m.write(h, 0, "loser")
	if err := m.Rmdir(m.ctx, alice, m.Root(), "d"); !errors.Is(err, objstore.ErrNotEmpty) {
		t.Errorf("rmdir in this mount: %v", err)
	}
	if _, err := m.store.Rmdir(m.ctx, m.Root(), "d", objstore.Visible); err != nil {
		t.Fatal(err)
	}
	c := m.loses(h)
	m.want("mine", m.side(c.ID, objstore.SideMine), "loser")
}

func TestSurplusKeepsTheNewest(t *testing.T) {
	now := time.Date(2026, 1, 20, 0, 0, 0, 0, time.UTC)
	conflict := func(id, path string, daysAgo int, bytes int64) objstore.Conflict {
		return objstore.Conflict{ID: objstore.ConflictID(id), Path: path, Time: now.AddDate(0, 0, -daysAgo), Bytes: bytes}
	}
	all := []objstore.Conflict{
		conflict("a1", "a", 30, 10), conflict("b1", "b", 20, 10), conflict("a2", "a", 6, 10), conflict("a3", "a", 5, 10), conflict("c1", "c", 1, 100),
	}
	for _, test := range []struct {
		name     string
		perFile  int
		maxBytes int64
		want     string
	}{
		{"all fit", 10, 1000, ""},
		{"two per file", 2, 1000, "a1"},
		{"one per file", 1, 1000, "a1 a2"},
		{"bytes, oldest first", 10, 125, "a1 b1"},
		{"never the last of a file within seven days", 10, 0, "a1 b1 a2"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var ids []string
			for _, c := range surplus(all, test.perFile, test.maxBytes, now) {
				ids = append(ids, string(c.ID))
			}
			if got := strings.Join(ids, " "); got != test.want {
				t.Errorf("pruned %q, want %q", got, test.want)
			}
		})
	}
}

func TestPruningIsLogged(t *testing.T) {
	w := newWorld(t)
	m := w.mount(Options{ConflictsPerFile: 1})
	m.put("f", "base")
	for range 2 {
		loser := m.open(bob, "f", readWrite)
		m.write(loser, 0, "loser")
		m.put("f", "winner")
		m.loses(loser)
	}
	m.prune(m.ctx)
	if n := len(m.conflicts()); n != 1 {
		t.Errorf("%d are left, want 1", n)
	}
	if lines := m.log.matching("was pruned"); len(lines) != 1 {
		t.Errorf("logged %q", lines)
	}
}

// C4: a copy that a machine keeps whose clock is late is not taken for an old one by the others, nor by itself: what goes is what was
// kept first.
func TestCopiesOfAMachineWhoseClockIsLateStay(t *testing.T) {
	w := newWorld(t)
	early, late := w.mount(Options{ConflictsPerFile: 2}), w.mount(Options{ConflictsPerFile: 2})
	early.later.Store(int64(time.Hour))
	early.put("f", "base")
	lose := func(m *mounted, text string) {
		loser := m.open(bob, "f", readWrite)
		m.write(loser, 0, text)
		early.put("f", "winner") // shorter than any
		m.loses(loser)
		early.prune(w.ctx)
		late.prune(w.ctx)
	}
	for i := range 3 {
		lose(early, fmt.Sprint("early ", i))
	}
	lose(late, "late  3")
	var left []string
	for _, c := range late.conflicts() {
		left = append(left, late.side(c.ID, objstore.SideMine))
	}
	if want := []string{"early 2", "late  3"}; !slices.Equal(left, want) {
		t.Errorf("kept are %q, want %q", left, want)
	}
}

func TestKeepMergedIsConditionalOnWhatItWasMergedWith(t *testing.T) {
	m, c := conflicted(t)
	reader, err := OpenPath(m.ctx, m.store, c.Path)
	if err != nil {
		t.Fatal(err)
	}
	want := reader.Info().Version
	if err := reader.Close(); err != nil {
		t.Fatal(err)
	}
	m.put("f", "third")
	if _, err := KeepMerged(m.ctx, m.store, c.ID, want, strings.NewReader("merged")); !errors.Is(err, ErrBusy) {
		t.Fatalf("merged with what is not there any more: %v", err)
	}
	m.want("the file", m.stored("f"), "third")
	m.want("mine", m.side(c.ID, objstore.SideMine), "loser")
	reader, err = OpenPath(m.ctx, m.store, c.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	if _, err := KeepMerged(m.ctx, m.store, c.ID, reader.Info().Version, strings.NewReader("merged")); err != nil {
		t.Fatal(err)
	}
	m.want("the file", m.stored("f"), "merged")
	if all := m.conflicts(); len(all) != 0 {
		t.Errorf("still kept: %v", all)
	}
}

func TestAConflictIsToldOnceHoweverOftenItsCopyIsReplaced(t *testing.T) {
	m, c := conflicted(t)
	var told []objstore.Conflict
	m.tellKept = func(c objstore.Conflict) { told = append(told, c) }
	h := m.open(bob, "f", readWrite)
	m.write(h, 0, "first")
	m.put("f", "winner")
	if err := h.Flush(m.ctx, bob); !errors.Is(err, ErrBusy) {
		t.Fatal(err)
	}
	m.write(h, 0, "second")
	kept := m.loses(h)
	m.want("mine", m.side(kept.ID, objstore.SideMine), "second")
	if len(told) != 1 || told[0].ID != kept.ID || kept.ID == c.ID || told[0].Path != "f" {
		t.Errorf("told %+v, want one conflict, %s", told, kept.ID)
	}
}
