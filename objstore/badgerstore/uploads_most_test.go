package badgerstore

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/etagfs/etagfs/objstore"
)

// The most parts there can be, each with the longest checksum there is, make an object in one batch of a server.
func TestTheMostPartsFitIntoABatch(t *testing.T) {
	e := openTest(t, filepath.Join(testDir(t), "store"), Options{Create: true, Profile: ProfileServer})
	b := mainBucket(t, e)
	u, err := b.CreateUpload(t.Context(), "k", objstore.UploadOptions{ChecksumAlgorithm: "SHA512", ChecksumType: "COMPOSITE", Durability: objstore.Visible})
	must(t, err)
	var parts []objstore.CompletedPart
	for n := range objstore.PartNumberMax {
		sum := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{byte(n)}, 64))
		p, err := b.PutPart(t.Context(), u.Key, u.ID, n+1, bytes.NewReader([]byte{byte(n)}), objstore.PartOptions{
			Durability: objstore.Visible,
			Finish: func() (objstore.Digests, error) {
				return objstore.Digests{ETag: objstore.ETag(fmt.Sprintf("%032x", n)), Checksum: objstore.Checksum{Algorithm: "SHA512", Value: sum}}, nil
			},
		})
		must(t, err)
		parts = append(parts, objstore.CompletedPart{Number: n + 1, ETag: p.ETag})
	}
	info, err := b.CompleteUpload(t.Context(), objstore.CompleteRequest{Key: u.Key, ID: u.ID, Cond: objstore.IfAbsent(), Parts: parts, Durability: objstore.Visible})
	must(t, err)
	if info.Size != objstore.PartNumberMax || info.PartCount != objstore.PartNumberMax {
		t.Errorf("%d bytes, %d parts", info.Size, info.PartCount)
	}
	if _, listed, err := b.Parts(t.Context(), u.Key, objstore.Unconditional()); err != nil || len(listed) != objstore.PartNumberMax {
		t.Errorf("%d parts (%v)", len(listed), err)
	}
	must(t, e.checkInvariants())
}
