package badgerstore

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/etagfs/etagfs/objstore"
)

// The most parts there can be make an object: those of a server with the longest checksums there are, those
// of a mount, whose batches are small, with the longest that clients use.
func TestTheMostPartsMakeAnObject(t *testing.T) {
	if testing.Short() {
		t.Skip("long: 20,000 parts")
	}
	for _, r := range []struct {
		name      string
		profile   Profile
		algorithm string
		sumBytes  int
	}{
		{"server", ProfileServer, "SHA512", 64},
		{"mount", ProfileMount, "SHA256", 32},
	} {
		t.Run(r.name, func(t *testing.T) {
			e := openTest(t, filepath.Join(testDir(t), "store"), Options{Create: true, Profile: r.profile})
			b := mainBucket(t, e)
			u, err := b.CreateUpload(t.Context(), "k", objstore.UploadOptions{ChecksumAlgorithm: r.algorithm, ChecksumType: "COMPOSITE", Durability: objstore.Visible})
			must(t, err)
			body := bytes.Repeat([]byte{1}, e.sizes.inlineBytes+1)
			req := objstore.CompleteRequest{Key: u.Key, ID: u.ID, Cond: objstore.IfAbsent(), Durability: objstore.Visible}
			for n := range objstore.PartNumberMax {
				binary.BigEndian.PutUint32(body, uint32(n))
				sum := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{byte(n)}, r.sumBytes))
				p, err := b.PutPart(t.Context(), u.Key, u.ID, n+1, bytes.NewReader(body), objstore.PartOptions{
					Durability: objstore.Visible,
					Finish: func() (objstore.Digests, error) {
						return objstore.Digests{ETag: objstore.ETag(fmt.Sprintf("%032x", n)), Checksum: objstore.Checksum{Algorithm: r.algorithm, Value: sum}}, nil
					},
				})
				must(t, err)
				req.Parts = append(req.Parts, objstore.CompletedPart{Number: n + 1, ETag: p.ETag})
			}
			info, err := b.CompleteUpload(t.Context(), req)
			must(t, err)
			if want := int64(objstore.PartNumberMax * len(body)); info.Size != want || info.PartCount != objstore.PartNumberMax {
				t.Errorf("%d bytes instead of %d, %d parts", info.Size, want, info.PartCount)
			}
			if _, listed, err := b.Parts(t.Context(), u.Key, objstore.Unconditional()); err != nil || len(listed) != objstore.PartNumberMax {
				t.Errorf("%d parts (%v)", len(listed), err)
			}
			must(t, e.checkInvariants())
		})
	}
}
