package s3clients_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
)

// code is the S3 error code of err, empty if there is none.
func code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

func refused(t *testing.T, what string, err error, want string) {
	t.Helper()
	if code(err) != want {
		t.Errorf("%s: %v instead of %s", what, err, want)
	}
}

// aws-sdk-go-v2: put, get, list, copy, delete.
func TestGoSDK(t *testing.T) { each(t, runGoSDK) }

func runGoSDK(t *testing.T, s *server) {
	c, ctx, b := s.client(), t.Context(), aws.String(bucket)
	body := bytes.Repeat([]byte("etag"), 1000)
	put := must(c.PutObject(ctx, &s3.PutObjectInput{Bucket: b, Key: aws.String("dir/k ey+ä"), Body: bytes.NewReader(body), Metadata: map[string]string{"a": "1"}}))(t)
	got := must(c.GetObject(ctx, &s3.GetObjectInput{Bucket: b, Key: aws.String("dir/k ey+ä"), ChecksumMode: types.ChecksumModeEnabled}))(t)
	if text := must(io.ReadAll(got.Body))(t); !bytes.Equal(text, body) || *got.ETag != *put.ETag || got.Metadata["a"] != "1" || aws.ToString(got.ChecksumCRC32) == "" {
		t.Errorf("%d bytes, %+v", len(text), got)
	}
	must(c.CopyObject(ctx, &s3.CopyObjectInput{Bucket: b, Key: aws.String("copy"), CopySource: aws.String("main/dir/k%20ey+%C3%A4"), IfNoneMatch: aws.String("*")}))(t)
	_, err := c.CopyObject(ctx, &s3.CopyObjectInput{Bucket: b, Key: aws.String("copy"), CopySource: aws.String("main/dir/k%20ey+%C3%A4"), IfNoneMatch: aws.String("*")})
	refused(t, "a copy over another", err, "PreconditionFailed")
	listed := must(c.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: b, Delimiter: aws.String("/")}))(t)
	if len(listed.Contents) != 1 || len(listed.CommonPrefixes) != 1 {
		t.Errorf("%+v", listed)
	}
	_, err = c.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: b, Key: aws.String("copy"), IfMatch: aws.String("other")})
	refused(t, "delete of another", err, "PreconditionFailed")
	deleted := must(c.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: b, Delete: &types.Delete{Objects: []types.ObjectIdentifier{
		{Key: aws.String("copy")}, {Key: aws.String("dir/k ey+ä"), ETag: aws.String("other")},
	}}}))(t)
	if len(deleted.Deleted) != 1 || len(deleted.Errors) != 1 || *deleted.Errors[0].Code != "PreconditionFailed" {
		t.Errorf("%+v", deleted)
	}
	_, err = c.GetObject(ctx, &s3.GetObjectInput{Bucket: b, Key: aws.String("copy")})
	refused(t, "gone", err, "NoSuchKey")
}

// aws-sdk-go-v2: 100 MB in parts, with every checksum algorithm the client knows, completed on a condition.
func TestGoSDKInParts(t *testing.T) { each(t, runGoSDKInParts) }

func runGoSDKInParts(t *testing.T, s *server) {
	d := newSamples(t)
	c, ctx, b := s.client(), t.Context(), aws.String(bucket)
	file := must(os.Open(d.path("big")))(t)
	defer file.Close()
	const partBytes = 10 << 20
	for _, algorithm := range []types.ChecksumAlgorithm{"", types.ChecksumAlgorithmCrc32, types.ChecksumAlgorithmSha256} {
		key := aws.String("big" + string(algorithm))
		upload := must(c.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: b, Key: key, ChecksumAlgorithm: algorithm}))(t)
		var parts []types.CompletedPart
		for i := range int32(bigBytes / partBytes) {
			part := must(c.UploadPart(ctx, &s3.UploadPartInput{Bucket: b, Key: key, UploadId: upload.UploadId, PartNumber: aws.Int32(i + 1),
				ChecksumAlgorithm: algorithm, Body: io.NewSectionReader(file, int64(i)*partBytes, partBytes)}))(t)
			parts = append(parts, types.CompletedPart{PartNumber: aws.Int32(i + 1), ETag: part.ETag, ChecksumCRC32: part.ChecksumCRC32, ChecksumSHA256: part.ChecksumSHA256})
		}
		done := &s3.CompleteMultipartUploadInput{Bucket: b, Key: key, UploadId: upload.UploadId, IfNoneMatch: aws.String("*"), MultipartUpload: &types.CompletedMultipartUpload{Parts: parts}}
		must(c.CompleteMultipartUpload(ctx, done))(t)
		s.stored(d, *key, "big")
		again := must(c.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: b, Key: key}))(t)
		must(c.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: b, Key: key, UploadId: again.UploadId}))(t)
	}
}

// aws-sdk-go-v2: conditional writes as they are used.
func TestGoSDKConditions(t *testing.T) { each(t, runGoSDKConditions) }

func runGoSDKConditions(t *testing.T, s *server) {
	c, ctx, b, key := s.client(), t.Context(), aws.String(bucket), aws.String("k")
	put := func(body string, match, noneMatch *string) (*s3.PutObjectOutput, error) {
		return c.PutObject(ctx, &s3.PutObjectInput{Bucket: b, Key: key, Body: bytes.NewReader([]byte(body)), IfMatch: match, IfNoneMatch: noneMatch})
	}
	any := aws.String("*")
	one := must(put("one", nil, any))(t)
	_, err := put("x", nil, any)
	refused(t, "a second creation", err, "PreconditionFailed")
	two := must(put("two", one.ETag, nil))(t)
	_, err = put("x", one.ETag, nil)
	refused(t, "a second change", err, "PreconditionFailed")
	_, err = put("x", any, nil)
	refused(t, "a change of anything", err, "NotImplemented")
	_, err = c.GetObject(ctx, &s3.GetObjectInput{Bucket: b, Key: key, IfMatch: one.ETag})
	refused(t, "a read of what was", err, "PreconditionFailed")
	_, err = c.HeadObject(ctx, &s3.HeadObjectInput{Bucket: b, Key: key, IfNoneMatch: two.ETag})
	refused(t, "a read of what is known", err, "NotModified")
	must(c.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: b, Key: key, IfMatch: two.ETag}))(t)
	_, err = put("x", two.ETag, nil)
	refused(t, "a change of what is gone", err, "NoSuchKey")
}
