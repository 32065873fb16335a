package crash

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"sync"

	"github.com/etagfs/etagfs/objstore"
)

// bucket is both views of one set of objects.
type bucket interface {
	objstore.Store
	objstore.Namespace
}

// embedded is an embedded store as target, used through its API.
type embedded struct {
	bucket bucket
	check  func(context.Context) ([]string, error) // the store's own check
	end    func(context.Context) error

	mu   sync.Mutex
	held map[string]heldStage // by path; guarded by mu
	seen map[int]place        // the counter as the lane saw it last; guarded by mu
}

// heldStage is a stage that was written and waits to be committed.
type heldStage struct {
	stage objstore.Stage
	place place
}

// place is where a commit goes and what is there.
type place struct {
	target objstore.Target
	cond   objstore.Cond
	base   objstore.Reader // nil: nothing is there
	owner  objstore.Owner
}

func openEmbedded(b bucket, check func(context.Context) ([]string, error), end func(context.Context) error) *embedded {
	return &embedded{bucket: b, check: check, end: end, held: map[string]heldStage{}, seen: map[int]place{}}
}

func (e *embedded) close(ctx context.Context) error { return e.end(ctx) }

func (e *embedded) drop(ctx context.Context, id string) error {
	return e.bucket.DropConflict(ctx, objstore.ConflictID(id))
}

func (e *embedded) do(ctx context.Context, o op, tell progress) (outcome, error) {
	switch o.Kind {
	case opWrite, opEdit, opTruncate:
		if o.Kind == opWrite && o.ByKey {
			return e.put(ctx, o, objstore.Unconditional(), o.bytes())
		}
		return e.change(ctx, o, tell)
	case opHold:
		return e.hold(ctx, o)
	case opRelease:
		return e.release(ctx, o)
	case opIncrement:
		return e.increment(ctx, o)
	}
	return settled("", e.names(ctx, o))
}

// settled is the outcome of a call that made version, or ended with err.
func settled(version objstore.Version, err error) (outcome, error) {
	if objstore.KindOf(err) == objstore.ErrNoSpace {
		return outcome{failed: true}, nil
	}
	return outcome{version: string(version)}, err
}

func durability(o op) objstore.Durability {
	if o.Durable {
		return objstore.Durable
	}
	return objstore.Visible
}

func (e *embedded) put(ctx context.Context, o op, cond objstore.Cond, b []byte) (outcome, error) {
	info, err := e.bucket.Put(ctx, objstore.Key(o.Path), bytes.NewReader(b), cond,
		objstore.PutOptions{Durability: durability(o), Length: int64(len(b)), LengthKnown: true})
	return settled(info.Version, err)
}

// parent is the directory of path and the name in it.
func (e *embedded) parent(ctx context.Context, p string) (dir objstore.ID, name string, err error) {
	parts := strings.Split(strings.TrimSuffix(p, "/"), "/")
	dir = e.bucket.Root()
	for _, part := range parts[:len(parts)-1] {
		info, err := e.bucket.Lookup(ctx, dir, part)
		if err != nil {
			return 0, "", err
		}
		dir = info.ID
	}
	return dir, parts[len(parts)-1], nil
}

// place finds where a commit to p goes: to the object that is there as it is, or to the free name.
func (e *embedded) place(ctx context.Context, p string) (place, error) {
	dir, name, err := e.parent(ctx, p)
	if err != nil {
		return place{}, err
	}
	info, err := e.bucket.Lookup(ctx, dir, name)
	if objstore.KindOf(err) == objstore.ErrNotFound {
		id, err := e.bucket.NewID(ctx)
		return place{
			target: objstore.Target{ID: id, Parent: dir, Name: name, Attr: objstore.NewAttr{Mode: 0o644}},
			cond:   objstore.IfAbsent(),
			owner:  objstore.Owner{Path: p, Object: id, Mode: 0o644},
		}, err
	}
	if err != nil {
		return place{}, err
	}
	base, err := e.bucket.Open(ctx, info.ID, "")
	if err != nil {
		return place{}, err
	}
	return placeOf(p, base), nil
}

// placeOf is where a commit over base goes.
func placeOf(p string, base objstore.Reader) place {
	info := base.Info()
	return place{
		target: objstore.Target{ID: info.ID},
		cond:   objstore.IfVersion(info.Version),
		base:   base,
		owner:  objstore.Owner{Path: p, Object: info.ID, Mode: 0o644, Base: info.Version},
	}
}

// stage starts a stage over what is at a place, or an empty one in its stead.
func (e *embedded) stage(ctx context.Context, at place, empty bool) (objstore.Stage, error) {
	stage, err := e.bucket.NewStage(ctx, objstore.StageSpec{Base: at.base, Empty: empty, Owner: at.owner})
	if at.base != nil {
		err = errors.Join(err, at.base.Close())
	}
	return stage, err
}

// change stages a change and commits it.
func (e *embedded) change(ctx context.Context, o op, tell progress) (outcome, error) {
	at, err := e.place(ctx, o.Path)
	if err != nil {
		return settled("", err)
	}
	stage, err := e.stage(ctx, at, o.Kind == opWrite)
	if err != nil {
		return settled("", err)
	}
	if err := fill(ctx, stage, o); err != nil {
		return settled("", errors.Join(err, stage.Close()))
	}
	tell.staged()
	got, err := stage.Commit(ctx, objstore.CommitRequest{Target: at.target, Cond: at.cond, Durability: durability(o)})
	if err != nil {
		tell.refused()
	}
	return settled(got.Info.Version, errors.Join(err, stage.Close()))
}

// fill writes the bytes of a call to a stage, in two parts.
func fill(ctx context.Context, stage objstore.Stage, o op) error {
	if o.Kind == opTruncate {
		return stage.Truncate(ctx, o.Size)
	}
	b := o.bytes()
	half := len(b) / 2
	if _, err := stage.WriteAt(ctx, b[half:], o.Off+int64(half)); err != nil {
		return err
	}
	_, err := stage.WriteAt(ctx, b[:half], o.Off)
	return err
}

func (e *embedded) hold(ctx context.Context, o op) (outcome, error) {
	at, err := e.place(ctx, o.Path)
	if err != nil {
		return settled("", err)
	}
	stage, err := e.stage(ctx, at, true)
	if err != nil {
		return settled("", err)
	}
	if err := fill(ctx, stage, o); err != nil {
		return settled("", errors.Join(err, stage.Close()))
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.held[o.Path] = heldStage{stage, at}
	return outcome{}, nil
}

// release commits what hold staged, and keeps it if it lost.
func (e *embedded) release(ctx context.Context, o op) (outcome, error) {
	e.mu.Lock()
	h := e.held[o.Path]
	delete(e.held, o.Path)
	e.mu.Unlock()
	got, err := h.stage.Commit(ctx, objstore.CommitRequest{Target: h.place.target, Cond: h.place.cond, Durability: durability(o)})
	if !objstore.IsLostCondition(err) {
		return settled(got.Info.Version, errors.Join(err, h.stage.Close()))
	}
	_, err = h.stage.Keep(ctx, objstore.Conflict{
		Reason: objstore.ReasonLost, Path: o.Path, Object: h.place.owner.Object, Operation: "close",
		Base: objstore.ContentRef{Exists: h.place.base != nil, Version: h.place.owner.Base},
	})
	got2, err := settled("", errors.Join(err, h.stage.Close()))
	got2.kept = err == nil && !got2.failed
	return got2, err
}

// counter reads the counter and remembers for the lane what it saw.
func (e *embedded) counter(ctx context.Context, lane int) (value int64, err error) {
	at, err := e.place(ctx, counterPath)
	if err != nil {
		return 0, err
	}
	if at.base != nil {
		b := make([]byte, at.base.Info().Size)
		if _, err := at.base.ReadAt(ctx, b, 0); err != nil && !errors.Is(err, io.EOF) {
			return 0, err
		}
		if _, err := fmt.Sscan(string(b), &value); err != nil {
			return 0, fmt.Errorf("the counter holds %q: %w", b, err)
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.seen[lane] = at
	return value, nil
}

// increment commits the next value over what the lane saw.
func (e *embedded) increment(ctx context.Context, o op) (outcome, error) {
	e.mu.Lock()
	at := e.seen[o.Lane]
	e.mu.Unlock()
	stage, err := e.stage(ctx, at, true)
	if err != nil {
		return settled("", err)
	}
	if o.ByKey {
		got, err := e.put(ctx, o, at.cond, o.increment())
		return lostIsFailed(got, errors.Join(err, stage.Close()))
	}
	_, err = stage.WriteAt(ctx, o.increment(), 0)
	var result objstore.CommitResult
	if err == nil {
		result, err = stage.Commit(ctx, objstore.CommitRequest{Target: at.target, Cond: at.cond, Durability: durability(o)})
	}
	got, err := settled(result.Info.Version, errors.Join(err, stage.Close()))
	return lostIsFailed(got, err)
}

func lostIsFailed(got outcome, err error) (outcome, error) {
	if objstore.IsLostCondition(err) {
		return outcome{failed: true}, nil
	}
	return got, err
}

// names makes the calls that change names only.
func (e *embedded) names(ctx context.Context, o op) error {
	switch {
	case o.Kind == opSync:
		return e.bucket.Sync(ctx)
	case o.Kind == opRename && o.ByKey:
		_, err := e.bucket.Rename(ctx, objstore.RenameRequest{
			Src: objstore.Key(o.Path), SrcCond: objstore.IfPresent(),
			Dst: objstore.Key(o.To), DstCond: objstore.Unconditional(), Durability: durability(o),
		})
		return err
	case o.Kind == opRemove && o.ByKey:
		return e.bucket.Delete(ctx, objstore.Key(o.Path), objstore.IfPresent(), objstore.DeleteOptions{Durability: durability(o)})
	}
	dir, name, err := e.parent(ctx, o.Path)
	if err != nil {
		return err
	}
	switch o.Kind {
	case opMkdir:
		_, err = e.bucket.Make(ctx, objstore.MakeRequest{
			Parent: dir, Name: name, Type: objstore.TypeDir, Attr: objstore.NewAttr{Mode: 0o755}, Durability: durability(o),
		})
	case opRemove:
		_, err = e.bucket.Unlink(ctx, dir, name, objstore.IfPresent(), durability(o))
	case opRename:
		err = e.move(ctx, o, dir, name)
	}
	return err
}

func (e *embedded) move(ctx context.Context, o op, dir objstore.ID, name string) error {
	newDir, newName, err := e.parent(ctx, o.To)
	if err != nil {
		return err
	}
	_, err = e.bucket.Move(ctx, objstore.MoveRequest{
		Parent: dir, Name: name, Cond: objstore.IfPresent(),
		NewParent: newDir, NewName: newName, NewCond: objstore.Unconditional(), Durability: durability(o),
	})
	return err
}

// survey walks the tree, lists the kept copies and asks the store what is wrong.
func (e *embedded) survey(ctx context.Context) (survey, error) {
	s := newSurvey()
	e.walk(ctx, &s, e.bucket.Root(), "")
	conflicts, err := e.bucket.ListConflicts(ctx)
	if err != nil {
		return survey{}, err
	}
	for _, c := range conflicts {
		reader, err := e.bucket.OpenConflict(ctx, c.ID, objstore.SideMine)
		b, err := readAll(ctx, reader, err)
		if err != nil {
			s.problem("conflict %s for %s: %v", c.ID, c.Path, err)
		}
		s.Kept = append(s.Kept, keptCopy{string(c.ID), c.Path, fmt.Sprint("reason ", c.Reason), digestOf(b)})
	}
	found, err := e.check(ctx)
	s.Problems = append(s.Problems, found...)
	return s, err
}

func (e *embedded) walk(ctx context.Context, s *survey, dir objstore.ID, prefix string) {
	const pageEntries = 3 // small, to turn pages
	after := ""
	for more := true; more; {
		var entries []objstore.DirEntry
		var err error
		if entries, more, err = e.bucket.ReadDir(ctx, dir, after, pageEntries); err != nil {
			s.problem("list %q: %v", prefix, err)
			return
		}
		for _, entry := range entries {
			after = entry.Name
			name := path.Join(prefix, entry.Name)
			if entry.Info.Type == objstore.TypeDir {
				s.addDir(name + "/")
				e.walk(ctx, s, entry.Info.ID, name)
				continue
			}
			reader, err := e.bucket.Open(ctx, entry.Info.ID, entry.Info.Version)
			b, err := readAll(ctx, reader, err)
			if err != nil {
				s.problem("read %s: %v", name, err)
				continue
			}
			s.add(name, b)
		}
	}
}

// readAll reads and closes a reader, if it was opened without an error.
func readAll(ctx context.Context, reader objstore.Reader, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	stream := reader.Stream(ctx, 0, -1)
	b, err := io.ReadAll(stream)
	return b, errors.Join(err, stream.Close(), reader.Close())
}
