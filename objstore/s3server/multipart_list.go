package s3server

import (
	"net/http"
	"net/url"
	"strconv"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/s3server/internal/s3code"
	"github.com/etagfs/etagfs/objstore/s3server/internal/s3xml"
)

func (c *call) listParts() error {
	uploads, err := c.uploads()
	if err != nil {
		return err
	}
	count, err := countAsked(c.query.Get("max-parts"), "max-parts")
	if err != nil {
		return err
	}
	after, err := markerAsked(c.query.Get("part-number-marker"))
	if err != nil {
		return err
	}
	_, encode, err := c.encodingAsked()
	if err != nil {
		return err
	}
	page, err := uploads.ListParts(c.ctx(), c.key, c.uploadID(), after, max(count, 1))
	if err != nil {
		return err
	}
	if count == 0 {
		page.Parts, page.More = nil, false
	}
	result := &s3xml.ListPartsResult{
		Bucket: c.bucket, Key: encode(string(c.key)), UploadID: string(page.Upload.ID), PartNumberMarker: after, MaxParts: count, IsTruncated: page.More,
		StorageClass: "STANDARD", Initiator: s3xml.Owner{ID: owner, DisplayName: owner}, Owner: s3xml.Owner{ID: owner, DisplayName: owner},
		ChecksumAlgorithm: page.Upload.Options.ChecksumAlgorithm, ChecksumType: page.Upload.Options.ChecksumType,
	}
	for _, p := range page.Parts {
		result.NextPartNumberMarker = p.Number
		result.Parts = append(result.Parts, s3xml.Part{PartNumber: p.Number, LastModified: p.Modified, ETag: quoted(p.ETag), Size: p.Size, Checksum: shownChecksum(p.Checksum)})
	}
	return c.answer(http.StatusOK, result)
}

func markerAsked(text string) (int, error) {
	if text == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0, s3code.InvalidArgument.With("Provided part-number-marker not an integer or within integer range")
	}
	return n, nil
}

func (c *call) listUploads() error {
	uploads, err := c.uploads()
	if err != nil {
		return err
	}
	count, err := countAsked(c.query.Get("max-uploads"), "max-uploads")
	if err != nil {
		return err
	}
	encoding, encode, err := c.encodingAsked()
	if err != nil {
		return err
	}
	q := c.query
	result := &s3xml.ListMultipartUploadsResult{
		Bucket: c.bucket, KeyMarker: encode(q.Get("key-marker")), UploadIDMarker: q.Get("upload-id-marker"), Prefix: encode(q.Get("prefix")),
		Delimiter: encode(q.Get("delimiter")), EncodingType: encoding, MaxUploads: count,
	}
	if count == 0 {
		return c.answer(http.StatusOK, result)
	}
	page, err := uploads.ListUploads(c.ctx(), objstore.UploadListOptions{
		Prefix: objstore.Key(q.Get("prefix")), Delimiter: q.Get("delimiter"), Max: count,
		AfterKey: objstore.Key(q.Get("key-marker")), AfterID: objstore.UploadID(q.Get("upload-id-marker")),
	})
	if err != nil {
		return err
	}
	fillUploads(result, page, encode)
	return c.answer(http.StatusOK, result)
}

func fillUploads(result *s3xml.ListMultipartUploadsResult, page objstore.UploadPage, encode func(string) string) {
	result.IsTruncated = page.More
	who := s3xml.Owner{ID: owner, DisplayName: owner}
	for _, e := range page.Entries {
		key := encode(string(e.Upload.Key))
		if page.More {
			result.NextKeyMarker, result.NextUploadIDMarker = key, string(e.Upload.ID)
		}
		if e.Prefix {
			result.CommonPrefixes = append(result.CommonPrefixes, s3xml.CommonPrefix{Prefix: key})
			continue
		}
		result.Uploads = append(result.Uploads, s3xml.Upload{Key: key, UploadID: string(e.Upload.ID), Initiated: e.Upload.Initiated, Initiator: who, Owner: who, StorageClass: "STANDARD",
			ChecksumAlgorithm: e.Upload.Options.ChecksumAlgorithm, ChecksumType: e.Upload.Options.ChecksumType})
	}
}

// shownChecksum is a stored checksum as documents show it.
func shownChecksum(sum objstore.Checksum) (shown s3xml.Checksum) {
	if v, ok := checksumOf(sum); ok {
		shown.Algorithm, shown.Text, shown.Type = v.Algorithm, sum.Value, v.Type.String()
	}
	return shown
}

// locationOf is the address of an object in answers.
func (c *call) locationOf(bucket string, key objstore.Key) string {
	scheme := "http://"
	if c.r.TLS != nil {
		scheme = "https://"
	}
	path := "/" + bucket + "/" + string(key)
	if _, inHost := bucketInHost(c.r.Host, c.opt.Domain); inHost {
		path = "/" + string(key)
	}
	return scheme + c.r.Host + (&url.URL{Path: path}).EscapedPath()
}
