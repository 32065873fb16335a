package objstoretest

import (
	"context"
	"fmt"

	"github.com/etagfs/etagfs/objstore"
)

func conditionCases() []Case {
	return []Case{
		{Name: "PutEvaluatesEveryCond", run: putEvaluatesEveryCond},
		{Name: "DeleteEvaluatesEveryCond", run: deleteEvaluatesEveryCond},
		{Name: "GetEvaluatesEveryCond", run: getEvaluatesEveryCond},
		{Name: "CopyEvaluatesEverySourceCond", run: copyEvaluatesEverySourceCond},
		{Name: "CopyEvaluatesEveryTargetCond", run: copyEvaluatesEveryTargetCond},
		{Name: "RenameEvaluatesEverySourceCond", needs: needRenameFile, run: renameEvaluatesEverySourceCond},
		{Name: "RenameEvaluatesEveryTargetCond", needs: needRenameFile, run: renameEvaluatesEveryTargetCond},
		{Name: "LostSourceIsToldFirst", run: lostSourceIsToldFirst},
		{Name: "CommitEvaluatesEveryCond", needs: needNamespace, run: commitEvaluatesEveryCond},
		{Name: "CommitAtNameEvaluatesEveryCond", needs: needNamespace, run: commitAtNameEvaluatesEveryCond},
		{Name: "UnlinkEvaluatesEveryCond", needs: needNamespace, run: unlinkEvaluatesEveryCond},
		{Name: "MoveEvaluatesEverySourceCond", needs: needNamespace, run: moveEvaluatesEverySourceCond},
		{Name: "MoveEvaluatesEveryTargetCond", needs: needNamespace, run: moveEvaluatesEveryTargetCond},
	}
}

// trial is one cell of the matrix: a condition tried on an absent or a present key.
type trial struct {
	what    string
	key     objstore.Key
	cond    objstore.Cond
	current objstore.Version
	exists  bool
}

// want is what an operation that can do without the object must answer.
func (t trial) want(supported objstore.CondSet) objstore.Kind {
	if t.cond.Valid() && !supported.Has(t.cond) {
		return objstore.ErrUnsupported
	}
	return objstore.KindOf(t.cond.Check(t.current, t.exists))
}

// wantSource is want for an operation that needs the object.
func (t trial) wantSource(supported objstore.CondSet) objstore.Kind {
	if kind := t.want(supported); kind != 0 || t.exists {
		return kind
	}
	return objstore.ErrNotFound
}

// everyCond runs try for all conditions on a key that never was, one that was
// deleted, and one that was overwritten. "name" in keys stays one component.
func (e *Env) everyCond(ctx context.Context, try func(trial)) {
	for state := range 3 {
		for i := range 6 {
			key := objstore.Key(fmt.Sprintf("matrix-%d-%d", state, i))
			t := trial{key: key}
			stale := objstore.VersionOf(1 << 60)
			switch state {
			case 1:
				stale = e.put(ctx, key, "first").Version
				e.delete(ctx, key)
			case 2:
				stale = e.put(ctx, key, "first").Version
				t.current, t.exists = e.put(ctx, key, "second").Version, true
			}
			current := t.current
			if current == "" {
				current = stale
			}
			t.cond = []objstore.Cond{
				{}, objstore.Unconditional(), objstore.IfAbsent(), objstore.IfPresent(),
				objstore.IfVersion(stale), objstore.IfVersion(current),
			}[i]
			t.what = fmt.Sprintf("%v on a key that %s", t.cond, []string{"never was", "was deleted", "was overwritten"}[state])
			try(t)
		}
	}
}

// attempt runs a mutation of t.key. It must answer kind; if that is a failure, nothing changes.
func (e *Env) attempt(ctx context.Context, t trial, kind objstore.Kind, mutate func() error) {
	before := e.snapshot(ctx, t.key)
	e.want(mutate(), kind, t.what)
	if kind != 0 {
		equal(e, e.snapshot(ctx, t.key), before, t.what+": state")
	}
}

func putEvaluatesEveryCond(ctx context.Context, e *Env) {
	e.everyCond(ctx, func(t trial) {
		kind := t.want(e.Store.Capabilities().Put)
		e.attempt(ctx, t, kind, func() error {
			_, err := e.tryPut(ctx, t.key, "put", t.cond)
			return err
		})
		if kind == 0 {
			e.wantContent(ctx, t.key, "put")
		}
	})
}

func deleteEvaluatesEveryCond(ctx context.Context, e *Env) {
	e.everyCond(ctx, func(t trial) {
		kind := t.want(e.Store.Capabilities().Delete)
		e.attempt(ctx, t, kind, func() error {
			return e.Store.Delete(ctx, t.key, t.cond, objstore.DeleteOptions{})
		})
		if kind == 0 {
			e.wantAbsent(ctx, t.key)
		}
	})
}

func getEvaluatesEveryCond(ctx context.Context, e *Env) {
	e.everyCond(ctx, func(t trial) {
		r, err := e.Store.Get(ctx, t.key, t.cond)
		e.want(err, t.wantSource(objstore.AllConds()), t.what)
		if err == nil {
			defer r.Close()
			equal(e, r.Info().Version, t.current, t.what+": version")
			e.wantBytes(e.readAll(ctx, r), "second", t.what)
		}
	})
}

func copyEvaluatesEverySourceCond(ctx context.Context, e *Env) {
	e.everyCond(ctx, func(t trial) {
		kind := t.wantSource(e.Store.Capabilities().CopySource)
		dst := "copy-of-" + t.key
		_, err := e.Store.Copy(ctx, objstore.CopyRequest{Src: t.key, SrcCond: t.cond, Dst: dst, DstCond: objstore.Unconditional()})
		e.want(err, kind, t.what)
		if kind == 0 {
			e.wantContent(ctx, dst, "second")
			e.wantContent(ctx, t.key, "second")
		} else {
			e.wantAbsent(ctx, dst)
		}
	})
}

func copyEvaluatesEveryTargetCond(ctx context.Context, e *Env) {
	src := e.put(ctx, "source", "copied")
	e.everyCond(ctx, func(t trial) {
		kind := t.want(e.Store.Capabilities().CopyTarget)
		e.attempt(ctx, t, kind, func() error {
			_, err := e.Store.Copy(ctx, objstore.CopyRequest{
				Src: "source", SrcCond: objstore.IfPresent(), Dst: t.key, DstCond: t.cond,
			})
			return err
		})
		if kind == 0 {
			e.wantContent(ctx, t.key, "copied")
		}
		equal(e, e.head(ctx, "source").Version, src.Version, t.what+": source")
	})
}

func renameEvaluatesEverySourceCond(ctx context.Context, e *Env) {
	e.everyCond(ctx, func(t trial) {
		kind := t.wantSource(e.Store.Capabilities().RenameSource)
		dst := "dir-" + t.key + "/renamed"
		e.attempt(ctx, t, kind, func() error {
			_, err := e.Store.Rename(ctx, objstore.RenameRequest{Src: t.key, SrcCond: t.cond, Dst: dst, DstCond: objstore.Unconditional()})
			return err
		})
		if kind == 0 {
			e.wantContent(ctx, dst, "second")
			e.wantAbsent(ctx, t.key)
		} else {
			e.wantAbsent(ctx, dst)
		}
	})
}

func renameEvaluatesEveryTargetCond(ctx context.Context, e *Env) {
	e.everyCond(ctx, func(t trial) {
		kind := t.want(e.Store.Capabilities().RenameTarget)
		src := "source-of-" + t.key
		version := e.put(ctx, src, "renamed").Version
		e.attempt(ctx, t, kind, func() error {
			_, err := e.Store.Rename(ctx, objstore.RenameRequest{Src: src, SrcCond: objstore.IfVersion(version), Dst: t.key, DstCond: t.cond})
			return err
		})
		if kind == 0 {
			e.wantContent(ctx, t.key, "renamed")
			e.wantAbsent(ctx, src)
		} else {
			e.wantContent(ctx, src, "renamed")
		}
	})
}

func lostSourceIsToldFirst(ctx context.Context, e *Env) {
	stale := e.put(ctx, "src", "1").Version
	e.put(ctx, "src", "2")
	e.put(ctx, "dst", "3")
	for _, row := range []struct {
		src     objstore.Key
		srcCond objstore.Cond
		dst     objstore.Key
		dstCond objstore.Cond
		want    objstore.Kind
	}{
		{"src", objstore.IfVersion(stale), "absent", objstore.IfPresent(), objstore.ErrPrecondition},
		{"absent", objstore.IfPresent(), "dst", objstore.IfAbsent(), objstore.ErrNotFound},
		{"absent", objstore.Unconditional(), "dst", objstore.IfAbsent(), objstore.ErrNotFound},
	} {
		what := fmt.Sprintf("%s %v to %s %v", row.src, row.srcCond, row.dst, row.dstCond)
		caps := e.Store.Capabilities()
		if caps.CopySource.Has(row.srcCond) && caps.CopyTarget.Has(row.dstCond) {
			_, err := e.Store.Copy(ctx, objstore.CopyRequest{Src: row.src, SrcCond: row.srcCond, Dst: row.dst, DstCond: row.dstCond})
			e.want(err, row.want, "copy "+what)
		}
		if !caps.RenameFile || !caps.RenameSource.Has(row.srcCond) || !caps.RenameTarget.Has(row.dstCond) {
			continue
		}
		_, err := e.Store.Rename(ctx, objstore.RenameRequest{Src: row.src, SrcCond: row.srcCond, Dst: row.dst, DstCond: row.dstCond})
		e.want(err, row.want, "rename "+what)
	}
	e.wantContent(ctx, "src", "2")
	e.wantContent(ctx, "dst", "3")
	e.wantAbsent(ctx, "absent")
}

func commitEvaluatesEveryCond(ctx context.Context, e *Env) {
	e.everyCond(ctx, func(t trial) {
		id := e.newID(ctx) // of a file that has no name
		kind := objstore.ErrNotFound
		if t.exists {
			id = e.lookup(ctx, e.root(), string(t.key)).ID
			kind = t.want(objstore.AllConds())
		}
		if !t.cond.Valid() {
			kind = objstore.ErrInvalid
		}
		s := e.newStage(ctx, nil)
		defer s.Close()
		e.write(ctx, s, "committed", 0)
		e.attempt(ctx, t, kind, func() error {
			_, err := e.tryCommit(ctx, s, id, t.cond)
			return err
		})
		equal(e, s.Changed(), kind != 0, t.what+": changed")
		if kind == 0 {
			e.wantContent(ctx, t.key, "committed")
			equal(e, e.head(ctx, t.key).ID, id, t.what+": id")
			return
		}
		// The stage is as before: it can still be committed.
		res, err := s.Commit(ctx, objstore.CommitRequest{Target: e.target(ctx, e.root(), "later-"+string(t.key)), Cond: objstore.IfAbsent()})
		e.ok(err, t.what+": commit elsewhere after the failure")
		e.wantBytes(e.readID(ctx, res.Info.ID), "committed", t.what+": committed elsewhere")
	})
}

func commitAtNameEvaluatesEveryCond(ctx context.Context, e *Env) {
	e.everyCond(ctx, func(t trial) {
		kind := t.want(objstore.AllConds())
		s := e.newStage(ctx, nil)
		defer s.Close()
		e.write(ctx, s, "committed", 0)
		target := e.target(ctx, e.root(), string(t.key))
		e.attempt(ctx, t, kind, func() error {
			_, err := s.Commit(ctx, objstore.CommitRequest{Target: target, Cond: t.cond})
			return err
		})
		if kind == 0 {
			e.wantContent(ctx, t.key, "committed")
			equal(e, e.lookup(ctx, e.root(), string(t.key)).ID, target.ID, t.what+": id")
		} else {
			_, err := e.ns().Stat(ctx, target.ID)
			e.want(err, objstore.ErrNotFound, t.what+": stat of the new id")
		}
	})
}

func unlinkEvaluatesEveryCond(ctx context.Context, e *Env) {
	e.everyCond(ctx, func(t trial) {
		kind := t.wantSource(objstore.AllConds())
		e.attempt(ctx, t, kind, func() error {
			_, err := e.ns().Unlink(ctx, e.root(), string(t.key), t.cond, objstore.Visible)
			return err
		})
		if kind == 0 {
			e.wantAbsent(ctx, t.key)
			e.wantNoName(ctx, e.root(), string(t.key))
		}
	})
}

func moveEvaluatesEverySourceCond(ctx context.Context, e *Env) {
	dir := e.mkdir(ctx, e.root(), "dir")
	e.everyCond(ctx, func(t trial) {
		kind := t.wantSource(objstore.AllConds())
		e.attempt(ctx, t, kind, func() error {
			_, err := e.ns().Move(ctx, objstore.MoveRequest{
				Parent: e.root(), Name: string(t.key), Cond: t.cond,
				NewParent: dir, NewName: string(t.key), NewCond: objstore.Unconditional(),
			})
			return err
		})
		if kind == 0 {
			e.wantNoName(ctx, e.root(), string(t.key))
			e.wantContent(ctx, "dir/"+t.key, "second")
		} else {
			e.wantNoName(ctx, dir, string(t.key))
		}
	})
}

func moveEvaluatesEveryTargetCond(ctx context.Context, e *Env) {
	e.everyCond(ctx, func(t trial) {
		kind := t.want(objstore.AllConds())
		src := e.create(ctx, e.root(), "source-of-"+string(t.key), "moved")
		e.attempt(ctx, t, kind, func() error {
			_, err := e.ns().Move(ctx, objstore.MoveRequest{
				Parent: e.root(), Name: "source-of-" + string(t.key), Cond: objstore.IfVersion(src.Version),
				NewParent: e.root(), NewName: string(t.key), NewCond: t.cond,
			})
			return err
		})
		if kind == 0 {
			e.wantContent(ctx, t.key, "moved")
			equal(e, e.lookup(ctx, e.root(), string(t.key)).ID, src.ID, t.what+": id")
		} else {
			equal(e, e.lookup(ctx, e.root(), "source-of-"+string(t.key)).ID, src.ID, t.what+": id of the source")
		}
	})
}
