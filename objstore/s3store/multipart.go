package s3store

import (
	"bytes"
	"context"
	"io"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/etagfs/etagfs/objstore"
)

// putParts sends a body of which the first part was read, and then says what it shall become. It leaves no
// upload behind unless the store does not answer.
func (s *Store) putParts(ctx context.Context, d *draft, part *bytes.Buffer, body io.Reader) (objstore.ETag, error) {
	upload, err := s.client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{
		Bucket: s.bucket(), Key: s.key(d.key), ContentType: optional(d.opt.ContentType), Metadata: d.meta,
	})
	if err != nil {
		return "", readError("put", d.key, err)
	}
	done, err := s.sendParts(ctx, d, upload.UploadId, part, body)
	if err != nil {
		s.abort(ctx, d, upload.UploadId)
		return "", err
	}
	etag, err := s.complete(ctx, d, upload.UploadId, done)
	if kind := objstore.KindOf(err); err != nil && kind != objstore.ErrUnknown {
		s.abort(ctx, d, upload.UploadId)
	}
	return etag, err
}

// sendParts sends the part that was read and all others. A part may be sent again without harm: the SDK does.
func (s *Store) sendParts(ctx context.Context, d *draft, upload *string, part *bytes.Buffer, body io.Reader) ([]types.CompletedPart, error) {
	var done []types.CompletedPart
	for more := true; ; {
		number := aws.Int32(int32(len(done) + 1))
		out, err := s.client.UploadPart(ctx, &s3.UploadPartInput{
			Bucket: s.bucket(), Key: s.key(d.key), UploadId: upload, PartNumber: number,
			Body: bytes.NewReader(part.Bytes()), ContentLength: aws.Int64(int64(part.Len())),
		})
		if err != nil {
			return nil, readError("put", d.key, err)
		}
		done = append(done, types.CompletedPart{
			PartNumber: number, ETag: out.ETag,
			ChecksumCRC32: out.ChecksumCRC32, ChecksumCRC32C: out.ChecksumCRC32C, ChecksumCRC64NVME: out.ChecksumCRC64NVME,
		})
		if !more {
			return done, nil
		}
		if more, err = s.fill(ctx, d, part, body); err != nil {
			return nil, err
		}
		if !more && part.Len() == 0 {
			return done, nil
		}
	}
}

func (s *Store) complete(ctx context.Context, d *draft, upload *string, parts []types.CompletedPart) (objstore.ETag, error) {
	match, noneMatch := headers(d.cond)
	w := s.writeOf(d, func(ctx context.Context) (objstore.ETag, error) {
		out, err := s.client.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
			Bucket: s.bucket(), Key: s.key(d.key), UploadId: upload, IfMatch: match, IfNoneMatch: noneMatch,
			MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
		}, once(d.id))
		if err != nil {
			return "", err
		}
		return etagOf(out.ETag), nil
	})
	w.repeatable = true // an upload is completed once
	return s.settle(ctx, w)
}

// abort drops an upload that will not be completed, whatever became of the caller.
func (s *Store) abort(ctx context.Context, d *draft, upload *string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTime)
	defer cancel()
	_, err := s.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: s.bucket(), Key: s.key(d.key), UploadId: upload})
	if err != nil {
		s.parts.Logger.Warn("an upload is left behind", "key", string(d.key), "err", err)
	}
}
