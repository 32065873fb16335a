package memstore

import (
	"context"
	"fmt"
	"strings"

	"github.com/etagfs/etagfs/objstore"
)

// Rename implements [objstore.Store].
func (b *Bucket) Rename(ctx context.Context, req objstore.RenameRequest) (info objstore.Info, err error) {
	key := string(req.Src) + " to " + string(req.Dst)
	if err := checkRename(req); err != nil {
		return info, named("rename", key, err)
	}
	request := fmt.Sprintf("rename %q %v %q %v", req.Src, req.SrcCond, req.Dst, req.DstCond)
	err = b.read(ctx, "rename", key, func() (err error) {
		info, err = once(b, req.WriteID, request, func(t *tx) (objstore.Info, error) { return t.rename(req) })
		return err
	})
	return info, err
}

func checkRename(req objstore.RenameRequest) error {
	if err := checkPut(req.Dst, req.DstCond); err != nil {
		return err
	}
	if strings.HasSuffix(string(req.Src), "/") != strings.HasSuffix(string(req.Dst), "/") {
		return problem(objstore.ErrInvalid, "a directory's key ends in / and an object's does not")
	}
	return nil
}

// rename moves the name of an object, or a directory with all below it. A
// directory counts as existing whether it is explicit or not.
func (t *tx) rename(req objstore.RenameRequest) (objstore.Info, error) {
	find := t.b.objectAt
	if strings.HasSuffix(string(req.Src), "/") {
		find = t.b.nodeAt
	}
	src, dst := find(req.Src), find(req.Dst)
	if err := checkSource(req.SrcCond, src); err != nil {
		return objstore.Info{}, err
	}
	if err := check(req.DstCond, dst); err != nil {
		return objstore.Info{}, err
	}
	if req.Src == req.Dst {
		return src.object(), nil
	}
	if src.isDir() {
		if err := checkDirRename(req, src, dst); err != nil {
			return objstore.Info{}, err
		}
	}
	from, _ := t.b.entryAt(req.Src)
	t.relocate(from, t.makeEntry(req.Dst))
	t.prune(from.dir)
	return src.object(), nil
}

func checkDirRename(req objstore.RenameRequest, src, dst *node) error {
	if strings.HasPrefix(string(req.Dst), string(req.Src)) {
		return problem(objstore.ErrInvalid, "a directory cannot move below itself")
	}
	if dst != nil && !dst.isEmpty() {
		return objstore.ErrNotEmpty
	}
	return nil
}

// relocate moves the node at from to a place that is free or whose node loses it.
func (t *tx) relocate(from, to entry) (replaced *node) {
	n := from.dir.dir.nodes[from.stored]
	replaced = to.dir.dir.nodes[to.stored]
	change := objstore.Change{
		Kind: objstore.ChangeMoved, Object: n.id, Parent: from.dir.id, Name: from.shown(),
		NewParent: to.dir.id, New: n.version, Size: n.info().Size,
	}
	besideFrom, besideTo := t.besideOf(from), t.besideOf(to)
	wasFrom, wasTo := besideFrom.shownIf(), besideTo.shownIf()
	if replaced != nil {
		change.Replaced = replaced.id
		t.detach(to, replaced)
	}
	t.detach(from, n)
	t.attach(to, n)
	if replaced != nil && n.modified.Before(replaced.modified) {
		n.modified = replaced.modified // saved by attach: the key's must not go back
	}
	change.NewName = to.shown()
	t.tellShift(besideTo, wasTo)
	t.tell(change)
	t.tellShift(besideFrom, wasFrom)
	t.tellRenamed(from, to, n, replaced)
	if replaced != nil && len(replaced.names) > 0 {
		t.tellLinks(replaced)
	}
	return replaced
}
