package fs

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/etagfs/etagfs/objstore"
)

func (m *mounted) rename(c Caller, from, to string) {
	m.t.Helper()
	if err := m.Rename(m.ctx, c, m.Root(), from, m.Root(), to, objstore.RenameReplace); err != nil {
		m.t.Fatalf("rename %s to %s: %v", from, to, err)
	}
}

func TestPendingCreateIsSeenByPathOperations(t *testing.T) {
	m := newMount(t)
	h := m.create(alice, "f")
	m.write(h, 0, "text")
	mode := uint32(0o600)
	for _, c := range []Caller{alice, bob, nobody} {
		entry, err := m.Lookup(m.ctx, c, m.Root(), "f")
		if err != nil || entry.View.Writer != h.ID() || entry.Attr.Size != 4 {
			t.Fatalf("lookup: %+v, %v", entry, err)
		}
		if _, err := m.SetAttr(m.ctx, c, entry.View, nil, Change{Mode: &mode}); err != nil {
			t.Fatal(err)
		}
		if attr, err := m.Stat(m.ctx, c, entry.View); err != nil || attr.Mode != mode || attr.Nlink != 1 {
			t.Fatalf("stat: %+v, %v", attr, err)
		}
		if names := m.list(c, ""); !slices.Equal(names, []string{"f"}) {
			t.Errorf("listing: %q", names)
		}
		m.want("what others read", m.cat(c, "f"), "text")
	}
	if _, err := m.Mkdir(m.ctx, alice, m.Root(), "f", 0o755); !errors.Is(err, ErrExists) {
		t.Errorf("mkdir over a pending create: %v", err)
	}
	if m.isStored("f") {
		t.Fatal("the create is no longer pending")
	}
	id := h.View().Object
	m.close(h)
	info, err := m.store.Lookup(m.ctx, m.Root(), "f")
	if err != nil || info.Attr.Mode != mode || info.ID != id || info.Attr.UID != alice.UID {
		t.Errorf("committed as %+v, %v", info, err)
	}
}

func TestUnlinkOfAPendingCreateEndsIt(t *testing.T) {
	m := newMount(t)
	h := m.create(alice, "f")
	m.write(h, 0, "text")
	if err := m.Unlink(m.ctx, bob, m.Root(), "f"); err != nil {
		t.Fatal(err)
	}
	m.write(h, 4, " and more")
	m.want("the handle", m.read(h), "text and more")
	m.close(h)
	if m.isStored("f") || len(m.conflicts()) != 0 {
		t.Error("the name came back, or its bytes were kept")
	}
}

func TestC9UnlinkedWhileOpenGoesItsOwnWay(t *testing.T) {
	m := newMount(t)
	m.put("f", "base")
	h := m.open(alice, "f", readWrite)
	m.write(h, 0, "BASE and more")
	if err := m.Unlink(m.ctx, bob, m.Root(), "f"); err != nil {
		t.Fatal(err)
	}
	m.put("f", "another file")
	m.write(h, 0, "still")
	m.want("the handle", m.read(h), "stilland more")
	if err := h.Sync(m.ctx, alice); err != nil {
		t.Errorf("fsync: %v", err)
	}
	m.close(h)
	m.want("the new file", m.stored("f"), "another file")
	if len(m.conflicts()) != 0 || len(m.log.matching("commit failed")) != 0 {
		t.Error("an unlinked file made a conflict")
	}
}

func TestC9RenamedOverWhileOpenGoesItsOwnWay(t *testing.T) {
	m := newMount(t)
	m.put("f", "base")
	m.put("g", "other")
	h := m.open(alice, "f", readWrite)
	m.write(h, 0, "changed")
	m.rename(bob, "g", "f")
	m.close(h)
	m.want("the file", m.stored("f"), "other")
	if len(m.conflicts()) != 0 {
		t.Error("a replaced file made a conflict")
	}
}

func TestPendingCreateRenamedOverGoesItsOwnWay(t *testing.T) {
	m := newMount(t)
	m.put("g", "other")
	h := m.create(alice, "f")
	m.write(h, 0, "pending")
	m.rename(bob, "g", "f")
	m.close(h)
	m.want("the file", m.stored("f"), "other")
	if err := m.Rename(m.ctx, bob, m.Root(), "f", m.Root(), "f", objstore.RenameReplace); err != nil {
		t.Errorf("rename to itself: %v", err)
	}
}

func TestC9RenameOfAnOpenFileIsFollowed(t *testing.T) {
	m := newMount(t)
	m.put("f", "base")
	h := m.open(alice, "f", readWrite)
	m.rename(bob, "f", "g")
	m.write(h, 0, "mine")
	m.close(h)
	m.want("the file", m.stored("g"), "mine")

	h = m.open(alice, "g", readWrite)
	m.write(h, 0, "more")
	request := objstore.MoveRequest{
		Parent: m.Root(), Name: "g", Cond: objstore.Unconditional(),
		NewParent: m.Root(), NewName: "h", NewCond: objstore.Unconditional(),
	}
	if _, err := m.store.Move(m.ctx, request); err != nil {
		t.Fatal(err)
	}
	m.close(h)
	m.want("renamed elsewhere", m.stored("h"), "more")
}

func TestC7RenameCommitsWhatIsPendingOrChanged(t *testing.T) {
	m := newMount(t)
	m.put("target", "old")
	h := m.create(alice, "tmp")
	m.write(h, 0, "new")
	m.rename(alice, "tmp", "target")
	m.want("before the close", m.stored("target"), "new")
	if m.isStored("tmp") {
		t.Error("the old name is there too")
	}
	m.write(h, 3, "er")
	m.rename(alice, "target", "again")
	m.want("a changed file", m.stored("again"), "newer")
	m.close(h)
	m.want("after the close", m.stored("again"), "newer")
}

func TestRenameGoesOnWithoutALoser(t *testing.T) {
	m := newMount(t)
	m.put("f", "base")
	loser := m.open(alice, "f", readWrite)
	m.write(loser, 0, "loser")
	m.put("f", "winner")
	m.rename(alice, "f", "g")
	m.want("the file", m.stored("g"), "winner")
	c := m.loses(loser)
	m.want("mine", m.side(c.ID, objstore.SideMine), "loser")
}

// C10: who renames or links a file that another mount has just taken away hears that it is gone, and not what becomes of a
// writer in another process.
func TestRenameOfWhatIsGoneIsNotBusyBecauseOfAWriter(t *testing.T) {
	w := newWorld(t)
	store := &meetingLookup{Namespace: w.store}
	w.store = store
	m := w.mount(Options{})
	m.put("f", "base")
	entry, err := m.walk(bob, "f")
	if err != nil {
		t.Fatal(err)
	}
	h := m.open(alice, "f", readWrite)
	m.write(h, 0, "lost")
	store.meet = func() {
		store.meet = nil
		if _, err := store.Unlink(w.ctx, m.Root(), "f", objstore.Unconditional(), objstore.Visible); err != nil {
			t.Error(err)
		}
	}
	if err := m.Rename(m.ctx, bob, m.Root(), "f", m.Root(), "g", objstore.RenameReplace); !errors.Is(err, objstore.ErrNotFound) {
		t.Errorf("rename: %v", err)
	}
	if _, err := m.Link(m.ctx, bob, entry.View, m.Root(), "g"); !errors.Is(err, objstore.ErrNotFound) {
		t.Errorf("link: %v", err)
	}
	m.loses(h)
}

func TestFailedRenameCommitsNothing(t *testing.T) {
	m := newMount(t)
	m.put("taken", "text")
	h := m.create(alice, "f")
	m.write(h, 0, "half")
	err := m.Rename(m.ctx, alice, m.Root(), "f", m.Root(), "taken", objstore.RenameNoReplace)
	if !errors.Is(err, ErrExists) {
		t.Fatalf("rename: %v", err)
	}
	if m.isStored("f") {
		t.Error("the pending create was committed")
	}
	m.write(h, 4, " and whole")
	m.close(h)
	m.want("the file", m.stored("f"), "half and whole")
	if len(m.conflicts()) != 0 {
		t.Error("the failed rename made a conflict")
	}
}

func TestRenameNoReplaceAndExchangeSeePendingCreates(t *testing.T) {
	m := newMount(t)
	m.put("f", "committed")
	h := m.create(alice, "g")
	m.write(h, 0, "pending")
	if err := m.Rename(m.ctx, bob, m.Root(), "f", m.Root(), "g", objstore.RenameNoReplace); !errors.Is(err, ErrExists) {
		t.Errorf("noreplace onto a pending create: %v", err)
	}
	if err := m.Rename(m.ctx, bob, m.Root(), "f", m.Root(), "g", objstore.RenameExchange); err != nil {
		t.Fatal(err)
	}
	m.want("f", m.stored("f"), "pending")
	m.want("g", m.stored("g"), "committed")
	m.close(h)
}

func TestC7LinkCommitsWhatIsPending(t *testing.T) {
	m := newMount(t)
	h := m.create(alice, "f")
	m.write(h, 0, "text")
	entry, err := m.Link(m.ctx, alice, h.View(), m.Root(), "g")
	if err != nil || entry.Attr.Nlink != 2 {
		t.Fatalf("link: %+v, %v", entry, err)
	}
	m.want("f", m.stored("f"), "text")
	m.want("g", m.stored("g"), "text")
	if _, err := m.Link(m.ctx, alice, h.View(), m.Root(), "g"); !errors.Is(err, ErrExists) {
		t.Errorf("link over a name: %v", err)
	}
	m.write(h, 0, "TEXT")
	if err := m.Unlink(m.ctx, alice, m.Root(), "f"); err != nil {
		t.Fatal(err)
	}
	m.close(h)
	m.want("the other name", m.stored("g"), "TEXT")
}

func TestC6EveryMakingVerbIsExclusive(t *testing.T) {
	m := newMount(t)
	m.put("f", "text")
	entry, err := m.Mkdir(m.ctx, alice, m.Root(), "name", 0o755)
	if err != nil || entry.View != (View{Object: entry.Attr.Object}) {
		t.Fatalf("mkdir: %+v, %v", entry, err)
	}
	f, _ := m.walk(alice, "f")
	_, mkdir := m.Mkdir(m.ctx, alice, m.Root(), "name", 0o755)
	_, symlink := m.Symlink(m.ctx, alice, m.Root(), "name", "x")
	_, mknod := m.Mknod(m.ctx, alice, m.Root(), "name", objstore.TypeFifo, 0o644, 0)
	_, file := m.Mknod(m.ctx, alice, m.Root(), "name", objstore.TypeFile, 0o644, 0)
	_, link := m.Link(m.ctx, alice, f.View, m.Root(), "name")
	_, _, create := m.Create(m.ctx, alice, m.Root(), "name", OpenMode{Exclusive: true, Write: true}, 0o644)
	rename := m.Rename(m.ctx, alice, m.Root(), "f", m.Root(), "name", objstore.RenameNoReplace)
	for what, err := range map[string]error{"mkdir": mkdir, "symlink": symlink, "mknod": mknod, "mknod file": file, "link": link, "create": create, "rename": rename} {
		if !errors.Is(err, ErrExists) {
			t.Errorf("%s over a name: %v", what, err)
		}
	}
	if _, _, err := m.Create(m.ctx, alice, m.Root(), "f", readWrite, 0o644); !errors.Is(err, ErrStale) {
		t.Errorf("create of what exists: %v, want ErrStale", err)
	}
}

func TestRenameOfDirectoryTakesPendingCreatesAlong(t *testing.T) {
	m := newMount(t)
	d, err := m.Mkdir(m.ctx, alice, m.Root(), "d", 0o755)
	if err != nil {
		t.Fatal(err)
	}
	h, _, err := m.Create(m.ctx, alice, d.View.Object, "f", readWrite, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	m.write(h, 0, "text")
	m.rename(alice, "d", "e")
	m.close(h)
	m.want("the file", m.cat(bob, "e/f"), "text")
	if _, err := m.Mkdir(m.ctx, alice, m.Root(), "x", 0o755); err != nil {
		t.Fatal(err)
	}
	pending, _, err := m.Create(m.ctx, alice, d.View.Object, "g", readWrite, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Unlink(m.ctx, alice, d.View.Object, "f"); err != nil {
		t.Fatal(err)
	}
	if err := m.Rename(m.ctx, alice, m.Root(), "x", m.Root(), "e", objstore.RenameReplace); !errors.Is(err, objstore.ErrNotEmpty) {
		t.Errorf("rename over a directory with a pending create: %v", err)
	}
	m.close(pending)
}

func TestListingShowsEveryNameOnceAndCookiesStay(t *testing.T) {
	m := newMount(t)
	want := []string{"committed", "pending"}
	m.put("committed", "1")
	h := m.create(alice, "pending")
	for i := range 3 * readDirBatch / 2 {
		name := "many-" + strings.Repeat("x", i%7) + strconv.Itoa(i)
		m.put(name, "")
		want = append(want, name)
	}
	slices.Sort(want)
	d, err := m.OpenDir(m.ctx, m.Root())
	if err != nil {
		t.Fatal(err)
	}
	type place struct {
		name string
		next uint64
	}
	walk := func(cookie uint64, limit int) (places []place) {
		err := d.Read(m.ctx, alice, cookie, ample, func(e DirEntry, next uint64) bool {
			places = append(places, place{e.Name, next})
			return len(places) < limit
		})
		if err != nil {
			t.Fatal(err)
		}
		return places
	}
	var places []place
	for cookie := uint64(0); ; {
		part := walk(cookie, 10)
		if len(part) == 0 {
			break
		}
		places = append(places, part...)
		cookie = part[len(part)-1].next
		if len(places) == 20 {
			m.close(h) // committed in the middle of the walk
		}
	}
	if places[0].name != "." || places[1].name != ".." {
		t.Errorf("the walk begins with %v", places[:2])
	}
	var names []string
	for _, p := range places[2:] {
		names = append(names, p.name)
	}
	slices.Sort(names)
	if !slices.Equal(names, want) {
		t.Errorf("listed %d names, want %d, or not the same", len(names), len(want))
	}
	for i := 0; i < len(places)-1; i += 7 {
		if again := walk(places[i].next, 1); len(again) != 1 || again[0] != places[i+1] {
			t.Fatalf("after %v comes %v, came %v", places[i], again, places[i+1])
		}
	}
	if err := d.Read(m.ctx, alice, 1<<40, ample, func(DirEntry, uint64) bool { return true }); !errors.Is(err, objstore.ErrInvalid) {
		t.Errorf("a cookie never given out: %v", err)
	}
}

func TestListingOfARemovedDirectoryIsEmpty(t *testing.T) {
	m := newMount(t)
	entry, err := m.Mkdir(m.ctx, alice, m.Root(), "d", 0o755)
	if err != nil {
		t.Fatal(err)
	}
	d, err := m.OpenDir(m.ctx, entry.View.Object)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Rmdir(m.ctx, alice, m.Root(), "d"); err != nil {
		t.Fatal(err)
	}
	err = d.Read(m.ctx, alice, 0, ample, func(e DirEntry, _ uint64) bool {
		t.Errorf("it lists %s", e.Name)
		return true
	})
	if err != nil {
		t.Error(err)
	}
}

func TestNamesThatCannotBe(t *testing.T) {
	m := newMount(t)
	long := strings.Repeat("n", objstore.NameBytesMax+1)
	_, lookup := m.Lookup(m.ctx, alice, m.Root(), long)
	_, mkdir := m.Mkdir(m.ctx, alice, m.Root(), long, 0o755)
	_, _, create := m.Create(m.ctx, alice, m.Root(), long, readWrite, 0o644)
	for what, err := range map[string]error{
		"lookup": lookup, "mkdir": mkdir, "create": create,
		"unlink": m.Unlink(m.ctx, alice, m.Root(), long), "rmdir": m.Rmdir(m.ctx, alice, m.Root(), long),
		"rename": m.Rename(m.ctx, alice, m.Root(), "f", m.Root(), long, objstore.RenameReplace),
	} {
		if !errors.Is(err, ErrNameTooLong) {
			t.Errorf("%s of a long name: %v", what, err)
		}
	}
	m.put("file", "text")
	f, _ := m.walk(alice, "file")
	if _, err := m.Lookup(m.ctx, alice, f.View.Object, "below"); !errors.Is(err, objstore.ErrNotDir) {
		t.Errorf("a path through a file: %v", err)
	}
}

// C10: a name that looks like an escape of a key but is none is refused when the file is made, not when
// it is closed.
func TestNamesOfTheFormOfAnEscapeAreRefusedAtOnce(t *testing.T) {
	m := newMount(t)
	if _, err := m.Mkdir(m.ctx, alice, m.Root(), "dir", 0o755); err != nil {
		t.Fatal(err)
	}
	for name, fits := range map[string]bool{
		"%etagfs:none":               false,
		"%etagfs:file:absent":        false,
		"%etagfs:file:dir":           true,
		"%etagfs:literal:%etagfs:me": true,
	} {
		h, _, err := m.Create(m.ctx, alice, m.Root(), name, readWrite, 0o644)
		if !fits {
			if !errors.Is(err, objstore.ErrInvalid) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		m.close(h)
	}
}
