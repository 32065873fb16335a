package s3store

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/etagfs/etagfs/objstore"
)

// The headers of a server of this program: it conditions on versions, which never come back, where S3 has only ETags.
const (
	headerVersion         = "x-etagfs-version"
	headerWriteID         = "x-etagfs-write-id"
	headerIfVersion       = "x-etagfs-if-version-match"
	headerCopyIfVersion   = "x-etagfs-copy-source-if-version-match"
	headerRenameIfVersion = "x-etagfs-rename-source-if-version-match"
)

// match is the If-Match of a condition; none if our server is told in its own words.
func (s *Store) match(c objstore.Cond) *string {
	v, versioned := c.Version()
	switch {
	case s.ours:
		return nil
	case versioned:
		return aws.String(`"` + string(v) + `"`)
	case c == objstore.IfPresent():
		return aws.String("*")
	}
	return nil
}

// noneMatch is the If-None-Match of a condition.
func noneMatch(c objstore.Cond) *string {
	if c.IsIfAbsent() {
		return aws.String("*")
	}
	return nil
}

// own is a condition in the words of our server.
func (s *Store) own(header string, c objstore.Cond) func(*s3.Options) {
	value, versioned := c.Version()
	if c == objstore.IfPresent() {
		value, versioned = "*", true
	}
	return func(o *s3.Options) {
		if s.ours && versioned {
			o.APIOptions = append(o.APIOptions, smithyhttp.SetHeaderValue(header, string(value)))
		}
	}
}

// named gives a request a write id.
func named(id string) func(*s3.Options) {
	return func(o *s3.Options) {
		if id != "" {
			o.APIOptions = append(o.APIOptions, smithyhttp.SetHeaderValue(headerWriteID, id))
		}
	}
}
