package objstoretest

import (
	"context"
	"strings"

	"github.com/etagfs/etagfs/objstore"
)

func replayCases() []Case {
	return []Case{
		{Name: "RepeatedPutIsAppliedOnce", run: repeatedPutIsAppliedOnce},
		{Name: "RepeatedDeleteIsAppliedOnce", run: repeatedDeleteIsAppliedOnce},
		{Name: "RepeatedCopyAndRenameAreAppliedOnce", needs: needRenameFile, run: repeatedCopyAndRenameAreAppliedOnce},
		{Name: "RepeatedCommitIsAppliedOnce", needs: needNamespace | needAnswers, run: repeatedCommitIsAppliedOnce},
	}
}

// repeatedPutIsAppliedOnce: a retried request whose first reply was lost is no second one.
func repeatedPutIsAppliedOnce(ctx context.Context, e *Env) {
	old := e.put(ctx, "k", "old")
	put := func(key objstore.Key, body, id string, cond objstore.Cond) (objstore.Info, error) {
		return e.Store.Put(ctx, key, strings.NewReader(body), cond, objstore.PutOptions{WriteID: id})
	}
	first, err := put("k", "new", "w1", objstore.IfVersion(old.Version))
	e.ok(err, "put")
	again, err := put("k", "new", "w1", objstore.IfVersion(old.Version))
	e.ok(err, "the same put again")
	equal(e, again.ETag, first.ETag, "etag of the repetition")
	equal(e, again.Version, first.Version, "version of the repetition")
	e.put(ctx, "k", "another writer's")
	late, err := put("k", "new", "w1", objstore.IfVersion(old.Version))
	e.ok(err, "the same put after another writer")
	equal(e, late.Version, first.Version, "version of the late repetition")
	e.wantContent(ctx, "k", "another writer's")
	created, err := put("new", "x", "w2", objstore.IfAbsent())
	e.ok(err, "create")
	again, err = put("new", "x", "w2", objstore.IfAbsent())
	e.ok(err, "the same create again")
	equal(e, again.Version, created.Version, "version of the repetition")
	// The same bytes under another id, or none, are another write.
	_, err = put("new", "x", "w3", objstore.IfAbsent())
	e.want(err, objstore.ErrPrecondition, "create under another id")
	_, err = put("new", "x", "", objstore.IfAbsent())
	e.want(err, objstore.ErrPrecondition, "create under no id")
}

func repeatedDeleteIsAppliedOnce(ctx context.Context, e *Env) {
	version := e.put(ctx, "k", "1").Version
	cond := objstore.IfVersion(version)
	if !e.Store.Capabilities().Delete.Has(cond) {
		cond = objstore.Unconditional()
	}
	remove := func() error {
		return e.Store.Delete(ctx, "k", cond, objstore.DeleteOptions{WriteID: "w"})
	}
	e.ok(remove(), "delete")
	e.ok(remove(), "the same delete again")
	e.put(ctx, "k", "2")
	e.ok(remove(), "the same delete after a put")
	e.wantContent(ctx, "k", "2")
}

func repeatedCopyAndRenameAreAppliedOnce(ctx context.Context, e *Env) {
	e.put(ctx, "src", "1")
	copying := func() objstore.Info {
		info, err := e.Store.Copy(ctx, objstore.CopyRequest{
			Src: "src", SrcCond: objstore.IfPresent(), Dst: "copy", DstCond: objstore.IfAbsent(),
			Put: objstore.PutOptions{WriteID: "w1"},
		})
		e.ok(err, "copy")
		return info
	}
	equal(e, copying().Version, copying().Version, "version of the repeated copy")
	renaming := func() objstore.Info {
		info, err := e.Store.Rename(ctx, objstore.RenameRequest{
			Src: "src", SrcCond: objstore.IfPresent(), Dst: "dst", DstCond: objstore.IfAbsent(), WriteID: "w2",
		})
		e.ok(err, "rename")
		return info
	}
	first := renaming()
	e.put(ctx, "src", "2")
	equal(e, renaming().Version, first.Version, "version of the repeated rename")
	e.wantContent(ctx, "src", "2")
	e.wantContent(ctx, "dst", "1")
}

func repeatedCommitIsAppliedOnce(ctx context.Context, e *Env) {
	file := e.create(ctx, e.root(), "f", "old")
	s, base := e.edit(ctx, file.ID)
	defer s.Close()
	e.write(ctx, s, "new", 0)
	commit := func(s objstore.Stage) objstore.Info {
		res, err := s.Commit(ctx, objstore.CommitRequest{
			Target: objstore.Target{ID: file.ID}, Cond: objstore.IfVersion(base), WriteID: "w",
		})
		e.ok(err, "commit")
		return res.Info
	}
	first := commit(s)
	equal(e, commit(s).Version, first.Version, "version of the repetition")
	e.wantBytes(e.readID(ctx, file.ID), "new", "content")
	// The stage goes on from the version the repetition told.
	e.write(ctx, s, "more", 3)
	e.commit(ctx, s, file.ID, objstore.IfVersion(first.Version))
	e.wantBytes(e.readID(ctx, file.ID), "newmore", "content after the next commit")
}
