package objstoretest

import (
	"context"
	"fmt"
	"maps"
	"sync"

	"github.com/etagfs/etagfs/objstore"
)

func watchCases() []Case {
	return []Case{
		{Name: "WatchTellsEveryName", needs: needNamespace, run: watchTellsEveryName},
		{Name: "WatchTellsShiftedNames", needs: needNamespace, run: watchTellsShiftedNames},
		{Name: "WatchTellsContentsInOrder", needs: needNamespace, run: watchTellsContentsInOrder},
		{Name: "WatchTellsAttributes", needs: needNamespace, run: watchTellsAttributes},
		{Name: "WatchTellsNothingThatFailed", needs: needNamespace, run: watchTellsNothingThatFailed},
		{Name: "WatchStops", needs: needNamespace, run: watchStops},
	}
}

// place is a name in a directory.
type place struct {
	parent objstore.ID
	name   string
}

// mirror is the tree as its changes tell it.
type mirror struct {
	mu       sync.Mutex
	names    map[place]objstore.ID
	versions map[objstore.ID]objstore.Version
	log      []objstore.Change
	// filesOnly: every content told is that of a file. Directories may get new
	// versions without a change of content.
	filesOnly bool
	// displaced lost its name to a change that did not replace it: the next
	// change must move it (an exchange).
	displaced objstore.ID
	err       error // the first contradiction
}

// watch mirrors the subject from now on, which must be empty.
func (e *Env) watch() *mirror {
	m := &mirror{names: map[place]objstore.ID{}, versions: map[objstore.ID]objstore.Version{}}
	e.ns().Watch(m.note)
	return m
}

func (m *mirror) note(c objstore.Change) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.log = append(m.log, c)
	at, to := place{c.Parent, c.Name}, place{c.NewParent, c.NewName}
	switch c.Kind {
	case objstore.ChangeCreated:
		m.expect(m.names[at] == 0, c, "the name was there")
		m.names[at] = c.Object
	case objstore.ChangeRemoved:
		m.expect(m.names[at] == c.Object, c, "the name was not the object's")
		delete(m.names, at)
	case objstore.ChangeMoved:
		if m.displaced == c.Object {
			m.displaced = 0
		} else {
			m.expect(m.names[at] == c.Object, c, "the old name was not the object's")
			delete(m.names, at)
		}
		if there := m.names[to]; there != c.Replaced {
			m.expect(c.Replaced == 0 && m.displaced == 0, c, "the new name was not that of what it replaced")
			m.displaced = there
		}
		m.names[to] = c.Object
	case objstore.ChangeContent:
		old, known := m.versions[c.Object]
		m.expect(!known || old == c.Old || !m.filesOnly, c, "the old version was another")
		m.expect(c.New != "" && c.New != c.Old, c, "the new version is not new")
		m.versions[c.Object] = c.New
	case objstore.ChangeAttr:
	default:
		m.expect(false, c, "unknown kind")
	}
}

func (m *mirror) expect(ok bool, c objstore.Change, what string) {
	if !ok && m.err == nil {
		m.err = fmt.Errorf("%s: %+v", what, c)
	}
}

// compare ends the case unless the mirror shows the tree as it is.
func (m *mirror) compare(ctx context.Context, e *Env, after string) {
	actual := map[place]objstore.ID{}
	infos := map[objstore.ID]objstore.Info{}
	e.walk(ctx, e.root(), func(parent objstore.ID, entry objstore.DirEntry) {
		actual[place{parent, entry.Name}] = entry.Info.ID
		infos[entry.Info.ID] = entry.Info
	})
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		e.Failf("after %s: %w", after, m.err)
	}
	equal(e, m.displaced, 0, "half an exchange after "+after)
	if !maps.Equal(m.names, actual) {
		e.Failf("after %s the changes told %v, the tree has %v", after, m.names, actual)
	}
	for id, version := range m.versions {
		if info, there := infos[id]; there && info.Type == objstore.TypeFile && info.Version != version {
			e.Failf("after %s the changes told version %s of %d, it has %s", after, version, id, info.Version)
		}
	}
}

// count is the number of changes that match.
func (m *mirror) count(match func(objstore.Change) bool) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for _, c := range m.log {
		if match(c) {
			n++
		}
	}
	return n
}

func watchTellsEveryName(ctx context.Context, e *Env) {
	m := e.watch()
	d := e.mkdir(ctx, e.root(), "d")
	m.compare(ctx, e, "mkdir")
	file := e.create(ctx, d, "f", "x")
	m.compare(ctx, e, "create")
	e.rename(ctx, d, "f", e.root(), "g")
	m.compare(ctx, e, "rename")
	e.create(ctx, d, "f", "y")
	e.rename(ctx, e.root(), "g", d, "f")
	m.compare(ctx, e, "rename over")
	_, err := e.tryMove(ctx, e.root(), "d", e.root(), "e", objstore.RenameReplace)
	e.ok(err, "rename of a directory")
	m.compare(ctx, e, "rename of a directory")
	e.create(ctx, e.root(), "x", "")
	_, err = e.tryMove(ctx, e.root(), "x", d, "f", objstore.RenameExchange)
	e.ok(err, "exchange")
	m.compare(ctx, e, "exchange")
	e.put(ctx, "deep/er/key", "x")
	m.compare(ctx, e, "put")
	e.put(ctx, "deep/er/key", "y")
	m.compare(ctx, e, "put over")
	e.delete(ctx, "deep/er/key")
	m.compare(ctx, e, "delete")
	if e.ns().Capabilities().HardLinks {
		e.link(ctx, file.ID, d, "link")
		m.compare(ctx, e, "link")
		e.put(ctx, "e/link", "x")
		m.compare(ctx, e, "put over one name")
	}
	if e.Store.Capabilities().RenameDir {
		_, err = e.Store.Rename(ctx, objstore.RenameRequest{Src: "e/", SrcCond: objstore.IfPresent(), Dst: "a/b/", DstCond: objstore.IfAbsent()})
		e.ok(err, "rename through the store")
		m.compare(ctx, e, "rename through the store")
	}
	s := e.newStage(ctx, nil)
	defer s.Close()
	_, err = s.Commit(ctx, objstore.CommitRequest{
		Target: e.target(ctx, e.root(), "tmp"), Cond: objstore.IfAbsent(),
		Move: &objstore.MoveRequest{Parent: e.root(), Name: "tmp", Cond: objstore.IfPresent(), NewParent: d, NewName: "f", NewCond: objstore.IfPresent()},
	})
	e.ok(err, "commit and rename")
	m.compare(ctx, e, "commit and rename")
	e.unlink(ctx, d, "f")
	m.compare(ctx, e, "unlink")
}

// watchTellsShiftedNames: an object is shown under another name when a directory
// of its own name comes or goes.
func watchTellsShiftedNames(ctx context.Context, e *Env) {
	m := e.watch()
	e.put(ctx, "a", "object")
	e.put(ctx, "a/b", "below")
	m.compare(ctx, e, "a directory came beside the object")
	e.delete(ctx, "a/b")
	m.compare(ctx, e, "the directory went")
	e.put(ctx, "a/b", "below")
	e.rename(ctx, e.root(), "a", e.root(), "c")
	m.compare(ctx, e, "the directory was renamed")
	if e.Store.Capabilities().RenameDir {
		_, err := e.Store.Rename(ctx, objstore.RenameRequest{Src: "c/", SrcCond: objstore.IfPresent(), Dst: "a/", DstCond: objstore.IfAbsent()})
		e.ok(err, "rename")
		m.compare(ctx, e, "the directory came back by a rename")
	}
	e.delete(ctx, "a")
	m.compare(ctx, e, "the object went")
}

func watchTellsContentsInOrder(ctx context.Context, e *Env) {
	m := e.watch()
	m.filesOnly = true
	ids := []objstore.ID{e.create(ctx, e.root(), "a", "").ID, e.put(ctx, "b", "").ID}
	e.parallel(6, func(i int) {
		for j := range 20 {
			id := ids[(i+j)%2]
			if i == 0 {
				e.put(ctx, objstore.Key("ab"[(i+j)%2:][:1]), "put")
				continue
			}
			s, _ := e.edit(ctx, id)
			e.write(ctx, s, "x", 0)
			info := e.commit(ctx, s, id, objstore.IfPresent()).Info
			told := m.count(func(c objstore.Change) bool {
				return c.Kind == objstore.ChangeContent && c.Object == id && c.New == info.Version && c.Size == info.Size
			})
			equal(e, told, 1, "times a commit was told before it was acknowledged")
			e.ok(s.Close(), "close stage")
		}
	})
	m.compare(ctx, e, "commits by several")
	// Where the content is told to be, and whether it was appended to.
	d := e.mkdir(ctx, e.root(), "d")
	file := e.create(ctx, d, "f", "x")
	s, base := e.edit(ctx, file.ID)
	defer s.Close()
	e.write(ctx, s, "y", 1)
	info := e.commit(ctx, s, file.ID, objstore.IfVersion(base)).Info
	equal(e, m.count(func(c objstore.Change) bool {
		return c.Kind == objstore.ChangeContent && c.Object == file.ID && c.Old == base && c.New == info.Version &&
			c.Parent == d && c.Name == "f" && c.Size == 2 && c.Appended
	}), 1, "appends told")
	e.write(ctx, s, "z", 0)
	info = e.commit(ctx, s, file.ID, objstore.IfPresent()).Info
	equal(e, m.count(func(c objstore.Change) bool { return c.New == info.Version && c.Object == file.ID && !c.Appended }), 1, "overwrites told")
	// An append to what is not the current version is none.
	stale, _ := e.edit(ctx, file.ID)
	defer stale.Close()
	e.overwrite(ctx, file.ID, "other")
	e.write(ctx, stale, "end", 2)
	info = e.commit(ctx, stale, file.ID, objstore.Unconditional()).Info
	equal(e, m.count(func(c objstore.Change) bool { return c.New == info.Version && c.Object == file.ID && !c.Appended }), 1, "blind overwrites told")
}

func watchTellsAttributes(ctx context.Context, e *Env) {
	m := e.watch()
	file := e.create(ctx, e.root(), "f", "x")
	attrs := func() int {
		return m.count(func(c objstore.Change) bool { return c.Kind == objstore.ChangeAttr && c.Object == file.ID })
	}
	before := attrs()
	wantMore := func(what string) {
		now := attrs()
		if now <= before {
			e.Failf("%s was not told", what)
		}
		before = now
	}
	e.setAttr(ctx, file.ID, objstore.AttrChange{Mode: new(uint32(0o600))})
	wantMore("a change of mode")
	e.setAttr(ctx, file.ID, objstore.AttrChange{Xattrs: map[string][]byte{"user.a": {1}}})
	wantMore("a change of xattrs")
	if e.ns().Capabilities().HardLinks {
		e.link(ctx, file.ID, e.root(), "g")
		wantMore("a link")
		e.unlink(ctx, e.root(), "f")
		wantMore("an unlink")
	}
}

func watchTellsNothingThatFailed(ctx context.Context, e *Env) {
	file := e.create(ctx, e.root(), "f", "x")
	d := e.mkdir(ctx, e.root(), "d")
	e.create(ctx, d, "g", "")
	s, _ := e.edit(ctx, file.ID)
	defer s.Close()
	e.write(ctx, s, "y", 0)
	m := e.watch()
	_, err := e.tryCommit(ctx, s, file.ID, objstore.IfAbsent())
	e.want(err, objstore.ErrPrecondition, "commit")
	_, err = e.tryPut(ctx, "new/f", "y", objstore.IfPresent())
	e.want(err, objstore.ErrNotFound, "put")
	_, err = e.tryUnlink(ctx, e.root(), "d")
	e.want(err, objstore.ErrIsDir, "unlink")
	_, err = e.ns().Rmdir(ctx, e.root(), "d", objstore.Visible)
	e.want(err, objstore.ErrNotEmpty, "rmdir")
	_, err = e.tryMove(ctx, e.root(), "f", e.root(), "d", objstore.RenameReplace)
	e.want(err, objstore.ErrIsDir, "rename")
	_, err = s.Commit(ctx, objstore.CommitRequest{
		Target: objstore.Target{ID: file.ID}, Cond: objstore.IfPresent(),
		Move: &objstore.MoveRequest{Parent: e.root(), Name: "f", Cond: objstore.IfPresent(), NewParent: e.root(), NewName: "d", NewCond: objstore.Unconditional()},
	})
	e.want(err, objstore.ErrIsDir, "commit and rename")
	equal(e, m.count(func(objstore.Change) bool { return true }), 0, "changes told")
}

func watchStops(ctx context.Context, e *Env) {
	var mu sync.Mutex
	told := map[string]int{}
	watch := func(name string) func() {
		return e.ns().Watch(func(objstore.Change) {
			mu.Lock()
			defer mu.Unlock()
			told[name]++
		})
	}
	stopA, stopB := watch("a"), watch("b")
	e.put(ctx, "k", "1")
	stopA()
	e.put(ctx, "k", "2")
	stopB()
	e.put(ctx, "k", "3")
	mu.Lock()
	defer mu.Unlock()
	if told["a"] == 0 || told["b"] <= told["a"] {
		e.Failf("changes told: %v", told)
	}
	equal(e, told["b"]-told["a"], 1, "changes told between the stops")
}
