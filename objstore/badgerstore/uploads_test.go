package badgerstore

import (
	"bytes"
	"testing"

	"github.com/etagfs/etagfs/objstore"
)

func putPart(t *testing.T, b *Bucket, u objstore.Upload, number int, body []byte) objstore.CompletedPart {
	t.Helper()
	p, err := b.PutPart(t.Context(), u.Key, u.ID, number, bytes.NewReader(body), objstore.PartOptions{Durability: objstore.Visible})
	must(t, err)
	return objstore.CompletedPart{Number: number, ETag: p.ETag}
}

// uploadTo puts an object in parts.
func uploadTo(t *testing.T, b *Bucket, key objstore.Key, bodies ...[]byte) objstore.Info {
	t.Helper()
	u, err := b.CreateUpload(t.Context(), key, objstore.UploadOptions{Durability: objstore.Visible})
	must(t, err)
	var parts []objstore.CompletedPart
	for i, body := range bodies {
		parts = append(parts, putPart(t, b, u, i+1, body))
	}
	info, err := b.CompleteUpload(t.Context(), objstore.CompleteRequest{
		Key: key, ID: u.ID, Parts: parts, Cond: objstore.Unconditional(), Durability: objstore.Visible,
	})
	must(t, err)
	return info
}
