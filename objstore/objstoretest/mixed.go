package objstoretest

import (
	"context"
	"fmt"
	"strings"

	"github.com/etagfs/etagfs/objstore"
)

func mixedCases() []Case {
	return []Case{
		{Name: "ImpliedDirectoriesComeAndGo", needs: needNamespace, run: impliedDirectoriesComeAndGo},
		{Name: "NamespaceChangesMakeDirectoriesExplicit", needs: needNamespace, run: namespaceChangesMakeDirectoriesExplicit},
		{Name: "ExplicitDirectoriesAreObjects", needs: needNamespace, run: explicitDirectoriesAreObjects},
		{Name: "DirectoriesMayHaveContent", run: directoriesMayHaveContent},
		{Name: "ObjectsStandBesideDirectories", needs: needNamespace, run: objectsStandBesideDirectories},
		{Name: "SymlinksAreEmptyObjects", needs: needNamespace, run: symlinksAreEmptyObjects},
		{Name: "SpecialFilesAreNoObjects", needs: needNamespace, run: specialFilesAreNoObjects},
		{Name: "StoreAndNamespaceShareObjects", needs: needNamespace, run: storeAndNamespaceShareObjects},
	}
}

func (e *Env) wantKeys(ctx context.Context, what string, want ...objstore.Key) {
	equal(e, fmt.Sprintf("%q", e.listAll(ctx, objstore.ListOptions{})), fmt.Sprintf("%q", append([]objstore.Key{}, want...)), what+": keys")
}

func impliedDirectoriesComeAndGo(ctx context.Context, e *Env) {
	e.put(ctx, "a/b/c", "x")
	a := e.lookup(ctx, e.root(), "a")
	b := e.lookup(ctx, a.ID, "b")
	for _, dir := range []objstore.Info{a, b} {
		equal(e, dir.Type, objstore.TypeDir, "type")
		equal(e, dir.Explicit, false, "explicit")
	}
	e.wantAbsent(ctx, "a/")
	e.wantAbsent(ctx, "a/b/")
	e.wantKeys(ctx, "with one key", "a/b/c")
	e.put(ctx, "a/d", "y")
	e.delete(ctx, "a/b/c")
	e.wantNoName(ctx, a.ID, "b")
	equal(e, e.lookup(ctx, e.root(), "a").ID, a.ID, "id of what is left")
	e.delete(ctx, "a/d")
	e.wantNoName(ctx, e.root(), "a")
	// A condition that is lost implies nothing.
	_, err := e.tryPut(ctx, "p/q/r", "x", objstore.IfPresent())
	e.want(err, objstore.ErrNotFound, "put if present")
	e.wantNoName(ctx, e.root(), "p")
	// An implied directory goes with a renamed key too.
	if e.Store.Capabilities().RenameFile {
		e.put(ctx, "s/t/u", "x")
		_, err = e.Store.Rename(ctx, objstore.RenameRequest{Src: "s/t/u", SrcCond: objstore.IfPresent(), Dst: "v/w", DstCond: objstore.IfAbsent()})
		e.ok(err, "rename")
		e.wantNoName(ctx, e.root(), "s")
		equal(e, e.lookup(ctx, e.root(), "v").Explicit, false, "explicit")
	}
}

func namespaceChangesMakeDirectoriesExplicit(ctx context.Context, e *Env) {
	for what, change := range map[string]func(dir objstore.ID){
		"mkdir":  func(dir objstore.ID) { e.mkdir(ctx, dir, "d") },
		"create": func(dir objstore.ID) { e.create(ctx, dir, "f", "") },
		"unlink": func(dir objstore.ID) { e.unlink(ctx, dir, "key") },
		"rename": func(dir objstore.ID) { e.rename(ctx, dir, "key", dir, "key2") },
		"away":   func(dir objstore.ID) { e.rename(ctx, dir, "key", e.root(), "away") },
		"here":   func(dir objstore.ID) { e.create(ctx, e.root(), "x", ""); e.rename(ctx, e.root(), "x", dir, "here") },
		"symlink": func(dir objstore.ID) {
			_, err := e.ns().Make(ctx, objstore.MakeRequest{Parent: dir, Name: "s", Type: objstore.TypeSymlink, Target: "t"})
			e.ok(err, "symlink")
		},
	} {
		key := objstore.Key(what + "-dir/key")
		e.put(ctx, key, "x")
		dir := e.lookup(ctx, e.root(), what+"-dir")
		equal(e, dir.Explicit, false, what+": explicit before")
		change(dir.ID)
		equal(e, e.stat(ctx, dir.ID).Explicit, true, what+": explicit after")
		for _, left := range e.listAll(ctx, objstore.ListOptions{Prefix: objstore.Key(what + "-dir/")}) {
			if !strings.HasSuffix(string(left), "/") {
				e.delete(ctx, left)
			}
		}
		equal(e, e.lookup(ctx, e.root(), what+"-dir").ID, dir.ID, what+": still there without keys")
		e.head(ctx, objstore.Key(what+"-dir/"))
	}
}

func explicitDirectoriesAreObjects(ctx context.Context, e *Env) {
	d := e.mkdir(ctx, e.root(), "d")
	e.wantKeys(ctx, "after mkdir", "d/")
	e.wantContent(ctx, "d/", "")
	equal(e, e.head(ctx, "d/").ID, d, "id")
	e.mkdir(ctx, d, "e")
	e.put(ctx, "d/e/f", "x")
	e.wantKeys(ctx, "with more", "d/", "d/e/", "d/e/f")
	// Deleting the object leaves a directory that is implied.
	e.delete(ctx, "d/")
	e.wantKeys(ctx, "after the delete of d/", "d/e/", "d/e/f")
	equal(e, e.lookup(ctx, e.root(), "d").Explicit, false, "explicit")
	e.delete(ctx, "d/e/f")
	e.wantKeys(ctx, "after the delete of the file", "d/e/")
	e.delete(ctx, "d/e/")
	e.wantKeys(ctx, "after all deletes")
	e.wantNoName(ctx, e.root(), "d")
	// Made by a put.
	put := e.putIf(ctx, "g/h/", "", objstore.IfAbsent())
	_, err := e.tryPut(ctx, "g/h/", "", objstore.IfAbsent())
	e.want(err, objstore.ErrPrecondition, "second put of a directory")
	h := e.lookup(ctx, e.lookup(ctx, e.root(), "g").ID, "h")
	equal(e, h.ID, put.ID, "id")
	equal(e, h.Explicit, true, "explicit")
	equal(e, e.lookup(ctx, e.root(), "g").Explicit, false, "explicit of its parent")
	// A put makes an implied one explicit, and its version is new.
	e.putIf(ctx, "g/", "", objstore.IfAbsent())
	equal(e, e.lookup(ctx, e.root(), "g").Explicit, true, "explicit after a put")
}

func directoriesMayHaveContent(ctx context.Context, e *Env) {
	e.putIf(ctx, "a/", "content of a directory", objstore.IfAbsent())
	e.put(ctx, "a/b", "x")
	e.wantContent(ctx, "a/", "content of a directory")
	first := e.head(ctx, "a/").Version
	second := e.putIf(ctx, "a/", "other", objstore.IfVersion(first))
	_, err := e.tryPut(ctx, "a/", "lost", objstore.IfVersion(first))
	e.want(err, objstore.ErrPrecondition, "put on a stale version")
	e.wantContent(ctx, "a/", "other")
	err = e.Store.Delete(ctx, "a/", objstore.IfVersion(second.Version), objstore.DeleteOptions{})
	e.want(err, map[bool]objstore.Kind{true: 0, false: objstore.ErrUnsupported}[e.Store.Capabilities().Delete.Has(objstore.IfVersion("1"))], "delete")
	if err != nil {
		return
	}
	e.wantAbsent(ctx, "a/")
	e.wantContent(ctx, "a/b", "x")
	e.putIf(ctx, "a/", "", objstore.IfAbsent())
	e.wantContent(ctx, "a/", "")
	e.delete(ctx, "a/b")
	e.wantContent(ctx, "a/", "")
	e.delete(ctx, "a/")
	equal(e, len(e.keys(ctx, objstore.ListOptions{})), 0, "keys")
}

func objectsStandBesideDirectories(ctx context.Context, e *Env) {
	const beside = "%etagfs:file:a"
	file := e.put(ctx, "a", "object")
	equal(e, e.lookup(ctx, e.root(), "a").ID, file.ID, "a alone")
	e.wantNoName(ctx, e.root(), beside)
	e.put(ctx, "a/b", "below")
	equal(e, e.lookup(ctx, e.root(), "a").Type, objstore.TypeDir, "a beside a/")
	equal(e, e.lookup(ctx, e.root(), beside).ID, file.ID, "the object beside")
	equal(e, len(e.readDir(ctx, e.root())), 2, "entries")
	e.wantKeys(ctx, "beside", "a", "a/b")
	// The object is edited, renamed and removed under its escape.
	e.overwrite(ctx, file.ID, "edited")
	e.wantContent(ctx, "a", "edited")
	_, err := e.tryMove(ctx, e.root(), beside, e.root(), "a", objstore.RenameReplace)
	e.want(err, objstore.ErrIsDir, "rename over the directory")
	e.rename(ctx, e.root(), beside, e.root(), "c")
	e.wantKeys(ctx, "renamed", "a/b", "c")
	e.rename(ctx, e.root(), "a", e.root(), "d") // the directory away and back
	e.rename(ctx, e.root(), "c", e.root(), "a")
	e.put(ctx, "a/x", "below again")
	equal(e, e.lookup(ctx, e.root(), beside).ID, file.ID, "the object beside again")
	// Without the directory the object is plain again.
	e.delete(ctx, "a/x")
	equal(e, e.lookup(ctx, e.root(), "a").ID, file.ID, "a alone again")
	e.wantNoName(ctx, e.root(), beside)
	e.wantContent(ctx, "d/b", "below")
}

func symlinksAreEmptyObjects(ctx context.Context, e *Env) {
	e.put(ctx, "target", "content")
	link, err := e.ns().Make(ctx, objstore.MakeRequest{Parent: e.root(), Name: "link", Type: objstore.TypeSymlink, Target: "target"})
	e.ok(err, "symlink")
	head := e.head(ctx, "link")
	equal(e, head.Size, 0, "size")
	equal(e, head.ID, link.ID, "id")
	equal(e, head.UserMeta[objstore.SymlinkMeta], "target", "link metadata")
	e.wantContent(ctx, "link", "")
	e.wantKeys(ctx, "with a link", "link", "target")
	_, err = e.tryPut(ctx, "link", "x", objstore.IfAbsent())
	e.want(err, objstore.ErrPrecondition, "create over a link")
	_, err = e.ns().Open(ctx, link.ID, "")
	e.want(err, objstore.ErrInvalid, "open of a link")
	// A put replaces the link and follows it nowhere.
	put := e.putIf(ctx, "link", "file now", objstore.IfVersion(head.Version))
	e.wantContent(ctx, "target", "content")
	e.wantContent(ctx, "link", "file now")
	equal(e, e.lookup(ctx, e.root(), "link").Type, objstore.TypeFile, "type")
	if put.ID == link.ID {
		e.Failf("a link became a file under the same id")
	}
	// Directories behind a link are not its.
	_, err = e.ns().Make(ctx, objstore.MakeRequest{Parent: e.root(), Name: "dirlink", Type: objstore.TypeSymlink, Target: "dir"})
	e.ok(err, "symlink")
	e.put(ctx, "dir/f", "x")
	e.wantAbsent(ctx, "dirlink/f")
	e.delete(ctx, "dirlink")
	e.wantContent(ctx, "dir/f", "x")
	// Metadata that looks like a link's makes no link.
	_, err = e.Store.Put(ctx, "fake", strings.NewReader(""), objstore.IfAbsent(), objstore.PutOptions{UserMeta: map[string]string{objstore.SymlinkMeta: "target"}})
	e.ok(err, "put")
	equal(e, e.lookup(ctx, e.root(), "fake").Type, objstore.TypeFile, "type of the fake")
}

func specialFilesAreNoObjects(ctx context.Context, e *Env) {
	d := e.mkdir(ctx, e.root(), "d")
	fifo, err := e.ns().Make(ctx, objstore.MakeRequest{Parent: d, Name: "fifo", Type: objstore.TypeFifo})
	e.ok(err, "fifo")
	e.wantAbsent(ctx, "d/fifo")
	e.wantKeys(ctx, "with a fifo", "d/")
	e.delete(ctx, "d/fifo") // deletes nothing
	equal(e, e.lookup(ctx, d, "fifo").ID, fifo.ID, "the fifo")
	_, err = e.Store.Copy(ctx, objstore.CopyRequest{Src: "d/fifo", SrcCond: objstore.Unconditional(), Dst: "x", DstCond: objstore.Unconditional()})
	e.want(err, objstore.ErrNotFound, "copy of a fifo")
	// Its directory is not empty, though no key says so.
	e.delete(ctx, "d/")
	equal(e, e.lookup(ctx, e.root(), "d").ID, d, "the directory")
	equal(e, e.lookup(ctx, d, "fifo").ID, fifo.ID, "the fifo")
	_, err = e.ns().Open(ctx, fifo.ID, "")
	e.want(err, objstore.ErrInvalid, "open of a fifo")
	e.put(ctx, "d/fifo", "x") // to S3 the name is free
	e.wantContent(ctx, "d/fifo", "x")
	equal(e, e.lookup(ctx, d, "fifo").Type, objstore.TypeFile, "type")
}

func storeAndNamespaceShareObjects(ctx context.Context, e *Env) {
	put := e.put(ctx, "d/put", "1")
	d := e.lookup(ctx, e.root(), "d").ID
	equal(e, e.lookup(ctx, d, "put").ID, put.ID, "id of a put")
	equal(e, e.lookup(ctx, d, "put").ETag, put.ETag, "etag of a put")
	file := e.create(ctx, d, "made", "2")
	equal(e, e.head(ctx, "d/made").ETag, file.ETag, "etag of a commit")
	e.put(ctx, "d/made", "3")
	equal(e, e.stat(ctx, file.ID).Size, 1, "size after a put")
	e.wantBytes(e.readID(ctx, file.ID), "3", "content after a put")
	s, base := e.edit(ctx, file.ID)
	defer s.Close()
	e.put(ctx, "d/made", "4")
	_, err := e.tryCommit(ctx, s, file.ID, objstore.IfVersion(base))
	e.want(err, objstore.ErrPrecondition, "commit after a put")
	e.delete(ctx, "d/made")
	_, err = e.tryCommit(ctx, s, file.ID, objstore.Unconditional())
	e.want(err, objstore.ErrNotFound, "commit after a delete")
	e.wantNoName(ctx, d, "made")
	if e.Store.Capabilities().RenameFile {
		_, err = e.Store.Rename(ctx, objstore.RenameRequest{Src: "d/put", SrcCond: objstore.IfPresent(), Dst: "e/f", DstCond: objstore.IfAbsent()})
		e.ok(err, "rename")
		equal(e, e.stat(ctx, put.ID).ETag, put.ETag, "etag after a rename")
	}
}
