package faultstore

import (
	"context"
	"io"
	"time"

	"github.com/etagfs/etagfs/objstore"
)

var (
	_ objstore.Uploads   = (*Store)(nil)
	_ objstore.Appender  = (*Store)(nil)
	_ objstore.Tagger    = (*Store)(nil)
	_ objstore.Documents = (*Store)(nil)
	_ objstore.Answers   = (*Store)(nil)
	_ objstore.Feed      = (*Store)(nil)
)

// callPart is call for an operation of an optional part P of the wrapped store.
func callPart[P, R any](ctx context.Context, s *Store, op Op, run func(P) (R, error)) (R, error) {
	return call(ctx, s.f, op, nil, func() (R, error) {
		part, ok := s.inner.(P)
		if !ok {
			var none R
			return none, &objstore.Error{Op: op.Kind.String(), Key: op.Key, Kind: objstore.ErrUnsupported}
		}
		return run(part)
	})
}

// doPart is callPart for operations without a result.
func doPart[P any](ctx context.Context, s *Store, op Op, run func(P) error) error {
	_, err := callPart(ctx, s, op, func(part P) (struct{}, error) { return struct{}{}, run(part) })
	return err
}

// CreateUpload implements [objstore.Uploads].
func (s *Store) CreateUpload(ctx context.Context, key objstore.Key, opt objstore.UploadOptions) (objstore.Upload, error) {
	return callPart(ctx, s, s.f.begin(OpCreateUpload, string(key)), func(u objstore.Uploads) (objstore.Upload, error) {
		return u.CreateUpload(ctx, key, opt)
	})
}

// PutPart implements [objstore.Uploads].
func (s *Store) PutPart(ctx context.Context, key objstore.Key, id objstore.UploadID, number int, body io.Reader, opt objstore.PartOptions) (objstore.Part, error) {
	op := s.f.begin(OpPutPart, string(key))
	return callPart(ctx, s, op, func(u objstore.Uploads) (objstore.Part, error) {
		return u.PutPart(ctx, key, id, number, s.f.torn(ctx, op, body), opt)
	})
}

// CopyPart implements [objstore.Uploads].
func (s *Store) CopyPart(ctx context.Context, req objstore.CopyPartRequest) (objstore.Part, error) {
	return callPart(ctx, s, s.f.begin(OpCopyPart, string(req.Key)), func(u objstore.Uploads) (objstore.Part, error) {
		return u.CopyPart(ctx, req)
	})
}

// ListParts implements [objstore.Uploads].
func (s *Store) ListParts(ctx context.Context, key objstore.Key, id objstore.UploadID, after, max int) (objstore.PartPage, error) {
	return callPart(ctx, s, s.f.begin(OpListParts, string(key)), func(u objstore.Uploads) (objstore.PartPage, error) {
		return u.ListParts(ctx, key, id, after, max)
	})
}

// ListUploads implements [objstore.Uploads].
func (s *Store) ListUploads(ctx context.Context, opt objstore.UploadListOptions) (objstore.UploadPage, error) {
	return callPart(ctx, s, s.f.begin(OpListUploads, string(opt.Prefix)), func(u objstore.Uploads) (objstore.UploadPage, error) {
		return u.ListUploads(ctx, opt)
	})
}

// CompleteUpload implements [objstore.Uploads].
func (s *Store) CompleteUpload(ctx context.Context, req objstore.CompleteRequest) (objstore.Info, error) {
	return callPart(ctx, s, s.f.begin(OpCompleteUpload, string(req.Key)), func(u objstore.Uploads) (objstore.Info, error) {
		return u.CompleteUpload(ctx, req)
	})
}

// AbortUpload implements [objstore.Uploads].
func (s *Store) AbortUpload(ctx context.Context, key objstore.Key, id objstore.UploadID, d objstore.Durability) error {
	return doPart(ctx, s, s.f.begin(OpAbortUpload, string(key)), func(u objstore.Uploads) error {
		return u.AbortUpload(ctx, key, id, d)
	})
}

// AbortUploadsBefore implements [objstore.Uploads].
func (s *Store) AbortUploadsBefore(ctx context.Context, t time.Time) (int, error) {
	return callPart(ctx, s, s.f.begin(OpAbortUploadsBefore, ""), func(u objstore.Uploads) (int, error) {
		return u.AbortUploadsBefore(ctx, t)
	})
}

// Parts implements [objstore.Uploads].
func (s *Store) Parts(ctx context.Context, key objstore.Key, cond objstore.Cond) (objstore.Info, []objstore.Part, error) {
	var parts []objstore.Part
	info, err := callPart(ctx, s, s.f.begin(OpParts, string(key)), func(u objstore.Uploads) (info objstore.Info, err error) {
		info, parts, err = u.Parts(ctx, key, cond)
		return info, err
	})
	if err != nil {
		return info, nil, err
	}
	return info, parts, nil
}

// Append implements [objstore.Appender].
func (s *Store) Append(ctx context.Context, key objstore.Key, offset int64, body io.Reader, cond objstore.Cond, opt objstore.PutOptions) (objstore.Info, error) {
	op := s.f.begin(OpAppend, string(key))
	return callPart(ctx, s, op, func(a objstore.Appender) (objstore.Info, error) {
		return a.Append(ctx, key, offset, s.f.torn(ctx, op, body), cond, opt)
	})
}

// SetTags implements [objstore.Tagger].
func (s *Store) SetTags(ctx context.Context, key objstore.Key, tags map[string]string, d objstore.Durability) (objstore.Info, error) {
	return callPart(ctx, s, s.f.begin(OpSetTags, string(key)), func(t objstore.Tagger) (objstore.Info, error) {
		return t.SetTags(ctx, key, tags, d)
	})
}

// Document implements [objstore.Documents].
func (s *Store) Document(ctx context.Context, name string) ([]byte, error) {
	return callPart(ctx, s, s.f.begin(OpDocument, name), func(d objstore.Documents) ([]byte, error) {
		return d.Document(ctx, name)
	})
}

// SetDocument implements [objstore.Documents].
func (s *Store) SetDocument(ctx context.Context, name string, text []byte) error {
	return doPart(ctx, s, s.f.begin(OpSetDocument, name), func(d objstore.Documents) error {
		return d.SetDocument(ctx, name, text)
	})
}

// DeleteDocument implements [objstore.Documents].
func (s *Store) DeleteDocument(ctx context.Context, name string) error {
	return doPart(ctx, s, s.f.begin(OpDeleteDocument, name), func(d objstore.Documents) error {
		return d.DeleteDocument(ctx, name)
	})
}

// Answer implements [objstore.Answers].
func (s *Store) Answer(ctx context.Context, writeID string) (objstore.Answer, error) {
	return callPart(ctx, s, s.f.begin(OpAnswer, writeID), func(a objstore.Answers) (objstore.Answer, error) {
		return a.Answer(ctx, writeID)
	})
}

// WatchObjects implements [objstore.Feed]. What is not told by the wrapped store is never told.
func (s *Store) WatchObjects(f func(objstore.Event)) (stop func()) {
	if feed, ok := s.inner.(objstore.Feed); ok {
		return feed.WatchObjects(f)
	}
	return func() {}
}
