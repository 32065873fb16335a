package objstoretest

import (
	"context"
	"fmt"

	"github.com/etagfs/etagfs/objstore"
)

func capabilityCases() []Case {
	return []Case{
		{Name: "CapabilitiesTellTheTruth", run: capabilitiesTellTheTruth},
		{Name: "NamespaceCapabilitiesTellTheTruth", needs: needNamespace, run: namespaceCapabilitiesTellTheTruth},
		{Name: "SyncAnswers", run: syncAnswers},
	}
}

// claim ends the case unless an operation is unsupported exactly if the store says so.
func (e *Env) claim(claimed bool, err error, what string) {
	if unsupported := objstore.KindOf(err) == objstore.ErrUnsupported; unsupported == claimed {
		e.Failf("%s: claimed %v, but: %w", what, claimed, orSuccess(err))
	}
}

func orSuccess(err error) error {
	if err == nil {
		return fmt.Errorf("it succeeded")
	}
	return err
}

func capabilitiesTellTheTruth(ctx context.Context, e *Env) {
	caps := e.Store.Capabilities()
	if !caps.Put.Has(objstore.Unconditional()) || caps.KeyBytesMax <= 0 || caps.ObjectBytesMax <= 0 {
		e.Failf("a store that takes nothing: %+v", caps)
	}
	version := e.put(ctx, "k", "x").Version
	for _, cond := range []objstore.Cond{
		objstore.Unconditional(), objstore.IfAbsent(), objstore.IfPresent(), objstore.IfVersion(version),
	} {
		e.put(ctx, "src", "x")
		current := e.head(ctx, "src").Version
		if _, ok := cond.Version(); ok {
			cond = objstore.IfVersion(current)
		}
		_, err := e.tryPut(ctx, "src", "x", cond)
		e.claim(caps.Put.Has(cond), err, fmt.Sprintf("put %v", cond))
		_, err = e.Store.Copy(ctx, objstore.CopyRequest{Src: "src", SrcCond: cond, Dst: "copy", DstCond: objstore.Unconditional()})
		e.claim(caps.CopySource.Has(cond), err, fmt.Sprintf("copy of a source %v", cond))
		_, err = e.Store.Copy(ctx, objstore.CopyRequest{Src: "k", SrcCond: objstore.Unconditional(), Dst: "src", DstCond: cond})
		e.claim(caps.CopyTarget.Has(cond), err, fmt.Sprintf("copy to a target %v", cond))
		_, err = e.Store.Rename(ctx, objstore.RenameRequest{Src: "src", SrcCond: cond, Dst: "renamed", DstCond: objstore.Unconditional()})
		e.claim(caps.RenameFile && caps.RenameSource.Has(cond), err, fmt.Sprintf("rename of a source %v", cond))
		_, err = e.Store.Rename(ctx, objstore.RenameRequest{Src: "k", SrcCond: objstore.Unconditional(), Dst: "src", DstCond: cond})
		e.claim(caps.RenameFile && caps.RenameTarget.Has(cond), err, fmt.Sprintf("rename to a target %v", cond))
		err = e.Store.Delete(ctx, "src", cond, objstore.DeleteOptions{})
		e.claim(caps.Delete.Has(cond), err, fmt.Sprintf("delete %v", cond))
		e.put(ctx, "k", "x")
	}
	e.put(ctx, "dir/a/b", "x")
	_, err := e.Store.Rename(ctx, objstore.RenameRequest{
		Src: "dir/", SrcCond: objstore.Unconditional(), Dst: "other/", DstCond: objstore.Unconditional(),
	})
	e.claim(caps.RenameDir, err, "rename of a directory")
	if caps.RenameDir {
		e.wantContent(ctx, "other/a/b", "x")
		e.wantAbsent(ctx, "dir/a/b")
	}
}

func namespaceCapabilitiesTellTheTruth(ctx context.Context, e *Env) {
	caps := e.ns().Capabilities()
	equal(e, caps, e.Store.Capabilities(), "capabilities of the namespace and the store")
	file := e.create(ctx, e.root(), "f", "x")
	_, err := e.ns().Link(ctx, file.ID, e.root(), "g", objstore.Visible)
	e.claim(caps.HardLinks, err, "link")
	if caps.HardLinks {
		equal(e, e.lookup(ctx, e.root(), "g").ID, file.ID, "id of the link")
	}
	mode := uint32(0o640)
	_, err = e.ns().SetAttr(ctx, file.ID, objstore.AttrChange{Mode: &mode}, objstore.Visible)
	e.claim(caps.Attributes, err, "set attributes")
	if caps.Attributes {
		equal(e, e.stat(ctx, file.ID).Attr.Mode, mode, "mode")
	}
	dir := e.mkdir(ctx, e.root(), "d")
	_, err = e.tryMove(ctx, e.root(), "d", e.root(), "e", objstore.RenameReplace)
	e.claim(caps.RenameDir, err, "rename of a directory")
	if caps.RenameDir {
		equal(e, e.lookup(ctx, e.root(), "e").ID, dir, "id of the directory")
	}
	s, _ := e.edit(ctx, file.ID)
	defer s.Close()
	_, err = s.WriteAt(ctx, []byte("x"), caps.ObjectBytesMax)
	e.want(err, objstore.ErrTooLarge, "write beyond the largest object")
	e.want(s.Truncate(ctx, caps.ObjectBytesMax+1), objstore.ErrTooLarge, "truncate beyond the largest object")
	equal(e, s.Changed(), false, "changed by refused writes")
	usage, err := e.ns().Usage(ctx)
	e.ok(err, "usage")
	if usage.BytesTotal <= 0 || usage.BytesFree < 0 || usage.BytesFree > usage.BytesTotal || usage.Objects < 2 {
		e.Failf("usage makes no sense: %+v", usage)
	}
}

func syncAnswers(ctx context.Context, e *Env) {
	e.put(ctx, "k", "x")
	e.ok(e.Store.Sync(ctx), "sync")
	e.wantContent(ctx, "k", "x")
}
