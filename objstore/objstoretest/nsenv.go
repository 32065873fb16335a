package objstoretest

import (
	"context"
	"fmt"

	"github.com/etagfs/etagfs/objstore"
)

// ns is the namespace of the subject.
func (e *Env) ns() objstore.Namespace { return e.Namespace }

func (e *Env) root() objstore.ID { return e.Namespace.Root() }

// mkdir makes a directory that must not exist.
func (e *Env) mkdir(ctx context.Context, parent objstore.ID, name string) objstore.ID {
	info, err := e.ns().Make(ctx, objstore.MakeRequest{
		Parent: parent, Name: name, Type: objstore.TypeDir, Attr: objstore.NewAttr{Mode: 0o755}, Durability: objstore.Visible,
	})
	e.ok(err, fmt.Sprintf("mkdir %q", name))
	return info.ID
}

func (e *Env) newID(ctx context.Context) objstore.ID {
	id, err := e.ns().NewID(ctx)
	e.ok(err, "new id")
	return id
}

// newStage is a stage that starts from base, or empty.
func (e *Env) newStage(ctx context.Context, base objstore.Reader) objstore.Stage {
	s, err := e.ns().NewStage(ctx, objstore.StageSpec{Base: base})
	e.ok(err, "new stage")
	return s
}

// edit is a stage on the current content of a file, and the version that is.
func (e *Env) edit(ctx context.Context, id objstore.ID) (objstore.Stage, objstore.Version) {
	r := e.openID(ctx, id)
	defer r.Close()
	s, err := e.ns().NewStage(ctx, objstore.StageSpec{
		Base: r, Owner: objstore.Owner{Object: id, Base: r.Info().Version},
	})
	e.ok(err, "new stage")
	return s, r.Info().Version
}

func (e *Env) openID(ctx context.Context, id objstore.ID) objstore.Reader {
	r, err := e.ns().Open(ctx, id, "")
	e.ok(err, fmt.Sprintf("open %d", id))
	return r
}

// write writes at an offset of a stage.
func (e *Env) write(ctx context.Context, s objstore.Stage, body string, off int64) {
	n, err := s.WriteAt(ctx, []byte(body), off)
	e.ok(err, fmt.Sprintf("write %d bytes at %d", len(body), off))
	equal(e, n, len(body), "bytes written")
}

// create makes a file that must not exist.
func (e *Env) create(ctx context.Context, parent objstore.ID, name, body string) objstore.Info {
	s := e.newStage(ctx, nil)
	defer s.Close()
	if body != "" {
		e.write(ctx, s, body, 0)
	}
	res, err := s.Commit(ctx, objstore.CommitRequest{
		Target: e.target(ctx, parent, name), Cond: objstore.IfAbsent(), Durability: objstore.Visible,
	})
	e.ok(err, fmt.Sprintf("create %q", name))
	return res.Info
}

// target is a new file.
func (e *Env) target(ctx context.Context, parent objstore.ID, name string) objstore.Target {
	return objstore.Target{ID: e.newID(ctx), Parent: parent, Name: name, Attr: objstore.NewAttr{Mode: 0o644}}
}

// commit commits a stage to an existing file and wants success.
func (e *Env) commit(ctx context.Context, s objstore.Stage, id objstore.ID, cond objstore.Cond) objstore.CommitResult {
	res, err := e.tryCommit(ctx, s, id, cond)
	e.ok(err, fmt.Sprintf("commit %v", cond))
	return res
}

func (e *Env) tryCommit(ctx context.Context, s objstore.Stage, id objstore.ID, cond objstore.Cond) (objstore.CommitResult, error) {
	return s.Commit(ctx, objstore.CommitRequest{
		Target: objstore.Target{ID: id}, Cond: cond, Durability: objstore.Visible,
	})
}

// overwrite gives a file a new content as another writer would.
func (e *Env) overwrite(ctx context.Context, id objstore.ID, body string) objstore.Info {
	s := e.newStage(ctx, nil)
	defer s.Close()
	e.write(ctx, s, body, 0)
	return e.commit(ctx, s, id, objstore.Unconditional()).Info
}

func (e *Env) lookup(ctx context.Context, parent objstore.ID, name string) objstore.Info {
	info, err := e.ns().Lookup(ctx, parent, name)
	e.ok(err, fmt.Sprintf("lookup %q", name))
	return info
}

func (e *Env) wantNoName(ctx context.Context, parent objstore.ID, name string) {
	_, err := e.ns().Lookup(ctx, parent, name)
	e.want(err, objstore.ErrNotFound, fmt.Sprintf("lookup %q", name))
	for _, entry := range e.readDir(ctx, parent) {
		if entry.Name == name {
			e.Failf("readdir still has %q", name)
		}
	}
}

func (e *Env) stat(ctx context.Context, id objstore.ID) objstore.Info {
	info, err := e.ns().Stat(ctx, id)
	e.ok(err, fmt.Sprintf("stat %d", id))
	return info
}

// readID is the content of a file.
func (e *Env) readID(ctx context.Context, id objstore.ID) string {
	r := e.openID(ctx, id)
	defer r.Close()
	return e.readAll(ctx, r)
}

// readDir is all entries of a directory, read in pages of three.
func (e *Env) readDir(ctx context.Context, dir objstore.ID) []objstore.DirEntry {
	var all []objstore.DirEntry
	after := ""
	for {
		page, more, err := e.ns().ReadDir(ctx, dir, after, 3)
		e.ok(err, "readdir")
		all = append(all, page...)
		if !more {
			return all
		}
		if len(page) == 0 {
			e.Failf("readdir: an empty page and more to come")
		}
		after = page[len(page)-1].Name
	}
}

// rename moves a name and wants success.
func (e *Env) rename(ctx context.Context, parent objstore.ID, name string, newParent objstore.ID, newName string) objstore.MoveResult {
	res, err := e.tryMove(ctx, parent, name, newParent, newName, objstore.RenameReplace)
	e.ok(err, fmt.Sprintf("rename %q to %q", name, newName))
	return res
}

func (e *Env) tryMove(ctx context.Context, parent objstore.ID, name string, newParent objstore.ID, newName string, mode objstore.RenameMode) (objstore.MoveResult, error) {
	return e.ns().Move(ctx, objstore.MoveRequest{
		Parent: parent, Name: name, Cond: objstore.Unconditional(),
		NewParent: newParent, NewName: newName, NewCond: objstore.Unconditional(),
		Mode: mode, Durability: objstore.Visible,
	})
}

func (e *Env) tryUnlink(ctx context.Context, parent objstore.ID, name string) (objstore.RemoveResult, error) {
	return e.ns().Unlink(ctx, parent, name, objstore.Unconditional(), objstore.Visible)
}

func (e *Env) unlink(ctx context.Context, parent objstore.ID, name string) objstore.RemoveResult {
	res, err := e.tryUnlink(ctx, parent, name)
	e.ok(err, fmt.Sprintf("unlink %q", name))
	return res
}

func (e *Env) isNamespace() bool { return e.Namespace != nil }
