package fs

import (
	"context"

	"github.com/etagfs/etagfs/objstore"
)

// Rename is renameat2(2). What is pending or changed of the file is committed in the same step; if
// that commit loses the rename goes on without it. What loses its last name is detached.
func (fs *FS) Rename(ctx context.Context, c Caller, dir objstore.ID, name string, newDir objstore.ID, newName string, mode objstore.RenameMode) error {
	if isControl(dir) != isControl(newDir) {
		return &Error{Op: "rename", Path: name, Kind: ErrCrossMount}
	}
	if isControl(dir) || fs.inControl(newDir, newName) {
		return &Error{Op: "rename", Path: newName, Kind: ErrNotPermitted}
	}
	from, err := fs.oldName("rename", dir, name)
	if err != nil {
		return err
	}
	to, err := fs.oldName("rename", newDir, newName)
	if err != nil {
		return err
	}
	unlock := fs.names.lock(from, to)
	defer unlock()
	return exists("rename", newName, fs.rename(ctx, c, from, to, mode))
}

// rename requires both names.
func (fs *FS) rename(ctx context.Context, c Caller, from, to entryKey, mode objstore.RenameMode) error {
	source, err := fs.renamed(ctx, from)
	if err != nil {
		return err
	}
	target := fs.pendingAt(to)
	if target != nil && from != to {
		if err := fs.overPending(ctx, c, from, to, mode, target); err != nil {
			return err
		}
	}
	if err := fs.pendingBelow(ctx, "rename", to); err != nil && mode == objstore.RenameReplace && from != to {
		return err
	}
	request := objstore.MoveRequest{
		Parent: from.dir, Name: from.name, Cond: objstore.Unconditional(),
		NewParent: to.dir, NewName: to.name, NewCond: objstore.Unconditional(),
		Mode: mode, Durability: objstore.Visible,
	}
	p, guarded := fs.actor(c)
	if guarded {
		fs.guardRename(p, source, from, to, &request)
	}
	moved, err := fs.move(ctx, c, source, request)
	if err != nil && guarded {
		return fs.refusedRename(ctx, c, p, request, err)
	}
	if err != nil {
		return err
	}
	if guarded {
		fs.guard.moved(p, from, to, moved, mode)
	}
	if target != nil && from != to && mode == objstore.RenameReplace {
		fs.lostPending(target)
	}
	return nil
}

// renamed is the open file at a name, nil if nobody has it open for writing.
func (fs *FS) renamed(ctx context.Context, at entryKey) (*file, error) {
	if f := fs.pendingAt(at); f != nil {
		return f, nil
	}
	fs.mu.Lock()
	writers := len(fs.writers)
	fs.mu.Unlock()
	if writers == 0 {
		return nil, nil
	}
	info, err := fs.ns.Lookup(ctx, at.dir, at.name)
	if err != nil {
		return nil, err
	}
	return fs.openFile(info.ID), nil
}

// overPending prepares a rename onto a pending create, of which the store knows nothing.
func (fs *FS) overPending(ctx context.Context, c Caller, from, to entryKey, mode objstore.RenameMode, target *file) error {
	switch mode {
	case objstore.RenameNoReplace:
		return &Error{Op: "rename", Path: to.name, Kind: ErrExists}
	case objstore.RenameExchange:
		_, err := fs.commitWith(ctx, c, target, order{op: "rename", caller: c})
		return err
	}
	if fs.pendingAt(from) != nil {
		return nil
	}
	info, err := fs.ns.Lookup(ctx, from.dir, from.name)
	if err == nil && info.Type == objstore.TypeDir {
		return &objstore.Error{Op: "rename", Key: to.name, Kind: objstore.ErrNotDir}
	}
	return err
}

// move renames, together with what has changed of source.
func (fs *FS) move(ctx context.Context, c Caller, source *file, request objstore.MoveRequest) (objstore.MoveResult, error) {
	_, pending := fs.creationOf(source)
	out, committed := fs.commitWith(ctx, c, source, order{op: "rename", caller: c, move: &request})
	if out.done || committed != nil && KindOf(committed) != ErrBusy {
		return out.result.Moved, committed
	}
	done := fs.notices.expect(movesOf(request)...)
	fs.removing.RLock()
	moved, err := fs.ns.Move(ctx, request)
	if err == nil {
		fs.replaced(moved)
	}
	fs.removing.RUnlock()
	done(err)
	return moved, orLost(pending, err, committed)
}
