package objstoretest

import (
	"context"
	"fmt"
	"strings"

	"github.com/etagfs/etagfs/objstore"
)

func linkCases() []Case {
	return []Case{
		{Name: "LinksShareTheObject", needs: needNamespace | needHardLinks, run: linksShareTheObject},
		{Name: "LinkRefusesNonsense", needs: needNamespace | needHardLinks, run: linkRefusesNonsense},
		{Name: "RenameOfOneFileToItselfKeepsBothNames", needs: needNamespace | needHardLinks, run: renameOfOneFileToItselfKeepsBothNames},
		{Name: "PutReplacesOneName", needs: needNamespace | needHardLinks, run: putReplacesOneName},
		{Name: "LinksSurviveTheirFirstName", needs: needNamespace | needHardLinks, run: linksSurviveTheirFirstName},
	}
}

func (e *Env) link(ctx context.Context, id, parent objstore.ID, name string) objstore.Info {
	info, err := e.ns().Link(ctx, id, parent, name, objstore.Visible)
	e.ok(err, fmt.Sprintf("link %q", name))
	return info
}

func linksShareTheObject(ctx context.Context, e *Env) {
	dir := e.mkdir(ctx, e.root(), "dir")
	file := e.create(ctx, e.root(), "a", "1")
	info := e.link(ctx, file.ID, dir, "b")
	equal(e, info.ID, file.ID, "id")
	equal(e, info.Nlink, 2, "links")
	equal(e, e.stat(ctx, file.ID).Nlink, 2, "links by id")
	if info.MetaVersion == file.MetaVersion {
		e.Failf("the metadata version did not move")
	}
	e.overwrite(ctx, file.ID, "2")
	for _, key := range []objstore.Key{"a", "dir/b"} {
		e.wantContent(ctx, key, "2")
		equal(e, e.head(ctx, key).Nlink, 2, "links")
	}
	equal(e, e.head(ctx, "a").ETag, e.head(ctx, "dir/b").ETag, "etags of both names")
	page, err := e.Store.List(ctx, objstore.ListOptions{Prefix: "dir/b"})
	e.ok(err, "list")
	equal(e, page.Entries[0].Info.ETag, e.head(ctx, "a").ETag, "etag listed")
	mode := uint32(0o600)
	_, err = e.ns().SetAttr(ctx, file.ID, objstore.AttrChange{Mode: &mode}, objstore.Visible)
	e.ok(err, "set attributes")
	equal(e, e.lookup(ctx, dir, "b").Attr.Mode, mode, "mode through the other name")
	res := e.unlink(ctx, e.root(), "a")
	equal(e, res.Gone, false, "gone")
	equal(e, res.Removed.Nlink, 1, "links of the removed")
	e.wantContent(ctx, "dir/b", "2")
	equal(e, e.stat(ctx, file.ID).Nlink, 1, "links left")
	equal(e, e.unlink(ctx, dir, "b").Gone, true, "gone with the last")
	// Symlinks and special files too.
	link, err := e.ns().Make(ctx, objstore.MakeRequest{Parent: dir, Name: "s", Type: objstore.TypeSymlink, Target: "t"})
	e.ok(err, "symlink")
	equal(e, e.link(ctx, link.ID, e.root(), "s2").Nlink, 2, "links of a symlink")
}

func linkRefusesNonsense(ctx context.Context, e *Env) {
	dir := e.mkdir(ctx, e.root(), "dir")
	file := e.create(ctx, e.root(), "a", "1")
	for what, row := range map[string]struct {
		id, parent objstore.ID
		name       string
		kind       objstore.Kind
	}{
		"to a directory":   {dir, e.root(), "x", objstore.ErrIsDir},
		"over a file":      {file.ID, e.root(), "a", objstore.ErrPrecondition},
		"over a directory": {file.ID, e.root(), "dir", objstore.ErrPrecondition},
		"below a file":     {file.ID, file.ID, "x", objstore.ErrNotDir},
		"of nothing":       {e.newID(ctx), e.root(), "x", objstore.ErrNotFound},
	} {
		_, err := e.ns().Link(ctx, row.id, row.parent, row.name, objstore.Visible)
		e.want(err, row.kind, "link "+what)
	}
	equal(e, e.stat(ctx, file.ID).Nlink, 1, "links")
}

func renameOfOneFileToItselfKeepsBothNames(ctx context.Context, e *Env) {
	file := e.create(ctx, e.root(), "a", "1")
	e.link(ctx, file.ID, e.root(), "b")
	e.rename(ctx, e.root(), "a", e.root(), "b")
	e.wantContent(ctx, "a", "1")
	e.wantContent(ctx, "b", "1")
	equal(e, e.stat(ctx, file.ID).Nlink, 2, "links")
}

// putReplacesOneName: a put through the flat store is to that key, not to the file's other names.
func putReplacesOneName(ctx context.Context, e *Env) {
	file := e.create(ctx, e.root(), "a", "old")
	mode := uint32(0o751)
	_, err := e.ns().SetAttr(ctx, file.ID, objstore.AttrChange{Mode: &mode}, objstore.Visible)
	e.ok(err, "set attributes")
	e.link(ctx, file.ID, e.root(), "b")
	before := e.head(ctx, "b")
	_, err = e.tryPut(ctx, "a", "lost", objstore.IfVersion("1"+before.Version))
	e.want(err, objstore.ErrPrecondition, "put on another version")
	put := e.putIf(ctx, "a", "new", objstore.IfVersion(before.Version))
	if put.ID == file.ID {
		e.Failf("the put went to all names")
	}
	equal(e, put.Attr.Mode, mode, "mode of the replacement")
	e.wantContent(ctx, "a", "new")
	e.wantContent(ctx, "b", "old")
	after := e.stat(ctx, file.ID)
	equal(e, after.Nlink, 1, "links")
	equal(e, after.ETag, before.ETag, "etag")
	// With one name left, a put keeps the object.
	equal(e, e.put(ctx, "b", "newer").ID, file.ID, "id after a put to the only name")
	e.link(ctx, file.ID, e.root(), "c")
	e.delete(ctx, "b")
	e.wantContent(ctx, "c", "newer")
}

// linksSurviveTheirFirstName: whichever name goes first, in whatever way.
func linksSurviveTheirFirstName(ctx context.Context, e *Env) {
	dir := e.mkdir(ctx, e.root(), "dir")
	for i, remove := range []func(name string){
		func(name string) { e.unlink(ctx, dir, name) },
		func(name string) { e.delete(ctx, objstore.Key("dir/"+name)) },
		func(name string) { e.create(ctx, dir, "other", ""); e.rename(ctx, dir, "other", dir, name) },
	} {
		for first := range 3 {
			names := []string{"x", "y", "z"}
			prefix := fmt.Sprintf("%d-%d-", i, first)
			body := strings.Repeat(prefix, 5000)
			file := e.create(ctx, dir, prefix+names[0], body)
			e.link(ctx, file.ID, dir, prefix+names[1])
			e.link(ctx, file.ID, dir, prefix+names[2])
			remove(prefix + names[first])
			for n, name := range names {
				if n != first {
					equal(e, e.lookup(ctx, dir, prefix+name).ID, file.ID, "id of a name left")
					e.wantContent(ctx, objstore.Key("dir/"+prefix+name), body)
				}
			}
			equal(e, e.stat(ctx, file.ID).Nlink, 2, "links left")
			left := prefix + names[(first+1)%3]
			e.rename(ctx, dir, left, e.root(), left)
			equal(e, e.lookup(ctx, e.root(), left).ID, file.ID, "id of a renamed name")
			equal(e, e.overwrite(ctx, file.ID, "new").Nlink, 2, "links after a commit")
			e.wantContent(ctx, objstore.Key(left), "new")
		}
	}
}
