package main

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/memstore"
)

func TestAbandonedUploadsAreDroppedAndOthersStay(t *testing.T) {
	ctx, now := t.Context(), time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	buckets := memstore.New(memstore.Options{Clock: func() time.Time { return now }})
	store, err := buckets.Bucket(ctx, memstore.MainBucket)
	if err != nil {
		t.Fatal(err)
	}
	uploads := store.(objstore.Uploads)
	create := func(key objstore.Key) objstore.Upload {
		upload, err := uploads.CreateUpload(ctx, key, objstore.UploadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := uploads.PutPart(ctx, key, upload.ID, 1, strings.NewReader("part"), objstore.PartOptions{}); err != nil {
			t.Fatal(err)
		}
		return upload
	}
	create("old")
	now = now.Add(time.Hour)
	young := create("young")
	if err := sweepOnce(ctx, buckets, now.Add(-time.Minute), slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	page, err := uploads.ListUploads(ctx, objstore.UploadListOptions{})
	if err != nil || len(page.Entries) != 1 || page.Entries[0].Upload.ID != young.ID {
		t.Errorf("%+v, %v", page.Entries, err)
	}
}
