package fs

import (
	"cmp"
	"context"
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/etagfs/etagfs/objstore"
)

// KeepTheirs decides a conflict for what won: the kept copy is dropped.
func KeepTheirs(ctx context.Context, ns objstore.Namespace, id objstore.ConflictID) error {
	return ns.DropConflict(ctx, id)
}

// gapsDetail is why a copy is not put in place of a file that is whole.
const gapsDetail = "zeros stand in the copy for bytes that could not be had, which its detail names: take from it what is wanted, and drop it"

// KeepMine makes a kept copy the content of its file, durably, on condition that the file still is what won
// (theirs), or still is absent if nothing did, and drops the conflict. ErrBusy if it is
// not, ErrUnsupported if zeros stand in the copy for bytes that could not be had: then nothing has changed.
func KeepMine(ctx context.Context, ns objstore.Namespace, id objstore.ConflictID) (objstore.Info, error) {
	c, err := ns.Conflict(ctx, id)
	if err != nil {
		return objstore.Info{}, err
	}
	if c.Gaps {
		return objstore.Info{}, &objstore.Error{Op: "keep-mine", Key: string(id), Kind: objstore.ErrUnsupported, Detail: gapsDetail}
	}
	request, base, err := keepMineRequest(ctx, ns, c)
	if base != nil {
		defer base.Close()
	}
	if err != nil {
		return objstore.Info{}, movedOn("keep-mine", c, err)
	}
	mine, err := ns.OpenConflict(ctx, id, objstore.SideMine)
	if err != nil {
		return objstore.Info{}, err
	}
	defer mine.Close()
	stage, err := ns.NewStage(ctx, objstore.StageSpec{Base: base, Empty: base != nil, Owner: objstore.Owner{
		Path: c.Path, Object: request.Target.ID, UID: c.UID, GID: c.GID, Mode: c.Mode, Base: c.Theirs.Version,
	}})
	if err != nil {
		return objstore.Info{}, err
	}
	defer stage.Close()
	body := mine.Stream(ctx, 0, -1)
	if err := errors.Join(fill(ctx, stage, body), body.Close()); err != nil {
		return objstore.Info{}, err
	}
	result, err := stage.Commit(ctx, request)
	if err != nil {
		return objstore.Info{}, movedOn("keep-mine", c, err)
	}
	return result.Info, ns.DropConflict(ctx, id)
}

// OpenPath opens what the file at a path, from the root, is now.
func OpenPath(ctx context.Context, ns objstore.Namespace, path string) (objstore.Reader, error) {
	dir, name, err := parentOf(ctx, ns, path)
	if err != nil {
		return nil, err
	}
	info, err := ns.Lookup(ctx, dir, name)
	if err != nil {
		return nil, err
	}
	return ns.Open(ctx, info.ID, info.Version)
}

// KeepMerged makes what body reads the content of a conflict's file, durably, on condition that the file at the conflict's path still
// has version want, and drops the conflict. ErrBusy if it has not: then nothing has changed.
func KeepMerged(ctx context.Context, ns objstore.Namespace, id objstore.ConflictID, want objstore.Version, body io.Reader) (objstore.Info, error) {
	c, err := ns.Conflict(ctx, id)
	if err != nil {
		return objstore.Info{}, err
	}
	base, err := OpenPath(ctx, ns, c.Path)
	if err != nil {
		return objstore.Info{}, movedOn("merge", c, err)
	}
	defer base.Close()
	object := base.Info().ID
	stage, err := ns.NewStage(ctx, objstore.StageSpec{Base: base, Empty: true, Owner: objstore.Owner{
		Path: c.Path, Object: object, UID: c.UID, GID: c.GID, Mode: c.Mode, Base: want,
	}})
	if err != nil {
		return objstore.Info{}, err
	}
	defer stage.Close()
	if err := fill(ctx, stage, body); err != nil {
		return objstore.Info{}, err
	}
	result, err := stage.Commit(ctx, objstore.CommitRequest{Target: objstore.Target{ID: object}, Cond: objstore.IfVersion(want)})
	if err != nil {
		return objstore.Info{}, movedOn("merge", c, err)
	}
	return result.Info, ns.DropConflict(ctx, id)
}

// movedOn turns a lost condition into ErrBusy: the bytes are where they were.
func movedOn(op string, c objstore.Conflict, err error) error {
	if isLost(err) {
		return &Error{Op: op, Path: c.Path, Kind: ErrBusy, Kept: c.ID, Err: err}
	}
	return err
}

// keepMineRequest is the commit that puts the kept bytes in place of theirs, with a reader of theirs.
func keepMineRequest(ctx context.Context, ns objstore.Namespace, c objstore.Conflict) (objstore.CommitRequest, objstore.Reader, error) {
	request := objstore.CommitRequest{WriteID: "keep-mine-" + string(c.ID)}
	if !c.Theirs.Exists {
		return request, nil, recreate(ctx, ns, c, &request)
	}
	object, err := holder(ctx, ns, c)
	if err != nil {
		return request, nil, err
	}
	request.Target.ID = object
	request.Cond = objstore.IfVersion(c.Theirs.Version)
	base, err := ns.Open(ctx, object, c.Theirs.Version)
	return request, base, err
}

// holder is the object that has theirs: the loser's, or, where the loser was
// making a file, the one at its path.
func holder(ctx context.Context, ns objstore.Namespace, c objstore.Conflict) (objstore.ID, error) {
	info, err := ns.Stat(ctx, c.Object)
	if err == nil && info.Version == c.Theirs.Version {
		return info.ID, nil
	}
	dir, name, err := parentOf(ctx, ns, c.Path)
	if err != nil {
		return 0, err
	}
	info, err = ns.Lookup(ctx, dir, name)
	if err == nil && info.Version != c.Theirs.Version {
		err = objstore.ErrPrecondition
	}
	return info.ID, err
}

// recreate asks for the file to be made again at its path.
func recreate(ctx context.Context, ns objstore.Namespace, c objstore.Conflict, request *objstore.CommitRequest) error {
	dir, name, err := parentOf(ctx, ns, c.Path)
	if err != nil {
		return err
	}
	id, err := ns.NewID(ctx)
	if err != nil {
		return err
	}
	request.Target = objstore.Target{ID: id, Parent: dir, Name: name, Attr: objstore.NewAttr{Mode: c.Mode, UID: c.UID, GID: c.GID}}
	request.Cond = objstore.IfAbsent()
	return nil
}

// parentOf walks to the directory of a path.
func parentOf(ctx context.Context, ns objstore.Namespace, path string) (dir objstore.ID, name string, err error) {
	parts := strings.Split(path, "/")
	dir = ns.Root()
	for _, part := range parts[:len(parts)-1] {
		info, err := ns.Lookup(ctx, dir, part)
		if err != nil {
			return 0, "", err
		}
		dir = info.ID
	}
	return dir, parts[len(parts)-1], nil
}

// fill copies body to an empty stage.
func fill(ctx context.Context, stage objstore.Stage, body io.Reader) error {
	p := make([]byte, copyBytes)
	for off := int64(0); ; {
		n, err := objstore.Fill(body, p)
		if n > 0 {
			if _, err := stage.WriteAt(ctx, p[:n], off); err != nil {
				return err
			}
			off += int64(n)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func sorted(names []string) []string {
	slices.SortFunc(names, cmp.Compare)
	return names
}
