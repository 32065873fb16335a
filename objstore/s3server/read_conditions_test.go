package s3server_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/etagfs/etagfs/objstore/s3server"
)

// The values a condition of a read can have: absent, one that holds, one that fails.
const (
	absent = "-"
	holds  = "T"
	fails  = "F"
)

// readStatus is the matrix of 1.5 for an object that exists.
func readStatus(im, ius, inm, ims string) int {
	switch {
	case im == fails, im == absent && ius == fails:
		return 412
	case inm == fails, inm == absent && ims == fails:
		return 304
	default:
		return 200
	}
}

func (b *bench) readHeaders(etag, im, ius, inm, ims, prefix string) (lines []string) {
	add := func(name, state, whenHolds, whenFails string) {
		if state != absent {
			value := map[string]string{holds: whenHolds, fails: whenFails}[state]
			lines = append(lines, prefix+name+": "+value)
		}
	}
	add("If-Match", im, `"`+etag+`"`, `"x"`)
	add("If-Unmodified-Since", ius, b.date(-10*time.Second), b.date(-time.Hour))
	add("If-None-Match", inm, `"x"`, `"`+etag+`"`)
	add("If-Modified-Since", ims, b.date(-time.Hour), b.date(-10*time.Second))
	return lines
}

func eachCombination(f func(im, ius, inm, ims string)) {
	values := []string{absent, holds, fails}
	for _, im := range values {
		for _, ius := range values {
			for _, inm := range values {
				for _, ims := range values {
					f(im, ius, inm, ims)
				}
			}
		}
	}
}

func TestReadsAreTheWholeMatrix(t *testing.T) {
	b := serve(t, s3server.Options{})
	etag := b.given("exists")
	eachCombination(func(im, ius, inm, ims string) {
		row := fmt.Sprintf("IM %s, IUS %s, INM %s, IMS %s", im, ius, inm, ims)
		want := readStatus(im, ius, inm, ims)
		for _, method := range []string{"GET", "HEAD"} {
			a := b.do(method, "/box/k", "", b.readHeaders(etag, im, ius, inm, ims, "")...)
			if a.status != want {
				t.Errorf("%s %s: %d instead of %d", method, row, a.status, want)
			}
			if a.status == 304 && (a.etag() != etag || a.header.Get("Last-Modified") == "" || a.body != "") {
				t.Errorf("%s %s: 304 has ETag %q, Last-Modified %q, body %q", method, row, a.etag(), a.header.Get("Last-Modified"), a.body)
			}
			if f := a.failure(); method == "GET" && want == 412 {
				if name := map[bool]string{true: "If-Match", false: "If-Unmodified-Since"}[im == fails]; f.Code != "PreconditionFailed" || f.Condition != name {
					t.Errorf("%s: %s of %q instead of %q", row, f.Code, f.Condition, name)
				}
			}
			if method == "HEAD" && a.body != "" {
				t.Errorf("%s: HEAD has a body", row)
			}
			if a := b.do(method, "/box/missing", "", b.readHeaders(etag, im, ius, inm, ims, "")...); a.status != 404 {
				t.Errorf("%s %s of a missing object: %d", method, row, a.status)
			}
		}
	})
}

// sourceFailure is the table of 1.4: the header that is named, or none.
func sourceFailure(im, ius, inm, ims string) string {
	switch {
	case im == fails:
		return "If-Match"
	case im == absent && ius == fails:
		return "If-Unmodified-Since"
	case inm == fails:
		return "If-None-Match"
	case inm == absent && ims == fails:
		return "If-Modified-Since"
	default:
		return ""
	}
}

func TestCopySourceIsTheWholeTable(t *testing.T) {
	b := serve(t, s3server.Options{})
	etag := b.given("exists")
	upload := b.createUpload("part")
	eachCombination(func(im, ius, inm, ims string) {
		row := fmt.Sprintf("IM %s, IUS %s, INM %s, IMS %s", im, ius, inm, ims)
		lines := append(b.readHeaders(etag, im, ius, inm, ims, "x-amz-copy-source-"), "x-amz-copy-source: /box/k")
		named := sourceFailure(im, ius, inm, ims)
		before := b.image()
		for what, path := range map[string]string{"CopyObject": "/box/copy", "UploadPartCopy": "/box/part?partNumber=1&uploadId=" + upload} {
			a := b.do("PUT", path, "", lines...)
			if named == "" {
				if a.status != 200 {
					t.Errorf("%s %s: %d\n%s", what, row, a.status, a.body)
				}
				continue
			}
			f := a.failure()
			if a.status != 412 || f.Code != "PreconditionFailed" || f.Condition != "x-amz-copy-source-"+named {
				t.Errorf("%s %s: %d %s of %q instead of %q", what, row, a.status, f.Code, f.Condition, named)
			}
		}
		if named != "" && b.image() != before {
			t.Errorf("%s: a refused copy left a trace", row)
		}
	})
}

func TestCopySourceOddities(t *testing.T) {
	b := serve(t, s3server.Options{})
	etag := b.given("exists")
	for _, r := range []struct {
		row, headers string
		status       int
		code         string
	}{
		{"source missing", "x-amz-copy-source: /box/none", 404, "NoSuchKey"},
		{"source missing, with a condition", `x-amz-copy-source: /box/none; x-amz-copy-source-if-match: "x"`, 404, "NoSuchKey"},
		{"source bucket missing", "x-amz-copy-source: /none/k", 404, "NoSuchBucket"},
		{"0.9 modified since the future", `x-amz-copy-source: /box/k; x-amz-copy-source-if-match: ` + etag + `; x-amz-copy-source-if-modified-since: ` + b.date(time.Hour), 200, ""},
		{"source and destination fail: source first", `x-amz-copy-source: /box/k; x-amz-copy-source-if-match: "x"; If-Match: "y"`, 412, "PreconditionFailed"},
		{"in place without a change", "x-amz-copy-source: /box/copy", 400, "InvalidRequest"},
		{"no key in the source", "x-amz-copy-source: box", 400, "InvalidArgument"},
		{"0.7 list", `x-amz-copy-source: /box/k; x-amz-copy-source-if-match: "x", "` + etag + `"`, 200, ""},
		{"0.6 weak tag does not match", `x-amz-copy-source: /box/k; x-amz-copy-source-if-none-match: W/"` + etag + `"`, 200, ""},
	} {
		b.must("PUT", "/box/copy", "target")
		a := b.do("PUT", "/box/copy", "", strings.Split(r.headers, "; ")...)
		if a.status != r.status || a.failure().Code != r.code {
			t.Errorf("%s: %d %s instead of %d %s\n%s", r.row, a.status, a.failure().Code, r.status, r.code, a.body)
		}
		if strings.Contains(r.row, "source first") && a.failure().Condition != "x-amz-copy-source-If-Match" {
			t.Errorf("%s: %q", r.row, a.failure().Condition)
		}
	}
}

func TestCopyInPlace(t *testing.T) {
	b := serve(t, s3server.Options{})
	etag := b.given("exists")
	replace := []string{"x-amz-copy-source: /box/k", "x-amz-metadata-directive: REPLACE", "x-amz-meta-a: 1"}
	b.want("If-None-Match: *", b.do("PUT", "/box/k", "", append(replace, "If-None-Match: *")...), 412, "PreconditionFailed")
	b.want("another If-Match", b.do("PUT", "/box/k", "", append(replace, `If-Match: "x"`)...), 412, "PreconditionFailed")
	b.want("If-Match", b.do("PUT", "/box/k", "", append(replace, "If-Match: "+etag)...), 200, "")
	if a := b.must("GET", "/box/k", ""); a.body != "old" || a.header.Get("x-amz-meta-a") != "1" {
		t.Errorf("%q %v", a.body, a.header)
	}
}

func TestReadOddities(t *testing.T) {
	b := serve(t, s3server.Options{})
	etag := b.given("exists") // ten seconds ago
	day := b.clock.Now().UTC()
	for _, r := range []struct {
		row, header string
		status      int
	}{
		{"INM * on an existing object", "If-None-Match: *", 304},
		{"IM * on an existing object", "If-Match: *", 200},
		{"0.4 unquoted", "If-None-Match: " + etag, 304},
		{"0.6 weak tag in If-None-Match", `If-None-Match: W/"` + etag + `"`, 304},
		{"0.6 weak tag in If-Match", `If-Match: W/"` + etag + `"`, 412},
		{"0.7 list in If-Match", `If-Match: "x", "` + etag + `"`, 200},
		{"0.7 list in If-None-Match", `If-None-Match: "x", "` + etag + `"`, 304},
		{"0.8 RFC 850", "If-Unmodified-Since: " + day.Add(-time.Hour).Format("Monday, 02-Jan-06 15:04:05 GMT"), 412},
		{"0.8 asctime", "If-Unmodified-Since: " + day.Add(-time.Hour).Format("Mon Jan _2 15:04:05 2006"), 412},
		{"0.8 one-digit day", "If-Unmodified-Since: " + day.Add(-time.Hour).Format("Mon, 2 Jan 2006 15:04:05 GMT"), 412},
		{"0.8 RFC 3339", "If-Unmodified-Since: " + day.Add(-time.Hour).Format(time.RFC3339), 412},
		{"0.8 unparsable IUS is ignored", "If-Unmodified-Since: yesterday", 200},
		{"0.8 unparsable IMS is ignored", "If-Modified-Since: 12345", 200},
		{"0.9 IMS in the future is ignored", "If-Modified-Since: " + b.date(time.Hour), 200},
		{"0.10 IUS equal to Last-Modified passes", "If-Unmodified-Since: " + b.date(-10*time.Second), 200},
		{"0.10 IMS equal to Last-Modified is not modified", "If-Modified-Since: " + b.date(-10*time.Second), 304},
		{"0.10 IUS a second before", "If-Unmodified-Since: " + b.date(-11*time.Second), 412},
		{"0.10 IMS a second before", "If-Modified-Since: " + b.date(-11*time.Second), 200},
		{"0.13 empty value", "If-None-Match:", 200},
	} {
		for _, method := range []string{"GET", "HEAD"} {
			if a := b.do(method, "/box/k", "", r.header); a.status != r.status {
				t.Errorf("%s, %s: %d instead of %d", r.row, method, a.status, r.status)
			}
		}
	}
	two := b.do("GET", "/box/k", "", `If-Match: "x"`, "If-Match: "+etag)
	b.want("0.13 two lines are a list", two, 200, "")
	if !strings.HasPrefix(two.header.Get("Etag"), `"`) {
		t.Errorf("0.5 the ETag is not quoted: %v", two.header)
	}
}
