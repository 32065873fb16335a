package memstore

import (
	"context"

	"github.com/etagfs/etagfs/objstore"
)

// Move implements [objstore.Namespace].
func (b *Bucket) Move(ctx context.Context, req objstore.MoveRequest) (res objstore.MoveResult, err error) {
	err = b.write(ctx, "rename", req.Name+" to "+req.NewName, func(t *tx) error {
		res, err = t.move(req)
		return err
	})
	if err != nil {
		res = objstore.MoveResult{}
	}
	return res, err
}

func (t *tx) move(req objstore.MoveRequest) (objstore.MoveResult, error) {
	var none objstore.MoveResult
	from, src, err := t.b.find(req.Parent, req.Name)
	if err != nil {
		return none, err
	}
	if err := checkSource(req.Cond, src); err != nil {
		return none, err
	}
	to, dst, err := t.b.find(req.NewParent, req.NewName)
	if err != nil {
		return none, err
	}
	if err := check(req.NewCond, dst); err != nil {
		return none, err
	}
	switch req.Mode {
	case objstore.RenameExchange:
		return t.exchange(from, to, src, dst)
	case objstore.RenameNoReplace:
		if err := check(objstore.IfAbsent(), dst); err != nil {
			return none, err
		}
	case objstore.RenameReplace:
	default:
		return none, objstore.ErrInvalid
	}
	return t.replace(from, to, src, dst, req.NewName)
}

// replace is rename(2).
func (t *tx) replace(from, to entry, src, dst *node, newName string) (objstore.MoveResult, error) {
	if src == dst {
		return objstore.MoveResult{Moved: src.info()}, nil // two names of one file, or the same name
	}
	if src.isDir() && to.dir.isWithin(src) {
		return objstore.MoveResult{}, problem(objstore.ErrInvalid, "a directory cannot move below itself")
	}
	if dst == nil {
		if src.isDir() {
			to = to.asDir()
		}
		if err := checkFree(to, newName); err != nil {
			return objstore.MoveResult{}, err
		}
	} else if err := checkReplace(src, dst); err != nil {
		return objstore.MoveResult{}, err
	}
	t.makeExplicit(from.dir)
	t.makeExplicit(to.dir)
	t.relocate(from, to)
	res := objstore.MoveResult{Moved: src.info()}
	if dst != nil {
		res.Replaced, res.Gone = dst.info(), len(dst.names) == 0
	}
	return res, nil
}

func checkReplace(src, dst *node) error {
	switch {
	case dst.isDir() && !src.isDir():
		return objstore.ErrIsDir
	case src.isDir() && !dst.isDir():
		return objstore.ErrNotDir
	case dst.isDir() && !dst.isEmpty():
		return objstore.ErrNotEmpty
	}
	return nil
}

// exchange swaps two entries.
func (t *tx) exchange(from, to entry, src, dst *node) (objstore.MoveResult, error) {
	var none objstore.MoveResult
	switch {
	case dst == nil:
		return none, objstore.ErrNotFound
	case src == dst:
		return objstore.MoveResult{Moved: src.info(), Replaced: dst.info()}, nil
	case src.isDir() && to.dir.isWithin(src), dst.isDir() && from.dir.isWithin(dst):
		return none, problem(objstore.ErrInvalid, "a directory cannot move below itself")
	}
	newFrom, newTo := from.forType(dst), to.forType(src)
	if newFrom != from && from.dir.dir.nodes[newFrom.stored] != nil ||
		newTo != to && to.dir.dir.nodes[newTo.stored] != nil {
		return none, problem(objstore.ErrInvalid, "an object beside the directory has the name")
	}
	t.makeExplicit(from.dir)
	t.makeExplicit(to.dir)
	fromName, toName := from.shown(), to.shown()
	t.detach(from, src)
	t.detach(to, dst)
	t.attach(newTo, src)
	t.attach(newFrom, dst)
	t.tell(objstore.Change{
		Kind: objstore.ChangeMoved, Object: src.id, Parent: from.dir.id, Name: fromName,
		NewParent: to.dir.id, NewName: toName, New: src.version, Size: src.info().Size,
	})
	t.tell(objstore.Change{
		Kind: objstore.ChangeMoved, Object: dst.id, Parent: to.dir.id, Name: toName,
		NewParent: from.dir.id, NewName: fromName, New: dst.version, Size: dst.info().Size,
	})
	t.tellExchanged(from, newFrom, to, newTo, src, dst)
	return objstore.MoveResult{Moved: src.info(), Replaced: dst.info()}, nil
}

// forType is the same place for a node that may be of another type than the one there.
func (e entry) forType(n *node) entry {
	component := e.stored
	if last := len(component) - 1; component[last] == '/' {
		component = component[:last]
	}
	if n.isDir() {
		component += "/"
	}
	return entry{e.dir, component}
}
