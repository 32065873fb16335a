package objstoretest

import (
	"bytes"
	"context"
	"io"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/memstore"
)

func objectMutants() []mutant {
	put := func(name, caughtBy string, f putFunc) mutant {
		return mutant{name, caughtBy, func(b *memstore.Bucket) subjectStore { return putChanger{b, f} }}
	}
	add := func(name, caughtBy string, f appendFunc) mutant {
		return mutant{name, caughtBy, func(b *memstore.Bucket) subjectStore { return appendChanger{b, f} }}
	}
	feed := func(name, caughtBy string, f func(objstore.Event, func(objstore.Event))) mutant {
		return mutant{name, caughtBy, func(b *memstore.Bucket) subjectStore { return feedChanger{b, f} }}
	}
	return []mutant{
		{"tags are lost", "HeadersAndTagsAreKept", func(b *memstore.Bucket) subjectStore { return tagless{b} }},
		put("headers are lost", "HeadersAndTagsAreKept", putWithoutHeaders),
		put("a refused body is stored", "FinishDecides", storeRefused),
		put("nobody is asked about the body", "FinishDecides", putWithoutFinish),
		put("digests are lost", "DigestsGoWithTheContent", putWithoutFinish),
		{"the redirect is copied", "CopiesTakeOverWhatTheyShould", func(b *memstore.Bucket) subjectStore { return copiesRedirects{b} }},
		{"composite checksums are copied", "DigestsGoWithTheContent", func(b *memstore.Bucket) subjectStore { return copiesChecksums{b} }},
		{"digests outlive commits", "CommitsDropDigests", func(b *memstore.Bucket) subjectStore { return &remembersDigests{Bucket: b} }},
		{"tags make a new version", "TagsAreReplaced", func(b *memstore.Bucket) subjectStore { return tagsByCopy{b} }},
		add("an append goes to the end, wherever that is", "AppendsGoToTheEnd", appendAnywhere),
		add("an append is read and written", "OneAppendWins", appendInTwoSteps),
		add("an append forgets what was said", "AppendsKeepWhatWasSaid", appendByPut),
		add("an append ignores its condition", "AppendsAreConditional", appendAlways),
		add("a failed append is kept", "FailedAppendsLeaveNothing", appendForgiving),
		add("a repeated append is applied again", "RepeatedAppendsAreAppliedOnce", appendWithoutID),
		{"documents may not be missing", "DocumentsAreKept", func(b *memstore.Bucket) subjectStore { return strictDocuments{b} }},
		{"documents are objects", "DocumentsAreKept", func(b *memstore.Bucket) subjectStore { return documentsAsObjects{b} }},
		{"documents are lost in a crash", "DocumentsAndTagsSurviveACrash", func(b *memstore.Bucket) subjectStore { return losesDocuments{b} }},
		{"a lost write is answered as applied", "AnswersAreKept", func(b *memstore.Bucket) subjectStore { return kindAnswers{b} }},
		feed("deletes are not told", "EventsTellObjects", func(e objstore.Event, f func(objstore.Event)) {
			if e.Kind != objstore.EventDelete {
				f(e)
			}
		}),
		feed("all is told as a put", "EventsTellObjects", func(e objstore.Event, f func(objstore.Event)) {
			e.Kind = objstore.EventPut
			f(e)
		}),
		feed("what is told has no etag", "EventsTellObjects", func(e objstore.Event, f func(objstore.Event)) {
			e.ETag = ""
			f(e)
		}),
		feed("deletes are told twice", "EventsTellTheNamespace", func(e objstore.Event, f func(objstore.Event)) {
			f(e)
			if e.Kind == objstore.EventDelete {
				f(e)
			}
		}),
		{"feeds do not stop", "EventsStop", func(b *memstore.Bucket) subjectStore { return endlessFeed{b} }},
		{"it denies uploads", "OptionalPartsAreAsClaimed", func(b *memstore.Bucket) subjectStore {
			return capsChanger{b, func(c *objstore.Capabilities) { c.Multipart = false }}
		}},
		{"it claims answers it does not give", "OptionalPartsAreAsClaimed", func(b *memstore.Bucket) subjectStore { return noAnswers{b} }},
	}
}

func putWithoutHeaders(b *memstore.Bucket, ctx context.Context, key objstore.Key, body io.Reader, cond objstore.Cond, opt objstore.PutOptions) (objstore.Info, error) {
	opt.Headers = objstore.Headers{}
	return b.Put(ctx, key, body, cond, opt)
}

// storeRefused asks when all is done.
func storeRefused(b *memstore.Bucket, ctx context.Context, key objstore.Key, body io.Reader, cond objstore.Cond, opt objstore.PutOptions) (objstore.Info, error) {
	finish := opt.Finish
	opt.Finish = nil
	info, err := b.Put(ctx, key, body, cond, opt)
	if err != nil || finish == nil {
		return info, err
	}
	_, err = finish()
	if err != nil && objstore.KindOf(err) == 0 {
		err = &objstore.Error{Op: "put", Key: string(key), Kind: objstore.ErrInvalid, Err: err}
	}
	return info, err
}

func putWithoutFinish(b *memstore.Bucket, ctx context.Context, key objstore.Key, body io.Reader, cond objstore.Cond, opt objstore.PutOptions) (objstore.Info, error) {
	opt.Finish = nil
	return b.Put(ctx, key, body, cond, opt)
}

// copiesRedirects takes over all headers.
type copiesRedirects struct{ *memstore.Bucket }

func (b copiesRedirects) Copy(ctx context.Context, req objstore.CopyRequest) (objstore.Info, error) {
	if src, err := b.Head(ctx, req.Src); err == nil && req.Put.Headers.WebsiteRedirect == "" {
		req.Put.Headers.WebsiteRedirect = src.Headers.WebsiteRedirect
	}
	return b.Bucket.Copy(ctx, req)
}

// copiesChecksums takes over every checksum.
type copiesChecksums struct{ *memstore.Bucket }

func (b copiesChecksums) Copy(ctx context.Context, req objstore.CopyRequest) (objstore.Info, error) {
	if src, err := b.Head(ctx, req.Src); err == nil && req.Digests.Checksum == (objstore.Checksum{}) {
		req.Digests.Checksum = src.Checksum
	}
	return b.Bucket.Copy(ctx, req)
}

// remembersDigests shows the first checksum for ever.
type remembersDigests struct {
	*memstore.Bucket
	first objstore.Checksum
}

func (b *remembersDigests) Head(ctx context.Context, key objstore.Key) (objstore.Info, error) {
	info, err := b.Bucket.Head(ctx, key)
	info.Checksum = b.first
	return info, err
}

func (b *remembersDigests) Put(ctx context.Context, key objstore.Key, body io.Reader, cond objstore.Cond, opt objstore.PutOptions) (objstore.Info, error) {
	info, err := b.Bucket.Put(ctx, key, body, cond, opt)
	b.first = info.Checksum
	return info, err
}

// tagsByCopy sets tags with a copy of the object to itself.
type tagsByCopy struct{ *memstore.Bucket }

func (b tagsByCopy) SetTags(ctx context.Context, key objstore.Key, tags map[string]string, _ objstore.Durability) (objstore.Info, error) {
	return b.Copy(ctx, objstore.CopyRequest{
		Src: key, SrcCond: objstore.IfPresent(), Dst: key, DstCond: objstore.IfPresent(), ReplaceTags: true, Put: objstore.PutOptions{Tags: tags},
	})
}

type appendFunc func(b *memstore.Bucket, ctx context.Context, key objstore.Key, offset int64, body io.Reader, cond objstore.Cond, opt objstore.PutOptions) (objstore.Info, error)

// appendChanger appends in another way.
type appendChanger struct {
	*memstore.Bucket
	f appendFunc
}

func (a appendChanger) Append(ctx context.Context, key objstore.Key, offset int64, body io.Reader, cond objstore.Cond, opt objstore.PutOptions) (objstore.Info, error) {
	return a.f(a.Bucket, ctx, key, offset, body, cond, opt)
}

func appendAnywhere(b *memstore.Bucket, ctx context.Context, key objstore.Key, _ int64, body io.Reader, cond objstore.Cond, opt objstore.PutOptions) (objstore.Info, error) {
	info, _ := b.Head(ctx, key)
	return b.Append(ctx, key, info.Size, body, cond, opt)
}

// appendByPut writes all of it anew.
func appendByPut(b *memstore.Bucket, ctx context.Context, key objstore.Key, _ int64, body io.Reader, cond objstore.Cond, opt objstore.PutOptions) (objstore.Info, error) {
	old := []byte{}
	if r, err := b.Get(ctx, key, objstore.IfPresent()); err == nil {
		old = make([]byte, r.Info().Size)
		r.ReadAt(ctx, old, 0)
	}
	return b.Put(ctx, key, io.MultiReader(bytes.NewReader(old), body), cond, opt)
}

func appendInTwoSteps(b *memstore.Bucket, ctx context.Context, key objstore.Key, offset int64, body io.Reader, cond objstore.Cond, opt objstore.PutOptions) (objstore.Info, error) {
	if info, _ := b.Head(ctx, key); info.Size != offset {
		return objstore.Info{}, &objstore.Error{Op: "append", Kind: objstore.ErrRange, Err: objstore.OffsetMoved}
	}
	dawdle()
	return appendByPut(b, ctx, key, offset, body, cond, opt)
}

func appendAlways(b *memstore.Bucket, ctx context.Context, key objstore.Key, offset int64, body io.Reader, cond objstore.Cond, opt objstore.PutOptions) (objstore.Info, error) {
	return b.Append(ctx, key, offset, body, instead(cond, objstore.Unconditional()), opt)
}

func appendForgiving(b *memstore.Bucket, ctx context.Context, key objstore.Key, offset int64, body io.Reader, cond objstore.Cond, opt objstore.PutOptions) (objstore.Info, error) {
	failed := &forgiving{body: body}
	info, err := b.Append(ctx, key, offset, failed, cond, opt)
	if err == nil && failed.err != nil {
		return objstore.Info{}, &objstore.Error{Op: "append", Kind: objstore.ErrInvalid, Err: failed.err}
	}
	return info, err
}

func appendWithoutID(b *memstore.Bucket, ctx context.Context, key objstore.Key, offset int64, body io.Reader, cond objstore.Cond, opt objstore.PutOptions) (objstore.Info, error) {
	opt.WriteID = ""
	return b.Append(ctx, key, offset, body, cond, opt)
}

// strictDocuments wants to have what it deletes.
type strictDocuments struct{ *memstore.Bucket }

func (b strictDocuments) DeleteDocument(ctx context.Context, name string) error {
	if _, err := b.Document(ctx, name); err != nil {
		return err
	}
	return b.Bucket.DeleteDocument(ctx, name)
}

// documentsAsObjects keeps documents among the objects, too.
type documentsAsObjects struct{ *memstore.Bucket }

func (b documentsAsObjects) SetDocument(ctx context.Context, name string, text []byte) error {
	if err := b.Bucket.SetDocument(ctx, name, text); err != nil {
		return err
	}
	_, err := b.Put(ctx, objstore.Key(name), bytes.NewReader(text), objstore.Unconditional(), objstore.PutOptions{})
	return err
}

// losesDocuments has none after a crash.
type losesDocuments struct{ *memstore.Bucket }

func (b losesDocuments) crash(ctx context.Context) { b.DeleteDocument(ctx, "policy") }

// kindAnswers tells of no loss.
type kindAnswers struct{ *memstore.Bucket }

func (b kindAnswers) Answer(ctx context.Context, writeID string) (objstore.Answer, error) {
	a, err := b.Bucket.Answer(ctx, writeID)
	a.Err = nil
	return a, err
}

// noAnswers refuses to tell.
type noAnswers struct{ *memstore.Bucket }

func (noAnswers) Answer(context.Context, string) (objstore.Answer, error) {
	return objstore.Answer{}, &objstore.Error{Op: "answer", Kind: objstore.ErrUnsupported}
}

// feedChanger tells something else.
type feedChanger struct {
	*memstore.Bucket
	f func(objstore.Event, func(objstore.Event))
}

func (b feedChanger) WatchObjects(f func(objstore.Event)) (stop func()) {
	return b.Bucket.WatchObjects(func(e objstore.Event) { b.f(e, f) })
}

// endlessFeed never stops.
type endlessFeed struct{ *memstore.Bucket }

func (b endlessFeed) WatchObjects(f func(objstore.Event)) (stop func()) {
	b.Bucket.WatchObjects(f)
	return func() {}
}
