package s3server_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/s3server"
)

func TestRanges(t *testing.T) {
	b := serve(t, s3server.Options{})
	etag := b.must("PUT", "/box/k", "0123456789").etag()
	b.must("PUT", "/box/empty", "")
	last := b.date(0)
	b.clock.advance(time.Minute)
	for _, r := range []struct {
		headers, body, contentRange string
		status                      int
	}{
		{"Range: bytes=0-0", "0", "bytes 0-0/10", 206},
		{"Range: bytes=2-4", "234", "bytes 2-4/10", 206},
		{"Range: bytes=7-", "789", "bytes 7-9/10", 206},
		{"Range: bytes=7-99999999999999999999", "789", "bytes 7-9/10", 206},
		{"Range: bytes=-3", "789", "bytes 7-9/10", 206},
		{"Range: bytes=-30", "0123456789", "bytes 0-9/10", 206},
		{"Range: bytes= 1-2", "0123456789", "", 200},
		{"Range: bytes=4-2", "0123456789", "", 200},
		{"Range: bytes=a-b", "0123456789", "", 200},
		{"Range: bytes=-", "0123456789", "", 200},
		{"Range: lines=1-2", "0123456789", "", 200},
		{"Range: bytes=0-1,3-4", "0123456789", "", 200},
		{"Range: bytes=10-", "", "bytes */10", 416},
		{"Range: bytes=-0", "", "bytes */10", 416},
		{`Range: bytes=2-4; If-Range: "` + etag + `"`, "234", "bytes 2-4/10", 206},
		{`Range: bytes=2-4; If-Range: "x"`, "0123456789", "", 200},
		{`Range: bytes=2-4; If-Range: W/"` + etag + `"`, "0123456789", "", 200},
		{"Range: bytes=2-4; If-Range: " + last, "234", "bytes 2-4/10", 206},
		{"Range: bytes=2-4; If-Range: Mon, 02 Jan 2006 15:04:05 GMT", "0123456789", "", 200},
		{`Range: bytes=99-; If-Match: "x"`, "", "", 412}, // conditions first
		{"Range: bytes=99-; If-None-Match: " + etag, "", "", 304},
	} {
		for _, method := range []string{"GET", "HEAD"} {
			a := b.do(method, "/box/k", "", strings.Split(r.headers, "; ")...)
			if a.status != r.status || a.header.Get("Content-Range") != r.contentRange || a.status/100 == 2 && method == "GET" && a.body != r.body {
				t.Errorf("%s %s: %d %q %q", method, r.headers, a.status, a.header.Get("Content-Range"), a.body)
			}
		}
	}
	b.want("a range of nothing", b.do("GET", "/box/empty", "", "Range: bytes=0-0"), 416, "InvalidRange")
	if a := b.do("GET", "/box/k", "", "Range: bytes=1-2", "x-amz-checksum-mode: ENABLED"); a.header.Get("x-amz-checksum-crc64nvme") != "" {
		t.Error("a range came with the checksum of the whole")
	}
}

func TestWhatDescribesAnObjectComesBack(t *testing.T) {
	b := serve(t, s3server.Options{Users: s3server.Users{Anonymous: everything()}})
	b.must("PUT", "/box/k", "x", "Content-Type: text/html", "Cache-Control: no-cache", "Content-Disposition: inline", "Content-Encoding: gzip",
		"Content-Language: de", "Expires: Mon, 02 Jan 2040 15:04:05 GMT", "x-amz-meta-One: 1", "x-amz-meta-two-words: a b", "x-amz-tagging: a=1&b=2")
	for _, method := range []string{"GET", "HEAD"} {
		a := b.must(method, "/box/k", "")
		for name, value := range map[string]string{
			"Content-Type": "text/html", "Cache-Control": "no-cache", "Content-Disposition": "inline", "Content-Encoding": "gzip", "Content-Language": "de",
			"Expires": "Mon, 02 Jan 2040 15:04:05 GMT", "X-Amz-Meta-One": "1", "X-Amz-Meta-Two-Words": "a b", "X-Amz-Tagging-Count": "2",
			"Accept-Ranges": "bytes", "Content-Length": "1",
		} {
			if got := a.header.Get(name); got != value {
				t.Errorf("%s %s: %q instead of %q", method, name, got, value)
			}
		}
		if a.header.Get("x-etagfs-version") == "" || a.header.Get("x-amz-request-id") == "" {
			t.Errorf("%s: %v", method, a.header)
		}
	}
	b.must("PUT", "/box/plain", "x")
	if a := b.must("GET", "/box/plain", ""); a.header.Get("Content-Type") != "binary/octet-stream" {
		t.Errorf("%v", a.header)
	}
	b.want("anonymous overrides", b.do("GET", "/box/k?response-content-type=text/plain", ""), 400, "InvalidRequest")
	for header, code := range map[string]string{
		"x-amz-meta-big: " + strings.Repeat("v", 2049): "MetadataTooLarge",
		"x-amz-tagging: a=1&a=2":                       "InvalidArgument",
		"x-amz-tagging: a=1%2C":                        "InvalidTag",
		"x-amz-tagging: a%21=1":                        "InvalidTag",
		"x-amz-tagging: a=1,b=2":                       "InvalidArgument",
		"x-amz-tagging: =1":                            "InvalidArgument",
		"x-amz-website-redirect-location: a":           "InvalidRedirectLocation",
		"x-amz-tagging: %zz":                           "InvalidArgument",
		"x-amz-tagging: aws:a=1":                       "InvalidTag",
		"x-amz-acl: public-read":                       "AccessControlListNotSupported",
		"x-amz-storage-class: GLACIER":                 "InvalidStorageClass",
	} {
		b.want(header[:15], b.do("PUT", "/box/refused", "x", header), 400, code)
	}
	for _, header := range []string{"x-amz-server-side-encryption: AES256", "x-amz-object-lock-mode: GOVERNANCE", "x-amz-grant-read: id=1", "x-amz-server-side-encryption-customer-key: x"} {
		b.want(header, b.do("PUT", "/box/refused", "x", header), 501, "NotImplemented")
	}
	b.want("nothing was made", b.do("GET", "/box/refused", ""), 404, "NoSuchKey")
}

func TestCopyTakesWhatItIsToldTo(t *testing.T) {
	b := serve(t, s3server.Options{})
	b.must("PUT", "/box/k", "x", "Content-Type: text/html", "x-amz-meta-a: 1", "x-amz-tagging: t=1")
	b.must("PUT", "/box/copy", "", "x-amz-copy-source: box%2Fk")
	if a := b.must("GET", "/box/copy", ""); a.header.Get("Content-Type") != "text/html" || a.header.Get("x-amz-meta-a") != "1" || a.header.Get("x-amz-tagging-count") != "1" {
		t.Errorf("%v", a.header)
	}
	b.must("PUT", "/box/copy", "", "x-amz-copy-source: /box/k", "x-amz-metadata-directive: REPLACE", "x-amz-tagging-directive: REPLACE", "x-amz-meta-b: 2")
	if a := b.must("GET", "/box/copy", ""); a.body != "x" || a.header.Get("Content-Type") != "binary/octet-stream" || a.header.Get("x-amz-meta-a") != "" || a.header.Get("x-amz-meta-b") != "2" || a.header.Get("x-amz-tagging-count") != "" {
		t.Errorf("%v", a.header)
	}
	b.want("a directive that is none", b.do("PUT", "/box/copy", "", "x-amz-copy-source: /box/k", "x-amz-metadata-directive: KEEP"), 400, "InvalidArgument")
	b.must("PUT", "/other-bucket", "")
	b.must("PUT", "/other-bucket/k", "", "x-amz-copy-source: /box/k")
	if got := b.must("GET", "/other-bucket/k", "").body; got != "x" {
		t.Errorf("%q", got)
	}
}

func TestTagging(t *testing.T) {
	b := serve(t, s3server.Options{})
	etag := b.must("PUT", "/box/k", "x").etag()
	body := "<Tagging><TagSet><Tag><Key>a</Key><Value>1</Value></Tag><Tag><Key>b</Key><Value></Value></Tag></TagSet></Tagging>"
	b.must("PUT", "/box/k?tagging", body, contentMD5(body))
	if a := b.must("GET", "/box/k?tagging", ""); !strings.Contains(a.body, "<Tag><Key>a</Key><Value>1</Value></Tag><Tag><Key>b</Key><Value></Value></Tag>") {
		t.Error(a.body)
	}
	if b.must("HEAD", "/box/k", "").etag() != etag {
		t.Error("tags changed the ETag")
	}
	twice := "<Tagging><TagSet><Tag><Key>a</Key><Value>1</Value></Tag><Tag><Key>a</Key><Value>2</Value></Tag></TagSet></Tagging>"
	b.want("twice", b.do("PUT", "/box/k?tagging", twice, contentMD5(twice)), 400, "InvalidTag")
	b.want("no checksum", b.do("PUT", "/box/k?tagging", body), 400, "InvalidRequest")
	b.want("missing", b.do("PUT", "/box/none?tagging", body, contentMD5(body)), 404, "NoSuchKey")
	b.want("missing", b.do("GET", "/box/none?tagging", ""), 404, "NoSuchKey")
	b.must("DELETE", "/box/k?tagging", "")
	if a := b.must("GET", "/box/k?tagging", ""); strings.Contains(a.body, "<Tag>") {
		t.Error(a.body)
	}
}

// What is made without S3, as a symlink, may have metadata that no header can be. It is left out, and said to be.
func TestMetadataThatIsNoHeaderIsCounted(t *testing.T) {
	b := serve(t, s3server.Options{})
	store, err := b.engine.Bucket(t.Context(), "box")
	if err != nil {
		t.Fatal(err)
	}
	meta := map[string]string{"plain": "a b", "bytes": "\xff", "control": "a\x01", "lines": "a\r\nEvil: 1", "a name": "x"}
	if _, err := store.Put(t.Context(), "k", strings.NewReader("x"), objstore.Unconditional(), objstore.PutOptions{UserMeta: meta}); err != nil {
		t.Fatal(err)
	}
	for _, method := range []string{"GET", "HEAD"} {
		a := b.must(method, "/box/k", "")
		if h := a.header; h.Get("x-amz-meta-plain") != "a b" || h.Get("x-amz-meta-bytes") != "\xff" || h.Get("x-amz-missing-meta") != "3" || h.Get("Evil") != "" {
			t.Errorf("%s: %v", method, a.header)
		}
	}
	b.must("PUT", "/box/other", "x", "x-amz-meta-plain: a")
	if a := b.must("GET", "/box/other", ""); len(a.header.Values("x-amz-missing-meta")) > 0 {
		t.Errorf("nothing is missing: %v", a.header)
	}
}

// A signed request may say with which headers it is to be answered, if HTTP can send them.
func TestOverridesAreHeaders(t *testing.T) {
	s := newStage(t)
	s.made(message{method: "PUT", path: "/box/k", body: "x"})
	get := func(value string) answer {
		a, err := s.send(message{method: "GET", path: "/box/k", mode: byAddress, query: []field{{"response-content-disposition", value}}})
		if err != nil {
			t.Fatalf("%q: %v", value, err)
		}
		return a
	}
	if a := get("inline"); a.status != 200 || a.header.Get("Content-Disposition") != "inline" {
		t.Errorf("%d %v", a.status, a.header)
	}
	for _, value := range []string{"a\x00", "a\r\nEvil: 1", "\x7f", "\n"} {
		s.want(strconv.Quote(value), get(value), 400, "InvalidArgument")
	}
}
