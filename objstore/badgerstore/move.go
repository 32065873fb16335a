package badgerstore

import (
	"context"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/record"
)

// relocate moves the object at from to a place that is free or whose object loses it.
func (b *Bucket) relocate(t *tx, from, to place) (moved, replaced *record.Object, err error) {
	o, err := t.entry(from)
	if err != nil {
		return nil, nil, err
	}
	if replaced, err = t.entry(to); err != nil {
		return nil, nil, err
	}
	change := objstore.Change{
		Kind: objstore.ChangeMoved, Object: objstore.ID(o.ID), Parent: objstore.ID(from.Parent),
		NewParent: objstore.ID(to.Parent), New: objstore.VersionOf(o.Version), Size: infoOf(o).Size,
	}
	if change.Name, err = t.shown(from); err != nil {
		return nil, nil, err
	}
	shiftFrom, err := b.beginShift(t, from)
	if err != nil {
		return nil, nil, err
	}
	shiftTo, err := b.beginShift(t, to)
	if err != nil {
		return nil, nil, err
	}
	if replaced != nil {
		change.Replaced = objstore.ID(replaced.ID)
		if o.Modified.Before(replaced.Modified) { // the key's must not go back
			o = o.Clone()
			o.Modified = replaced.Modified
		}
		if replaced, err = t.detach(to, replaced); err != nil {
			return nil, nil, err
		}
	}
	if moved, err = t.swing(from, to, o); err != nil {
		return nil, nil, err
	}
	if change.NewName, err = t.shown(to); err != nil {
		return nil, nil, err
	}
	if err := shiftTo.tell(b, t); err != nil {
		return nil, nil, err
	}
	t.tell(b.root, change)
	if err := shiftFrom.tell(b, t); err != nil {
		return nil, nil, err
	}
	if err := t.tellRenamed(from, to, moved, replaced); err != nil {
		return nil, nil, err
	}
	if replaced != nil {
		err = b.afterDetach(t, replaced)
	}
	return moved, replaced, err
}

// swing takes o from one place to another.
func (t *tx) swing(from, to place, o *record.Object) (*record.Object, error) {
	o, err := t.detach(from, o)
	if err != nil {
		return nil, err
	}
	return t.attach(to, o)
}

// Move implements [objstore.Namespace].
func (b *Bucket) Move(ctx context.Context, req objstore.MoveRequest) (res objstore.MoveResult, err error) {
	err = b.write(ctx, req.Durability, true, func(t *tx) (err error) {
		res, err = b.move(t, req)
		return err
	})
	if err != nil {
		return objstore.MoveResult{}, named("rename", req.Name+" to "+req.NewName, err)
	}
	return res, nil
}

func (b *Bucket) move(t *tx, req objstore.MoveRequest) (none objstore.MoveResult, err error) {
	from, src, err := t.find(req.Parent, req.Name)
	if err == nil {
		err = checkSource(req.Cond, src)
	}
	if err != nil {
		return none, err
	}
	to, dst, err := t.find(req.NewParent, req.NewName)
	if err == nil {
		err = check(req.NewCond, dst)
	}
	if err != nil {
		return none, err
	}
	switch req.Mode {
	case objstore.RenameExchange:
		return b.exchange(t, from, to, src, dst)
	case objstore.RenameNoReplace:
		if err := check(objstore.IfAbsent(), dst); err != nil {
			return none, err
		}
	case objstore.RenameReplace:
	default:
		return none, objstore.ErrInvalid
	}
	return b.replace(t, from, to, src, dst, req.NewName)
}

// replace is rename(2).
func (b *Bucket) replace(t *tx, from, to place, src, dst *record.Object, newName string) (none objstore.MoveResult, err error) {
	if dst != nil && src.ID == dst.ID {
		return objstore.MoveResult{Moved: infoOf(src)}, nil // two names of one file, or the same name
	}
	if src.IsDir() {
		if err := t.refuseWithin(to.Parent, src.ID); err != nil {
			return none, err
		}
	}
	if dst == nil {
		if src.IsDir() {
			to = asDir(to)
		}
		err = t.checkFree(to, newName)
	} else {
		err = checkReplace(src, dst)
	}
	if err != nil {
		return none, err
	}
	if err := t.makeBothExplicit(from, to); err != nil {
		return none, err
	}
	moved, replaced, err := b.relocate(t, from, to)
	if err != nil {
		return none, err
	}
	res := objstore.MoveResult{Moved: infoOf(moved)}
	if replaced != nil {
		res.Replaced, res.Gone = infoOf(replaced), !hasName(replaced)
	}
	return res, nil
}

func (t *tx) refuseWithin(id, dir uint64) error {
	within, err := t.isWithin(id, dir)
	if err == nil && within {
		err = problem(objstore.ErrInvalid, "a directory cannot move below itself")
	}
	return err
}

func (t *tx) makeBothExplicit(from, to place) error {
	if err := t.makeExplicit(from.Parent); err != nil {
		return err
	}
	return t.makeExplicit(to.Parent)
}

func checkReplace(src, dst *record.Object) error {
	switch {
	case dst.IsDir() && !src.IsDir():
		return objstore.ErrIsDir
	case src.IsDir() && !dst.IsDir():
		return objstore.ErrNotDir
	case dst.IsDir() && dst.Children > 0:
		return objstore.ErrNotEmpty
	}
	return nil
}

// exchange swaps two entries.
func (b *Bucket) exchange(t *tx, from, to place, src, dst *record.Object) (none objstore.MoveResult, err error) {
	switch {
	case dst == nil:
		return none, objstore.ErrNotFound
	case src.ID == dst.ID:
		return objstore.MoveResult{Moved: infoOf(src), Replaced: infoOf(dst)}, nil
	}
	newFrom, newTo := forType(from, dst), forType(to, src)
	if err := t.checkExchange(from, to, newFrom, newTo, src, dst); err != nil {
		return none, err
	}
	if err := t.makeBothExplicit(from, to); err != nil {
		return none, err
	}
	there, back, err := b.exchangeChanges(t, from, to, src, dst)
	if err != nil {
		return none, err
	}
	if src, err = t.entry(from); err == nil {
		src, err = t.detach(from, src)
	}
	if err != nil {
		return none, err
	}
	if dst, err = t.entry(to); err == nil {
		dst, err = t.detach(to, dst)
	}
	if err != nil {
		return none, err
	}
	if src, err = t.attach(newTo, src); err == nil {
		dst, err = t.attach(newFrom, dst)
	}
	if err != nil {
		return none, err
	}
	t.tell(b.root, there)
	t.tell(b.root, back)
	if err := t.tellExchanged(from, newFrom, to, newTo, src, dst); err != nil {
		return none, err
	}
	return objstore.MoveResult{Moved: infoOf(src), Replaced: infoOf(dst)}, nil
}

func (t *tx) checkExchange(from, to, newFrom, newTo place, src, dst *record.Object) error {
	if src.IsDir() {
		if err := t.refuseWithin(to.Parent, src.ID); err != nil {
			return err
		}
	}
	if dst.IsDir() {
		if err := t.refuseWithin(from.Parent, dst.ID); err != nil {
			return err
		}
	}
	for _, pair := range [][2]place{{newFrom, from}, {newTo, to}} {
		if pair[0] == pair[1] {
			continue
		}
		taken, err := t.exists(pair[0])
		if err != nil {
			return err
		}
		if taken {
			return problem(objstore.ErrInvalid, "an object beside the directory has the name")
		}
	}
	return nil
}

// exchangeChanges are what watchers are told of an exchange.
func (b *Bucket) exchangeChanges(t *tx, from, to place, src, dst *record.Object) (there, back objstore.Change, err error) {
	fromName, err := t.shown(from)
	if err != nil {
		return there, back, err
	}
	toName, err := t.shown(to)
	there = objstore.Change{
		Kind: objstore.ChangeMoved, Object: objstore.ID(src.ID), Parent: objstore.ID(from.Parent), Name: fromName,
		NewParent: objstore.ID(to.Parent), NewName: toName, New: objstore.VersionOf(src.Version), Size: infoOf(src).Size,
	}
	back = objstore.Change{
		Kind: objstore.ChangeMoved, Object: objstore.ID(dst.ID), Parent: objstore.ID(to.Parent), Name: toName,
		NewParent: objstore.ID(from.Parent), NewName: fromName, New: objstore.VersionOf(dst.Version), Size: infoOf(dst).Size,
	}
	return there, back, err
}
