package objstoretest

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/etagfs/etagfs/objstore"
)

func renameCases() []Case {
	return []Case{
		{Name: "RenameFollowsPOSIX", needs: needNamespace, run: renameFollowsPOSIX},
		{Name: "RenameReplacesByPOSIX", needs: needNamespace, run: renameReplacesByPOSIX},
		{Name: "NoReplaceReplacesNothing", needs: needNamespace, run: noReplaceReplacesNothing},
		{Name: "ExchangeSwaps", needs: needNamespace, run: exchangeSwaps},
		{Name: "DirectoriesDoNotMoveBelowThemselves", needs: needNamespace, run: directoriesDoNotMoveBelowThemselves},
		{Name: "RenamedNamesAlwaysExist", needs: needNamespace, run: renamedNamesAlwaysExist},
		{Name: "DirectoryRenameTakesAllAlong", needs: needNamespace | needRenameDir, run: directoryRenameTakesAllAlong},
		{Name: "StoreRenamesDirectories", needs: needRenameDir, run: storeRenamesDirectories},
		{Name: "KeysMayGrowLongByRenaming", needs: needNamespace | needRenameDir, run: keysMayGrowLongByRenaming},
	}
}

func renameFollowsPOSIX(ctx context.Context, e *Env) {
	dir := e.mkdir(ctx, e.root(), "dir")
	file := e.create(ctx, e.root(), "file", "x")
	res := e.rename(ctx, e.root(), "file", dir, "moved")
	equal(e, res.Moved.ID, file.ID, "moved")
	equal(e, res.Replaced.ID, 0, "replaced")
	if res.Moved.MetaVersion == file.MetaVersion {
		e.Failf("the metadata version did not move")
	}
	e.wantNoName(ctx, e.root(), "file")
	e.wantContent(ctx, "dir/moved", "x")
	e.wantAbsent(ctx, "file")
	e.rename(ctx, dir, "moved", dir, "moved") // onto itself
	e.wantContent(ctx, "dir/moved", "x")
	for what, row := range map[string]struct {
		parent    objstore.ID
		name      string
		newParent objstore.ID
		kind      objstore.Kind
	}{
		"of nothing":       {e.root(), "none", dir, objstore.ErrNotFound},
		"from below file":  {file.ID, "x", dir, objstore.ErrNotDir},
		"to below file":    {dir, "moved", file.ID, objstore.ErrNotDir},
		"to below nothing": {dir, "moved", e.newID(ctx), objstore.ErrNotFound},
	} {
		_, err := e.tryMove(ctx, row.parent, row.name, row.newParent, "to", objstore.RenameReplace)
		e.want(err, row.kind, "rename "+what)
	}
	e.wantContent(ctx, "dir/moved", "x")
}

func renameReplacesByPOSIX(ctx context.Context, e *Env) {
	root := e.root()
	e.create(ctx, root, "file", "file")
	e.create(ctx, root, "file2", "file2")
	e.mkdir(ctx, root, "empty")
	e.mkdir(ctx, root, "empty2")
	full := e.mkdir(ctx, root, "full")
	e.create(ctx, full, "inside", "")
	for _, row := range []struct {
		from, to string
		kind     objstore.Kind
	}{
		{"file", "empty", objstore.ErrIsDir}, {"file", "full", objstore.ErrIsDir},
		{"empty", "file", objstore.ErrNotDir}, {"full", "file", objstore.ErrNotDir},
		{"empty", "full", objstore.ErrNotEmpty},
	} {
		_, err := e.tryMove(ctx, root, row.from, root, row.to, objstore.RenameReplace)
		e.want(err, row.kind, fmt.Sprintf("rename %s to %s", row.from, row.to))
	}
	equal(e, len(e.readDir(ctx, root)), 5, "entries after refusals")
	replaced := e.lookup(ctx, root, "file2").ID
	res := e.rename(ctx, root, "file", root, "file2")
	equal(e, res.Replaced.ID, replaced, "replaced file")
	equal(e, res.Gone, true, "gone")
	e.wantContent(ctx, "file2", "file")
	_, err := e.ns().Stat(ctx, replaced)
	e.want(err, objstore.ErrNotFound, "stat of the replaced file")
	replaced = e.lookup(ctx, root, "empty").ID
	res = e.rename(ctx, root, "full", root, "empty")
	equal(e, res.Replaced.ID, replaced, "replaced directory")
	equal(e, res.Moved.ID, full, "moved directory")
	e.wantContent(ctx, "empty/inside", "")
	equal(e, len(e.readDir(ctx, root)), 3, "entries in the end")
}

func noReplaceReplacesNothing(ctx context.Context, e *Env) {
	root := e.root()
	e.create(ctx, root, "a", "a")
	e.create(ctx, root, "b", "b")
	e.mkdir(ctx, root, "d")
	for _, to := range []string{"a", "b", "d"} {
		_, err := e.tryMove(ctx, root, "a", root, to, objstore.RenameNoReplace)
		e.want(err, objstore.ErrPrecondition, "rename to "+to)
	}
	_, err := e.tryMove(ctx, root, "a", root, "c", objstore.RenameNoReplace)
	e.ok(err, "rename to a free name")
	e.wantContent(ctx, "b", "b")
	e.wantContent(ctx, "c", "a")
}

func exchangeSwaps(ctx context.Context, e *Env) {
	root := e.root()
	a, b := e.create(ctx, root, "a", "a").ID, e.create(ctx, root, "b", "b").ID
	d := e.mkdir(ctx, root, "d")
	inside := e.mkdir(ctx, d, "inside")
	e.create(ctx, inside, "f", "f")
	swap := func(parent objstore.ID, name string, newParent objstore.ID, newName string) (objstore.MoveResult, error) {
		return e.tryMove(ctx, parent, name, newParent, newName, objstore.RenameExchange)
	}
	res, err := swap(root, "a", root, "b")
	e.ok(err, "exchange of files")
	equal(e, res.Moved.ID, a, "now at b")
	equal(e, res.Replaced.ID, b, "now at a")
	equal(e, res.Gone, false, "gone")
	e.wantContent(ctx, "a", "b")
	e.wantContent(ctx, "b", "a")
	_, err = swap(root, "a", d, "inside")
	e.ok(err, "exchange of a file and a directory")
	e.wantContent(ctx, "d/inside", "b")
	e.wantContent(ctx, "a/f", "f")
	equal(e, e.stat(ctx, d).Nlink, 2, "links of the directory that lost one")
	equal(e, e.stat(ctx, root).Nlink, 4, "links of the directory that got one")
	_, err = swap(root, "a", root, "none")
	e.want(err, objstore.ErrNotFound, "exchange with nothing")
	_, err = swap(root, "none", root, "a")
	e.want(err, objstore.ErrNotFound, "exchange of nothing")
	_, err = swap(root, "d", d, "inside")
	e.want(err, objstore.ErrInvalid, "exchange of a directory with what is below it")
	_, err = swap(d, "inside", root, "d")
	e.want(err, objstore.ErrInvalid, "exchange of what is below a directory with it")
	_, err = swap(root, "d", root, "a")
	e.ok(err, "exchange of full directories")
	e.wantContent(ctx, "d/f", "f")
	e.wantContent(ctx, "a/inside", "b")
}

func directoriesDoNotMoveBelowThemselves(ctx context.Context, e *Env) {
	a := e.mkdir(ctx, e.root(), "a")
	b := e.mkdir(ctx, a, "b")
	c := e.mkdir(ctx, b, "c")
	for _, to := range []objstore.ID{a, b, c} {
		_, err := e.tryMove(ctx, e.root(), "a", to, "x", objstore.RenameReplace)
		e.want(err, objstore.ErrInvalid, "rename below itself")
	}
	if e.Store.Capabilities().RenameDir {
		_, err := e.Store.Rename(ctx, objstore.RenameRequest{
			Src: "a/", SrcCond: objstore.Unconditional(), Dst: "a/b/c/d/", DstCond: objstore.Unconditional(),
		})
		e.want(err, objstore.ErrInvalid, "rename of a key below itself")
	}
	// Two that would each be fine, and together a loop.
	e.mkdir(ctx, e.root(), "x")
	e.mkdir(ctx, e.root(), "y")
	for range rounds {
		x, y := e.lookup(ctx, e.root(), "x").ID, e.lookup(ctx, e.root(), "y").ID
		e.parallel(2, func(i int) {
			if i == 0 {
				e.tryMove(ctx, e.root(), "x", y, "x", objstore.RenameReplace)
			} else {
				e.tryMove(ctx, e.root(), "y", x, "y", objstore.RenameReplace)
			}
		})
		xPath, err := e.ns().Path(ctx, x)
		e.ok(err, "path")
		yPath, err := e.ns().Path(ctx, y)
		e.ok(err, "path")
		switch xPath + " " + yPath {
		case "x x/y":
			e.rename(ctx, x, "y", e.root(), "y")
		case "y/x y":
			e.rename(ctx, y, "x", e.root(), "x")
		default:
			e.Failf("after racing renames: %s and %s", xPath, yPath)
		}
	}
}

// renamedNamesAlwaysExist: a name replaced by rename is there at every moment.
func renamedNamesAlwaysExist(ctx context.Context, e *Env) {
	root := e.root()
	e.create(ctx, root, "target", "0")
	var renaming atomic.Bool
	var looks atomic.Int64
	renaming.Store(true)
	e.parallel(3, func(i int) {
		if i == 0 {
			defer renaming.Store(false)
			for j := 0; j < 100 || looks.Load() < 500; j++ {
				e.create(ctx, root, "next", fmt.Sprint(j))
				e.rename(ctx, root, "next", root, "target")
			}
			return
		}
		defer looks.Add(500) // nobody waits for who failed
		for renaming.Load() {
			looks.Add(1)
			info := e.lookup(ctx, root, "target")
			r, err := e.ns().Open(ctx, info.ID, "")
			if err != nil { // replaced in between: the id has no name left
				e.want(err, objstore.ErrNotFound, "open")
				continue
			}
			e.readAll(ctx, r)
			e.ok(r.Close(), "close")
		}
	})
	equal(e, len(e.readDir(ctx, root)), 1, "entries")
}

func directoryRenameTakesAllAlong(ctx context.Context, e *Env) {
	a := e.mkdir(ctx, e.root(), "a")
	e.mkdir(ctx, e.root(), "elsewhere")
	ids := map[objstore.Key]objstore.Info{}
	for i := range 200 {
		key := objstore.Key(fmt.Sprintf("%d/%d", i%10, i))
		ids[key] = e.put(ctx, "a/"+key, string(key))
	}
	e.rename(ctx, e.root(), "a", e.lookup(ctx, e.root(), "elsewhere").ID, "b")
	equal(e, e.stat(ctx, a).ID, a, "id of the directory")
	for key, info := range ids {
		e.wantAbsent(ctx, "a/"+key)
		now := e.head(ctx, "elsewhere/b/"+key)
		equal(e, now.ID, info.ID, "id")
		equal(e, now.ETag, info.ETag, "etag")
		e.wantContent(ctx, "elsewhere/b/"+key, string(key))
	}
	equal(e, len(e.listAll(ctx, objstore.ListOptions{Prefix: "elsewhere/b/", Delimiter: "/"})), 11, "b/ and what is in it")
}

func storeRenamesDirectories(ctx context.Context, e *Env) {
	rename := func(src, dst objstore.Key, dstCond objstore.Cond) error {
		_, err := e.Store.Rename(ctx, objstore.RenameRequest{Src: src, SrcCond: objstore.Unconditional(), Dst: dst, DstCond: dstCond})
		return err
	}
	e.put(ctx, "top/a/x/1", "1")
	e.put(ctx, "top/a/2", "2")
	e.put(ctx, "full/3", "3")
	e.put(ctx, "top/a", "beside")
	e.ok(rename("top/a/", "new/deep/b/", objstore.IfAbsent()), "rename")
	e.wantContent(ctx, "new/deep/b/x/1", "1")
	e.wantContent(ctx, "new/deep/b/2", "2")
	e.wantContent(ctx, "top/a", "beside")
	e.wantAbsent(ctx, "top/a/2")
	e.want(rename("top/a/", "z/", objstore.Unconditional()), objstore.ErrNotFound, "rename of a directory that is gone")
	e.want(rename("new/", "full/", objstore.Unconditional()), objstore.ErrNotEmpty, "rename over a full directory")
	e.want(rename("new/", "full/", objstore.IfAbsent()), objstore.ErrPrecondition, "rename over a directory, if absent")
	e.want(rename("new/", "file", objstore.Unconditional()), objstore.ErrInvalid, "rename of a directory to an object")
	e.want(rename("top/a", "dir/", objstore.Unconditional()), objstore.ErrInvalid, "rename of an object to a directory")
	e.delete(ctx, "top/a")
	// The last key left, and with it the directories it implied.
	e.ok(rename("new/deep/b/", "b/", objstore.Unconditional()), "rename")
	if e.isNamespace() {
		e.wantNoName(ctx, e.root(), "new")
		e.wantNoName(ctx, e.root(), "top")
	}
	equal(e, fmt.Sprint(e.keys(ctx, objstore.ListOptions{})), "[b/2 b/x/1 full/3]", "keys")
}

func keysMayGrowLongByRenaming(ctx context.Context, e *Env) {
	name := strings.Repeat("n", 250)
	dir, path := e.root(), ""
	for range 4 {
		dir = e.mkdir(ctx, dir, name)
		path += name + "/"
	}
	deep := strings.Repeat("d/", 100)
	e.put(ctx, objstore.Key("src/"+deep+"key"), "long")
	e.rename(ctx, e.root(), "src", dir, "dst")
	long := objstore.Key(path + "dst/" + deep + "key")
	if len(long) <= objstore.KeyBytesMax {
		e.Failf("the key is not long enough")
	}
	e.wantContent(ctx, long, "long")
	keys := e.listAll(ctx, objstore.ListOptions{Prefix: objstore.Key(path + "dst/" + deep)})
	equal(e, fmt.Sprint(keys), fmt.Sprint([]objstore.Key{long}), "listed")
	_, err := e.tryPut(ctx, long+"2", "x", objstore.Unconditional())
	e.want(err, objstore.ErrTooLarge, "put of a new long key")
	_, err = e.Store.Rename(ctx, objstore.RenameRequest{Src: long, SrcCond: objstore.IfPresent(), Dst: "short", DstCond: objstore.IfAbsent()})
	e.ok(err, "rename to a short key")
	e.wantContent(ctx, "short", "long")
	e.wantAbsent(ctx, long)
}
