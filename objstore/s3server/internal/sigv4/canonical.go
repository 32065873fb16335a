package sigv4

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/etagfs/etagfs/objstore/s3server/internal/s3code"
)

// parameter is a decoded pair of the query.
type parameter struct{ name, value string }

type query []parameter

// parseQuery decodes a raw query. Unlike url.ParseQuery it drops nothing.
func parseQuery(raw string) (query, error) {
	var q query
	for pair := range strings.SplitSeq(raw, "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(name)
		if err != nil {
			return nil, s3code.InvalidURI.With("")
		}
		if value, err = url.QueryUnescape(value); err != nil {
			return nil, s3code.InvalidURI.With("")
		}
		q = append(q, parameter{name, value})
	}
	return q, nil
}

func (q query) count(name string) (n int) {
	for _, p := range q {
		if p.name == name {
			n++
		}
	}
	return n
}

func (q query) has(name string) bool { return q.count(name) > 0 }

func (q query) get(name string) string {
	for _, p := range q {
		if p.name == name {
			return p.value
		}
	}
	return ""
}

func (q query) without(name string) query {
	return slices.DeleteFunc(slices.Clone(q), func(p parameter) bool { return p.name == name })
}

// appendCanonical writes the pairs encoded, sorted by name and then value.
func (q query) appendCanonical(b []byte) []byte {
	pairs := make([]string, 0, len(q))
	for _, p := range q {
		pair := appendEncoded(nil, p.name, false)
		pair = appendEncoded(append(pair, '='), p.value, false)
		pairs = append(pairs, string(pair))
	}
	slices.SortFunc(pairs, comparePairs)
	for i, pair := range pairs {
		if i > 0 {
			b = append(b, '&')
		}
		b = append(b, pair...)
	}
	return b
}

// comparePairs orders encoded pairs by name first: "a-b=" comes after "a=",
// though "-" comes before "=".
func comparePairs(a, b string) int {
	nameA, valueA, _ := strings.Cut(a, "=")
	nameB, valueB, _ := strings.Cut(b, "=")
	if c := strings.Compare(nameA, nameB); c != 0 {
		return c
	}
	return strings.Compare(valueA, valueB)
}

// appendEncoded is S3's URI encoding: all bytes but the unreserved ones, and
// in a path the slash, as % and two upper-case digits.
func appendEncoded(b []byte, text string, path bool) []byte {
	const digits = "0123456789ABCDEF"
	for i := range len(text) {
		c := text[i]
		if isUnreserved(c) || path && c == '/' {
			b = append(b, c)
		} else {
			b = append(b, '%', digits[c>>4], digits[c&15])
		}
	}
	return b
}

// isEncoded reports whether a path is its own encoding.
func isEncoded(path string) bool {
	for i := range len(path) {
		if !isUnreserved(path[i]) && path[i] != '/' {
			return false
		}
	}
	return true
}

func isUnreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '.' || c == '_' || c == '~'
}

// canonicalPaths are the forms of the path a client may have signed: encoded
// as S3 says, and as it was sent. Their decoded forms are the same.
func canonicalPaths(u *url.URL) []string {
	encoded := u.Path
	switch {
	case encoded == "":
		encoded = "/"
	case !isEncoded(encoded):
		encoded = string(appendEncoded(nil, u.Path, true))
	}
	sent := u.EscapedPath()
	if sent == "" || sent == encoded {
		return []string{encoded}
	}
	return []string{encoded, sent}
}

// canonical is a request in the form that is signed.
type canonical struct {
	request *http.Request
	query   query
	headers []string
	payload string
}

// append writes it.
func (c canonical) append(b []byte, path string) []byte {
	b = append(append(b, c.request.Method...), '\n')
	b = append(append(b, path...), '\n')
	if len(c.query) > 0 {
		b = c.query.appendCanonical(b)
	}
	b = append(b, '\n')
	for _, name := range c.headers {
		b = append(append(b, name...), ':')
		b = append(c.appendHeader(b, name), '\n')
	}
	b = append(b, '\n')
	for i, name := range c.headers {
		if i > 0 {
			b = append(b, ';')
		}
		b = append(b, name...)
	}
	b = append(b, '\n')
	return append(b, c.payload...)
}

// appendHeader writes the values of a header. net/http keeps some of them elsewhere.
func (c canonical) appendHeader(b []byte, name string) []byte {
	r := c.request
	switch values := r.Header.Values(name); {
	case name == "host":
		return appendTrimmed(b, r.Host)
	case name == "content-length" && len(values) == 0 && r.ContentLength >= 0:
		return strconv.AppendInt(b, r.ContentLength, 10)
	case name == "transfer-encoding" && len(values) == 0:
		return appendValues(b, r.TransferEncoding)
	default:
		return appendValues(b, values)
	}
}

func appendValues(b []byte, values []string) []byte {
	for i, value := range values {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendTrimmed(b, value)
	}
	return b
}

// appendTrimmed writes a value without outer spaces and with inner runs of spaces as one.
func appendTrimmed(b []byte, value string) []byte {
	value = strings.Trim(value, " \t")
	for i := range len(value) {
		if value[i] == ' ' && value[i-1] == ' ' { // never the first: it was trimmed
			continue
		}
		b = append(b, value[i])
	}
	return b
}
