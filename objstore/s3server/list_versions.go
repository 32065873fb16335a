package s3server

import (
	"net/http"

	"github.com/etagfs/etagfs/objstore/s3server/internal/s3code"
	"github.com/etagfs/etagfs/objstore/s3server/internal/s3xml"
)

// versionNull is the one version objects have in a bucket that never kept any.
const versionNull = "null"

// listVersions lists objects as S3 does for a bucket that never kept versions: tools that empty a bucket ask for versions first.
func (c *call) listVersions() error {
	l, err := c.listing()
	if err != nil {
		return err
	}
	after, version := c.query.Get("key-marker"), c.query.Get("version-id-marker")
	if err := checkVersionMarker(after, version); err != nil {
		return err
	}
	page, err := c.page(l, after) // after the one version of that key
	if err != nil {
		return err
	}
	result := &s3xml.ListVersionsResult{
		Name: c.bucket, Prefix: l.encode(l.prefix), KeyMarker: l.encode(after), VersionIDMarker: version, MaxKeys: l.max,
		Delimiter: l.encode(l.delimiter), EncodingType: l.encoding, IsTruncated: page.More, VersionID: versionNull,
	}
	var last string
	result.Versions, result.CommonPrefixes, last = l.entries(page, true)
	if n := len(page.Entries); page.More {
		result.NextKeyMarker = l.encode(last)
		if !page.Entries[n-1].Prefix {
			result.NextVersionIDMarker = versionNull
		}
	}
	return c.answer(http.StatusOK, result)
}

// checkVersionMarker refuses a place within the versions of a key that is none.
func checkVersionMarker(key, version string) error {
	switch {
	case version == "":
		return nil
	case key == "":
		return s3code.InvalidArgument.With("A version-id marker cannot be specified without a key marker.",
			s3code.Detail{Name: "ArgumentName", Value: "version-id-marker"}, s3code.Detail{Name: "ArgumentValue", Value: version})
	case version != versionNull:
		return s3code.InvalidArgument.With("Invalid version id specified",
			s3code.Detail{Name: "ArgumentName", Value: "version-id-marker"}, s3code.Detail{Name: "ArgumentValue", Value: version})
	default:
		return nil
	}
}
