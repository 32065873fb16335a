package faultstore

import (
	"context"
	"strings"
	"time"

	"github.com/etagfs/etagfs/objstore"
)

// upload is an open upload to u with one part, made behind the wrapper's back.
func (s *scene) upload() (objstore.UploadID, objstore.CompletedPart) {
	u, err := s.inner.CreateUpload(s.t.Context(), "u", objstore.UploadOptions{})
	s.ok(err)
	p, err := s.inner.PutPart(s.t.Context(), "u", u.ID, 1, strings.NewReader("part"), objstore.PartOptions{})
	s.ok(err)
	return u.ID, objstore.CompletedPart{Number: 1, ETag: p.ETag}
}

// uploads is the number of open ones, parts that of the parts of all of them.
func (s *scene) uploads() (uploads, parts int) {
	page, err := s.inner.ListUploads(s.t.Context(), objstore.UploadListOptions{})
	s.ok(err)
	for _, entry := range page.Entries {
		all, err := s.inner.ListParts(s.t.Context(), "u", entry.Upload.ID, 0, 0)
		s.ok(err)
		parts += len(all.Parts)
	}
	return len(page.Entries), parts
}

func (s *scene) document() string {
	text, err := s.inner.Document(s.t.Context(), "doc")
	if err != nil {
		return ""
	}
	return string(text)
}

func (s *scene) hasUploads(want int) bool {
	n, _ := s.uploads()
	return n == want
}

func (s *scene) hasParts(want int) bool {
	_, n := s.uploads()
	return n == want
}

// optionalMutations are those of the optional parts of a store.
func optionalMutations() []mutation {
	any := objstore.Unconditional()
	return []mutation{
		{OpCreateUpload, func(ctx context.Context, s *scene) error {
			_, err := s.b.CreateUpload(ctx, "u", objstore.UploadOptions{})
			return err
		}, func(s *scene) bool { return s.hasUploads(1) }},
		{OpPutPart, func(ctx context.Context, s *scene) error {
			id, _ := s.upload()
			_, err := s.b.PutPart(ctx, "u", id, 2, strings.NewReader("x"), objstore.PartOptions{})
			return err
		}, func(s *scene) bool { return s.hasParts(2) }},
		{OpCopyPart, func(ctx context.Context, s *scene) error {
			id, _ := s.upload()
			_, err := s.b.CopyPart(ctx, objstore.CopyPartRequest{Src: "f", SrcCond: any, Length: -1, Key: "u", ID: id, Number: 2})
			return err
		}, func(s *scene) bool { return s.hasParts(2) }},
		{OpCompleteUpload, func(ctx context.Context, s *scene) error {
			id, p := s.upload()
			_, err := s.b.CompleteUpload(ctx, objstore.CompleteRequest{Key: "u", ID: id, Cond: any, Parts: []objstore.CompletedPart{p}})
			return err
		}, func(s *scene) bool { return s.has("u") }},
		{OpAbortUpload, func(ctx context.Context, s *scene) error {
			id, _ := s.upload()
			return s.b.AbortUpload(ctx, "u", id, objstore.Visible)
		}, func(s *scene) bool { return s.hasUploads(0) }},
		{OpAbortUploadsBefore, func(ctx context.Context, s *scene) error {
			s.upload()
			_, err := s.b.AbortUploadsBefore(ctx, time.Now().Add(time.Hour))
			return err
		}, func(s *scene) bool { return s.hasUploads(0) }},
		{OpAppend, func(ctx context.Context, s *scene) error {
			_, err := s.b.Append(ctx, "f", 3, strings.NewReader("er"), any, objstore.PutOptions{})
			return err
		}, func(s *scene) bool { return s.content() == "older" }},
		{OpSetTags, func(ctx context.Context, s *scene) error {
			_, err := s.b.SetTags(ctx, "f", map[string]string{"a": "b"}, objstore.Visible)
			return err
		}, func(s *scene) bool {
			info, err := s.inner.Head(s.t.Context(), "f")
			s.ok(err)
			return info.Tags["a"] == "b"
		}},
		{OpSetDocument, func(ctx context.Context, s *scene) error {
			return s.b.SetDocument(ctx, "doc", []byte("x"))
		}, func(s *scene) bool { return s.document() == "x" }},
		{OpDeleteDocument, func(ctx context.Context, s *scene) error {
			s.ok(s.inner.SetDocument(ctx, "doc", []byte("x")))
			return s.b.DeleteDocument(ctx, "doc")
		}, func(s *scene) bool { return s.document() == "" }},
	}
}
