package s3store

import (
	"context"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/etagfs/etagfs/objstore"
)

// S3 lists unfinished uploads without saying who began them. Ours have a part no upload needs: one with the last
// possible number, which is not named when the upload is completed and so dropped. Ceph refuses to complete an upload that has
// such a part; what the store does is tried out.
const (
	markNumber = 10000
	markText   = "begun by etagfs; may be aborted if old"
)

// mark makes an upload known as ours. Without it the upload is good, but stays if its writer dies.
func (s *Store) mark(ctx context.Context, key, upload *string) {
	_, err := s.client.UploadPart(ctx, &s3.UploadPartInput{
		Bucket: s.bucket(), Key: key, UploadId: upload, PartNumber: aws.Int32(markNumber), Body: strings.NewReader(markText),
	})
	if err != nil {
		s.parts.Logger.Debug("an upload is not marked", "key", aws.ToString(key), "err", err)
	}
}

// SweepUploads aborts the uploads this program began before a moment and did not end: their writers were killed. It
// returns how many they were. Uploads of other programs stay.
func (s *Store) SweepUploads(ctx context.Context, before time.Time) (int, error) {
	if s.opt.ReadOnly {
		return 0, refusal("sweep", "", objstore.ErrReadOnly, "the store was opened for reading")
	}
	swept := 0
	err := s.eachUpload(ctx, func(u types.MultipartUpload) error {
		if !aws.ToTime(u.Initiated).Before(before) {
			return nil
		}
		marked, err := s.marked(ctx, u)
		if err != nil || !marked {
			return err
		}
		swept++
		return s.abortUpload(ctx, u.Key, u.UploadId)
	})
	if err != nil {
		return swept, readError("sweep", "", err)
	}
	return swept, nil
}

func (s *Store) eachUpload(ctx context.Context, f func(types.MultipartUpload) error) error {
	in := &s3.ListMultipartUploadsInput{Bucket: s.bucket(), Prefix: aws.String(s.prefix)}
	for {
		out, err := again(ctx, s, func() (*s3.ListMultipartUploadsOutput, error) { return s.client.ListMultipartUploads(ctx, in) })
		if err != nil {
			return err
		}
		for _, u := range out.Uploads {
			if err := f(u); err != nil {
				return err
			}
		}
		if !aws.ToBool(out.IsTruncated) {
			return nil
		}
		in.KeyMarker, in.UploadIdMarker = out.NextKeyMarker, out.NextUploadIdMarker
	}
}

// marked reports whether an upload has the mark.
func (s *Store) marked(ctx context.Context, u types.MultipartUpload) (bool, error) {
	out, err := again(ctx, s, func() (*s3.ListPartsOutput, error) {
		return s.client.ListParts(ctx, &s3.ListPartsInput{
			Bucket: s.bucket(), Key: u.Key, UploadId: u.UploadId, PartNumberMarker: aws.String("9999"),
		})
	})
	if codeOf(err) == "NoSuchUpload" {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	for _, part := range out.Parts {
		if aws.ToInt32(part.PartNumber) == markNumber && aws.ToInt64(part.Size) == int64(len(markText)) {
			return true, nil
		}
	}
	return false, nil
}
