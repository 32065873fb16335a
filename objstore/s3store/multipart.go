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
func (s *Store) putParts(ctx context.Context, d *draft, part *bytes.Buffer, body io.Reader) (stamp, error) {
	upload, err := s.createUpload(ctx, &s3.CreateMultipartUploadInput{
		Key: s.key(d.key), ContentType: optional(d.opt.ContentType), Metadata: d.meta,
	})
	if err != nil {
		return stamp{}, readError(d.op, d.key, err)
	}
	if s.marks && !s.ours { // our server sweeps by itself
		s.mark(ctx, s.key(d.key), upload.UploadId)
	}
	done, err := s.sendParts(ctx, d, upload.UploadId, part, body)
	if err != nil {
		s.abort(ctx, d, upload.UploadId)
		return stamp{}, err
	}
	made, err := s.complete(ctx, d, upload.UploadId, done)
	if kind := objstore.KindOf(err); err != nil && kind != objstore.ErrUnknown {
		s.abort(ctx, d, upload.UploadId)
	}
	return made, err
}

// createUpload says beforehand which checksums the parts will have: where that is not said, some stores refuse to be told
// them again when the upload is completed.
func (s *Store) createUpload(ctx context.Context, in *s3.CreateMultipartUploadInput) (*s3.CreateMultipartUploadOutput, error) {
	in.Bucket = s.bucket()
	if s.client.Options().RequestChecksumCalculation != aws.RequestChecksumCalculationWhenRequired {
		in.ChecksumAlgorithm = types.ChecksumAlgorithmCrc32
	}
	return again(ctx, s, func() (*s3.CreateMultipartUploadOutput, error) { return s.client.CreateMultipartUpload(ctx, in) })
}

// completed names a part as its answer told it.
func completed(number *int32, part *s3.UploadPartOutput) types.CompletedPart {
	return types.CompletedPart{PartNumber: number, ETag: part.ETag, ChecksumCRC32: part.ChecksumCRC32}
}

// sendParts sends the part that was read and all others. A part may be sent again without harm.
func (s *Store) sendParts(ctx context.Context, d *draft, upload *string, part *bytes.Buffer, body io.Reader) ([]types.CompletedPart, error) {
	var done []types.CompletedPart
	for more := true; ; {
		number := aws.Int32(int32(len(done) + 1))
		out, err := again(ctx, s, func() (*s3.UploadPartOutput, error) {
			return s.client.UploadPart(ctx, &s3.UploadPartInput{
				Bucket: s.bucket(), Key: s.key(d.key), UploadId: upload, PartNumber: number,
				Body: bytes.NewReader(part.Bytes()), ContentLength: aws.Int64(int64(part.Len())),
			})
		})
		if err != nil {
			return nil, readError(d.op, d.key, err)
		}
		done = append(done, completed(number, out))
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

func (s *Store) complete(ctx context.Context, d *draft, upload *string, parts []types.CompletedPart) (stamp, error) {
	w := s.writeOf(d, func(ctx context.Context) (stamp, error) {
		out, err := s.client.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
			Bucket: s.bucket(), Key: s.key(d.key), UploadId: upload, IfMatch: s.match(d.cond), IfNoneMatch: noneMatch(d.cond),
			MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
		}, named(d.id), s.own(headerIfVersion, d.cond))
		if err != nil {
			return stamp{}, err
		}
		return stampOf(out.ETag, out.ResultMetadata), nil
	})
	w.repeatable = true // an upload is completed once
	made, err := s.settle(ctx, w)
	if objstore.KindOf(err) == objstore.ErrConflict {
		err = s.keyChanged(ctx, d, err)
	}
	return made, err
}

// keyChanged is of a conflict that stays: the key was written since the upload began, so that it can never be completed.
// Either the condition is lost by that, or a new upload may win.
func (s *Store) keyChanged(ctx context.Context, d *draft, conflict error) error {
	info, _, err := s.head(ctx, d.op, d.key, objstore.Unconditional())
	if kind := objstore.KindOf(err); kind == 0 || kind == objstore.ErrNotFound {
		if lost := objstore.KindOf(d.cond.Check(info.Version, kind == 0)); lost != 0 {
			return &objstore.Error{Op: d.op, Key: string(d.key), Kind: lost, Winner: info.ETag}
		}
	}
	return &objstore.Error{
		Op: d.op, Key: string(d.key), Kind: objstore.ErrConflict, Err: objstore.KeyChanged, Detail: "the key was changed while the parts were sent: " + conflict.Error(),
	}
}

// abort drops an upload that will not be completed, whatever became of the caller.
func (s *Store) abort(ctx context.Context, d *draft, upload *string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTime)
	defer cancel()
	if err := s.abortUpload(ctx, s.key(d.key), upload); err != nil {
		s.parts.Logger.Warn("an upload is left behind", "key", string(d.key), "err", err)
	}
}

func (s *Store) abortUpload(ctx context.Context, key, upload *string) error {
	_, err := again(ctx, s, func() (*s3.AbortMultipartUploadOutput, error) {
		return s.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: s.bucket(), Key: key, UploadId: upload})
	})
	if codeOf(err) == "NoSuchUpload" {
		return nil
	}
	return err
}
