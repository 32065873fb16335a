package s3server

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/s3server/internal/checksum"
	"github.com/etagfs/etagfs/objstore/s3server/internal/s3code"
	"github.com/etagfs/etagfs/objstore/s3server/internal/s3xml"
)

// source is what a copy reads.
type source struct {
	bucket string
	key    objstore.Key
	store  objstore.Store
	tests  tests
}

// copySource reads x-amz-copy-source: "bucket/key", encoded as in an address, with or without a slash before it.
func (c *call) copySource() (source, error) {
	path, query, _ := strings.Cut(c.r.Header.Get(hdrCopySource), "?")
	path, err := url.PathUnescape(path)
	bucket, key, ok := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	if err != nil || !ok || bucket == "" || key == "" {
		return source{}, s3code.InvalidArgument.With("Copy Source must mention the source bucket and key: sourcebucket/sourcekey",
			s3code.Detail{Name: "ArgumentName", Value: hdrCopySource})
	}
	if version, ok := strings.CutPrefix(query, "versionId="); ok && version != versionNull {
		return source{}, s3code.NoSuchVersion.With("")
	}
	if err := c.checkOwner("x-amz-source-expected-bucket-owner"); err != nil {
		return source{}, err
	}
	src := source{bucket: bucket, key: objstore.Key(key), store: c.store, tests: sourceTests(c.r.Header)}
	if bucket != c.bucket {
		if src.store, err = c.openStore(bucket); err != nil {
			return source{}, err
		}
	}
	return src, c.permit("s3:GetObject", accessRead, bucket, src.key, key, noKeys)
}

// otherBucket is the name of the source's bucket if it is another one.
func (s source) otherBucket(c *call) string {
	if s.bucket == c.bucket {
		return ""
	}
	return s.bucket
}

// pin evaluates the conditions on the source and returns one that says: it is still this version.
func (c *call) pin(src source) (objstore.Info, objstore.Cond, error) {
	info, err := src.store.Head(c.ctx(), src.key)
	if objstore.KindOf(err) == objstore.ErrNotFound {
		return info, objstore.Cond{}, c.missingKey(src.bucket, src.key, noSuchKey(src.key))
	}
	if err != nil {
		return info, objstore.Cond{}, err
	}
	if header := src.tests.failing(stateOf(info), c.now()); header != "" {
		return info, objstore.Cond{}, failedCondition(header)
	}
	return info, objstore.IfVersion(info.Version), nil
}

func (c *call) copyObject() error {
	if err := checkNewKey(c.key); err != nil {
		return err
	}
	src, err := c.copySource()
	if err != nil {
		return err
	}
	test, err := putTest(c.r.Header, c.opt.Conditions)
	if err != nil {
		return err
	}
	req, err := c.copyRequest(src)
	if err != nil {
		return err
	}
	algorithm, _, err := announcedChecksum(c.r.Header)
	if err != nil {
		return err
	}
	info, err := c.copyDecided(src, test, req, algorithm)
	if err != nil {
		return err
	}
	showVersion(c.w.Header(), info)
	result := &s3xml.CopyObjectResult{ETag: quoted(info.ETag), LastModified: info.Modified}
	result.Checksum = shownChecksum(info.Checksum)
	return c.answer(http.StatusOK, result)
}

// copyRequest reads what the copy takes from the source and what from the request.
func (c *call) copyRequest(src source) (objstore.CopyRequest, error) {
	replaceAttrs, err := directive(c.r.Header, "x-amz-metadata-directive")
	if err != nil {
		return objstore.CopyRequest{}, err
	}
	replaceTags, err := directive(c.r.Header, "x-amz-tagging-directive")
	if err != nil {
		return objstore.CopyRequest{}, err
	}
	d, err := describe(c.r.Header)
	if err != nil {
		return objstore.CopyRequest{}, err
	}
	if src.bucket == c.bucket && src.key == c.key && !replaceAttrs && d.headers.WebsiteRedirect == "" {
		return objstore.CopyRequest{}, s3code.InvalidRequest.With("This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.")
	}
	return objstore.CopyRequest{
		Src: src.key, SrcBucket: src.otherBucket(c), Dst: c.key, ReplaceAttrs: replaceAttrs, ReplaceTags: replaceTags,
		Put: objstore.PutOptions{ContentType: d.contentType, UserMeta: d.meta, Headers: d.headers, Tags: d.tags, WriteID: c.r.Header.Get(hdrWriteID)},
	}, nil
}

// directive reads COPY or REPLACE.
func directive(h http.Header, name string) (replace bool, err error) {
	switch value := h.Get(name); value {
	case "", "COPY":
		return false, nil
	case "REPLACE":
		return true, nil
	default:
		kind := strings.TrimSuffix(strings.TrimPrefix(name, "x-amz-"), "-directive")
		return false, s3code.InvalidArgument.With("Unknown "+kind+" directive.", s3code.Detail{Name: "ArgumentName", Value: name}, s3code.Detail{Name: "ArgumentValue", Value: value})
	}
}

// copyDecided copies under both conditions, the source's first, and decides again when one of the
// objects changed in between.
func (c *call) copyDecided(src source, test writeTest, req objstore.CopyRequest, algorithm string) (objstore.Info, error) {
	for range attemptsMax {
		var err error
		if algorithm == "" {
			req.Digests.Checksum, req.SrcCond, err = c.pinCopy(src, req.Put.WriteID)
		} else {
			req.Digests.Checksum, req.SrcCond, err = c.checksumSource(src, span{0, -1}, algorithm)
		}
		if err != nil {
			return objstore.Info{}, err
		}
		if req.DstCond, err = c.decidePut(test, c.key, req.Put.WriteID); err != nil {
			return objstore.Info{}, err
		}
		info, err := src.copy(c, req)
		if !objstore.IsLostCondition(err) {
			return info, err
		}
		if err := c.stillLost(src, test); err != nil {
			return objstore.Info{}, err
		}
	}
	return objstore.Info{}, test.inFlight(c.key)
}

// checksumSource computes the checksum of a range of the source that a copy shall have, which alone needs its
// bytes, and returns the condition that the source is still what was read.
func (c *call) checksumSource(src source, s span, algorithm string) (sum objstore.Checksum, cond objstore.Cond, err error) {
	a, _ := checksum.Parse(algorithm) // was checked when it was asked for
	reader, err := src.store.Get(c.ctx(), src.key, objstore.Unconditional())
	if objstore.KindOf(err) == objstore.ErrNotFound {
		return sum, cond, c.missingKey(src.bucket, src.key, noSuchKey(src.key))
	}
	if err != nil {
		return sum, cond, err
	}
	defer func() { err = errors.Join(err, reader.Close()) }()
	info := reader.Info()
	if header := src.tests.failing(stateOf(info), c.now()); header != "" {
		return sum, cond, failedCondition(header)
	}
	cond = objstore.IfVersion(info.Version)
	if known, ok := checksumOf(info.Checksum); ok && known.Algorithm == a && known.Type == checksum.FullObject && s.length < 0 {
		return info.Checksum, cond, nil
	}
	hashes := checksum.NewHashes(a)
	stream := reader.Stream(c.ctx(), s.offset, s.length)
	err = errors.Join(c.buffers.copy(hashes, stream), stream.Close())
	return objstore.Checksum{Algorithm: a.String(), Value: hashes.Sum(a).String()}, cond, err
}

// pinCopy is the condition on the source, and the checksum the copy shall have if it is not simply the
// source's: a copy is one piece, so a checksum made of its parts' is none of it, and S3 gives
// it one of the same algorithm. A repeated copy goes to the store as it was given, see pinRename.
func (c *call) pinCopy(src source, writeID string) (sum objstore.Checksum, cond objstore.Cond, err error) {
	if writeID != "" {
		cond, err = c.pinRename(src, writeID)
		return sum, cond, err
	}
	info, cond, err := c.pin(src)
	if v, ok := checksumOf(info.Checksum); err != nil || !ok || v.Type != checksum.Composite {
		return sum, cond, err
	}
	if sum, ok, err := src.combined(c, cond); err != nil || ok {
		return sum, cond, err
	}
	return c.checksumSource(src, span{0, -1}, info.Checksum.Algorithm)
}

// combined is the checksum of the whole source computed from those of its parts; ok is false if that
// cannot be done, and its bytes have to be read.
func (s source) combined(c *call, cond objstore.Cond) (sum objstore.Checksum, ok bool, err error) {
	uploads, ok := s.store.(objstore.Uploads)
	if !ok || !s.store.Capabilities().Multipart {
		return sum, false, nil
	}
	_, parts, err := uploads.Parts(c.ctx(), s.key, cond)
	if objstore.IsLostCondition(err) || objstore.KindOf(err) == objstore.ErrNotFound {
		return sum, false, nil // whoever reads it decides again
	}
	if err != nil || len(parts) == 0 {
		return sum, false, err
	}
	first, _ := checksumOf(parts[0].Checksum)
	if first.Algorithm == 0 || !first.Algorithm.Allows(checksum.FullObject) {
		return sum, false, nil
	}
	v, ok, err := assembledChecksum(objstore.UploadOptions{ChecksumType: checksum.FullObject.String()}, parts)
	return objstore.Checksum{Algorithm: v.Algorithm.String(), Value: v.String()}, ok, err
}

func (s source) copy(c *call, req objstore.CopyRequest) (objstore.Info, error) {
	if req.SrcBucket != "" && !c.store.Capabilities().CrossBucket {
		return objstore.Info{}, s3code.NotImplemented.With("")
	}
	return c.store.Copy(c.ctx(), req)
}
