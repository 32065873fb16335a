package s3server

import (
	"net/http"
	"strings"

	"github.com/etagfs/etagfs/objstore"
)

// anyETag is the value of a condition that asks for any object at all.
const anyETag = "*"

// entityTag is one tag of a condition.
type entityTag struct {
	value objstore.ETag
	weak  bool // W/"value": never equal where a strong comparison is asked
}

// tagList is the value of an If-Match or If-None-Match header. The zero value is
// a header that is absent.
type tagList struct {
	any  bool // the value is exactly "*"
	tags []entityTag
}

// present reports whether the header was there with a value.
func (l tagList) present() bool { return l.any || len(l.tags) > 0 }

// joined is the value of a header that may have been given on several lines.
func joined(h http.Header, name string) string {
	switch lines := h.Values(name); len(lines) {
	case 0:
		return ""
	case 1:
		return lines[0]
	default:
		return strings.Join(lines, ", ")
	}
}

// tagsOf reads the condition header name. No tag contains a comma or a quote, so tags may
// come with any number of quotes around them, or with none.
func tagsOf(h http.Header, name string) tagList { return parseTags(joined(h, name)) }

func parseTags(value string) tagList {
	switch {
	case value == "":
		return tagList{}
	case strings.TrimSpace(value) == anyETag:
		return tagList{any: true}
	}
	var l tagList
	for item := range strings.SplitSeq(value, ",") {
		if item = strings.TrimSpace(item); item != "" {
			l.tags = append(l.tags, parseTag(item))
		}
	}
	if len(l.tags) == 0 {
		l.tags = []entityTag{{}} // "," and blanks are a condition, and a policy takes them for one: no object has this tag
	}
	return l
}

func parseTag(s string) entityTag {
	strong, weak := strings.CutPrefix(s, "W/")
	return entityTag{objstore.ETag(strings.Trim(strong, `"`)), weak}
}

// strong reports whether one of the tags is etag by RFC 9110's strong comparison: a
// weak tag equals nothing.
func (l tagList) strong(etag objstore.ETag) bool {
	for _, t := range l.tags {
		if !t.weak && t.value == etag {
			return true
		}
	}
	return l.any
}

// either reports whether one of the tags is etag, whether it is marked weak or not.
func (l tagList) either(etag objstore.ETag) bool {
	for _, t := range l.tags {
		if t.value == etag {
			return true
		}
	}
	return l.any
}

// quoted is etag as a header shows it.
func quoted(etag objstore.ETag) string { return `"` + string(etag) + `"` }
