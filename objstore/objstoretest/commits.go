package objstoretest

import (
	"context"
	"strings"

	"github.com/etagfs/etagfs/objstore"
)

func commitCases() []Case {
	return []Case{
		{Name: "CommitChainsOnItsOwnVersions", needs: needNamespace, run: commitChainsOnItsOwnVersions},
		{Name: "FirstCommitWins", needs: needNamespace, run: firstCommitWins},
		{Name: "CommitFollowsTheObject", needs: needNamespace, run: commitFollowsTheObject},
		{Name: "CommitOfNothingIsACommit", needs: needNamespace, run: commitOfNothingIsACommit},
		{Name: "CommitMakesPendingFiles", needs: needNamespace, run: commitMakesPendingFiles},
		{Name: "CommitReplacesAName", needs: needNamespace, run: commitReplacesAName},
		{Name: "CommitRefusesDirectories", needs: needNamespace, run: commitRefusesDirectories},
		{Name: "CommitMovesInOneStep", needs: needNamespace, run: commitMovesInOneStep},
		{Name: "CommitLinksInOneStep", needs: needNamespace | needHardLinks, run: commitLinksInOneStep},
		{Name: "CommitTellsWhetherItAppended", needs: needNamespace, run: commitTellsWhetherItAppended},
	}
}

func commitChainsOnItsOwnVersions(ctx context.Context, e *Env) {
	file := e.create(ctx, e.root(), "f", "0")
	s, version := e.edit(ctx, file.ID)
	defer s.Close()
	want := "0"
	for i := range 30 {
		text := string(rune('a' + i%26))
		e.write(ctx, s, text, int64(len(want)))
		want += text
		equal(e, s.Changed(), true, "changed by a write")
		version = e.commit(ctx, s, file.ID, objstore.IfVersion(version)).Info.Version
		equal(e, s.Changed(), false, "changed after a commit")
		e.wantContent(ctx, "f", want)
	}
	// Its own earlier versions are not good any longer.
	_, err := e.tryCommit(ctx, s, file.ID, objstore.IfVersion(file.Version))
	e.want(err, objstore.ErrPrecondition, "commit on the first version")
}

// firstCommitWins is promise C3: of two who began with the same version the second loses,
// and nothing of it becomes visible.
func firstCommitWins(ctx context.Context, e *Env) {
	file := e.create(ctx, e.root(), "f", "base")
	a, base := e.edit(ctx, file.ID)
	defer a.Close()
	b, _ := e.edit(ctx, file.ID)
	defer b.Close()
	e.write(ctx, a, "AAAAAA", 0)
	e.write(ctx, b, "BB", 1)
	won := e.commit(ctx, a, file.ID, objstore.IfVersion(base)).Info
	_, err := e.tryCommit(ctx, b, file.ID, objstore.IfVersion(base))
	e.want(err, objstore.ErrPrecondition, "second commit")
	now := e.stat(ctx, file.ID)
	equal(e, now.ETag, won.ETag, "etag")
	equal(e, now.MetaVersion, won.MetaVersion, "metadata version")
	e.wantContent(ctx, "f", "AAAAAA")
	// The loser keeps its bytes, and may commit them on the winner knowingly.
	equal(e, b.Changed(), true, "changed after a lost commit")
	p := make([]byte, 4)
	_, err = b.ReadAt(ctx, p, 0)
	e.ok(err, "read the loser's stage")
	equal(e, string(p), "bBBe", "the loser's bytes")
	e.commit(ctx, b, file.ID, objstore.IfVersion(won.Version))
	e.wantContent(ctx, "f", "bBBe")
}

func commitFollowsTheObject(ctx context.Context, e *Env) {
	dir := e.mkdir(ctx, e.root(), "dir")
	file := e.create(ctx, e.root(), "f", "old")
	s, base := e.edit(ctx, file.ID)
	defer s.Close()
	e.rename(ctx, e.root(), "f", dir, "moved")
	other := e.create(ctx, e.root(), "f", "another file")
	e.write(ctx, s, "new", 0)
	e.commit(ctx, s, file.ID, objstore.IfVersion(base))
	e.wantContent(ctx, "dir/moved", "new")
	e.wantContent(ctx, "f", "another file")
	e.unlink(ctx, dir, "moved")
	_, err := e.tryCommit(ctx, s, file.ID, objstore.Unconditional())
	e.want(err, objstore.ErrNotFound, "commit without a name")
	e.wantNoName(ctx, dir, "moved")
	e.wantContent(ctx, "f", "another file")
	equal(e, e.stat(ctx, other.ID).ETag, other.ETag, "etag of the other file")
}

func commitOfNothingIsACommit(ctx context.Context, e *Env) {
	file := e.create(ctx, e.root(), "f", "same")
	s, base := e.edit(ctx, file.ID)
	defer s.Close()
	equal(e, s.Changed(), false, "changed at first")
	info := e.commit(ctx, s, file.ID, objstore.IfVersion(base)).Info
	if info.Version == base {
		e.Failf("a commit without changes made no version")
	}
	e.wantContent(ctx, "f", "same")
	empty := e.newStage(ctx, nil)
	defer empty.Close()
	equal(e, empty.Changed(), false, "changed at first")
	_, err := empty.Commit(ctx, objstore.CommitRequest{Target: e.target(ctx, e.root(), "empty"), Cond: objstore.IfAbsent()})
	e.ok(err, "commit of nothing")
	e.wantContent(ctx, "empty", "")
}

func commitMakesPendingFiles(ctx context.Context, e *Env) {
	s := e.newStage(ctx, nil)
	defer s.Close()
	e.write(ctx, s, "pending", 0)
	target := e.target(ctx, e.root(), "f")
	_, err := e.ns().Stat(ctx, target.ID)
	e.want(err, objstore.ErrNotFound, "stat of a pending file")
	e.wantAbsent(ctx, "f")
	e.wantNoName(ctx, e.root(), "f")
	res, err := s.Commit(ctx, objstore.CommitRequest{Target: target, Cond: objstore.IfAbsent()})
	e.ok(err, "commit")
	equal(e, res.Info.ID, target.ID, "id")
	equal(e, e.lookup(ctx, e.root(), "f").ID, target.ID, "id looked up")
	// From now on it is the object that is committed to.
	e.write(ctx, s, "more", 7)
	e.commit(ctx, s, target.ID, objstore.IfVersion(res.Info.Version))
	e.wantContent(ctx, "f", "pendingmore")
	late := e.newStage(ctx, nil)
	defer late.Close()
	_, err = late.Commit(ctx, objstore.CommitRequest{Target: e.target(ctx, e.root(), "f"), Cond: objstore.IfAbsent()})
	e.want(err, objstore.ErrPrecondition, "second create")
	gone := e.mkdir(ctx, e.root(), "gone")
	_, err = e.ns().Rmdir(ctx, e.root(), "gone", objstore.Visible)
	e.ok(err, "rmdir")
	_, err = late.Commit(ctx, objstore.CommitRequest{Target: e.target(ctx, gone, "f"), Cond: objstore.IfAbsent()})
	e.want(err, objstore.ErrNotFound, "create in a removed directory")
	_, err = late.Commit(ctx, objstore.CommitRequest{Target: e.target(ctx, target.ID, "f"), Cond: objstore.IfAbsent()})
	e.want(err, objstore.ErrNotDir, "create below a file")
	e.wantContent(ctx, "f", "pendingmore")
}

func commitReplacesAName(ctx context.Context, e *Env) {
	old := e.create(ctx, e.root(), "f", "old")
	pinned := e.openID(ctx, old.ID)
	defer pinned.Close()
	s := e.newStage(ctx, nil)
	defer s.Close()
	e.write(ctx, s, "new", 0)
	target := e.target(ctx, e.root(), "f")
	_, err := s.Commit(ctx, objstore.CommitRequest{Target: target, Cond: objstore.IfVersion(old.Version)})
	e.ok(err, "commit over a name")
	equal(e, e.lookup(ctx, e.root(), "f").ID, target.ID, "id")
	_, err = e.ns().Stat(ctx, old.ID)
	e.want(err, objstore.ErrNotFound, "stat of the replaced")
	e.wantBytes(e.readAll(ctx, pinned), "old", "what a reader of the replaced reads")
	e.wantContent(ctx, "f", "new")
	equal(e, len(e.readDir(ctx, e.root())), 1, "entries")
}

func commitRefusesDirectories(ctx context.Context, e *Env) {
	d := e.mkdir(ctx, e.root(), "d")
	s := e.newStage(ctx, nil)
	defer s.Close()
	for _, cond := range []objstore.Cond{objstore.IfAbsent(), objstore.IfPresent(), objstore.Unconditional()} {
		_, err := s.Commit(ctx, objstore.CommitRequest{Target: e.target(ctx, e.root(), "d"), Cond: cond})
		e.want(err, objstore.ErrIsDir, "commit to the name of a directory")
	}
	_, err := e.tryCommit(ctx, s, d, objstore.Unconditional())
	e.want(err, objstore.ErrIsDir, "commit to a directory")
	equal(e, e.lookup(ctx, e.root(), "d").ID, d, "the directory")
}

// commitMovesInOneStep is promise C7: content and rename together, or neither.
func commitMovesInOneStep(ctx context.Context, e *Env) {
	root := e.root()
	dir := e.mkdir(ctx, root, "dir")
	file := e.create(ctx, root, "f", "old")
	replaced := e.create(ctx, dir, "target", "replaced")
	s, base := e.edit(ctx, file.ID)
	defer s.Close()
	e.write(ctx, s, "new", 0)
	move := &objstore.MoveRequest{
		Parent: root, Name: "f", Cond: objstore.Unconditional(), NewParent: dir, NewName: "target", NewCond: objstore.IfVersion("1" + replaced.Version),
	}
	commit := func() (objstore.CommitResult, error) {
		return s.Commit(ctx, objstore.CommitRequest{Target: objstore.Target{ID: file.ID}, Cond: objstore.IfVersion(base), Move: move})
	}
	_, err := commit()
	e.want(err, objstore.ErrPrecondition, "commit with a lost rename")
	e.wantContent(ctx, "f", "old")
	equal(e, e.stat(ctx, file.ID).ETag, file.ETag, "etag after a lost rename")
	equal(e, s.Changed(), true, "changed after a lost rename")
	move.NewCond = objstore.IfVersion(replaced.Version)
	res, err := commit()
	e.ok(err, "commit and rename")
	equal(e, res.Moved.Moved.ID, file.ID, "moved")
	equal(e, res.Moved.Replaced.ID, replaced.ID, "replaced")
	equal(e, res.Moved.Gone, true, "gone")
	e.wantContent(ctx, "dir/target", "new")
	e.wantNoName(ctx, root, "f")
	// A pending file appears under its new name only.
	pending := e.newStage(ctx, nil)
	defer pending.Close()
	e.write(ctx, pending, "pending", 0)
	res, err = pending.Commit(ctx, objstore.CommitRequest{
		Target: e.target(ctx, root, "tmp"), Cond: objstore.IfAbsent(),
		Move: &objstore.MoveRequest{
			Parent: root, Name: "tmp", Cond: objstore.Unconditional(), NewParent: root, NewName: "final", NewCond: objstore.IfAbsent(),
		},
	})
	e.ok(err, "commit and rename of a pending file")
	e.wantContent(ctx, "final", "pending")
	e.wantNoName(ctx, root, "tmp")
	equal(e, e.lookup(ctx, root, "final").ETag, res.Info.ETag, "etag told")
}

func commitLinksInOneStep(ctx context.Context, e *Env) {
	root := e.root()
	e.create(ctx, root, "taken", "")
	s := e.newStage(ctx, nil)
	defer s.Close()
	e.write(ctx, s, "x", 0)
	target := e.target(ctx, root, "f")
	_, err := s.Commit(ctx, objstore.CommitRequest{Target: target, Cond: objstore.IfAbsent(), LinkParent: root, LinkName: "taken"})
	e.want(err, objstore.ErrPrecondition, "commit and link to a name that is taken")
	e.wantNoName(ctx, root, "f")
	res, err := s.Commit(ctx, objstore.CommitRequest{Target: target, Cond: objstore.IfAbsent(), LinkParent: root, LinkName: "g"})
	e.ok(err, "commit and link")
	equal(e, res.Info.Nlink, 2, "links")
	e.wantContent(ctx, "f", "x")
	equal(e, e.lookup(ctx, root, "g").ID, target.ID, "id of the link")
}

func commitTellsWhetherItAppended(ctx context.Context, e *Env) {
	body := strings.Repeat("x", 100_000)
	for what, row := range map[string]struct {
		edit func(s objstore.Stage)
		want bool
	}{
		"append":               {func(s objstore.Stage) { e.write(ctx, s, "more", 100_000) }, true},
		"append after a hole":  {func(s objstore.Stage) { e.write(ctx, s, "more", 5<<20) }, true},
		"grow":                 {func(s objstore.Stage) { e.ok(s.Truncate(ctx, 200_000), "truncate") }, true},
		"overwrite":            {func(s objstore.Stage) { e.write(ctx, s, "more", 99_999) }, false},
		"cut":                  {func(s objstore.Stage) { e.ok(s.Truncate(ctx, 99_999), "truncate") }, false},
		"cut and write longer": {func(s objstore.Stage) { e.ok(s.Truncate(ctx, 10), "truncate"); e.write(ctx, s, "y", 100_000) }, false},
		"punch": {func(s objstore.Stage) {
			e.ok(s.Allocate(ctx, 0, 70_000, objstore.PunchHole), "punch")
			e.write(ctx, s, "y", 100_000)
		}, false},
	} {
		file := e.create(ctx, e.root(), what, body)
		s, base := e.edit(ctx, file.ID)
		row.edit(s)
		res := e.commit(ctx, s, file.ID, objstore.IfVersion(base))
		equal(e, res.Appended, row.want, what+": appended")
		if strings.HasPrefix(e.readID(ctx, file.ID), body) != row.want {
			e.Failf("%s: the content does not agree", what)
		}
		// It counts from the last commit.
		e.write(ctx, s, "z", s.Size())
		equal(e, e.commit(ctx, s, file.ID, objstore.IfPresent()).Appended, true, what+": appended later")
		e.ok(s.Close(), "close stage")
	}
}
