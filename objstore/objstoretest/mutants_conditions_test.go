package objstoretest

import (
	"context"
	"io"
	"runtime"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/memstore"
)

func conditionMutants() []mutant {
	any := objstore.Unconditional()
	weaken := func(name, caughtBy string, change func(*weakStore)) mutant {
		return mutant{name, caughtBy, func(b *memstore.Bucket) subjectStore {
			w := &weakStore{Bucket: b}
			change(w)
			return w
		}}
	}
	return []mutant{
		weaken("put ignores its condition", "PutEvaluatesEveryCond", func(w *weakStore) { w.put = any }),
		weaken("delete ignores its condition", "DeleteEvaluatesEveryCond", func(w *weakStore) { w.delete = any }),
		weaken("get ignores its condition", "GetEvaluatesEveryCond", func(w *weakStore) { w.get = any }),
		weaken("copy ignores the source's condition", "CopyEvaluatesEverySourceCond", func(w *weakStore) { w.copySource = any }),
		weaken("copy ignores the target's condition", "CopyEvaluatesEveryTargetCond", func(w *weakStore) { w.copyTarget = any }),
		weaken("rename ignores the source's condition", "RenameEvaluatesEverySourceCond", func(w *weakStore) { w.renameSource = any }),
		weaken("rename ignores the target's condition", "RenameEvaluatesEveryTargetCond", func(w *weakStore) { w.renameTarget = any }),
		weaken("unlink ignores its condition", "UnlinkEvaluatesEveryCond", func(w *weakStore) { w.unlink = any }),
		weaken("move ignores the source's condition", "MoveEvaluatesEverySourceCond", func(w *weakStore) { w.moveSource = any }),
		weaken("move ignores the target's condition", "MoveEvaluatesEveryTargetCond", func(w *weakStore) { w.moveTarget = any }),
		weaken("an update is a blind overwrite of what exists", "PutEvaluatesEveryCond", func(w *weakStore) { w.put = objstore.IfPresent() }),
		{"commit ignores its condition", "CommitEvaluatesEveryCond", weakCommits},
		{"commit to a name ignores its condition", "CommitAtNameEvaluatesEveryCond", weakCommits},
		{"commit ignores its condition, two writers", "FirstCommitWins", weakCommits},
		{"put checks, then acts: creators", "OneCreatorWins", func(b *memstore.Bucket) subjectStore { return checkThenAct{b} }},
		{"put checks, then acts: counter", "CounterLosesNoUpdate", func(b *memstore.Bucket) subjectStore { return checkThenAct{b} }},
		{"put checks, then acts: chain", "ConditionalWritesFormAChain", func(b *memstore.Bucket) subjectStore { return checkThenAct{b} }},
		{"delete checks, then acts", "OneDeleterWins", func(b *memstore.Bucket) subjectStore { return checkThenAct{b} }},
		{"mkdir checks, then acts", "OneMakerWins", func(b *memstore.Bucket) subjectStore { return checkThenAct{b} }},
		{"rename checks, then acts", "OneRenamerWins", func(b *memstore.Bucket) subjectStore { return checkThenAct{b} }},
		{"versions follow the content", "OldContentAgainIsAnotherVersion", func(b *memstore.Bucket) subjectStore {
			return &contentVersions{b, map[objstore.Version][16]byte{}}
		}},
		{"a failed condition is told as a missing key", "PutEvaluatesEveryCond", func(b *memstore.Bucket) subjectStore {
			return wrongKinds{b}
		}},
	}
}

// weakStore uses a condition of its own in place of the caller's, where that is
// valid and one is set.
type weakStore struct {
	*memstore.Bucket
	put, delete, get, copySource, copyTarget, renameSource, renameTarget, unlink, moveSource, moveTarget objstore.Cond
}

func instead(cond, other objstore.Cond) objstore.Cond {
	if cond.Valid() && other.Valid() && !(other == objstore.IfPresent() && cond.IsIfAbsent()) {
		return other
	}
	return cond
}

func (w *weakStore) Put(ctx context.Context, key objstore.Key, body io.Reader, cond objstore.Cond, opt objstore.PutOptions) (objstore.Info, error) {
	return w.Bucket.Put(ctx, key, body, instead(cond, w.put), opt)
}

func (w *weakStore) Delete(ctx context.Context, key objstore.Key, cond objstore.Cond, opt objstore.DeleteOptions) error {
	return w.Bucket.Delete(ctx, key, instead(cond, w.delete), opt)
}

func (w *weakStore) Get(ctx context.Context, key objstore.Key, cond objstore.Cond) (objstore.Reader, error) {
	return w.Bucket.Get(ctx, key, instead(cond, w.get))
}

func (w *weakStore) Copy(ctx context.Context, req objstore.CopyRequest) (objstore.Info, error) {
	req.SrcCond, req.DstCond = instead(req.SrcCond, w.copySource), instead(req.DstCond, w.copyTarget)
	return w.Bucket.Copy(ctx, req)
}

func (w *weakStore) Rename(ctx context.Context, req objstore.RenameRequest) (objstore.Info, error) {
	req.SrcCond, req.DstCond = instead(req.SrcCond, w.renameSource), instead(req.DstCond, w.renameTarget)
	return w.Bucket.Rename(ctx, req)
}

func (w *weakStore) Unlink(ctx context.Context, parent objstore.ID, name string, cond objstore.Cond, d objstore.Durability) (objstore.RemoveResult, error) {
	return w.Bucket.Unlink(ctx, parent, name, instead(cond, w.unlink), d)
}

func (w *weakStore) Move(ctx context.Context, req objstore.MoveRequest) (objstore.MoveResult, error) {
	req.Cond, req.NewCond = instead(req.Cond, w.moveSource), instead(req.NewCond, w.moveTarget)
	return w.Bucket.Move(ctx, req)
}

func weakCommits(b *memstore.Bucket) subjectStore {
	return stageChanger{b, func(s objstore.Stage, _ objstore.StageSpec) objstore.Stage { return weakStage{s} }}
}

// weakStage commits whatever the condition says.
type weakStage struct{ objstore.Stage }

func (s weakStage) Commit(ctx context.Context, req objstore.CommitRequest) (objstore.CommitResult, error) {
	req.Cond = instead(req.Cond, objstore.Unconditional())
	return s.Stage.Commit(ctx, req)
}

// checkThenAct evaluates conditions some time before it acts on them.
type checkThenAct struct{ *memstore.Bucket }

// dawdle lets others run between the check and the act.
func dawdle() {
	for range 20 {
		runtime.Gosched()
	}
}

func (c checkThenAct) check(ctx context.Context, key objstore.Key, cond objstore.Cond) error {
	info, err := c.Bucket.Head(ctx, key)
	if lost := cond.Check(info.Version, err == nil); lost != nil {
		return &objstore.Error{Op: "check", Key: string(key), Kind: objstore.KindOf(lost)}
	}
	dawdle()
	return nil
}

func (c checkThenAct) Put(ctx context.Context, key objstore.Key, body io.Reader, cond objstore.Cond, opt objstore.PutOptions) (objstore.Info, error) {
	if err := c.check(ctx, key, cond); err != nil {
		return objstore.Info{}, err
	}
	return c.Bucket.Put(ctx, key, body, objstore.Unconditional(), opt)
}

func (c checkThenAct) Delete(ctx context.Context, key objstore.Key, cond objstore.Cond, opt objstore.DeleteOptions) error {
	if err := c.check(ctx, key, cond); err != nil {
		return err
	}
	return c.Bucket.Delete(ctx, key, objstore.Unconditional(), opt)
}

func (c checkThenAct) Rename(ctx context.Context, req objstore.RenameRequest) (objstore.Info, error) {
	if err := c.check(ctx, req.Src, req.SrcCond); err != nil {
		return objstore.Info{}, err
	}
	info, err := c.Bucket.Copy(ctx, objstore.CopyRequest{Src: req.Src, SrcCond: objstore.Unconditional(), Dst: req.Dst, DstCond: req.DstCond})
	if err != nil {
		return info, err
	}
	dawdle()
	return info, c.Bucket.Delete(ctx, req.Src, objstore.Unconditional(), objstore.DeleteOptions{})
}

// Make takes what is there for its own.
func (c checkThenAct) Make(ctx context.Context, req objstore.MakeRequest) (objstore.Info, error) {
	if _, err := c.Bucket.Lookup(ctx, req.Parent, req.Name); err == nil {
		return objstore.Info{}, &objstore.Error{Op: "make", Key: req.Name, Kind: objstore.ErrPrecondition}
	}
	dawdle()
	if info, err := c.Bucket.Make(ctx, req); err == nil {
		return info, nil
	}
	return c.Bucket.Lookup(ctx, req.Parent, req.Name)
}

// contentVersions takes an old version for the current one if the bytes are the same.
type contentVersions struct {
	*memstore.Bucket
	hashes map[objstore.Version][16]byte
}

func (c *contentVersions) Put(ctx context.Context, key objstore.Key, body io.Reader, cond objstore.Cond, opt objstore.PutOptions) (objstore.Info, error) {
	if want, ok := cond.Version(); ok {
		if now, err := c.Bucket.Head(ctx, key); err == nil && c.hashes[now.Version] == c.hashes[want] {
			cond = objstore.IfVersion(now.Version)
		}
	}
	info, err := c.Bucket.Put(ctx, key, body, cond, opt)
	c.hashes[info.Version], _, _ = info.ETag.Split()
	return info, err
}

// wrongKinds tells every lost condition as a missing key.
type wrongKinds struct{ *memstore.Bucket }

func (w wrongKinds) Put(ctx context.Context, key objstore.Key, body io.Reader, cond objstore.Cond, opt objstore.PutOptions) (objstore.Info, error) {
	info, err := w.Bucket.Put(ctx, key, body, cond, opt)
	if objstore.IsLostCondition(err) {
		err = &objstore.Error{Op: "put", Key: string(key), Kind: objstore.ErrNotFound}
	}
	return info, err
}
