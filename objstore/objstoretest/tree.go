package objstoretest

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/etagfs/etagfs/objstore"
)

func treeCases() []Case {
	return []Case{
		{Name: "RootIsADirectory", needs: needNamespace, run: rootIsADirectory},
		{Name: "MakeMakesEveryType", needs: needNamespace, run: makeMakesEveryType},
		{Name: "MakeRefusesNonsense", needs: needNamespace, run: makeRefusesNonsense},
		{Name: "NamesAreThoseOfPOSIX", needs: needNamespace, run: namesAreThoseOfPOSIX},
		{Name: "RemovalFollowsPOSIX", needs: needNamespace, run: removalFollowsPOSIX},
		{Name: "DirectoriesCountTheirLinks", needs: needNamespace, run: directoriesCountTheirLinks},
		{Name: "ParentsFeelChanges", needs: needNamespace, run: parentsFeelChanges},
		{Name: "PathAndParentTellThePlace", needs: needNamespace, run: pathAndParentTellThePlace},
		{Name: "MissingIDsAreNotFound", needs: needNamespace, run: missingIDsAreNotFound},
		{Name: "NamespaceErrorsNameOperationAndName", needs: needNamespace, run: namespaceErrorsNameOperationAndName},
		{Name: "CancelledNamespaceCallsChangeNothing", needs: needNamespace, run: cancelledNamespaceCallsChangeNothing},
		{Name: "NewIDsAreDistinct", needs: needNamespace, run: newIDsAreDistinct},
	}
}

func rootIsADirectory(ctx context.Context, e *Env) {
	root := e.stat(ctx, e.root())
	equal(e, root.ID, e.root(), "id")
	equal(e, root.Type, objstore.TypeDir, "type")
	equal(e, root.Nlink, 2, "links")
	parent, err := e.ns().Parent(ctx, e.root())
	e.ok(err, "parent of the root")
	equal(e, parent, e.root(), "parent of the root")
	equal(e, len(e.readDir(ctx, e.root())), 0, "entries of a new root")
	equal(e, len(e.keys(ctx, objstore.ListOptions{})), 0, "keys of a new store")
}

func makeMakesEveryType(ctx context.Context, e *Env) {
	for _, req := range []objstore.MakeRequest{
		{Type: objstore.TypeDir}, {Type: objstore.TypeSymlink, Target: "../some where/else\xff"},
		{Type: objstore.TypeFifo}, {Type: objstore.TypeSocket},
		{Type: objstore.TypeCharDevice, Rdev: 0x103}, {Type: objstore.TypeBlockDevice, Rdev: 0x801},
	} {
		req.Parent, req.Name = e.root(), fmt.Sprintf("type%d", req.Type)
		req.Attr = objstore.NewAttr{Mode: 0o1751, UID: 7, GID: 8}
		req.Xattrs = map[string][]byte{"user.a": []byte("b")}
		made, err := e.ns().Make(ctx, req)
		e.ok(err, "make")
		for what, info := range map[string]objstore.Info{"made": made, "looked up": e.lookup(ctx, e.root(), req.Name), "stat": e.stat(ctx, made.ID)} {
			what = fmt.Sprintf("%s type %d: ", what, req.Type)
			equal(e, info.ID, made.ID, what+"id")
			equal(e, info.Type, req.Type, what+"type")
			equal(e, info.Rdev, req.Rdev, what+"device")
			equal(e, info.Size, int64(len(req.Target)), what+"size")
			equal(e, info.Attr.Mode, 0o1751, what+"mode")
			equal(e, info.Attr.UID, 7, what+"owner")
			equal(e, info.Attr.GID, 8, what+"group")
			equal(e, string(info.Xattrs["user.a"]), "b", what+"xattr")
		}
		if req.Type == objstore.TypeSymlink {
			target, err := e.ns().Readlink(ctx, made.ID)
			e.ok(err, "readlink")
			equal(e, target, req.Target, "target")
		} else {
			_, err := e.ns().Readlink(ctx, made.ID)
			e.want(err, objstore.ErrInvalid, "readlink of no link")
		}
	}
	equal(e, len(e.readDir(ctx, e.root())), 6, "entries")
}

func makeRefusesNonsense(ctx context.Context, e *Env) {
	file := e.create(ctx, e.root(), "file", "")
	for what, row := range map[string]struct {
		req  objstore.MakeRequest
		kind objstore.Kind
	}{
		"no type":          {objstore.MakeRequest{Parent: e.root(), Name: "x"}, objstore.ErrInvalid},
		"a file":           {objstore.MakeRequest{Parent: e.root(), Name: "x", Type: objstore.TypeFile}, objstore.ErrInvalid},
		"link to nothing":  {objstore.MakeRequest{Parent: e.root(), Name: "x", Type: objstore.TypeSymlink}, objstore.ErrInvalid},
		"target too long":  {objstore.MakeRequest{Parent: e.root(), Name: "x", Type: objstore.TypeSymlink, Target: strings.Repeat("t", 4096)}, objstore.ErrTooLarge},
		"below a file":     {objstore.MakeRequest{Parent: file.ID, Name: "x", Type: objstore.TypeDir}, objstore.ErrNotDir},
		"below nothing":    {objstore.MakeRequest{Parent: file.ID + 1<<40, Name: "x", Type: objstore.TypeDir}, objstore.ErrNotFound},
		"over a file":      {objstore.MakeRequest{Parent: e.root(), Name: "file", Type: objstore.TypeDir}, objstore.ErrPrecondition},
		"link over a file": {objstore.MakeRequest{Parent: e.root(), Name: "file", Type: objstore.TypeSymlink, Target: "t"}, objstore.ErrPrecondition},
	} {
		_, err := e.ns().Make(ctx, row.req)
		e.want(err, row.kind, "make "+what)
	}
	equal(e, len(e.readDir(ctx, e.root())), 1, "entries")
	equal(e, e.lookup(ctx, e.root(), "file").ID, file.ID, "the file")
}

func namesAreThoseOfPOSIX(ctx context.Context, e *Env) {
	file := e.create(ctx, e.root(), "file", "x")
	for name, kind := range map[string]objstore.Kind{
		"": objstore.ErrInvalid, ".": objstore.ErrInvalid, "..": objstore.ErrInvalid, "a/b": objstore.ErrInvalid, "a\x00b": objstore.ErrInvalid,
		strings.Repeat("n", objstore.NameBytesMax+1): objstore.ErrTooLarge,
	} {
		what := fmt.Sprintf("the name %.20q", name)
		_, err := e.ns().Lookup(ctx, e.root(), name)
		e.want(err, kind, "lookup of "+what)
		_, err = e.ns().Make(ctx, objstore.MakeRequest{Parent: e.root(), Name: name, Type: objstore.TypeDir})
		e.want(err, kind, "mkdir of "+what)
		_, err = e.tryMove(ctx, e.root(), "file", e.root(), name, objstore.RenameReplace)
		e.want(err, kind, "rename to "+what)
		_, err = e.tryUnlink(ctx, e.root(), name)
		e.want(err, kind, "unlink of "+what)
		s := e.newStage(ctx, nil)
		_, err = s.Commit(ctx, objstore.CommitRequest{Target: e.target(ctx, e.root(), name), Cond: objstore.IfAbsent()})
		e.want(err, kind, "commit to "+what)
		e.ok(s.Close(), "close stage")
	}
	for _, name := range []string{strings.Repeat("n", objstore.NameBytesMax), "\xff\xfe", "...", " ", "\n", "%", "a\\b", "%etagfs"} {
		e.create(ctx, e.root(), name, name)
		e.wantBytes(e.readID(ctx, e.lookup(ctx, e.root(), name).ID), name, "content")
		e.wantContent(ctx, objstore.Key(name), name)
	}
	equal(e, e.lookup(ctx, e.root(), "file").ID, file.ID, "the file")
}

func removalFollowsPOSIX(ctx context.Context, e *Env) {
	dir := e.mkdir(ctx, e.root(), "dir")
	file := e.create(ctx, dir, "file", "x")
	_, err := e.tryUnlink(ctx, e.root(), "dir")
	e.want(err, objstore.ErrIsDir, "unlink of a directory")
	rmdir := func(parent objstore.ID, name string) (objstore.RemoveResult, error) {
		return e.ns().Rmdir(ctx, parent, name, objstore.Visible)
	}
	_, err = rmdir(dir, "file")
	e.want(err, objstore.ErrNotDir, "rmdir of a file")
	_, err = rmdir(e.root(), "dir")
	e.want(err, objstore.ErrNotEmpty, "rmdir of a directory with a file")
	_, err = rmdir(e.root(), "none")
	e.want(err, objstore.ErrNotFound, "rmdir of nothing")
	_, err = e.tryUnlink(ctx, e.root(), "none")
	e.want(err, objstore.ErrNotFound, "unlink of nothing")
	_, err = e.tryUnlink(ctx, file.ID, "x")
	e.want(err, objstore.ErrNotDir, "unlink below a file")
	removed := e.unlink(ctx, dir, "file")
	equal(e, removed.Removed.ID, file.ID, "removed")
	equal(e, removed.Gone, true, "gone")
	gone, err := rmdir(e.root(), "dir")
	e.ok(err, "rmdir")
	equal(e, gone.Removed.ID, dir, "removed")
	equal(e, gone.Gone, true, "gone")
	for _, id := range []objstore.ID{file.ID, dir} {
		_, err = e.ns().Stat(ctx, id)
		e.want(err, objstore.ErrNotFound, "stat of what has no name")
	}
	e.wantNoName(ctx, e.root(), "dir")
	_, err = e.ns().Make(ctx, objstore.MakeRequest{Parent: dir, Name: "x", Type: objstore.TypeDir})
	e.want(err, objstore.ErrNotFound, "mkdir in a removed directory")
}

func directoriesCountTheirLinks(ctx context.Context, e *Env) {
	links := func(id objstore.ID, want uint32, what string) { equal(e, e.stat(ctx, id).Nlink, want, what) }
	a := e.mkdir(ctx, e.root(), "a")
	links(e.root(), 3, "root with a")
	b := e.mkdir(ctx, a, "b")
	e.create(ctx, a, "file", "")
	links(a, 3, "a with b and a file")
	c := e.mkdir(ctx, e.root(), "c")
	e.rename(ctx, a, "b", c, "b")
	links(a, 2, "a without b")
	links(c, 3, "c with b")
	e.put(ctx, "c/b/x/y", "")
	links(b, 3, "b with an implied directory")
	e.delete(ctx, "c/b/x/y")
	links(b, 2, "b without it")
	_, err := e.ns().Rmdir(ctx, c, "b", objstore.Visible)
	e.ok(err, "rmdir")
	links(c, 2, "c without b")
	e.rename(ctx, e.root(), "a", c, "a")
	links(e.root(), 3, "root with c")
	e.unlink(ctx, a, "file")
	e.mkdir(ctx, e.root(), "d")
	e.rename(ctx, e.root(), "d", c, "a") // replaces the empty a
	links(e.root(), 3, "root after a replacement")
	links(c, 3, "c after a replacement")
}

// parentsFeelChanges: a directory's times and metadata version move with its names.
func parentsFeelChanges(ctx context.Context, e *Env) {
	a, b := e.mkdir(ctx, e.root(), "a"), e.mkdir(ctx, e.root(), "b")
	old := objstore.AttrChange{Mtime: new(e.stat(ctx, a).Attr.Mtime.AddDate(-1, 0, 0))}
	moves := func(what string, f func(), dirs ...objstore.ID) {
		before := map[objstore.ID]objstore.Info{}
		for _, dir := range dirs {
			info, err := e.ns().SetAttr(ctx, dir, old, objstore.Visible)
			e.ok(err, "set attributes")
			before[dir] = info
		}
		f()
		for dir, was := range before {
			is := e.stat(ctx, dir)
			if !is.Attr.Mtime.After(was.Attr.Mtime) || is.Attr.Ctime.Before(was.Attr.Ctime) || is.MetaVersion == was.MetaVersion {
				e.Failf("%s: the directory did not feel it: %+v, before %+v", what, is, was)
			}
		}
	}
	moves("create", func() { e.create(ctx, a, "f", "") }, a)
	moves("mkdir", func() { e.mkdir(ctx, a, "d") }, a)
	moves("rename", func() { e.rename(ctx, a, "f", b, "f") }, a, b)
	moves("unlink", func() { e.unlink(ctx, b, "f") }, b)
	moves("rmdir", func() {
		_, err := e.ns().Rmdir(ctx, a, "d", objstore.Visible)
		e.ok(err, "rmdir")
	}, a)
	moves("put", func() { e.put(ctx, "a/k", "") }, a)
	moves("delete", func() { e.delete(ctx, "a/k") }, a)
}

func pathAndParentTellThePlace(ctx context.Context, e *Env) {
	a := e.mkdir(ctx, e.root(), "a")
	b := e.mkdir(ctx, a, "b")
	f := e.create(ctx, b, "f", "")
	path := func(id objstore.ID, want string) {
		got, err := e.ns().Path(ctx, id)
		e.ok(err, "path")
		equal(e, got, want, "path")
	}
	path(f.ID, "a/b/f")
	path(b, "a/b")
	path(e.root(), "")
	e.rename(ctx, a, "b", e.root(), "c")
	path(f.ID, "c/f")
	parent, err := e.ns().Parent(ctx, b)
	e.ok(err, "parent")
	equal(e, parent, e.root(), "parent")
	_, err = e.ns().Parent(ctx, f.ID)
	e.want(err, objstore.ErrNotDir, "parent of a file")
}

func missingIDsAreNotFound(ctx context.Context, e *Env) {
	id := e.newID(ctx)
	calls := map[string]func() error{
		"stat":    func() error { _, err := e.ns().Stat(ctx, id); return err },
		"open":    func() error { _, err := e.ns().Open(ctx, id, ""); return err },
		"lookup":  func() error { _, err := e.ns().Lookup(ctx, id, "x"); return err },
		"readdir": func() error { _, _, err := e.ns().ReadDir(ctx, id, "", 10); return err },
		"set attributes": func() error {
			_, err := e.ns().SetAttr(ctx, id, objstore.AttrChange{Mode: new(uint32)}, objstore.Visible)
			return err
		},
		"readlink": func() error { _, err := e.ns().Readlink(ctx, id); return err },
		"parent":   func() error { _, err := e.ns().Parent(ctx, id); return err },
	}
	for what, call := range calls {
		e.want(call(), objstore.ErrNotFound, what+" of an id nothing has")
	}
	file := e.create(ctx, e.root(), "f", "x")
	_, err := e.ns().Lookup(ctx, file.ID, "x")
	e.want(err, objstore.ErrNotDir, "lookup below a file")
	_, err = e.ns().Open(ctx, e.root(), "")
	e.want(err, objstore.ErrIsDir, "open of a directory")
	_, err = e.ns().Open(ctx, file.ID, "1"+file.Version)
	e.want(err, objstore.ErrPrecondition, "open of another version")
	r, err := e.ns().Open(ctx, file.ID, file.Version)
	e.ok(err, "open of the current version")
	e.ok(r.Close(), "close")
}

func namespaceErrorsNameOperationAndName(ctx context.Context, e *Env) {
	d := e.mkdir(ctx, e.root(), "d")
	file := e.create(ctx, d, "taken-name", "x")
	s, _ := e.edit(ctx, file.ID)
	defer s.Close()
	for what, call := range map[string]func() error{
		"lookup": func() error { _, err := e.ns().Lookup(ctx, d, "absent-name"); return err },
		"unlink": func() error { _, err := e.tryUnlink(ctx, d, "absent-name"); return err },
		"rmdir":  func() error { _, err := e.ns().Rmdir(ctx, d, "taken-name", objstore.Visible); return err },
		"link":   func() error { _, err := e.ns().Link(ctx, file.ID, d, "taken-name", objstore.Visible); return err },
		"mkdir": func() error {
			_, err := e.ns().Make(ctx, objstore.MakeRequest{Parent: d, Name: "taken-name", Type: objstore.TypeDir})
			return err
		},
		"rename": func() error {
			_, err := e.tryMove(ctx, d, "absent-name", d, "x", objstore.RenameReplace)
			return err
		},
	} {
		err := call()
		e.want(err, objstore.KindOf(err), what)
		if err == nil || !strings.Contains(err.Error(), "absent-name") && !strings.Contains(err.Error(), "taken-name") {
			e.Failf("%s: the error does not name the name: %w", what, orSuccess(err))
		}
	}
	// Who lost a commit may learn who won.
	winner := e.overwrite(ctx, file.ID, "y")
	_, err := e.tryCommit(ctx, s, file.ID, objstore.IfVersion(file.Version))
	e.want(err, objstore.ErrPrecondition, "commit")
	var full *objstore.Error
	if errors.As(err, &full) && full.Winner != "" {
		equal(e, full.Winner, winner.ETag, "winner")
	}
}

func cancelledNamespaceCallsChangeNothing(ctx context.Context, e *Env) {
	file := e.create(ctx, e.root(), "f", "x")
	s, _ := e.edit(ctx, file.ID)
	defer s.Close()
	e.write(ctx, s, "y", 0)
	target := e.target(ctx, e.root(), "g")
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	for what, call := range map[string]func() error{
		"commit": func() error { _, err := e.tryCommit(cancelled, s, file.ID, objstore.IfPresent()); return err },
		"create": func() error {
			_, err := s.Commit(cancelled, objstore.CommitRequest{Target: target, Cond: objstore.IfAbsent()})
			return err
		},
		"mkdir": func() error {
			_, err := e.ns().Make(cancelled, objstore.MakeRequest{Parent: e.root(), Name: "d", Type: objstore.TypeDir})
			return err
		},
		"unlink": func() error { _, err := e.tryUnlink(cancelled, e.root(), "f"); return err },
		"rename": func() error {
			_, err := e.tryMove(cancelled, e.root(), "f", e.root(), "g", objstore.RenameReplace)
			return err
		},
	} {
		err := call()
		if kind := objstore.KindOf(err); err == nil || kind == 0 || kind.Applied() != objstore.NotApplied {
			e.Failf("%s with a cancelled context: %w", what, orSuccess(err))
		}
	}
	equal(e, len(e.readDir(ctx, e.root())), 1, "entries")
	equal(e, e.stat(ctx, file.ID).MetaVersion, file.MetaVersion, "metadata version")
	e.commit(ctx, s, file.ID, objstore.IfVersion(file.Version))
	e.wantContent(ctx, "f", "y")
}

func newIDsAreDistinct(ctx context.Context, e *Env) {
	ids := make([]map[objstore.ID]bool, 4)
	e.parallel(len(ids), func(i int) {
		ids[i] = map[objstore.ID]bool{}
		for j := range 200 {
			id := e.newID(ctx)
			if j%50 == 0 { // ids of directories come from the same source
				id = e.mkdir(ctx, e.root(), fmt.Sprintf("%d-%d", i, j))
			}
			if id == 0 || ids[i][id] {
				e.Failf("id %d twice", id)
			}
			ids[i][id] = true
		}
	})
	all := map[objstore.ID]bool{e.root(): true}
	for _, some := range ids {
		for id := range some {
			if all[id] {
				e.Failf("id %d twice", id)
			}
			all[id] = true
		}
	}
}
