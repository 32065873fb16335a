package objstoretest

import (
	"context"
	"io"
	"slices"
	"time"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/memstore"
)

func uploadMutants() []mutant {
	complete := func(name, caughtBy string, f completeFunc) mutant {
		return mutant{name, caughtBy, func(b *memstore.Bucket) subjectStore { return completeChanger{b, f} }}
	}
	changes := "CompletionsSeeChangesOfTheKey"
	return []mutant{
		complete("a completion ignores its condition", "CompletionsAreConditional", completeAlways),
		complete("a completion checks and then acts", "OneCompletionWins", completeInTwoSteps),
		complete("a completion does not see that the key changed", changes, completeOverChanges(func(objstore.Cond) bool { return true })),
		complete("a completion does not see that the key was deleted", changes, completeOverChanges(objstore.Cond.IsIfAbsent)),
		complete("a completion does not see commits of a mount", "CompletionsSeeChangesThroughTheNamespace", completeOverChanges(func(objstore.Cond) bool { return true })),
		complete("a deleted key is forgotten in a crash", "ChangesOfTheKeySurviveACrash", completeOverChanges(objstore.Cond.IsIfAbsent)),
		complete("etags of parts are not compared", "PartsAreReplaced", completeAnyParts),
		complete("parts come in any order", "WrongPartsAreRefused", completeSorted),
		complete("the last part is left out", "UploadsAssembleParts", completeWithoutLast),
		complete("a repeated completion fails", "RepeatedCompletionsAreAnswered", completeOnce()),
		complete("a repeated completion is one of any parts", "RepeatedCompletionsAreAnswered", completeReplaysAll()),
		complete("digests of completions are lost", "UploadsMakeWhatTheyDescribe", completeWithoutDigests),
		{"attributes count as changes of the key", "CompletionsOverlookWhatIsNoChange", func(b *memstore.Bucket) subjectStore {
			return &metaSensitive{Bucket: b, meta: map[objstore.UploadID]uint64{}}
		}},
		{"tags of uploads are lost", "UploadsMakeWhatTheyDescribe", func(b *memstore.Bucket) subjectStore { return tagless{b} }},
		{"parts are visible", "UploadsAreInvisible", func(b *memstore.Bucket) subjectStore { return visibleParts{b} }},
		{"failed parts are kept", "FailedPartsLeaveNothing", func(b *memstore.Bucket) subjectStore { return keepsFailedParts{b} }},
		{"aborted uploads go on", "UploadsEnd", func(b *memstore.Bucket) subjectStore { return abortsNothing{b} }},
		{"the marker's own uploads are left out", "UploadsAreListed", func(b *memstore.Bucket) subjectStore { return ignoresMarkers{b} }},
		{"parts are listed with the marker", "PartsAreListed", func(b *memstore.Bucket) subjectStore { return ignoresMarkers{b} }},
		{"a sweep takes all uploads", "OldUploadsAreSwept", func(b *memstore.Bucket) subjectStore { return sweepsAll{b} }},
		{"copies of parts are of the version that is there", "PartsAreCopied", func(b *memstore.Bucket) subjectStore {
			return copiesParts{b, func(r *objstore.CopyPartRequest) { r.SrcCond = instead(r.SrcCond, objstore.Unconditional()) }}
		}},
		{"ranges of copied parts are cut", "PartsAreCopied", func(b *memstore.Bucket) subjectStore {
			return copiesParts{b, func(r *objstore.CopyPartRequest) {
				if r.Offset == 5 {
					r.Length = -1
				}
			}}
		}},
		{"layouts outlive the content", "LayoutsGoWithTheContent", func(b *memstore.Bucket) subjectStore {
			return &keepsLayouts{Bucket: b, parts: map[objstore.Key][]objstore.Part{}}
		}},
		{"uploads are lost in a crash", "UploadsSurviveACrash", func(b *memstore.Bucket) subjectStore { return losesUploads{b} }},
	}
}

type completeFunc func(b *memstore.Bucket, ctx context.Context, req objstore.CompleteRequest) (objstore.Info, error)

// completeChanger completes in another way.
type completeChanger struct {
	*memstore.Bucket
	f completeFunc
}

func (c completeChanger) CompleteUpload(ctx context.Context, req objstore.CompleteRequest) (objstore.Info, error) {
	return c.f(c.Bucket, ctx, req)
}

func completeAlways(b *memstore.Bucket, ctx context.Context, req objstore.CompleteRequest) (objstore.Info, error) {
	req.Cond = instead(req.Cond, objstore.Unconditional())
	return b.CompleteUpload(ctx, req)
}

func completeInTwoSteps(b *memstore.Bucket, ctx context.Context, req objstore.CompleteRequest) (objstore.Info, error) {
	if err := (checkThenAct{b}).check(ctx, req.Key, req.Cond); err != nil {
		return objstore.Info{}, err
	}
	return completeAlways(b, ctx, req)
}

func completeOverChanges(which func(objstore.Cond) bool) completeFunc {
	return func(b *memstore.Bucket, ctx context.Context, req objstore.CompleteRequest) (objstore.Info, error) {
		info, err := b.CompleteUpload(ctx, req)
		if objstore.KindOf(err) == objstore.ErrConflict && which(req.Cond) {
			return completeAlways(b, ctx, req)
		}
		return info, err
	}
}

func completeAnyParts(b *memstore.Bucket, ctx context.Context, req objstore.CompleteRequest) (objstore.Info, error) {
	page, err := b.ListParts(ctx, req.Key, req.ID, 0, 0)
	req.Parts = slices.Clone(req.Parts)
	for _, p := range page.Parts {
		for i := range req.Parts {
			if req.Parts[i].Number == p.Number && err == nil {
				req.Parts[i].ETag = p.ETag
			}
		}
	}
	return b.CompleteUpload(ctx, req)
}

func completeSorted(b *memstore.Bucket, ctx context.Context, req objstore.CompleteRequest) (objstore.Info, error) {
	req.Parts = slices.Clone(req.Parts)
	slices.SortFunc(req.Parts, func(a, c objstore.CompletedPart) int { return a.Number - c.Number })
	return b.CompleteUpload(ctx, req)
}

func completeWithoutLast(b *memstore.Bucket, ctx context.Context, req objstore.CompleteRequest) (objstore.Info, error) {
	if len(req.Parts) > 1 {
		req.Parts = req.Parts[:len(req.Parts)-1]
	}
	return b.CompleteUpload(ctx, req)
}

func completeOnce() completeFunc {
	done := map[objstore.UploadID]bool{}
	return func(b *memstore.Bucket, ctx context.Context, req objstore.CompleteRequest) (objstore.Info, error) {
		if done[req.ID] {
			return objstore.Info{}, &objstore.Error{Op: "complete upload", Kind: objstore.ErrNotFound, Err: objstore.NoSuchUpload}
		}
		info, err := b.CompleteUpload(ctx, req)
		done[req.ID] = err == nil
		return info, err
	}
}

func completeReplaysAll() completeFunc {
	done := map[objstore.UploadID]objstore.Info{}
	return func(b *memstore.Bucket, ctx context.Context, req objstore.CompleteRequest) (objstore.Info, error) {
		if info, ok := done[req.ID]; ok {
			return info, nil
		}
		info, err := b.CompleteUpload(ctx, req)
		if err == nil {
			done[req.ID] = info
		}
		return info, err
	}
}

func completeWithoutDigests(b *memstore.Bucket, ctx context.Context, req objstore.CompleteRequest) (objstore.Info, error) {
	req.Digests = objstore.Digests{}
	return b.CompleteUpload(ctx, req)
}

// metaSensitive takes every change of an object for one of its content.
type metaSensitive struct {
	*memstore.Bucket
	meta map[objstore.UploadID]uint64
}

func (m *metaSensitive) CreateUpload(ctx context.Context, key objstore.Key, opt objstore.UploadOptions) (objstore.Upload, error) {
	u, err := m.Bucket.CreateUpload(ctx, key, opt)
	if info, herr := m.Head(ctx, key); herr == nil {
		m.meta[u.ID] = info.MetaVersion
	}
	return u, err
}

func (m *metaSensitive) CompleteUpload(ctx context.Context, req objstore.CompleteRequest) (objstore.Info, error) {
	info, err := m.Head(ctx, req.Key)
	if err == nil && m.meta[req.ID] != info.MetaVersion && !req.Cond.IsUnconditional() {
		return objstore.Info{}, &objstore.Error{Op: "complete upload", Kind: objstore.ErrConflict, Err: objstore.KeyChanged}
	}
	return m.Bucket.CompleteUpload(ctx, req)
}

// tagless forgets tags.
type tagless struct{ *memstore.Bucket }

func (b tagless) CreateUpload(ctx context.Context, key objstore.Key, opt objstore.UploadOptions) (objstore.Upload, error) {
	opt.Tags = nil
	return b.Bucket.CreateUpload(ctx, key, opt)
}

func (b tagless) Put(ctx context.Context, key objstore.Key, body io.Reader, cond objstore.Cond, opt objstore.PutOptions) (objstore.Info, error) {
	opt.Tags = nil
	return b.Bucket.Put(ctx, key, body, cond, opt)
}

// visibleParts puts the first part under the key.
type visibleParts struct{ *memstore.Bucket }

func (b visibleParts) PutPart(ctx context.Context, key objstore.Key, id objstore.UploadID, number int, body io.Reader, opt objstore.PartOptions) (objstore.Part, error) {
	if _, err := b.Put(ctx, key, body, objstore.IfAbsent(), objstore.PutOptions{}); err != nil {
		return objstore.Part{}, err
	}
	r, err := b.Get(ctx, key, objstore.IfPresent())
	if err != nil {
		return objstore.Part{}, err
	}
	return b.Bucket.PutPart(ctx, key, id, number, r.Stream(ctx, 0, -1), opt)
}

// keepsFailedParts takes a body that failed for one that ended.
type keepsFailedParts struct{ *memstore.Bucket }

func (b keepsFailedParts) PutPart(ctx context.Context, key objstore.Key, id objstore.UploadID, number int, body io.Reader, opt objstore.PartOptions) (objstore.Part, error) {
	failed := &forgiving{body: body}
	p, err := b.Bucket.PutPart(ctx, key, id, number, failed, opt)
	if err == nil && failed.err != nil {
		return objstore.Part{}, &objstore.Error{Op: "put part", Kind: objstore.ErrInvalid, Err: failed.err}
	}
	return p, err
}

// forgiving ends where its body fails.
type forgiving struct {
	body io.Reader
	err  error
}

func (f *forgiving) Read(p []byte) (int, error) {
	n, err := f.body.Read(p)
	if err != nil && err != io.EOF {
		f.err, err = err, io.EOF
	}
	return n, err
}

// abortsNothing says that it aborted.
type abortsNothing struct{ *memstore.Bucket }

func (abortsNothing) AbortUpload(context.Context, objstore.Key, objstore.UploadID, objstore.Durability) error {
	return nil
}

// ignoresMarkers continues listings at a wrong place.
type ignoresMarkers struct{ *memstore.Bucket }

func (b ignoresMarkers) ListUploads(ctx context.Context, opt objstore.UploadListOptions) (objstore.UploadPage, error) {
	opt.AfterID = ""
	return b.Bucket.ListUploads(ctx, opt)
}

func (b ignoresMarkers) ListParts(ctx context.Context, key objstore.Key, id objstore.UploadID, after, max int) (objstore.PartPage, error) {
	return b.Bucket.ListParts(ctx, key, id, after-1, max)
}

// sweepsAll takes no heed of age.
type sweepsAll struct{ *memstore.Bucket }

func (b sweepsAll) AbortUploadsBefore(ctx context.Context, t time.Time) (int, error) {
	return b.Bucket.AbortUploadsBefore(ctx, t.Add(time.Hour))
}

// copiesParts copies something else.
type copiesParts struct {
	*memstore.Bucket
	f func(*objstore.CopyPartRequest)
}

func (b copiesParts) CopyPart(ctx context.Context, req objstore.CopyPartRequest) (objstore.Part, error) {
	b.f(&req)
	return b.Bucket.CopyPart(ctx, req)
}

// keepsLayouts remembers parts by key.
type keepsLayouts struct {
	*memstore.Bucket
	parts map[objstore.Key][]objstore.Part
}

func (b *keepsLayouts) Parts(ctx context.Context, key objstore.Key, cond objstore.Cond) (objstore.Info, []objstore.Part, error) {
	info, parts, err := b.Bucket.Parts(ctx, key, cond)
	if len(parts) > 0 {
		b.parts[key] = parts
	}
	return info, b.parts[key], err
}

// losesUploads has none after a crash.
type losesUploads struct{ *memstore.Bucket }

func (b losesUploads) crash(ctx context.Context) {
	b.AbortUploadsBefore(ctx, time.Now().Add(time.Hour))
}
