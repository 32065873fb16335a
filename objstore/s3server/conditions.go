package s3server

import (
	"net/http"
	"strings"
	"time"

	"github.com/etagfs/etagfs/objstore"
)

// The names of the condition headers, spelled as S3 spells them in the Condition
// element of an error.
const (
	hdrIfMatch           = "If-Match"
	hdrIfNoneMatch       = "If-None-Match"
	hdrIfModifiedSince   = "If-Modified-Since"
	hdrIfUnmodifiedSince = "If-Unmodified-Since"

	copySourceIf   = "x-amz-copy-source-"
	renameSourceIf = "x-amz-rename-source-"
)

// state is the object a condition is evaluated on.
type state struct {
	exists   bool
	version  objstore.Version
	etag     objstore.ETag // as clients see it: an MD5 in a bucket that has them
	size     int64
	modified time.Time
}

// second is the time of the last change as dates in headers have it.
func (s state) second() time.Time { return s.modified.UTC().Truncate(time.Second) }

// tests are the four conditions of RFC 9110 as a request brings them, and this server's own.
type tests struct {
	prefix          string // of the header names: empty, or that of a source
	match           tagList
	noneMatch       tagList
	modifiedSince   date
	unmodifiedSince date
	version         objstore.Version // empty: none; anyVersion: any
}

// This server's own condition: on the version, which is never used twice, instead of the ETag.
const (
	hdrIfVersionMatch       = "x-etagfs-if-version-match"
	hdrCopyIfVersionMatch   = "x-etagfs-copy-source-if-version-match"
	hdrRenameIfVersionMatch = "x-etagfs-rename-source-if-version-match"
)

// anyVersion asks for an object of whatever version.
const anyVersion objstore.Version = "*"

// versionHeader is the name of the condition on the version among those whose names begin with prefix.
func versionHeader(prefix string) string {
	switch prefix {
	case copySourceIf:
		return hdrCopyIfVersionMatch
	case renameSourceIf:
		return hdrRenameIfVersionMatch
	default:
		return hdrIfVersionMatch
	}
}

type date struct {
	time.Time
	present bool
}

func dateOf(h http.Header, name string) date {
	t, ok := parseDate(h.Get(name))
	return date{t, ok}
}

// testsOf reads the conditions whose names begin with prefix.
func testsOf(h http.Header, prefix string) tests {
	return tests{
		prefix:          prefix,
		match:           tagsOf(h, prefix+hdrIfMatch),
		noneMatch:       tagsOf(h, prefix+hdrIfNoneMatch),
		modifiedSince:   dateOf(h, prefix+hdrIfModifiedSince),
		unmodifiedSince: dateOf(h, prefix+hdrIfUnmodifiedSince),
		version:         objstore.Version(h.Get(versionHeader(prefix))),
	}
}

// isPresent reports whether the request has any condition.
func (t tests) isPresent() bool { return !t.none() || t.version != "" }

// none reports whether the request has no condition of RFC 9110.
func (t tests) none() bool {
	return !t.match.present() && !t.noneMatch.present() && !t.modifiedSince.present && !t.unmodifiedSince.present
}

// failing is the header whose condition does not hold for an object that exists, or "".
// An If-Match that holds makes If-Unmodified-Since moot, an If-None-Match that holds makes
// If-Modified-Since moot. A weak tag equals only in a read's If-None-Match. Dates have a resolution of one second, and to ask for changes
// since a moment that has not come is to ask nothing.
func (t tests) failing(s state, now time.Time) string {
	modified := s.second()
	if t.version != "" && t.version != anyVersion && t.version != s.version {
		return versionHeader(t.prefix)
	}
	switch {
	case t.match.present():
		if !t.match.strong(s.etag) {
			return t.prefix + hdrIfMatch
		}
	case t.unmodifiedSince.present && modified.After(t.unmodifiedSince.Time):
		return t.prefix + hdrIfUnmodifiedSince
	}
	switch {
	case t.noneMatch.present():
		if t.noneMatch.strong(s.etag) || t.prefix == "" && t.noneMatch.either(s.etag) {
			return t.prefix + hdrIfNoneMatch
		}
	case t.modifiedSince.present && !t.modifiedSince.After(now) && !modified.After(t.modifiedSince.Time):
		return t.prefix + hdrIfModifiedSince
	}
	return ""
}

// notModified reports whether a read that fails by this header is answered 304.
func notModified(header string) bool {
	return strings.HasSuffix(header, hdrIfNoneMatch) || strings.HasSuffix(header, hdrIfModifiedSince)
}

// readTests are the conditions of GetObject and HeadObject.
func readTests(h http.Header) tests { return testsOf(h, "") }

// sourceTests are those of a copy's source. All their failures are 412.
func sourceTests(h http.Header) tests { return testsOf(h, copySourceIf) }
