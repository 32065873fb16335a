package s3server_test

import (
	"encoding/xml"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/etagfs/etagfs/objstore/s3server"
)

// createUpload begins an upload and returns its id.
func (b *bench) createUpload(key string, headers ...string) string {
	b.t.Helper()
	var r struct{ UploadId string }
	if err := xml.Unmarshal([]byte(b.must("POST", "/box/"+key+"?uploads", "", headers...).body), &r); err != nil || r.UploadId == "" {
		b.t.Fatalf("upload id %q: %v", r.UploadId, err)
	}
	return r.UploadId
}

// putPart puts a part and returns its element of the list to complete.
func (b *bench) putPart(key, upload string, number int, body string, headers ...string) string {
	b.t.Helper()
	a := b.must("PUT", fmt.Sprintf("/box/%s?partNumber=%d&uploadId=%s", key, number, upload), body, headers...)
	return fmt.Sprintf("<Part><PartNumber>%d</PartNumber><ETag>%s</ETag></Part>", number, a.etag())
}

func (b *bench) completeUpload(key, upload string, parts []string, headers ...string) answer {
	b.t.Helper()
	body := "<CompleteMultipartUpload>" + strings.Join(parts, "") + "</CompleteMultipartUpload>"
	return b.do("POST", "/box/"+key+"?uploadId="+upload, body, headers...)
}

// change is what happens to the key before or after the upload began.
func (b *bench) change(what string) {
	b.t.Helper()
	for step := range strings.FieldsSeq(what) {
		switch step {
		case "put":
			b.must("PUT", "/box/k", "old")
		case "delete":
			b.must("DELETE", "/box/k", "")
		case "multipart":
			id := b.createUpload("k")
			a := b.completeUpload("k", id, []string{b.putPart("k", id, 1, "parts"), b.putPart("k", id, 2, "more")})
			b.want("complete", a, 200, "")
		default:
			b.t.Fatalf("no step %q", step)
		}
		b.clock.advance(time.Second)
	}
}

func TestCompleteMultipartUploadIsTheWholeTable(t *testing.T) {
	for _, r := range []struct {
		row           string
		before, after string // what happens to the key before and after CreateMultipartUpload
		headers       string
		status        int
		code          string
		element       string
	}{
		{"key exists, If-None-Match: *", "put", "", "If-None-Match: *", 412, "PreconditionFailed", "If-None-Match"},
		{"key missing, If-None-Match: *", "", "", "If-None-Match: *", 200, "", ""},
		{"key created since Create, If-None-Match: *", "", "put", "If-None-Match: *", 412, "PreconditionFailed", "If-None-Match"},
		{"key deleted after Create, If-None-Match: *", "put", "delete", "If-None-Match: *", 409, "ConditionalRequestConflict", "If-None-Match"},
		{"key created and deleted after Create, If-None-Match: *", "", "put delete", "If-None-Match: *", 409, "ConditionalRequestConflict", "If-None-Match"},
		{"key deleted before Create, If-None-Match: *", "put delete", "", "If-None-Match: *", 200, "", ""},
		{"ETag differs, If-Match", "put", "", `If-Match: "{other}"`, 412, "PreconditionFailed", "If-Match"},
		{"key missing, If-Match", "", "", `If-Match: "{other}"`, 404, "NoSuchKey", ""},
		{"key deleted, If-Match", "put", "delete", `If-Match: "{other}"`, 404, "NoSuchKey", ""},
		{"ETag equal but written after Create, If-Match", "put", "put", `If-Match: "{E}"`, 409, "ConditionalRequestConflict", "If-Match"},
		{"deleted and recreated during the upload, If-Match", "put", "delete put", `If-Match: "{E}"`, 409, "ConditionalRequestConflict", "If-Match"},
		{"ETag equal, last write precedes Create, If-Match", "put", "", `If-Match: "{E}"`, 200, "", ""},
		{"previous object is multipart, If-Match", "multipart", "", `If-Match: "{E}"`, 200, "", ""},
		{"previous object is multipart, If-Match of its MD5", "multipart", "", `If-Match: "d41d8cd98f00b204e9800998ecf8427e"`, 412, "PreconditionFailed", "If-Match"},
		{"both", "put", "", `If-Match: "{E}"; If-None-Match: *`, 501, "NotImplemented", "If-Match,If-None-Match"},
		{"If-Match: *", "put", "", "If-Match: *", 501, "NotImplemented", "If-Match"},
		{"If-None-Match: etag", "put", "", `If-None-Match: "{E}"`, 501, "NotImplemented", "If-None-Match"},
		{"unconditional, written after Create", "put", "put", "", 200, "", ""},
	} {
		for _, md5 := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, md5 %v", r.row, md5), func(t *testing.T) {
				b := serve(t, s3server.Options{})
				if md5 {
					b.putOptions(`{"etag":"md5"}`)
				}
				b.change(r.before)
				id := b.createUpload("k")
				part := b.putPart("k", id, 1, "new")
				b.clock.advance(time.Second)
				b.change(r.after)
				row := writeRow{r.row, "", r.headers, r.status, r.code, r.element}
				before := b.image()
				a := b.completeUpload("k", id, []string{part}, row.lines(b.do("HEAD", "/box/k", "").etag())...)
				row.check(t, b, a, before)
				if f := a.failure(); a.status == 409 && (f.Condition != r.element || f.Key != "k") {
					t.Errorf("condition %q, key %q", f.Condition, f.Key)
				}
				if a.status != 200 { // 0.12: the upload can still be used
					b.want("completed without the condition", b.completeUpload("k", id, []string{part}), 200, "")
				}
				if b.must("GET", "/box/k", "").body != "new" {
					t.Error("the object is not what was uploaded")
				}
			})
		}
	}
}

func TestCompleteRepeatedIsAnsweredAgain(t *testing.T) {
	b := serve(t, s3server.Options{})
	id := b.createUpload("k")
	parts := []string{b.putPart("k", id, 1, "part one"), b.putPart("k", id, 2, "2")}
	first := b.completeUpload("k", id, parts, "If-None-Match: *")
	b.want("first", first, 200, "")
	again := b.completeUpload("k", id, parts, "If-None-Match: *")
	b.want("again", again, 200, "")
	if first.body != again.body {
		t.Errorf("%s\n%s", first.body, again.body)
	}
	b.want("other parts", b.completeUpload("k", id, parts[:1]), 404, "NoSuchUpload")
}

func TestCompleteChecksItsParts(t *testing.T) {
	b := serve(t, s3server.Options{})
	id := b.createUpload("k")
	one, two, three := b.putPart("k", id, 1, "tiny"), b.putPart("k", id, 2, "t"), b.putPart("k", id, 3, "end")
	before := b.image()
	for _, r := range []struct {
		row     string
		parts   []string
		headers string
		code    string
	}{
		{"no parts", nil, "", "MalformedXML"},
		{"wrong order", []string{three, one}, "", "InvalidPartOrder"},
		{"twice", []string{one, one}, "", "InvalidPartOrder"},
		{"not put", []string{one, "<Part><PartNumber>9</PartNumber><ETag>x</ETag></Part>"}, "", "InvalidPart"},
		{"another ETag", []string{"<Part><PartNumber>1</PartNumber><ETag>x</ETag></Part>"}, "", "InvalidPart"},
		{"part 0", []string{"<Part><PartNumber>0</PartNumber><ETag>x</ETag></Part>"}, "", "InvalidArgument"},
		{"part -1", []string{"<Part><PartNumber>-1</PartNumber><ETag>x</ETag></Part>"}, "", "InvalidArgument"},
		{"part 10001", []string{"<Part><PartNumber>10001</PartNumber><ETag>x</ETag></Part>"}, "", "InvalidPart"},
		{"too small before the last", []string{one, two, three}, "", "EntityTooSmall"},
		{"object size", []string{one, three}, "x-amz-mp-object-size: 8", "InvalidRequest"},
		{"object size below nothing", []string{one, three}, "x-amz-mp-object-size: -1", "InvalidRequest"},
		{"object size that is no number", []string{one, three}, "x-amz-mp-object-size: x", "InvalidRequest"},
		{"object checksum", []string{one, three}, "x-amz-checksum-crc64nvme: AAAAAAAAAAA=", "BadDigest"},
		{"two object checksums", []string{one, three}, "x-amz-checksum-crc32: AAAAAA==|x-amz-checksum-crc32c: AAAAAA==", "InvalidRequest"},
		{"no checksum type", []string{one, three}, "x-amz-checksum-type: WHOLE", "InvalidRequest"},
	} {
		var headers []string
		if r.headers != "" {
			headers = strings.Split(r.headers, "|")
		}
		b.want(r.row, b.completeUpload("k", id, r.parts, headers...), 400, r.code)
	}
	b.want("no document", b.do("POST", "/box/k?uploadId="+id, ""), 400, "InvalidRequest")
	if a := b.completeUpload("k", id, []string{one, two, three}); !strings.Contains(a.body, "<ProposedSize>1</ProposedSize><MinSizeAllowed>4</MinSizeAllowed><PartNumber>2</PartNumber><ETag>") {
		t.Errorf("too small: %s", a.body)
	}
	if after := b.image(); after != before {
		t.Errorf("a refused completion left a trace:\n%s\n%s", after, before)
	}
	b.want("size right", b.completeUpload("k", id, []string{one, three}, "x-amz-mp-object-size: 7"), 200, "")
	if a := b.must("GET", "/box/k", "", "x-amz-checksum-mode: ENABLED"); a.body != "tinyend" || a.header.Get("x-amz-checksum-crc64nvme") == "" {
		t.Errorf("%q %v", a.body, a.header)
	}
	if a := b.must("GET", "/box/k?partNumber=3", ""); a.status != 206 || a.body != "end" || a.header.Get("x-amz-mp-parts-count") != "2" {
		t.Errorf("part 3: %d %q %v", a.status, a.body, a.header)
	}
}

// A client that got no answer in time sends a part again, and names it by whichever answer it has. Other bytes are another part.
func TestPartSentTwiceIsNamedByEitherTag(t *testing.T) {
	b := serve(t, s3server.Options{})
	const whole = "first of two, last"
	for _, named := range []int{0, 1} {
		id := b.createUpload("k")
		sent := []string{b.putPart("k", id, 1, "first of two, "), b.putPart("k", id, 1, "first of two, ")}
		if sent[0] == sent[1] {
			t.Fatal("the two have one tag")
		}
		last := b.putPart("k", id, 2, "last")
		b.want("of the same bytes", b.completeUpload("k", id, []string{sent[named], last}), 200, "")
		if got := b.must("GET", "/box/k", "").body; got != whole {
			t.Errorf("tag %d: %q", named, got)
		}
	}
	id := b.createUpload("k")
	replaced := b.putPart("k", id, 1, "first")
	b.putPart("k", id, 1, "other")
	b.want("of other bytes", b.completeUpload("k", id, []string{replaced}), 400, "InvalidPart")
	if got := b.must("GET", "/box/k", "").body; got != whole {
		t.Errorf("after a refusal: %q", got)
	}
}

// 1.1: where conditions mean nothing they are ignored.
func TestConditionsThatMeanNothing(t *testing.T) {
	b := serve(t, s3server.Options{})
	b.given("exists")
	for _, header := range []string{"If-None-Match: *", `If-Match: "x"`, "If-Match: *", `If-None-Match: "x"`} {
		id := b.createUpload("k", header)
		b.putPart("k", id, 1, "part", header)
		b.want("copy of a part, "+header, b.do("PUT", "/box/k?partNumber=2&uploadId="+id, "", "x-amz-copy-source: /box/k", header), 200, "")
		b.want("list, "+header, b.do("GET", "/box?list-type=2", "", header), 200, "")
		b.want("bucket, "+header, b.do("GET", "/box?location", "", header), 200, "")
	}
}

func TestAbortWithInitiatedTime(t *testing.T) {
	b := serve(t, s3server.Options{})
	id := b.createUpload("k")
	initiated := b.date(0)
	b.clock.advance(time.Minute)
	path := "/box/k?uploadId=" + id
	b.want("another time", b.do("DELETE", path, "", "x-amz-if-match-initiated-time: "+b.date(0)), 412, "PreconditionFailed")
	b.want("the time", b.do("DELETE", path, "", "x-amz-if-match-initiated-time: "+initiated), 204, "")
	b.want("gone, with the condition", b.do("DELETE", path, "", "x-amz-if-match-initiated-time: "+initiated), 204, "")
	b.want("gone", b.do("DELETE", path, ""), 404, "NoSuchUpload")
}

func TestUploadsOfAnotherKeyAreNone(t *testing.T) {
	b := serve(t, s3server.Options{})
	id := b.createUpload("k")
	for _, path := range []string{"/box/other?partNumber=1&uploadId=" + id, "/box/k?partNumber=1&uploadId=none"} {
		b.want(path, b.do("PUT", path, "x"), 404, "NoSuchUpload")
	}
	b.want("part 0", b.do("PUT", "/box/k?partNumber=0&uploadId="+id, "x"), 400, "InvalidArgument")
	b.want("part 10001", b.do("PUT", "/box/k?partNumber=10001&uploadId="+id, "x"), 400, "InvalidArgument")
	b.want("no part", b.do("PUT", "/box/k?uploadId="+id, "x"), 400, "InvalidArgument")
	// 0.1: uploads in progress are invisible.
	b.want("the key", b.do("PUT", "/box/k", "x", "If-None-Match: *"), 200, "")
}
