package flatns_test

import (
	"fmt"
	"io"
	"testing"

	"github.com/etagfs/etagfs/objstore"
)

var _ objstore.Forgetter = (*mounted)(nil)

func nobody(objstore.ID) bool { return false }

func atOnce() {}

// remembered is how many objects the namespace has ids of.
func (m *mounted) remembered(t *testing.T) int64 {
	t.Helper()
	usage, err := m.Usage(t.Context())
	must(t, err)
	return usage.Objects
}

// A listing of many names, in a process that may not remember as many, asks to forget them, and then nothing of them is left.
func TestNamesThatNobodyUsesAreForgotten(t *testing.T) {
	w := newWorld(t, nil, nil)
	const names, most = 500, 40
	for i := range names {
		must(t, w.put(t.Context(), objstore.Key(fmt.Sprintf("d/%03d", i)), "x", nil))
	}
	m := w.mount()
	asked := 0
	m.OnCrowd(most, func() { asked++ })
	dir, err := m.Lookup(t.Context(), m.root, "d")
	must(t, err)
	listed, after, worst := 0, "", int64(0)
	for more := true; more; {
		var page []objstore.DirEntry
		page, more, err = m.ReadDir(t.Context(), dir.ID, after, 10)
		must(t, err)
		for _, e := range page {
			listed, after = listed+1, e.Name
		}
		worst = max(worst, m.remembered(t))
		if asked > 0 {
			asked = 0
			m.Forget(atOnce, func(id objstore.ID) bool { return id == dir.ID })
		}
	}
	if listed != names || worst > most+10+2 {
		t.Errorf("%d names were listed, and up to %d remembered", listed, worst)
	}
	m.Forget(atOnce, nobody)
	m.Forget(atOnce, nobody)                // the directory, which had names below it
	if left := m.remembered(t); left != 1 { // the root
		t.Errorf("%d objects are left", left)
	}
	if asked != 0 {
		t.Errorf("with few names it was asked for")
	}
}

// Whoever uses a file, a directory or what is below one goes on with the ids there are; so does who reads.
func TestWhatIsUsedIsNotForgotten(t *testing.T) {
	w := newWorld(t, nil, func(s objstore.Store) objstore.Store { return unpinned{s} })
	ctx, m := t.Context(), w.mount()
	for _, key := range []objstore.Key{"a/b/used", "a/b/unused", "read"} {
		must(t, w.put(ctx, key, "text", nil))
	}
	a, err := m.Lookup(ctx, m.root, "a")
	must(t, err)
	b, err := m.Lookup(ctx, a.ID, "b")
	must(t, err)
	used, err := m.Lookup(ctx, b.ID, "used")
	must(t, err)
	unused, err := m.Lookup(ctx, b.ID, "unused")
	must(t, err)
	read, err := m.Lookup(ctx, m.root, "read")
	must(t, err)
	r, err := m.Open(ctx, read.ID, read.Version)
	must(t, err)
	for range 3 {
		m.Forget(atOnce, func(id objstore.ID) bool { return id == used.ID })
	}
	_, err = m.Stat(ctx, unused.ID)
	wantKind(t, err, objstore.ErrNotFound, "what nobody uses")
	again, err := m.Lookup(ctx, b.ID, "used")
	must(t, err)
	if again.ID != used.ID {
		t.Errorf("it is %d now, was %d", again.ID, used.ID)
	}
	// A change of attributes by somebody else: the reader looks for its content under the name of its file.
	must(t, w.mount().chmod(ctx, "read", 0o600))
	text, err := io.ReadAll(r.Stream(ctx, 0, -1))
	must(t, err)
	if string(text) != "text" {
		t.Errorf("read %q", text)
	}
	must(t, r.Close())
	m.Forget(atOnce, func(id objstore.ID) bool { return id == used.ID })
	_, err = m.Stat(ctx, read.ID)
	wantKind(t, err, objstore.ErrNotFound, "what nobody reads any more")
	now, err := m.Lookup(ctx, m.root, "read")
	must(t, err)
	if now.ID == read.ID {
		t.Error("an id was given out again")
	}
}

// Who is told of a file while it is found out who uses it can use it.
func TestWhatIsToldMeanwhileIsNotForgotten(t *testing.T) {
	w := newWorld(t, nil, nil)
	ctx, m := t.Context(), w.mount()
	must(t, w.put(ctx, "f", "text", nil))
	before, err := m.Lookup(ctx, m.root, "f")
	must(t, err)
	m.Forget(func() {
		told, err := m.Lookup(ctx, m.root, "f")
		must(t, err)
		if told.ID != before.ID {
			t.Errorf("it is %d now, was %d", told.ID, before.ID)
		}
	}, nobody)
	_, err = m.Stat(ctx, before.ID)
	must(t, err)
}

// However many names were seen since, a writer commits against what it opened, and one that is out of date loses.
func TestWriterIsNotConfusedByManyNames(t *testing.T) {
	w := newWorld(t, nil, nil)
	ctx, m := t.Context(), w.mount()
	must(t, w.put(ctx, "f", "one", map[string]string{"mode": "33152", "uid": "5"}))
	first, err := m.open(ctx, "f")
	must(t, err)
	second, err := m.open(ctx, "f")
	must(t, err)
	for i := range 3000 { // more than there are whole descriptions of
		must(t, w.put(ctx, objstore.Key(fmt.Sprintf("many/%04d", i)), "", nil))
	}
	many, err := m.Lookup(ctx, m.root, "many")
	must(t, err)
	for after, more := "", true; more; {
		var page []objstore.DirEntry
		page, more, err = m.ReadDir(ctx, many.ID, after, 1000)
		must(t, err)
		after = page[len(page)-1].Name
	}
	_, err = first.close(ctx, "two")
	must(t, err)
	_, err = second.close(ctx, "three")
	wantKind(t, err, objstore.ErrPrecondition, "the second writer")
	text, err := w.get(ctx, "f")
	must(t, err)
	if text != "two" {
		t.Errorf("it has %q", text)
	}
	info, err := w.store.Head(ctx, "f")
	must(t, err)
	if info.UserMeta["mode"] != "33152" || info.UserMeta["uid"] != "5" {
		t.Errorf("attributes %v", info.UserMeta)
	}
}
