package s3server

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/s3server/internal/awschunked"
	"github.com/etagfs/etagfs/objstore/s3server/internal/s3code"
)

// Headers that only this package's operations know.
const (
	hdrCopySource    = "x-amz-copy-source"
	hdrWriteOffset   = "x-amz-write-offset-bytes"
	hdrTagging       = "x-amz-tagging"
	hdrRedirect      = "x-amz-website-redirect-location"
	hdrChecksumMode  = "x-amz-checksum-mode"
	hdrChecksumType  = "x-amz-checksum-type"
	hdrChecksumAlgo  = "x-amz-checksum-algorithm"
	hdrRenameSource  = "x-amz-rename-source"
	hdrClientToken   = "x-amz-client-token"
	hdrWriteID       = "x-etagfs-write-id"
	hdrVersion       = "x-etagfs-version"
	hdrDescribe      = "x-etagfs-describe"
	metaPrefix       = "x-amz-meta-"
	contentTypeNone  = "binary/octet-stream" // what S3 says of an object nobody described
	tagsMax          = 10
	tagKeyCharsMax   = 128
	tagValueCharsMax = 256
)

// stateOf is what conditions are evaluated on.
func stateOf(info objstore.Info) state {
	return state{exists: true, version: info.Version, etag: info.ETag, size: info.Size, modified: info.Modified}
}

// head is the current state of a key of the bucket.
func (c *call) head(key objstore.Key) (state, error) {
	info, err := c.store.Head(c.ctx(), key)
	switch {
	case objstore.KindOf(err) == objstore.ErrNotFound:
		return state{}, nil
	case err != nil:
		return state{}, err
	default:
		return stateOf(info), nil
	}
}

// checkNewKey refuses keys no object may be made with.
func checkNewKey(key objstore.Key) error {
	if len(key) > objstore.KeyBytesMax {
		return s3code.KeyTooLongError.With("")
	}
	return nil
}

// description is what the headers of a request say of an object to be made.
type description struct {
	contentType string
	meta        map[string]string
	headers     objstore.Headers
	tags        map[string]string
}

// describe reads it, and refuses what would make another object than this server can.
func describe(h http.Header) (description, error) {
	if err := refuseFeatures(h); err != nil {
		return description{}, err
	}
	meta, err := metaOf(h)
	if err != nil {
		return description{}, err
	}
	tags, err := parseTagging(h.Get(hdrTagging))
	if err != nil {
		return description{}, err
	}
	if err := checkRedirect(h.Get(hdrRedirect)); err != nil {
		return description{}, err
	}
	return description{
		contentType: h.Get("Content-Type"),
		meta:        meta,
		tags:        tags,
		headers: objstore.Headers{
			CacheControl:       joined(h, "Cache-Control"),
			ContentDisposition: h.Get("Content-Disposition"),
			ContentEncoding:    awschunked.StripEncoding(joined(h, "Content-Encoding")),
			ContentLanguage:    joined(h, "Content-Language"),
			Expires:            h.Get("Expires"),
			WebsiteRedirect:    h.Get(hdrRedirect),
		},
	}, nil
}

// sendable reports whether all of it can be sent as headers. What came as headers can; a field of a form, or a parameter, may be anything.
func (d description) sendable() bool {
	for name, value := range d.meta {
		if strings.ContainsFunc(name, notInName) || !isHeaderValue(value) {
			return false
		}
	}
	h := d.headers
	for _, value := range []string{
		d.contentType, h.CacheControl, h.ContentDisposition, h.ContentEncoding, h.ContentLanguage, h.Expires, h.WebsiteRedirect,
	} {
		if !isHeaderValue(value) {
			return false
		}
	}
	return true
}

func notInName(r rune) bool {
	return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("!#$%&'*+-.^_`|~", r))
}

// isHeaderValue reports whether HTTP can send a value.
func isHeaderValue(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}

// checkRedirect checks where a website would send who asks for the object.
func checkRedirect(to string) error {
	for _, prefix := range []string{"/", "http://", "https://"} {
		if to == "" || strings.HasPrefix(to, prefix) {
			return nil
		}
	}
	return s3code.InvalidRedirectLocation.With("")
}

// refuseFeatures answers for what S3 does and this server does not. To accept such a header and
// ignore it would be to promise what is not kept.
func refuseFeatures(h http.Header) error {
	for name := range h {
		for _, prefix := range []string{"x-amz-server-side-encryption", "x-amz-object-lock-", "x-amz-grant-", "x-amz-copy-source-server-side-encryption"} {
			if _, ok := cutFold(name, prefix); ok {
				return s3code.NotImplemented.With("", s3code.Detail{Name: "Header", Value: strings.ToLower(name)})
			}
		}
	}
	switch acl := h.Get("x-amz-acl"); acl {
	case "", "private", "bucket-owner-full-control", "bucket-owner-read":
	default:
		return s3code.AccessControlListNotSupported.With("")
	}
	switch class := h.Get("x-amz-storage-class"); class {
	case "", "STANDARD":
		return nil
	default:
		return s3code.InvalidStorageClass.With("")
	}
}

// metaOf is the user metadata among the headers.
func metaOf(h http.Header) (map[string]string, error) {
	var meta map[string]string
	size := 0
	for name, values := range h {
		key, ok := cutFold(name, metaPrefix)
		if !ok {
			continue
		}
		key = strings.ToLower(key)
		if meta == nil {
			meta = make(map[string]string)
		}
		meta[key] = strings.Join(values, ",")
		size += len(key) + len(meta[key])
	}
	if size > metaBytesMax {
		return nil, s3code.MetadataTooLarge.With("")
	}
	return meta, nil
}

// parseTagging reads tags written like the query of an address.
func parseTagging(text string) (map[string]string, error) {
	var tags map[string]string
	for pair := range strings.SplitSeq(text, "&") {
		if pair == "" {
			continue
		}
		name, rest, _ := strings.Cut(pair, "=")
		key, err := url.QueryUnescape(name)
		value, errValue := url.QueryUnescape(rest)
		if _, twice := tags[key]; err != nil || errValue != nil || twice || key == "" || strings.Contains(rest, "=") {
			return nil, s3code.InvalidArgument.With("The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates.",
				s3code.Detail{Name: "ArgumentName", Value: hdrTagging}, s3code.Detail{Name: "ArgumentValue", Value: text})
		}
		if tags == nil {
			tags = make(map[string]string)
		}
		tags[key] = value
	}
	return tags, checkTags(tags)
}

// isNoTagRune reports whether S3 has no such character in tags.
func isNoTagRune(r rune) bool {
	return !unicode.In(r, unicode.L, unicode.N, unicode.Z) && !strings.ContainsRune("_.:/=+-@", r)
}

func checkTags(tags map[string]string) error {
	if len(tags) > tagsMax {
		return s3code.BadRequest.With("Object tags cannot be greater than 10")
	}
	for key, value := range tags {
		switch {
		case key == "" || len([]rune(key)) > tagKeyCharsMax || strings.ContainsFunc(key, isNoTagRune):
			return s3code.InvalidTag.With("The TagKey you have provided is invalid")
		case len([]rune(value)) > tagValueCharsMax || strings.ContainsFunc(value, isNoTagRune):
			return s3code.InvalidTag.With("The TagValue you have provided is invalid")
		case strings.HasPrefix(strings.ToLower(key), "aws:"):
			return s3code.InvalidTag.With("System tags cannot be added/updated by requester")
		}
	}
	return nil
}

// showObject sets the headers that describe an object.
func (c *call) showObject(info objstore.Info) { showObject(c.w.Header(), info) }

// showObject sets the headers that describe an object.
func showObject(h http.Header, info objstore.Info) {
	showVersion(h, info)
	h.Set("Last-Modified", httpDate(info.Modified))
	h.Set("Accept-Ranges", "bytes")
	h.Set("Content-Type", contentTypeNone)
	setIf(h, "Content-Type", info.ContentType)
	setIf(h, "Cache-Control", info.Headers.CacheControl)
	setIf(h, "Content-Disposition", info.Headers.ContentDisposition)
	setIf(h, "Content-Encoding", info.Headers.ContentEncoding)
	setIf(h, "Content-Language", info.Headers.ContentLanguage)
	setIf(h, "Expires", info.Headers.Expires)
	setIf(h, hdrRedirect, info.Headers.WebsiteRedirect)
	showMeta(h, info.UserMeta)
	if len(info.Tags) > 0 {
		h.Set("x-amz-tagging-count", strconv.Itoa(len(info.Tags)))
	}
}

// showMeta sets the headers of user metadata. The target of a symlink may be what no header can be: as in S3 it is told how many are left out,
// for a client that is sent one anyhow may take none of the answer.
func showMeta(h http.Header, meta map[string]string) {
	missing := 0
	for key, value := range meta {
		if strings.ContainsFunc(key, notInName) || !isHeaderValue(value) {
			missing++
			continue
		}
		h[metaPrefix+key] = []string{value}
	}
	if missing > 0 {
		h.Set("x-amz-missing-meta", strconv.Itoa(missing))
	}
}

// showVersion sets the headers that name a version. Some clients look for ETag in exactly this spelling.
func showVersion(h http.Header, info objstore.Info) {
	h["ETag"] = []string{quoted(info.ETag)}
	h.Set(hdrVersion, string(info.Version))
}

// showChecksum sets the headers of the checksum, if there is one.
func showChecksum(h http.Header, sum objstore.Checksum) {
	if v, ok := checksumOf(sum); ok {
		h.Set(v.Algorithm.Header(), sum.Value)
		h.Set(hdrChecksumType, v.Type.String())
	}
}

func setAll(h http.Header, values map[string]string) {
	for name, value := range values {
		setIf(h, name, value)
	}
}

// setIf sets a header unless its value is empty.
func setIf(h http.Header, name, value string) {
	if value != "" {
		h.Set(name, value)
	}
}

// cutFold is [strings.CutPrefix] for the names of headers.
func cutFold(name, prefix string) (rest string, ok bool) {
	if len(name) < len(prefix) || !strings.EqualFold(name[:len(prefix)], prefix) {
		return "", false
	}
	return name[len(prefix):], true
}
