package s3server_test

import (
	"encoding/xml"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/etagfs/etagfs/objstore/s3server"
)

// 0.5: the ETag is quoted wherever it is shown, but for GetObjectAttributes.
func TestETagsAreQuotedEverywhere(t *testing.T) {
	for _, options := range []string{"{}", `{"etag":"md5"}`} {
		b := serve(t, s3server.Options{})
		b.putOptions(options)
		id := b.createUpload("parts")
		for what, a := range map[string]answer{
			"put":       b.must("PUT", "/box/k", body),
			"append":    b.must("PUT", "/box/log", body, "x-amz-write-offset-bytes: 0"),
			"part":      b.must("PUT", "/box/parts?partNumber=1&uploadId="+id, body),
			"form":      b.post(body, "key=form"),
			"get":       b.must("GET", "/box/k", ""),
			"range":     b.must("GET", "/box/k", "", "Range: bytes=1-2"),
			"head":      b.must("HEAD", "/box/k", ""),
			"unchanged": b.do("GET", "/box/k", "", "If-None-Match: *"),
			"copy":      b.must("PUT", "/box/copy", "", "x-amz-copy-source: box/k"),
			"rename":    b.must("PUT", "/box/renamed?renameObject", "", "x-amz-rename-source: copy"),
		} {
			if tag := a.header.Get("Etag"); len(tag) < 34 || tag[0] != '"' || tag[len(tag)-1] != '"' || strings.Count(tag, `"`) != 2 {
				t.Errorf("%s: %q", what, tag)
			}
		}
		b.must("PUT", "/box/parts?partNumber=2&uploadId="+id, "", "x-amz-copy-source: box/k")
		part := b.putPart("parts", id, 1, body)
		for what, a := range map[string]answer{
			"copy":      b.must("PUT", "/box/copy", "", "x-amz-copy-source: box/k"),
			"copy part": b.must("PUT", "/box/parts?partNumber=2&uploadId="+id, "", "x-amz-copy-source: box/k"),
			"parts":     b.must("GET", "/box/parts?uploadId="+id, ""),
			"list":      b.must("GET", "/box", ""),
			"list v2":   b.must("GET", "/box?list-type=2", ""),
			"complete":  b.completeUpload("parts", id, []string{part}),
			"form":      b.post(body, "key=form", "success_action_status=201"),
		} {
			tags := elements(t, a.body, "ETag")
			for _, tag := range tags {
				if len(tag) < 34 || tag[0] != '"' || tag[len(tag)-1] != '"' || strings.Count(tag, `"`) != 2 {
					t.Errorf("%s: %q", what, tag)
				}
			}
			if len(tags) == 0 {
				t.Errorf("%s has no ETag: %s", what, a.body)
			}
		}
		if tags := elements(t, b.must("GET", "/box/k?attributes", "", "x-amz-object-attributes: ETag").body, "ETag"); len(tags) != 1 || strings.Contains(tags[0], `"`) {
			t.Errorf("attributes: %q", tags)
		}
	}
}

// elements are the texts of all elements of a name.
func elements(t *testing.T, document, name string) (texts []string) {
	t.Helper()
	decoder := xml.NewDecoder(strings.NewReader(document))
	for {
		token, err := decoder.Token()
		if token == nil {
			return texts
		}
		if err != nil {
			t.Fatal(err)
		}
		if start, ok := token.(xml.StartElement); ok && start.Name.Local == name {
			var text string
			if err := decoder.DecodeElement(&text, &start); err != nil {
				t.Fatal(err)
			}
			texts = append(texts, text)
		}
	}
}

// The rows about sources that the matrix does not have, for both operations that have one.
func TestSourcesOfCopiesAndParts(t *testing.T) {
	b := serve(t, s3server.Options{})
	etag := b.given("exists")
	id := b.createUpload("part")
	for _, r := range []struct {
		row, source, headers string
		status               int
		code, condition      string
	}{
		{"missing", "/box/none", "", 404, "NoSuchKey", ""},
		{"missing, whatever the condition", "/box/none", "x-amz-copy-source-if-none-match: *", 404, "NoSuchKey", ""},
		{"missing bucket", "/none/k", "", 404, "NoSuchBucket", ""},
		{"no key", "/box/", "", 400, "InvalidArgument", ""},
		{"no bucket", "/", "", 400, "InvalidArgument", ""},
		{"not an escape", "/box/%zz", "", 400, "InvalidArgument", ""},
		{"a version", "/box/k?versionId=null", "", 200, "", ""},
		{"another version", "/box/k?versionId=abc", "", 404, "NoSuchVersion", ""},
		{"0.9 since the future", "/box/k", "x-amz-copy-source-if-modified-since: " + b.date(time.Hour), 200, "", ""},
		{"0.8 no date", "/box/k", "x-amz-copy-source-if-modified-since: yesterday; x-amz-copy-source-if-unmodified-since: 7", 200, "", ""},
		{"0.10 unmodified since then", "/box/k", "x-amz-copy-source-if-unmodified-since: " + b.date(-10*time.Second), 200, "", ""},
		{"0.10 modified since then", "/box/k", "x-amz-copy-source-if-modified-since: " + b.date(-10*time.Second), 412, "PreconditionFailed", "x-amz-copy-source-If-Modified-Since"},
		{"0.4 quoted twice", "/box/k", `x-amz-copy-source-if-match: ""` + etag + `""`, 200, "", ""},
		{"0.4 not quoted", "/box/k", "x-amz-copy-source-if-none-match: " + etag, 412, "PreconditionFailed", "x-amz-copy-source-If-None-Match"},
		{"0.6 weak, which matches nothing", "/box/k", `x-amz-copy-source-if-match: W/"` + etag + `"`, 412, "PreconditionFailed", "x-amz-copy-source-If-Match"},
		{"0.7 list", "/box/k", `x-amz-copy-source-if-none-match: "x", "` + etag + `"`, 412, "PreconditionFailed", "x-amz-copy-source-If-None-Match"},
		{"0.13 two lines", "/box/k", "x-amz-copy-source-if-match: x; x-amz-copy-source-if-match: " + etag, 200, "", ""},
		{"0.13 empty", "/box/k", "x-amz-copy-source-if-none-match:", 200, "", ""},
		{"any", "/box/k", "x-amz-copy-source-if-match: *", 200, "", ""},
		{"none", "/box/k", "x-amz-copy-source-if-none-match: *", 412, "PreconditionFailed", "x-amz-copy-source-If-None-Match"},
		{"as in an address", "box%2Fk", "", 200, "", ""},
		{"empty, and no put of nothing", "", "", 400, "InvalidArgument", ""},
	} {
		for what, path := range map[string]string{"CopyObject": "/box/copy", "UploadPartCopy": "/box/part?partNumber=1&uploadId=" + id} {
			headers := []string{"x-amz-copy-source: " + r.source}
			if r.headers != "" {
				headers = append(headers, strings.Split(r.headers, "; ")...)
			}
			before := b.image()
			a := b.do("PUT", path, "", headers...)
			b.want(what+", "+r.row, a, r.status, r.code)
			if got := a.failure().Condition; got != r.condition {
				t.Errorf("%s, %s: condition %q", what, r.row, got)
			}
			if r.status != 200 && b.image() != before {
				t.Errorf("%s, %s: left a trace", what, r.row)
			}
		}
	}
	for _, text := range []string{"bytes=0-3", "bytes=2-", "bytes=-2", "bytes=2-1", "0-1", "bytes=a-b", "bytes=3-3",
		"bytes=0-9223372036854775807", "bytes=1-9223372036854775807", "bytes=0-99999999999999999999", "bytes=99999999999999999999-99999999999999999999"} {
		b.want(text, b.do("PUT", "/box/part?partNumber=1&uploadId="+id, "", "x-amz-copy-source: box/k", "x-amz-copy-source-range: "+text), 400, "InvalidArgument")
	}
	b.want("a range", b.do("PUT", "/box/part?partNumber=1&uploadId="+id, "", "x-amz-copy-source: box/k", "x-amz-copy-source-range: bytes=0-2"), 200, "")
}

// 1.1: the dates of a destination mean nothing to copies, unless conditions are extended; and then all that Ceph, R2 and
// RFC 9110 accept is.
func TestCopyDestinationsWithOtherConditions(t *testing.T) {
	for _, r := range []struct {
		state, header    string
		strict, extended int
	}{
		{"exists", "If-Unmodified-Since: Mon, 02 Jan 2006 15:04:05 GMT", 200, 412},
		{"exists", "If-Modified-Since: Tue, 03 Feb 2026 04:05:06 GMT", 200, 412},
		{"exists", "If-Modified-Since: Mon, 02 Jan 2040 15:04:05 GMT", 200, 200},
		{"exists", "If-Match: *", 501, 200},
		{"missing", "If-Match: *", 501, 404},
		{"exists", "If-None-Match: {E}", 501, 412},
		{"exists", "If-None-Match: {other}", 501, 200},
		{"exists", "If-Match: {E}; If-None-Match: {other}", 501, 200},
		{"exists", "If-Match: {E}; If-None-Match: {E}", 501, 412},
	} {
		for mode, status := range map[s3server.Conditions]int{s3server.ConditionsStrict: r.strict, s3server.ConditionsExtended: r.extended} {
			for what, ask := range map[string]func(b *bench, headers []string) answer{
				"put": func(b *bench, h []string) answer { return b.do("PUT", "/box/k", "new", h...) },
				"copy": func(b *bench, h []string) answer {
					return b.do("PUT", "/box/k", "", append(h, "x-amz-copy-source: box/source")...)
				},
				"append": func(b *bench, h []string) answer {
					return b.do("PUT", "/box/k", "new", append(h, fmt.Sprint("x-amz-write-offset-bytes: ", map[string]int{"exists": 3, "missing": 0}[r.state]))...)
				},
			} {
				t.Run(fmt.Sprintf("%s, %s, %s, extended %v", what, r.state, r.header, mode), func(t *testing.T) {
					b := serve(t, s3server.Options{Conditions: mode})
					b.must("PUT", "/box/source", "new")
					lines := writeRow{headers: r.header}.lines(b.given(r.state))
					before := b.image()
					if a := ask(b, lines); a.status != status {
						t.Errorf("%d instead of %d", a.status, status)
					} else if status != 200 && b.image() != before {
						t.Error("left a trace")
					}
				})
			}
		}
	}
}

// 1.5: a version that is not there is none, for whatever reads; a key that is missing looks forbidden to who may not list.
func TestReadsOfWhatIsNotThere(t *testing.T) {
	b := serve(t, s3server.Options{})
	b.given("exists")
	reader := b.withUsers(s3server.Users{Anonymous: &s3server.User{Read: []string{"box/docs/"}}})
	for _, sub := range []string{"", "attributes&", "tagging&"} {
		attributes := "x-amz-object-attributes: ETag"
		b.want(sub+"another version", b.do("GET", "/box/k?"+sub+"versionId=abc", "", attributes), 404, "NoSuchVersion")
		b.want(sub+"the null version", b.do("GET", "/box/k?"+sub+"versionId=null", "", attributes), 200, "")
		b.want(sub+"no version", b.do("GET", "/box/k?"+sub+"versionId=", "", attributes), 400, "InvalidArgument")
		b.want(sub+"missing", b.do("GET", "/box/none?"+sub, "", attributes, "If-None-Match: *"), 404, "NoSuchKey")
		reader.want(sub+"missing where it may look", reader.do("GET", "/box/docs/none?"+sub, "", attributes), 404, "NoSuchKey")
		reader.want(sub+"missing elsewhere", reader.do("GET", "/box/none?"+sub, "", attributes), 403, "AccessDenied")
	}
	b.putPolicy(allow("s3:Get*", ""))
	stranger := b.withUsers(s3server.Users{Anonymous: &s3server.User{}})
	stranger.want("there", stranger.do("GET", "/box/k", ""), 200, "")
	for _, sub := range []string{"", "?attributes", "?tagging", "?partNumber=1"} {
		stranger.want("missing, which it may not list: "+sub, stranger.do("GET", "/box/none"+sub, "", "x-amz-object-attributes: ETag", "If-None-Match: *"), 403, "AccessDenied")
	}
	writer := b.withUsers(s3server.Users{Anonymous: &s3server.User{Write: []string{"box"}}})
	id := b.createUpload("part")
	for _, source := range []string{"none", "k"} {
		want := map[string]int{"none": 403, "k": 200}[source]
		for _, path := range []string{"/box/copy", "/box/part?partNumber=1&uploadId=" + id} {
			for _, algorithm := range []string{"", "SHA1"} {
				if a := writer.do("PUT", path, "", "x-amz-copy-source: box/"+source, "x-amz-checksum-algorithm: "+algorithm); a.status != want {
					t.Errorf("%s from %s: %d %s", path, source, a.status, a.body)
				}
			}
		}
	}
	for source, to := range map[string]string{"none": "/box/new?renameObject", "none/": "/box/new/?renameObject"} {
		a := b.do("PUT", to, "", "x-amz-rename-source: "+source)
		if b.want("rename of "+source, a, 404, "NoSuchKey"); a.failure().Key != source {
			t.Errorf("rename of %s: key %q", source, a.failure().Key)
		}
		writer.want("rename of "+source+" by who may not list", writer.do("PUT", to, "", "x-amz-rename-source: "+source), 403, "AccessDenied")
	}
	if a := stranger.do("HEAD", "/box/none", ""); a.status != 403 || a.body != "" {
		t.Errorf("HEAD: %d %q", a.status, a.body)
	}
	for path, code := range map[string]string{"?partNumber=0": "InvalidArgument", "?partNumber=x": "InvalidArgument", "?partNumber=10001": "InvalidArgument"} {
		b.want(path, b.do("GET", "/box/k"+path, ""), 400, code)
	}
	if a := b.do("GET", "/box/k?partNumber=2", ""); a.status != 416 {
		t.Errorf("a part behind the last: %d %s", a.status, a.body)
	}
}
