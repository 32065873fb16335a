package objstoretest

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/etagfs/etagfs/objstore"
)

func keyCases() []Case {
	return []Case{
		{Name: "OddKeysAreKeys", run: oddKeysAreKeys},
		{Name: "KeysTooLongOrEmptyAreRefused", run: keysTooLongOrEmptyAreRefused},
		{Name: "KeysDoNotDisturbTheirPrefixes", run: keysDoNotDisturbTheirPrefixes},
		{Name: "OddKeysAppearEscaped", needs: needNamespace, run: oddKeysAppearEscaped},
	}
}

// oddKeys are listingKeys and the long ones.
func oddKeys() []objstore.Key {
	long := strings.Repeat("n", 300)
	keys := append(listingKeys(),
		objstore.Key(strings.Repeat("k", objstore.KeyBytesMax)),
		objstore.Key(strings.Repeat("d/", objstore.KeyBytesMax/2)),
		objstore.Key(strings.Repeat("d/", objstore.KeyBytesMax/2-1)+"e"),
		objstore.Key(long), objstore.Key(long+"/"+long), objstore.Key(long+"/x"),
		objstore.Key(strings.Repeat("m", 255)), objstore.Key(strings.Repeat("m", 255)+"/x"),
		"%etagfs:file:a", "%etagfs:long:0", "%etagfs:", "%etagfs:literal:x/%etagfs:empty", "x\x00y/z",
	)
	slices.Sort(keys)
	return keys
}

func oddKeysAreKeys(ctx context.Context, e *Env) {
	keys := oddKeys()
	for _, key := range keys {
		e.putIf(ctx, key, "1"+string(key), objstore.IfAbsent())
	}
	for _, key := range keys {
		e.wantContent(ctx, key, "1"+string(key))
		_, err := e.tryPut(ctx, key, "x", objstore.IfAbsent())
		e.want(err, objstore.ErrPrecondition, fmt.Sprintf("second create of %q", key))
		e.putIf(ctx, key, "2"+string(key), objstore.IfVersion(e.head(ctx, key).Version))
	}
	if got := e.listAll(ctx, objstore.ListOptions{Max: 10}); !slices.Equal(got, keys) {
		e.Failf("listed %q\ninstead of %q", got, keys)
	}
	for i, key := range keys {
		e.wantContent(ctx, key, "2"+string(key))
		e.delete(ctx, key)
		e.wantAbsent(ctx, key)
		equal(e, len(e.listAll(ctx, objstore.ListOptions{})), len(keys)-i-1, fmt.Sprintf("keys after the delete of %q", key))
	}
	if e.isNamespace() {
		equal(e, len(e.readDir(ctx, e.root())), 0, "entries of the root after all deletes")
	}
}

func keysTooLongOrEmptyAreRefused(ctx context.Context, e *Env) {
	e.put(ctx, "src", "x")
	long := objstore.Key(strings.Repeat("k", e.Store.Capabilities().KeyBytesMax+1))
	for key, kind := range map[objstore.Key]objstore.Kind{"": objstore.ErrInvalid, long: objstore.ErrTooLarge} {
		_, err := e.tryPut(ctx, key, "x", objstore.Unconditional())
		e.want(err, kind, fmt.Sprintf("put of a key of %d bytes", len(key)))
		_, err = e.Store.Copy(ctx, objstore.CopyRequest{Src: "src", SrcCond: objstore.IfPresent(), Dst: key, DstCond: objstore.Unconditional()})
		e.want(err, kind, fmt.Sprintf("copy to a key of %d bytes", len(key)))
		if e.Store.Capabilities().RenameFile {
			_, err = e.Store.Rename(ctx, objstore.RenameRequest{Src: "src", SrcCond: objstore.IfPresent(), Dst: key, DstCond: objstore.Unconditional()})
			e.want(err, kind, fmt.Sprintf("rename to a key of %d bytes", len(key)))
		}
	}
	_, err := e.Store.Head(ctx, long)
	e.want(err, objstore.ErrNotFound, "head of a key nobody could make")
	equal(e, len(e.keys(ctx, objstore.ListOptions{})), 1, "keys")
}

// keysDoNotDisturbTheirPrefixes: "a", "a/" and "a/b" are three objects.
func keysDoNotDisturbTheirPrefixes(ctx context.Context, e *Env) {
	keys := []objstore.Key{"a", "a/", "a/b", "a/b/c"}
	for i := range keys { // in every rotation: none depends on another
		order := append(slices.Clone(keys[i:]), keys[:i]...)
		for _, key := range order {
			e.putIf(ctx, key, "of "+string(key), objstore.IfAbsent())
		}
		for n, key := range order {
			e.wantContent(ctx, key, "of "+string(key))
			e.delete(ctx, key)
			for _, left := range order[n+1:] {
				e.wantContent(ctx, left, "of "+string(left))
			}
		}
		equal(e, len(e.keys(ctx, objstore.ListOptions{})), 0, "keys in the end")
	}
}

// oddKeysAppearEscaped walks the whole tree: every object is there once, under a
// name POSIX can have that looks it up again.
func oddKeysAppearEscaped(ctx context.Context, e *Env) {
	keys := oddKeys()
	ids := map[objstore.ID]objstore.Key{}
	for _, key := range keys {
		ids[e.put(ctx, key, string(key)).ID] = key
	}
	e.walk(ctx, e.root(), func(parent objstore.ID, entry objstore.DirEntry) {
		name := entry.Name
		if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\x00") || len(name) > objstore.NameBytesMax {
			e.Failf("readdir shows %q", name)
		}
		equal(e, e.lookup(ctx, parent, name).ID, entry.Info.ID, fmt.Sprintf("id of %q looked up", name))
		if entry.Info.Type == objstore.TypeFile {
			e.wantBytes(e.readID(ctx, entry.Info.ID), string(ids[entry.Info.ID]), fmt.Sprintf("content of %q", name))
		}
		delete(ids, entry.Info.ID)
	})
	if len(ids) > 0 {
		e.Failf("the tree does not show %v", ids)
	}
	// The documented escapes, by name.
	a := e.lookup(ctx, e.root(), "a")
	equal(e, a.Type, objstore.TypeDir, "type of a beside a/")
	e.wantBytes(e.readID(ctx, e.lookup(ctx, e.root(), "%etagfs:file:a").ID), "a", "object beside its directory")
	empty := e.lookup(ctx, a.ID, "%etagfs:empty")
	e.wantBytes(e.readID(ctx, e.lookup(ctx, empty.ID, "b").ID), "a//b", "below an empty component")
	z := e.lookup(ctx, e.root(), "z").ID
	e.wantBytes(e.readID(ctx, e.lookup(ctx, z, "%etagfs:dotdot").ID), "z/..", "dot dot")
	e.wantBytes(e.readID(ctx, e.lookup(ctx, e.root(), "%etagfs:literal:%etagfs:dot").ID), "%etagfs:dot", "literal")
	// What an escape hides can be removed, and then the plain name is back.
	e.unlink(ctx, e.root(), "%etagfs:file:a")
	e.wantAbsent(ctx, "a")
	e.wantContent(ctx, "a/b", "a/b")
	// Names that would be mistaken for escapes cannot be made.
	for _, name := range []string{"%etagfs:", "%etagfs:new", "%etagfs:file:new", "%etagfs:long:00", "%etagfs:literal:new"} {
		_, err := e.ns().Make(ctx, objstore.MakeRequest{Parent: e.root(), Name: name, Type: objstore.TypeDir})
		e.want(err, objstore.ErrInvalid, fmt.Sprintf("mkdir %q", name))
	}
}

// walk visits all entries below dir.
func (e *Env) walk(ctx context.Context, dir objstore.ID, visit func(parent objstore.ID, entry objstore.DirEntry)) {
	for _, entry := range e.readDir(ctx, dir) {
		visit(dir, entry)
		if entry.Info.Type == objstore.TypeDir {
			e.walk(ctx, entry.Info.ID, visit)
		}
	}
}
