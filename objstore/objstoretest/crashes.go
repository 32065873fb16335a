package objstoretest

import (
	"context"
	"fmt"
	"strings"

	"github.com/etagfs/etagfs/objstore"
)

func crashCases() []Case {
	return []Case{
		{Name: "AcknowledgedMutationsSurviveACrash", needs: needReopen, run: acknowledgedMutationsSurviveACrash},
		{Name: "NamespaceSurvivesACrash", needs: needReopen | needNamespace, run: namespaceSurvivesACrash},
		{Name: "VersionsAreNotReusedAfterACrash", needs: needReopen | needUniqueVersions, run: versionsAreNotReusedAfterACrash},
		{Name: "IDsAreNotReusedAfterACrash", needs: needReopen | needNamespace, run: idsAreNotReusedAfterACrash},
		{Name: "WriteIDsSurviveACrash", needs: needReopen, run: writeIDsSurviveACrash},
		{Name: "ConflictsSurviveACrash", needs: needReopen | needNamespace, run: conflictsSurviveACrash},
		{Name: "StagesBecomeConflictsAfterACrash", needs: needReopen | needNamespace, run: stagesBecomeConflictsAfterACrash},
	}
}

// crash ends the subject and goes on with what is left.
func (e *Env) crash(ctx context.Context) {
	reopen := e.Subject.Reopen
	e.Subject = nil
	subject, err := reopen(ctx)
	if err != nil {
		e.Subject = &Subject{}
		e.Failf("reopen: %w", err)
	}
	e.Subject = subject
}

func acknowledgedMutationsSurviveACrash(ctx context.Context, e *Env) {
	for round := range 3 {
		want := map[objstore.Key]objstore.Info{}
		bodies := map[objstore.Key]string{}
		for i, size := range e.sizes() {
			if size < 0 {
				continue
			}
			key := objstore.Key(fmt.Sprintf("r%d/%d", round, i))
			e.put(ctx, key, "first")
			bodies[key] = string(pattern(uint64(i), size))
			want[key] = e.put(ctx, key, bodies[key])
			_, err := e.Store.Put(ctx, key+"-durable", strings.NewReader("x"), objstore.IfAbsent(), objstore.PutOptions{})
			e.ok(err, "durable put")
			e.put(ctx, key+"-deleted", "x")
			e.delete(ctx, key+"-deleted")
		}
		e.crash(ctx)
		for key, info := range want {
			e.wantContent(ctx, key, bodies[key])
			equal(e, e.head(ctx, key).ETag, info.ETag, "etag")
			e.wantContent(ctx, key+"-durable", "x")
			e.wantAbsent(ctx, key+"-deleted")
		}
	}
}

func namespaceSurvivesACrash(ctx context.Context, e *Env) {
	e.runOps(ctx, e.randomOps(0, 150), nil)
	before := e.dump(ctx)
	e.crash(ctx)
	equal(e, e.dump(ctx), before, "the tree, "+e.rerun())
	e.runOps(ctx, e.randomOps(1, 50), nil)
}

func versionsAreNotReusedAfterACrash(ctx context.Context, e *Env) {
	var book versionBook
	for round := range 4 {
		book.makeVersions(ctx, e, fmt.Sprintf("r%d", round))
		e.crash(ctx)
	}
}

func idsAreNotReusedAfterACrash(ctx context.Context, e *Env) {
	seen := map[objstore.ID]bool{e.root(): true}
	for round := range 4 {
		for i := range 20 {
			made := e.mkdir(ctx, e.root(), fmt.Sprintf("%d-%d", round, i))
			put := e.put(ctx, objstore.Key(fmt.Sprintf("%d-%d-put", round, i)), "").ID
			for _, id := range []objstore.ID{made, put, e.newID(ctx)} {
				if seen[id] {
					e.Failf("id %d twice, the second time after %d crashes", id, round)
				}
				seen[id] = true
			}
		}
		e.crash(ctx)
	}
}

func writeIDsSurviveACrash(ctx context.Context, e *Env) {
	put := func() objstore.Info {
		info, err := e.Store.Put(ctx, "k", strings.NewReader("x"), objstore.IfAbsent(), objstore.PutOptions{WriteID: "w"})
		e.ok(err, "put")
		return info
	}
	first := put()
	e.crash(ctx)
	equal(e, put().Version, first.Version, "version of the same put after a crash")
}

func conflictsSurviveACrash(ctx context.Context, e *Env) {
	base, mine, theirs := string(pattern(1, 100_000)), string(pattern(2, 100_000)), string(pattern(3, 100_000))
	file := e.create(ctx, e.root(), "f", base)
	s, kept := e.lose(ctx, file, "f", mine, theirs)
	e.ok(s.Close(), "close stage")
	s, dropped := e.lose(ctx, e.create(ctx, e.root(), "g", "x"), "g", "y", "z")
	e.ok(s.Close(), "close stage")
	e.ok(e.ns().DropConflict(ctx, dropped.ID), "drop")
	e.overwrite(ctx, file.ID, "later")
	e.unlink(ctx, e.root(), "f")
	for range 2 {
		e.crash(ctx)
		equal(e, len(e.conflicts(ctx)), 1, "conflicts")
		e.wantSide(ctx, kept.ID, objstore.SideMine, mine)
		e.wantSide(ctx, kept.ID, objstore.SideBase, base)
		e.wantSide(ctx, kept.ID, objstore.SideTheirs, theirs)
	}
}

// stagesBecomeConflictsAfterACrash: what a process had written and not committed is
// kept and says where it belongs and what is there, be it the base; what it had not changed is not.
func stagesBecomeConflictsAfterACrash(ctx context.Context, e *Env) {
	body := string(pattern(1, 100_000))
	file := e.create(ctx, e.root(), "f", body)
	r := e.openID(ctx, file.ID)
	spec := objstore.StageSpec{Base: r, Owner: objstore.Owner{
		Path: "f", Object: file.ID, UID: 5, GID: 6, Mode: 0o640, PID: 7, Base: file.Version,
	}}
	changed, err := e.ns().NewStage(ctx, spec)
	e.ok(err, "new stage")
	e.write(ctx, changed, "changed", 50_000)
	_, err = e.ns().NewStage(ctx, spec) // never written to
	e.ok(err, "new stage")
	committed, err := e.ns().NewStage(ctx, spec)
	e.ok(err, "new stage")
	e.write(ctx, committed, "committed", 0)
	e.commit(ctx, committed, file.ID, objstore.IfVersion(file.Version))
	alone := e.create(ctx, e.root(), "g", "alone")
	edited, _ := e.edit(ctx, alone.ID)
	e.write(ctx, edited, "edited", 0)
	e.crash(ctx)
	all := e.conflicts(ctx)
	equal(e, len(all), 2, "conflicts")
	if all[0].Path != "f" {
		all[0], all[1] = all[1], all[0]
	}
	equal(e, all[0].Theirs.Version, e.stat(ctx, file.ID).Version, "what is there")
	equal(e, all[1].Theirs.Version, alone.Version, "what is there, where nobody else has changed anything")
	e.wantSide(ctx, all[1].ID, objstore.SideTheirs, "alone")
	e.wantSide(ctx, all[1].ID, objstore.SideMine, "edited")
	equal(e, all[0].Reason, objstore.ReasonCrash, "reason")
	equal(e, all[0].Path, "f", "path")
	equal(e, all[0].Object, file.ID, "object")
	equal(e, all[0].UID, 5, "owner")
	equal(e, all[0].Base.Version, file.Version, "base")
	e.wantSide(ctx, all[0].ID, objstore.SideMine, body[:50_000]+"changed"+body[50_007:])
	e.wantContent(ctx, "f", "committed"+body[9:])
}
