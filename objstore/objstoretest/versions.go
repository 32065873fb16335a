package objstoretest

import (
	"context"
	"fmt"
	"sync"

	"github.com/etagfs/etagfs/objstore"
)

func versionCases() []Case {
	return []Case{
		{Name: "OldContentAgainIsAnotherVersion", needs: needUniqueVersions, run: oldContentAgainIsAnotherVersion},
		{Name: "VersionsAreNeverReused", needs: needUniqueVersions, run: versionsAreNeverReused},
		{Name: "VersionsSurviveRenameAndAttributes", needs: needNamespace, run: versionsSurviveRenameAndAttributes},
	}
}

// oldContentAgainIsAnotherVersion is A-B-A: the same bytes are not the same version.
func oldContentAgainIsAnotherVersion(ctx context.Context, e *Env) {
	lost := func(first objstore.Version, what string) {
		_, err := e.tryPut(ctx, "k", "C", objstore.IfVersion(first))
		e.want(err, objstore.ErrPrecondition, what)
		e.wantContent(ctx, "k", "A")
	}
	first := e.put(ctx, "k", "A").Version
	e.put(ctx, "k", "B")
	e.put(ctx, "k", "A")
	lost(first, "put on the first A after B and A")
	first = e.head(ctx, "k").Version
	e.put(ctx, "k", "A")
	lost(first, "put on the first A after A")
	first = e.head(ctx, "k").Version
	e.delete(ctx, "k")
	e.put(ctx, "k", "A")
	lost(first, "put on the first A after a delete and A")
	if e.Store.Capabilities().RenameFile {
		first = e.head(ctx, "k").Version
		e.put(ctx, "other", "A")
		_, err := e.Store.Rename(ctx, objstore.RenameRequest{
			Src: "other", SrcCond: objstore.IfPresent(), Dst: "k", DstCond: objstore.Unconditional(),
		})
		e.ok(err, "rename")
		lost(first, "put on the first A after another A was renamed to it")
	}
}

// versionBook notes versions and fails at the second sight of one.
type versionBook struct {
	mu   sync.Mutex
	seen map[objstore.Version]string
}

func (b *versionBook) add(e *Env, info objstore.Info, what string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.seen == nil {
		b.seen = map[objstore.Version]string{}
	}
	if earlier, ok := b.seen[info.Version]; ok {
		e.Failf("%s made version %s, which was made by %s", what, info.Version, earlier)
	}
	b.seen[info.Version] = what
}

// makeVersions makes content commits of every kind, by several at once.
func (b *versionBook) makeVersions(ctx context.Context, e *Env, round string) {
	e.parallel(4, func(i int) {
		for j := range 20 {
			what := fmt.Sprintf("%s/%d/%d", round, i, j)
			key := objstore.Key(what)
			b.add(e, e.put(ctx, key, "same"), "put "+what)
			b.add(e, e.put(ctx, key, "same"), "second put "+what)
			info, err := e.Store.Copy(ctx, objstore.CopyRequest{
				Src: key, SrcCond: objstore.IfPresent(), Dst: key + "-copy", DstCond: objstore.IfAbsent(),
			})
			e.ok(err, "copy")
			b.add(e, info, "copy "+what)
			if j%2 == 0 {
				e.delete(ctx, key)
				b.add(e, e.put(ctx, key, "same"), "put after delete "+what)
			}
			if !e.isNamespace() {
				continue
			}
			s, _ := e.edit(ctx, e.head(ctx, key).ID)
			b.add(e, e.commit(ctx, s, e.head(ctx, key).ID, objstore.IfPresent()).Info, "commit "+what)
			b.add(e, e.commit(ctx, s, e.head(ctx, key).ID, objstore.IfPresent()).Info, "second commit "+what)
			e.ok(s.Close(), "close stage")
		}
	})
}

func versionsAreNeverReused(ctx context.Context, e *Env) {
	var book versionBook
	book.makeVersions(ctx, e, "r")
}

func versionsSurviveRenameAndAttributes(ctx context.Context, e *Env) {
	dir := e.mkdir(ctx, e.root(), "dir")
	file := e.create(ctx, e.root(), "f", "x")
	wantSame := func(info objstore.Info, what string) {
		equal(e, info.ID, file.ID, what+": id")
		equal(e, info.Version, file.Version, what+": version")
		equal(e, info.ETag, file.ETag, what+": etag")
		equal(e, info.Modified.Equal(file.Modified), true, what+": modified stays")
	}
	wantSame(e.rename(ctx, e.root(), "f", dir, "g").Moved, "rename")
	mode := uint32(0o600)
	info, err := e.ns().SetAttr(ctx, file.ID, objstore.AttrChange{
		Mode: &mode, Xattrs: map[string][]byte{"user.a": []byte("b")},
	}, objstore.Visible)
	e.ok(err, "set attributes")
	wantSame(info, "set attributes")
	e.rename(ctx, e.root(), "dir", e.root(), "other")
	wantSame(e.stat(ctx, file.ID), "rename of the directory")
	if e.ns().Capabilities().HardLinks {
		info, err := e.ns().Link(ctx, file.ID, e.root(), "link", objstore.Visible)
		e.ok(err, "link")
		wantSame(info, "link")
		wantSame(e.unlink(ctx, e.root(), "link").Removed, "unlink")
	}
	wantSame(e.stat(ctx, file.ID), "at last")
	wantSame(e.head(ctx, "other/g"), "through the flat store")
}
