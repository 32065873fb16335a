package objstoretest

import (
	"context"
	"fmt"
	"io"
	"maps"
	"strings"
	"sync/atomic"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/memstore"
)

func stageMutants() []mutant {
	stage := func(name, caughtBy string, f func(*memstore.Bucket, objstore.Stage, objstore.StageSpec) objstore.Stage) mutant {
		return mutant{name, caughtBy, func(b *memstore.Bucket) subjectStore {
			return stageChanger{b, func(s objstore.Stage, spec objstore.StageSpec) objstore.Stage { return f(b, s, spec) }}
		}}
	}
	return []mutant{
		stage("a commit restores the attributes of its base", "CommitKeepsCurrentAttributes", clobbering),
		stage("a commit drops the attributes it was given", "CommitMayChangeAttributes", func(_ *memstore.Bucket, s objstore.Stage, _ objstore.StageSpec) objstore.Stage {
			return commitChanger{s, func(req *objstore.CommitRequest) { req.Change = objstore.AttrChange{} }}
		}),
		stage("a commit moves before or after, not with", "CommitMovesInOneStep", func(b *memstore.Bucket, s objstore.Stage, _ objstore.StageSpec) objstore.Stage {
			return twoSteps{s, b}
		}),
		stage("a commit forgets its link", "CommitLinksInOneStep", func(_ *memstore.Bucket, s objstore.Stage, _ objstore.StageSpec) objstore.Stage {
			return commitChanger{s, func(req *objstore.CommitRequest) { req.LinkParent = 0 }}
		}),
		stage("a repeated commit is applied again", "RepeatedCommitIsAppliedOnce", func(_ *memstore.Bucket, s objstore.Stage, _ objstore.StageSpec) objstore.Stage {
			return commitChanger{s, func(req *objstore.CommitRequest) { req.WriteID = "" }}
		}),
		stage("cutting leaves the old bytes", "StagesReadTheirOwnWrites", func(_ *memstore.Bucket, s objstore.Stage, _ objstore.StageSpec) objstore.Stage {
			return &lazyTruncate{Stage: s}
		}),
		stage("punching does nothing", "StagesPunchAndZero", func(_ *memstore.Bucket, s objstore.Stage, _ objstore.StageSpec) objstore.Stage {
			return noPunch{s}
		}),
		stage("holes are anywhere", "StagesFindDataAndHoles", func(_ *memstore.Bucket, s objstore.Stage, _ objstore.StageSpec) objstore.Stage {
			return wrongHoles{s}
		}),
		stage("the base is what is there now", "StagesPinTheirBase", unpinnedBase),
		stage("a stage that should start empty does not", "StagesMayStartEmpty", startsFull),
		stage("offsets are not checked", "StagesRefuseNonsense", func(_ *memstore.Bucket, s objstore.Stage, _ objstore.StageSpec) objstore.Stage {
			return positiveOffsets{s}
		}),
		stage("one byte at a boundary is lost", "StagesMatchBytes", func(_ *memstore.Bucket, s objstore.Stage, _ objstore.StageSpec) objstore.Stage {
			return losesBoundary{s}
		}),
		stage("everything was appended", "CommitTellsWhetherItAppended", func(_ *memstore.Bucket, s objstore.Stage, _ objstore.StageSpec) objstore.Stage {
			return alwaysAppended{s}
		}),
		stage("a failed commit counts as one", "CommitEvaluatesEveryCond", func(_ *memstore.Bucket, s objstore.Stage, _ objstore.StageSpec) objstore.Stage {
			return &forgetsChanges{Stage: s}
		}),
		stage("keeping adds", "KeepingAgainReplaces", func(b *memstore.Bucket, s objstore.Stage, _ objstore.StageSpec) objstore.Stage {
			return keepsAll{s, b}
		}),
		stage("conflicts do not hold theirs", "ConflictsOfCreatorsHoldTheirs", func(_ *memstore.Bucket, s objstore.Stage, _ objstore.StageSpec) objstore.Stage {
			return keepChanger{s, func(c *objstore.Conflict) { c.Theirs = objstore.ContentRef{} }}
		}),
		stage("conflicts forget whose they are", "KeptBytesAreListedAndRead", func(_ *memstore.Bucket, s objstore.Stage, _ objstore.StageSpec) objstore.Stage {
			return keepChanger{s, func(c *objstore.Conflict) { c.UID = 0 }}
		}),
		stage("a commit goes to the name, not to the object", "CommitFollowsTheObject", commitsToName),
	}
}

func crashMutants() []mutant {
	return []mutant{
		{"an acknowledged put is lost in a crash", "AcknowledgedMutationsSurviveACrash", func(b *memstore.Bucket) subjectStore { return &losesLastPut{Bucket: b} }},
		{"a crash loses a name", "NamespaceSurvivesACrash", func(b *memstore.Bucket) subjectStore { return losesName{b} }},
		{"versions start again after a crash", "VersionsAreNotReusedAfterACrash", func(b *memstore.Bucket) subjectStore { return &versionsAgain{Bucket: b} }},
		{"ids start again after a crash", "IDsAreNotReusedAfterACrash", func(b *memstore.Bucket) subjectStore { return &idsAgain{Bucket: b} }},
		{"write ids are forgotten in a crash", "WriteIDsSurviveACrash", func(b *memstore.Bucket) subjectStore { return &forgetsWriteIDs{Bucket: b} }},
		{"conflicts are lost in a crash", "ConflictsSurviveACrash", func(b *memstore.Bucket) subjectStore { return losesConflicts{b} }},
		{"stages are lost in a crash", "StagesBecomeConflictsAfterACrash", func(b *memstore.Bucket) subjectStore { return b }},
	}
}

// stageChanger makes other stages.
type stageChanger struct {
	*memstore.Bucket
	f func(objstore.Stage, objstore.StageSpec) objstore.Stage
}

func (c stageChanger) NewStage(ctx context.Context, spec objstore.StageSpec) (objstore.Stage, error) {
	s, err := c.Bucket.NewStage(ctx, spec)
	if err != nil {
		return nil, err
	}
	return c.f(s, spec), nil
}

type commitChanger struct {
	objstore.Stage
	f func(*objstore.CommitRequest)
}

func (c commitChanger) Commit(ctx context.Context, req objstore.CommitRequest) (objstore.CommitResult, error) {
	c.f(&req)
	return c.Stage.Commit(ctx, req)
}

func clobbering(_ *memstore.Bucket, s objstore.Stage, spec objstore.StageSpec) objstore.Stage {
	if spec.Base == nil {
		return s
	}
	was := spec.Base.Info().Attr
	return commitChanger{s, func(req *objstore.CommitRequest) {
		req.Change.Mode, req.Change.UID, req.Change.GID = &was.Mode, &was.UID, &was.GID
	}}
}

type twoSteps struct {
	objstore.Stage
	b *memstore.Bucket
}

func (s twoSteps) Commit(ctx context.Context, req objstore.CommitRequest) (objstore.CommitResult, error) {
	move := req.Move
	req.Move = nil
	res, err := s.Stage.Commit(ctx, req)
	if err == nil && move != nil {
		res.Moved, err = s.b.Move(ctx, *move)
	}
	return res, err
}

// lazyTruncate remembers what it should have cut off.
type lazyTruncate struct {
	objstore.Stage
	tail string
}

func (l *lazyTruncate) Truncate(ctx context.Context, size int64) error {
	if old := l.Size(); size < old {
		p := make([]byte, old-size)
		l.ReadAt(ctx, p, size)
		l.tail = string(p)
	}
	grown := size > l.Size()
	at := l.Size()
	err := l.Stage.Truncate(ctx, size)
	if grown && l.tail != "" {
		l.WriteAt(ctx, []byte(l.tail[:min(int64(len(l.tail)), size-at)]), at)
	}
	return err
}

type noPunch struct{ objstore.Stage }

func (n noPunch) Allocate(ctx context.Context, off, length int64, mode objstore.AllocateMode) error {
	if mode == objstore.PunchHole {
		mode = objstore.AllocateKeepSize
	}
	return n.Stage.Allocate(ctx, off, length, mode)
}

type wrongHoles struct{ objstore.Stage }

func (w wrongHoles) NextData(ctx context.Context, off int64) (int64, error) {
	at, err := w.Stage.NextData(ctx, off)
	if err == nil && off > 0 {
		at += 50_000
	}
	return at, err
}

// unpinnedBase reads the object as it is now.
func unpinnedBase(b *memstore.Bucket, s objstore.Stage, spec objstore.StageSpec) objstore.Stage {
	if spec.Base == nil {
		return s
	}
	return baseless{s, b, spec.Base.Info().ID}
}

type baseless struct {
	objstore.Stage
	b  *memstore.Bucket
	id objstore.ID
}

func (s baseless) ReadAt(ctx context.Context, p []byte, off int64) (int, error) {
	if s.Changed() {
		return s.Stage.ReadAt(ctx, p, off)
	}
	r, err := s.b.Open(ctx, s.id, "")
	if err != nil {
		return 0, io.EOF
	}
	return r.ReadAt(ctx, p, off)
}

func startsFull(b *memstore.Bucket, s objstore.Stage, spec objstore.StageSpec) objstore.Stage {
	if !spec.Empty {
		return s
	}
	spec.Empty = false
	full, err := b.NewStage(context.Background(), spec)
	if err != nil {
		return s
	}
	return full
}

type positiveOffsets struct{ objstore.Stage }

func (s positiveOffsets) ReadAt(ctx context.Context, p []byte, off int64) (int, error) {
	return s.Stage.ReadAt(ctx, p, max(off, 0))
}

// losesBoundary writes nothing to the last byte before 1 MiB.
type losesBoundary struct{ objstore.Stage }

func (s losesBoundary) WriteAt(ctx context.Context, p []byte, off int64) (int, error) {
	const boundary = 1<<20 - 1
	if off <= boundary && boundary < off+int64(len(p)) {
		p = append([]byte(nil), p...)
		p[boundary-off] = 0
	}
	return s.Stage.WriteAt(ctx, p, off)
}

type alwaysAppended struct{ objstore.Stage }

func (s alwaysAppended) Commit(ctx context.Context, req objstore.CommitRequest) (objstore.CommitResult, error) {
	res, err := s.Stage.Commit(ctx, req)
	res.Appended = true
	return res, err
}

// forgetsChanges takes every commit for a success.
type forgetsChanges struct {
	objstore.Stage
	tried bool
}

func (s *forgetsChanges) Commit(ctx context.Context, req objstore.CommitRequest) (objstore.CommitResult, error) {
	s.tried = true
	return s.Stage.Commit(ctx, req)
}

func (s *forgetsChanges) Changed() bool { return s.Stage.Changed() && !s.tried }

// keepsAll keeps through a new stage each time.
type keepsAll struct {
	objstore.Stage
	b *memstore.Bucket
}

func (s keepsAll) Keep(ctx context.Context, c objstore.Conflict) (objstore.Conflict, error) {
	other, err := s.b.NewStage(ctx, objstore.StageSpec{})
	if err != nil {
		return c, err
	}
	p := make([]byte, s.Size())
	s.ReadAt(ctx, p, 0)
	other.WriteAt(ctx, p, 0)
	return other.Keep(ctx, c)
}

type keepChanger struct {
	objstore.Stage
	f func(*objstore.Conflict)
}

func (s keepChanger) Keep(ctx context.Context, c objstore.Conflict) (objstore.Conflict, error) {
	s.f(&c)
	return s.Stage.Keep(ctx, c)
}

// commitsToName commits to where the object was when the stage was made.
func commitsToName(b *memstore.Bucket, s objstore.Stage, spec objstore.StageSpec) objstore.Stage {
	if spec.Base == nil {
		return s
	}
	name, err := b.Path(context.Background(), spec.Base.Info().ID)
	if err != nil {
		return s
	}
	return commitChanger{s, func(req *objstore.CommitRequest) {
		if now, err := b.Lookup(context.Background(), b.Root(), name); err == nil {
			req.Target.ID, req.Cond = now.ID, objstore.Unconditional()
		}
	}}
}

// losesLastPut forgets the newest put in a crash.
type losesLastPut struct {
	*memstore.Bucket
	last objstore.Key
}

func (l *losesLastPut) Put(ctx context.Context, key objstore.Key, body io.Reader, cond objstore.Cond, opt objstore.PutOptions) (objstore.Info, error) {
	if !strings.HasSuffix(string(key), "-deleted") && !strings.HasSuffix(string(key), "-durable") {
		l.last = key
	}
	return l.Bucket.Put(ctx, key, body, cond, opt)
}

func (l *losesLastPut) crash(ctx context.Context) {
	l.Bucket.Delete(ctx, l.last, objstore.Unconditional(), objstore.DeleteOptions{})
}

// losesName forgets one entry of the root in a crash.
type losesName struct{ *memstore.Bucket }

func (l losesName) crash(ctx context.Context) {
	entries, _, _ := l.Bucket.ReadDir(ctx, l.Root(), "", 1)
	for _, entry := range entries {
		l.Bucket.Move(ctx, objstore.MoveRequest{
			Parent: l.Root(), Name: entry.Name, Cond: objstore.IfPresent(),
			NewParent: l.Root(), NewName: "lost+found", NewCond: objstore.IfAbsent(),
		})
	}
}

// versionsAgain counts versions anew after each crash.
type versionsAgain struct {
	*memstore.Bucket
	base uint64 // changed between crashes only
	top  atomic.Uint64
}

func (v *versionsAgain) Put(ctx context.Context, key objstore.Key, body io.Reader, cond objstore.Cond, opt objstore.PutOptions) (objstore.Info, error) {
	info, err := v.Bucket.Put(ctx, key, body, cond, opt)
	n, _ := info.Version.Number()
	v.top.Store(n)
	info.Version = objstore.VersionOf(n - v.base)
	return info, err
}

func (v *versionsAgain) crash(context.Context) { v.base = v.top.Load() }

// idsAgain counts reserved ids anew after each crash.
type idsAgain struct {
	*memstore.Bucket
	n objstore.ID
}

func (i *idsAgain) NewID(context.Context) (objstore.ID, error) {
	i.n++
	return 1<<32 + i.n, nil
}

func (i *idsAgain) crash(context.Context) { i.n = 0 }

// forgetsWriteIDs takes ids for new ones after a crash.
type forgetsWriteIDs struct {
	*memstore.Bucket
	crashes int
}

func (f *forgetsWriteIDs) Put(ctx context.Context, key objstore.Key, body io.Reader, cond objstore.Cond, opt objstore.PutOptions) (objstore.Info, error) {
	opt.WriteID = fmt.Sprint(opt.WriteID, f.crashes)
	return f.Bucket.Put(ctx, key, body, cond, opt)
}

func (f *forgetsWriteIDs) crash(context.Context) { f.crashes++ }

// losesConflicts forgets them in a crash.
type losesConflicts struct{ *memstore.Bucket }

func (l losesConflicts) crash(ctx context.Context) {
	all, _ := l.Bucket.ListConflicts(ctx)
	ids := map[objstore.ConflictID]bool{}
	for _, c := range all {
		ids[c.ID] = true
	}
	for id := range maps.Keys(ids) {
		l.Bucket.DropConflict(ctx, id)
	}
}
