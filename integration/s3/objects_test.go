package s3_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/etagfs/etagfs/objstore/s3server"
)

// Over TLS the client sends unsigned bodies with a checksum behind them, without it signed ones with a
// checksum before.
func eachTransport(t *testing.T, f func(t *testing.T, s *site)) {
	for _, tls := range []bool{false, true} {
		t.Run(fmt.Sprintf("tls %v", tls), func(t *testing.T) { f(t, open(t, tls, s3server.Options{})) })
	}
}

func TestObjectsComeBack(t *testing.T) {
	eachTransport(t, func(t *testing.T, s *site) {
		c, ctx := s.root(), t.Context()
		for _, key := range []string{"a", "dir/b", "a//b", "../x", "./y", "%", "a b+c", "ü/ñ", "q?x=1&y", strings.Repeat("k", 1024)} {
			put := must(c.PutObject(ctx, &s3.PutObjectInput{
				Bucket: aws.String(bucket), Key: &key, Body: strings.NewReader("content of " + key),
				ContentType: aws.String("text/plain"), Metadata: map[string]string{"who": "me"}, CacheControl: aws.String("max-age=5"),
			}))(t)
			head := must(c.HeadObject(ctx, &s3.HeadObjectInput{Bucket: aws.String(bucket), Key: &key, ChecksumMode: types.ChecksumModeEnabled}))(t)
			if *head.ETag != *put.ETag || *head.ContentType != "text/plain" || head.Metadata["who"] != "me" || *head.CacheControl != "max-age=5" || head.ChecksumCRC32 == nil {
				t.Errorf("%.20q: %s, %v, %v, CRC32 %v", key, *head.ETag, *head.ContentType, head.Metadata, head.ChecksumCRC32)
			}
			if got := read(t, ctx, c, key); got != "content of "+key {
				t.Errorf("%.20q: %.40q", key, got)
			}
			must(c.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: aws.String(bucket), Key: &key}))(t)
			_, err := c.GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String(bucket), Key: &key})
			if code(err) != "NoSuchKey" {
				t.Errorf("%q after the delete: %v", key, err)
			}
		}
	})
}

func TestListingsPageThroughEverything(t *testing.T) {
	s := open(t, false, s3server.Options{})
	c, ctx := s.root(), t.Context()
	var keys []string
	for i := range 25 {
		keys = append(keys, fmt.Sprintf("d%d/k%02d", i%3, i))
	}
	slices.Sort(keys)
	for _, key := range keys {
		must(c.PutObject(ctx, &s3.PutObjectInput{Bucket: aws.String(bucket), Key: &key, Body: strings.NewReader(key)}))(t)
	}
	var listed []string
	pages := s3.NewListObjectsV2Paginator(c, &s3.ListObjectsV2Input{Bucket: aws.String(bucket), MaxKeys: aws.Int32(4)})
	for pages.HasMorePages() {
		for _, o := range must(pages.NextPage(ctx))(t).Contents {
			listed = append(listed, *o.Key)
		}
	}
	if !slices.Equal(listed, keys) {
		t.Errorf("listed %q", listed)
	}
	rolled := must(c.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: aws.String(bucket), Delimiter: aws.String("/"), StartAfter: aws.String("d0/z")}))(t)
	if len(rolled.CommonPrefixes) != 2 || *rolled.CommonPrefixes[0].Prefix != "d1/" || *rolled.KeyCount != 2 {
		t.Errorf("%+v", rolled)
	}
	first := must(c.ListObjects(ctx, &s3.ListObjectsInput{Bucket: aws.String(bucket), Prefix: aws.String("d1/"), MaxKeys: aws.Int32(3)}))(t)
	if len(first.Contents) != 3 || !*first.IsTruncated {
		t.Errorf("%+v", first)
	}
}

func TestConditionsOfTheClient(t *testing.T) {
	eachTransport(t, func(t *testing.T, s *site) {
		c, ctx := s.root(), t.Context()
		put := func(body string, in s3.PutObjectInput) (*s3.PutObjectOutput, error) {
			in.Bucket, in.Key, in.Body = aws.String(bucket), aws.String("k"), strings.NewReader(body)
			return c.PutObject(ctx, &in)
		}
		first := must(put("1", s3.PutObjectInput{IfNoneMatch: aws.String("*")}))(t)
		out, err := put("2", s3.PutObjectInput{IfNoneMatch: aws.String("*")})
		refused(t, out, err, "PreconditionFailed")
		second := must(put("2", s3.PutObjectInput{IfMatch: first.ETag}))(t)
		out, err = put("3", s3.PutObjectInput{IfMatch: first.ETag})
		refused(t, out, err, "PreconditionFailed")
		deleted, err := c.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: aws.String(bucket), Key: aws.String("k"), IfMatch: first.ETag})
		refused(t, deleted, err, "PreconditionFailed")
		copied, err := c.CopyObject(ctx, &s3.CopyObjectInput{Bucket: aws.String(bucket), Key: aws.String("k2"), CopySource: aws.String(bucket + "/k"), CopySourceIfMatch: first.ETag})
		refused(t, copied, err, "PreconditionFailed")
		must(c.CopyObject(ctx, &s3.CopyObjectInput{Bucket: aws.String(bucket), Key: aws.String("k2"), CopySource: aws.String(bucket + "/k"), CopySourceIfMatch: second.ETag, IfNoneMatch: aws.String("*")}))(t)
		renamed, err := c.RenameObject(ctx, &s3.RenameObjectInput{Bucket: aws.String(bucket), Key: aws.String("k2"), RenameSource: aws.String("k"), DestinationIfNoneMatch: aws.String("*"), ClientToken: aws.String("t1")})
		refused(t, renamed, err, "PreconditionFailed")
		for range 2 { // the second is a repetition of the first
			must(c.RenameObject(ctx, &s3.RenameObjectInput{Bucket: aws.String(bucket), Key: aws.String("k3"), RenameSource: aws.String("k"), SourceIfMatch: second.ETag, ClientToken: aws.String("t2")}))(t)
		}
		must(c.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: aws.String(bucket), Key: aws.String("k3"), IfMatch: second.ETag}))(t)
		if got := read(t, ctx, c, "k2"); got != "2" {
			t.Errorf("the copy is %q", got)
		}
	})
}

func TestMultipartUploadOfTheClient(t *testing.T) {
	eachTransport(t, func(t *testing.T, s *site) {
		c, ctx := s.root(), t.Context()
		content := make([]byte, 11<<20)
		random := rand.NewChaCha8([32]byte{1})
		if _, err := random.Read(content); err != nil {
			t.Fatal(err)
		}
		for _, algorithm := range []types.ChecksumAlgorithm{types.ChecksumAlgorithmCrc32, types.ChecksumAlgorithmSha256, types.ChecksumAlgorithmCrc64nvme} {
			key := "big-" + string(algorithm)
			created := must(c.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: aws.String(bucket), Key: &key, ChecksumAlgorithm: algorithm}))(t)
			var parts []types.CompletedPart
			for i, chunk := range slices.Collect(slices.Chunk(content, 5<<20)) {
				number := aws.Int32(int32(i + 1))
				p := must(c.UploadPart(ctx, &s3.UploadPartInput{Bucket: aws.String(bucket), Key: &key, UploadId: created.UploadId, PartNumber: number, Body: bytes.NewReader(chunk), ChecksumAlgorithm: algorithm}))(t)
				parts = append(parts, types.CompletedPart{PartNumber: number, ETag: p.ETag, ChecksumCRC32: p.ChecksumCRC32, ChecksumSHA256: p.ChecksumSHA256, ChecksumCRC64NVME: p.ChecksumCRC64NVME})
			}
			listed := must(c.ListParts(ctx, &s3.ListPartsInput{Bucket: aws.String(bucket), Key: &key, UploadId: created.UploadId}))(t)
			if len(listed.Parts) != 3 {
				t.Errorf("%d parts", len(listed.Parts))
			}
			done := must(c.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
				Bucket: aws.String(bucket), Key: &key, UploadId: created.UploadId, IfNoneMatch: aws.String("*"),
				MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
			}))(t)
			head := must(c.HeadObject(ctx, &s3.HeadObjectInput{Bucket: aws.String(bucket), Key: &key, ChecksumMode: types.ChecksumModeEnabled}))(t)
			if *head.ETag != *done.ETag || *head.ContentLength != int64(len(content)) {
				t.Errorf("%s, %d bytes", *head.ETag, *head.ContentLength)
			}
			if got := read(t, ctx, c, key); got != string(content) {
				t.Errorf("%s: %d bytes, not those that were put", key, len(got))
			}
			attributes := must(c.GetObjectAttributes(ctx, &s3.GetObjectAttributesInput{Bucket: aws.String(bucket), Key: &key,
				ObjectAttributes: []types.ObjectAttributes{types.ObjectAttributesEtag, types.ObjectAttributesChecksum, types.ObjectAttributesObjectParts, types.ObjectAttributesObjectSize}}))(t)
			if *attributes.ObjectSize != int64(len(content)) || attributes.Checksum == nil || attributes.ObjectParts == nil || *attributes.ObjectParts.TotalPartsCount != 3 {
				t.Errorf("%s: %d bytes, %v, %v", key, *attributes.ObjectSize, attributes.Checksum, attributes.ObjectParts)
			}
		}
	})
}

func TestPresignedAddresses(t *testing.T) {
	s := open(t, false, s3server.Options{})
	ctx := t.Context()
	p := s3.NewPresignClient(s.root())
	put := must(p.PresignPutObject(ctx, &s3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String("signed"), IfNoneMatch: aws.String("*")}, s3.WithPresignExpires(time.Minute)))(t)
	for i, want := range []int{200, 412} {
		req := must(http.NewRequestWithContext(ctx, put.Method, put.URL, strings.NewReader("by address")))(t)
		req.Header = put.SignedHeader.Clone()
		resp := must(s.http.Client().Do(req))(t)
		if resp.Body.Close() != nil || resp.StatusCode != want {
			t.Errorf("put %d: %s", i, resp.Status)
		}
	}
	get := must(p.PresignGetObject(ctx, &s3.GetObjectInput{Bucket: aws.String(bucket), Key: aws.String("signed")}))(t)
	for url, want := range map[string]int{get.URL: 200, strings.Replace(get.URL, "/signed", "/other", 1): 403, get.URL + "0": 403} {
		resp := must(s.http.Client().Get(url))(t)
		if resp.Body.Close() != nil || resp.StatusCode != want {
			t.Errorf("%s: %s", url, resp.Status)
		}
	}
}

func TestUsersHaveTheirRights(t *testing.T) {
	s := open(t, false, s3server.Options{})
	ctx, root := t.Context(), s.root()
	for _, key := range []string{"docs/a", "secret"} {
		must(root.PutObject(ctx, &s3.PutObjectInput{Bucket: aws.String(bucket), Key: &key, Body: strings.NewReader(key)}))(t)
	}
	reader := s.client("AKIDREADER", "reader-secret")
	if got := read(t, ctx, reader, "docs/a"); got != "docs/a" {
		t.Errorf("%q", got)
	}
	out, err := reader.GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String(bucket), Key: aws.String("secret")})
	refused(t, out, err, "AccessDenied")
	put, err := reader.PutObject(ctx, &s3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String("docs/b"), Body: strings.NewReader("x")})
	refused(t, put, err, "AccessDenied")
	list, err := reader.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: aws.String(bucket)})
	refused(t, list, err, "AccessDenied")
	must(reader.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: aws.String(bucket), Prefix: aws.String("docs/")}))(t)
	buckets := must(reader.ListBuckets(ctx, &s3.ListBucketsInput{}))(t)
	if len(buckets.Buckets) != 1 {
		t.Errorf("%d buckets", len(buckets.Buckets))
	}
	list, err = s.client("AKIDREADER", "wrong").ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: aws.String(bucket)})
	refused(t, list, err, "SignatureDoesNotMatch")
	list, err = s.client("AKIDNOBODY", "x").ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: aws.String(bucket)})
	refused(t, list, err, "InvalidAccessKeyId")
}
