package s3server_test

import (
	"strings"
	"testing"
	"time"

	"github.com/etagfs/etagfs/objstore/s3server"
)

const otherETag = "00000000000000000000000000000000-v1"

// given brings the key "k" into the state a row of a table is about and returns its ETag, if it has one.
func (b *bench) given(state string) (etag string) {
	b.t.Helper()
	switch state {
	case "missing":
	case "deleted":
		etag = b.must("PUT", "/box/k", "old").etag()
		b.must("DELETE", "/box/k", "")
	case "exists":
		etag = b.must("PUT", "/box/k", "old").etag()
	default:
		b.t.Fatalf("no state %q", state)
	}
	b.clock.advance(10 * time.Second)
	return etag
}

// writeRow is a row of the tables of conditional writes. E in a header is the current ETag.
type writeRow struct {
	name    string
	state   string
	headers string // separated by "; "
	status  int
	code    string
	element string // Condition or Header of the error
}

func (r writeRow) lines(etag string) []string {
	if r.headers == "" {
		return nil
	}
	lines := strings.Split(r.headers, "; ")
	for i := range lines {
		lines[i] = strings.NewReplacer("{E}", etag, "{other}", otherETag).Replace(lines[i])
	}
	return lines
}

// check compares an answer with the row, and what is in the bucket with what was there if it was refused.
func (r writeRow) check(t *testing.T, b *bench, a answer, before string) {
	t.Helper()
	f := a.failure()
	if a.status != r.status || f.Code != r.code {
		t.Fatalf("%d %s instead of %d %s\n%s", a.status, f.Code, r.status, r.code, a.body)
	}
	if a.status < 300 {
		return
	}
	if after := b.image(); after != before {
		t.Errorf("a refused request left a trace:\n%s\nwas\n%s", after, before)
	}
	switch r.code {
	case "PreconditionFailed":
		if f.Condition != r.element || !strings.HasPrefix(f.Message, "At least one of the pre-conditions you specified did not hold") {
			t.Errorf("condition %q instead of %q: %s", f.Condition, r.element, f.Message)
		}
	case "NoSuchKey":
		if f.Key != "k" || f.Message != "The specified key does not exist." {
			t.Errorf("key %q: %s", f.Key, f.Message)
		}
	case "NotImplemented":
		if f.Header != r.element || f.AdditionalMessage == "" && r.element != "" && !strings.HasPrefix(r.element, "x-") {
			t.Errorf("header %q instead of %q: %s", f.Header, r.element, f.AdditionalMessage)
		}
	}
}

// putRows are those of "PutObject" (1.2), which hold for the destination of a copy too.
func putRows() []writeRow {
	return []writeRow{
		{"missing, If-None-Match: *", "missing", "If-None-Match: *", 200, "", ""},
		{"delete marker, If-None-Match: *", "deleted", "If-None-Match: *", 200, "", ""},
		{"exists, If-None-Match: *", "exists", "If-None-Match: *", 412, "PreconditionFailed", "If-None-Match"},
		{"missing, If-None-Match: etag", "missing", `If-None-Match: "{other}"`, 501, "NotImplemented", "If-None-Match"},
		{"exists, If-None-Match: etag", "exists", `If-None-Match: "{E}"`, 501, "NotImplemented", "If-None-Match"},
		{"exists, ETag equal, If-Match", "exists", `If-Match: "{E}"`, 200, "", ""},
		{"exists, ETag differs, If-Match", "exists", `If-Match: "{other}"`, 412, "PreconditionFailed", "If-Match"},
		{"missing, If-Match", "missing", `If-Match: "{other}"`, 404, "NoSuchKey", ""},
		{"missing, If-Match garbage", "missing", "If-Match: bad-char_/", 404, "NoSuchKey", ""},
		{"delete marker, If-Match", "deleted", `If-Match: "{E}"`, 404, "NoSuchKey", ""},
		{"missing, If-Match: *", "missing", "If-Match: *", 501, "NotImplemented", "If-Match"},
		{"exists, If-Match: *", "exists", "If-Match: *", 501, "NotImplemented", "If-Match"},
		{"exists, both", "exists", `If-Match: "{E}"; If-None-Match: *`, 501, "NotImplemented", "If-Match,If-None-Match"},
		{"missing, both", "missing", `If-Match: "{E}"; If-None-Match: *`, 501, "NotImplemented", "If-Match,If-None-Match"},
		{"0.4 unquoted ETag", "exists", "If-Match: {E}", 200, "", ""},
		{"0.4 doubly quoted ETag", "exists", `If-Match: ""{E}""`, 200, "", ""},
		{"0.6 weak tag never matches a write", "exists", `If-Match: W/"{E}"`, 412, "PreconditionFailed", "If-Match"},
		{"0.7 list with the ETag", "exists", `If-Match: "{other}", "{E}"`, 200, "", ""},
		{"0.7 list without the ETag", "exists", `If-Match: "{other}", "x"`, 412, "PreconditionFailed", "If-Match"},
		{"0.13 two lines are a list", "exists", `If-Match: "{other}"; If-Match: "{E}"`, 200, "", ""},
		{"0.13 an empty value is an absent header", "exists", "If-None-Match:", 200, "", ""},
	}
}

func TestPutObjectIsTheWholeTable(t *testing.T) {
	rows := append(putRows(),
		writeRow{"1.1 If-Modified-Since is ignored", "exists", "If-Modified-Since: Mon, 02 Jan 2090 15:04:05 GMT", 200, "", ""},
		writeRow{"1.1 If-Unmodified-Since is ignored", "exists", "If-Unmodified-Since: Mon, 02 Jan 2006 15:04:05 GMT", 200, "", ""},
	)
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			b := serve(t, s3server.Options{})
			etag := b.given(r.state)
			before := b.image()
			a := b.do("PUT", "/box/k", "new", r.lines(etag)...)
			r.check(t, b, a, before)
			if a.status == 200 && b.must("GET", "/box/k", "").body != "new" {
				t.Error("the object is not what was put")
			}
		})
	}
}

func TestCopyDestinationIsTheTableOfPutObject(t *testing.T) {
	for _, r := range putRows() {
		t.Run(r.name, func(t *testing.T) {
			b := serve(t, s3server.Options{})
			b.must("PUT", "/box/source", "new")
			etag := b.given(r.state)
			before := b.image()
			a := b.do("PUT", "/box/k", "", append(r.lines(etag), "x-amz-copy-source: /box/source")...)
			r.check(t, b, a, before)
			if a.status == 200 && b.must("GET", "/box/k", "").body != "new" {
				t.Error("the object is not what was copied")
			}
		})
	}
}

// Ceph, R2 and RFC 9110 accept what AWS answers 501.
func TestPutObjectWithExtendedConditions(t *testing.T) {
	for _, r := range []writeRow{
		{"missing, If-Match: *", "missing", "If-Match: *", 404, "NoSuchKey", ""},
		{"exists, If-Match: *", "exists", "If-Match: *", 200, "", ""},
		{"missing, If-None-Match: etag", "missing", `If-None-Match: "{other}"`, 200, "", ""},
		{"exists, If-None-Match: another etag", "exists", `If-None-Match: "{other}"`, 200, "", ""},
		{"exists, If-None-Match: its etag", "exists", `If-None-Match: "{E}"`, 412, "PreconditionFailed", "If-None-Match"},
		{"exists, If-None-Match: *", "exists", "If-None-Match: *", 412, "PreconditionFailed", "If-None-Match"},
		{"both hold", "exists", `If-Match: "{E}"; If-None-Match: "{other}"`, 200, "", ""},
		{"one of both fails", "exists", `If-Match: "{E}"; If-None-Match: *`, 412, "PreconditionFailed", "If-None-Match"},
		{"unmodified since before", "exists", "If-Unmodified-Since: Mon, 02 Jan 2006 15:04:05 GMT", 412, "PreconditionFailed", "If-Unmodified-Since"},
	} {
		t.Run(r.name, func(t *testing.T) {
			b := serve(t, s3server.Options{Conditions: s3server.ConditionsExtended})
			etag := b.given(r.state)
			before := b.image()
			r.check(t, b, b.do("PUT", "/box/k", "new", r.lines(etag)...), before)
		})
	}
}
