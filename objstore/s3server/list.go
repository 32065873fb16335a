package s3server

import (
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/s3server/internal/s3code"
	"github.com/etagfs/etagfs/objstore/s3server/internal/s3xml"
)

// keysPerPage is S3's: more are not given, however many are asked for.
const keysPerPage = 1000

// owner is what all objects and buckets belong to.
const owner = "etagfs"

// listing is what both versions of ListObjects have in common.
type listing struct {
	prefix, delimiter string
	max               int
	encode            func(string) string
	encoding          string // "url" or empty
}

func (c *call) listing() (listing, error) {
	l := listing{prefix: c.query.Get("prefix"), delimiter: c.query.Get("delimiter")}
	var err error
	if l.max, err = countAsked(c.query.Get("max-keys"), "max-keys"); err != nil {
		return l, err
	}
	l.encoding, l.encode, err = c.encodingAsked()
	return l, err
}

// countAsked reads how many entries a page may have.
func countAsked(text, name string) (int, error) {
	if text == "" {
		return keysPerPage, nil
	}
	n, err := strconv.ParseInt(text, 10, 32)
	if err == nil && n < 0 {
		return 0, s3code.InvalidArgument.With("Argument "+name+" must be an integer between 0 and 2147483647",
			s3code.Detail{Name: "ArgumentName", Value: name}, s3code.Detail{Name: "ArgumentValue", Value: text})
	}
	if err != nil {
		return 0, s3code.InvalidArgument.With("Provided "+name+" not an integer or within integer range",
			s3code.Detail{Name: "ArgumentName", Value: name}, s3code.Detail{Name: "ArgumentValue", Value: text})
	}
	return int(min(n, keysPerPage)), nil
}

// encodingAsked is how keys are to be written: XML has no way to say some of them.
func (c *call) encodingAsked() (name string, encode func(string) string, err error) {
	switch asked := c.query.Get("encoding-type"); strings.ToLower(asked) {
	case "":
		return "", func(s string) string { return s }, nil
	case "url":
		return "url", s3xml.URLEncode, nil
	default:
		return "", nil, s3code.InvalidArgument.With("Invalid Encoding Method specified in Request",
			s3code.Detail{Name: "ArgumentName", Value: "encoding-type"}, s3code.Detail{Name: "ArgumentValue", Value: asked})
	}
}

// page lists what comes after a key. A page of no entries is never truncated.
func (c *call) page(l listing, after string) (objstore.ListPage, error) {
	if l.max == 0 {
		return objstore.ListPage{}, nil
	}
	return c.store.List(c.ctx(), objstore.ListOptions{
		Prefix: objstore.Key(l.prefix), Delimiter: l.delimiter, StartAfter: objstore.Key(after), Max: l.max,
	})
}

// entries are the objects and the common prefixes of a page, and its last key.
func (l listing) entries(page objstore.ListPage, withOwner bool) (objects []s3xml.Object, prefixes []s3xml.CommonPrefix, last string) {
	for _, e := range page.Entries {
		last = string(e.Key)
		if e.Prefix {
			prefixes = append(prefixes, s3xml.CommonPrefix{Prefix: l.encode(last)})
			continue
		}
		objects = append(objects, l.object(e, withOwner))
	}
	return objects, prefixes, last
}

func (l listing) object(e objstore.ListEntry, withOwner bool) s3xml.Object {
	o := s3xml.Object{Key: l.encode(string(e.Key)), LastModified: e.Info.Modified, ETag: quoted(e.Info.ETag), Size: e.Info.Size, StorageClass: "STANDARD"}
	if v, ok := checksumOf(e.Info.Checksum); ok {
		o.ChecksumAlgorithm, o.ChecksumType = v.Algorithm.String(), v.Type.String()
	}
	if withOwner {
		o.Owner = &s3xml.Owner{ID: owner, DisplayName: owner}
	}
	return o
}

func (c *call) listObjects() error {
	l, err := c.listing()
	if err != nil {
		return err
	}
	marker := c.query.Get("marker")
	page, err := c.page(l, marker)
	if err != nil {
		return err
	}
	result := &s3xml.ListBucketResult{
		Name: c.bucket, Prefix: l.encode(l.prefix), Marker: l.encode(marker), MaxKeys: l.max, Delimiter: l.encode(l.delimiter),
		EncodingType: l.encoding, IsTruncated: page.More,
	}
	var last string
	result.Contents, result.CommonPrefixes, last = l.entries(page, true)
	if page.More {
		result.NextMarker = l.encode(last)
	}
	return c.answer(http.StatusOK, result)
}

func (c *call) listObjectsV2() error {
	if version := c.query.Get("list-type"); version != "2" {
		return s3code.InvalidArgument.With("Invalid List Type specified in Request",
			s3code.Detail{Name: "ArgumentName", Value: "list-type"}, s3code.Detail{Name: "ArgumentValue", Value: version})
	}
	l, err := c.listing()
	if err != nil {
		return err
	}
	after, token := c.query.Get("start-after"), c.query.Get("continuation-token")
	result := &s3xml.ListBucketResultV2{
		Name: c.bucket, Prefix: l.encode(l.prefix), MaxKeys: l.max, Delimiter: l.encode(l.delimiter), EncodingType: l.encoding,
		StartAfter: l.encode(after), ContinuationToken: token,
	}
	if c.query.Has("continuation-token") {
		if after, err = parseToken(token); err != nil {
			return err
		}
	}
	page, err := c.page(l, after)
	if err != nil {
		return err
	}
	var last string
	result.Contents, result.CommonPrefixes, last = l.entries(page, strings.EqualFold(c.query.Get("fetch-owner"), "true"))
	if c.r.Header.Get(hdrDescribe) != "" {
		c.describe(page, result.Contents, result.CommonPrefixes)
	}
	result.KeyCount = len(page.Entries)
	if result.IsTruncated = page.More; page.More {
		result.NextContinuationToken = makeToken(last)
	}
	return c.answer(http.StatusOK, result)
}

// tokenMark tells a continuation token from a key that someone took for one.
const tokenMark = "1:"

func makeToken(last string) string {
	return base64.URLEncoding.EncodeToString([]byte(tokenMark + last))
}

func parseToken(token string) (string, error) {
	text, err := base64.URLEncoding.DecodeString(token)
	last, ok := strings.CutPrefix(string(text), tokenMark)
	if err != nil || !ok {
		return "", s3code.InvalidArgument.With("The continuation token provided is incorrect", s3code.Detail{Name: "ArgumentName", Value: "continuation-token"})
	}
	return last, nil
}
