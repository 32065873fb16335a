package s3server_test

import (
	"encoding/xml"
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/etagfs/etagfs/objstore/s3server"
)

// What this server does not have is 501, never the operation without the parameter.
func TestUnknownSubresourcesAreNotImplemented(t *testing.T) {
	b := serve(t, s3server.Options{})
	b.given("exists")
	before := b.image()
	for _, sub := range []string{
		"acl", "acl=", "legal-hold", "retention", "torrent", "restore", "select&select-type=2", "object-lock", "lifecycle", "website", "encryption",
		"replication", "versions", "frobnicate", "frobnicate=", "tagging&acl", "uploads&uploadId=x", "logging", "session",
	} {
		for _, path := range []string{"/box?", "/box/k?", "/?"} {
			for _, method := range []string{"GET", "HEAD", "PUT", "POST", "DELETE"} {
				if sub == "versions" && path == "/box?" && method == "GET" {
					continue // the one form that is there
				}
				a := b.do(method, path+sub, "")
				if a.status != 501 || method != "HEAD" && a.failure().Code != "NotImplemented" {
					t.Errorf("%s %s%s: %d %s", method, path, sub, a.status, a.body)
				}
			}
		}
	}
	for _, r := range []string{"POST /box/k", "PUT /", "DELETE /", "POST /", "GET /box/k?uploads", "DELETE /box?location", "POST /box?policy", "PUT /box?list-type=2"} {
		method, path, _ := strings.Cut(r, " ")
		b.want(r, b.do(method, path, ""), 501, "NotImplemented")
	}
	for _, method := range []string{"GET", "PUT", "DELETE"} {
		b.want(method+" of a key in no bucket", b.do(method, "//box/k", ""), 400, "InvalidBucketName")
	}
	for _, method := range []string{"PATCH", "TRACE", "PROPFIND"} {
		b.want(method, b.do(method, "/box/k", ""), 405, "MethodNotAllowed")
	}
	if b.image() != before {
		t.Error("a refused request left a trace")
	}
}

func TestParametersWithValuesAreNoSubresources(t *testing.T) {
	b := serve(t, s3server.Options{})
	b.must("PUT", "/box/k?x-id=PutObject", "x")
	b.must("GET", "/box/k?x-id=GetObject&cache=17", "")
	b.must("GET", "/box?prefix=&delimiter=&marker=", "")
}

// Keys that look like ways to other places are keys.
func TestKeysAreBytes(t *testing.T) {
	b := serve(t, s3server.Options{})
	keys := []string{"..", "../x", "../../etc/passwd", ".", "./", "a//b", "/", "//", "a/", "a", "a/../b", "%2e%2e", "\x01", "a\nb", "\xff", "+", " ", "?", "#", "&", "ü"}
	for _, key := range keys {
		b.must("PUT", "/box/"+strings.ReplaceAll(url.PathEscape(key), "%2F", "/"), "is "+key)
	}
	for _, key := range keys {
		if got := b.must("GET", "/box/"+url.PathEscape(key), "").body; got != "is "+key {
			t.Errorf("%q: %q", key, got)
		}
	}
	listed := 0
	for line := range strings.Lines(b.image()) {
		if strings.HasPrefix(line, `"`) {
			listed++
		}
	}
	if listed != len(keys) {
		t.Errorf("%d keys for %d", listed, len(keys))
	}
	long := strings.Repeat("k", 1025)
	b.want("a key too long", b.do("PUT", "/box/"+long, "x"), 400, "KeyTooLongError")
	b.want("a copy too long", b.do("PUT", "/box/"+long, "", "x-amz-copy-source: /box/a"), 400, "KeyTooLongError")
	b.want("an upload too long", b.do("POST", "/box/"+long+"?uploads", ""), 400, "KeyTooLongError")
}

func TestBucketsInHostNames(t *testing.T) {
	b := serve(t, s3server.Options{Domain: "s3.example.org"})
	b.must("PUT", "/k", "by host", "Host: box.s3.example.org")
	b.must("PUT", "/box/k2", "by path", "Host: s3.example.org")
	for _, r := range []struct{ host, path, body string }{
		{"box.s3.example.org", "/k2", "by path"},
		{"BOX.S3.Example.Org:9000", "/k2", "by path"},
		{"s3.example.org", "/box/k", "by host"},
		{"other.org", "/box/k", "by host"},
	} {
		if got := b.must("GET", r.path, "", "Host: "+r.host).body; got != r.body {
			t.Errorf("%s%s: %q", r.host, r.path, got)
		}
	}
	b.want("a bucket that is none", b.do("GET", "/k", "", "Host: none.s3.example.org"), 404, "NoSuchBucket")
	b.must("GET", "/?list-type=2", "", "Host: box.s3.example.org")
}

func TestBuckets(t *testing.T) {
	b := serve(t, s3server.Options{})
	b.must("PUT", "/new-bucket", "")
	b.want("again", b.do("PUT", "/new-bucket", ""), 409, "BucketAlreadyOwnedByYou")
	for _, name := range []string{"ab", "Upper", "a_b", "-ab", "ab-", "a..b", "192.168.5.4", strings.Repeat("a", 64)} {
		b.want(name, b.do("PUT", "/"+name, ""), 400, "InvalidBucketName")
	}
	const elsewhere = "<CreateBucketConfiguration><LocationConstraint>eu-west-7</LocationConstraint></CreateBucketConfiguration>"
	b.must("PUT", "/anywhere", elsewhere)
	b.want("elsewhere", serve(t, s3server.Options{Region: "us-west-1"}).do("PUT", "/other-bucket", elsewhere), 400, "IllegalLocationConstraintException")
	b.want("with locks", b.do("PUT", "/other-bucket", "", "x-amz-bucket-object-lock-enabled: true"), 501, "NotImplemented")
	if a := b.do("HEAD", "/new-bucket", ""); a.status != 200 || a.header.Get("x-amz-bucket-region") != "us-east-1" {
		t.Errorf("head: %d %v", a.status, a.header)
	}
	b.want("none", b.do("GET", "/other-bucket", ""), 404, "NoSuchBucket")
	for _, r := range []struct{ path, part string }{
		{"/", "<Name>new-bucket</Name>"}, {"/new-bucket?location", "LocationConstraint"}, {"/new-bucket?versioning", "VersioningConfiguration"},
	} {
		if a := b.must("GET", r.path, ""); !strings.Contains(a.body, r.part) || strings.Contains(a.body, "Status") {
			t.Errorf("%s: %s", r.path, a.body)
		}
	}
	b.must("PUT", "/new-bucket/k", "x")
	b.want("not empty", b.do("DELETE", "/new-bucket", ""), 409, "BucketNotEmpty")
	b.must("DELETE", "/new-bucket/k", "")
	b.must("DELETE", "/new-bucket", "")
	b.want("gone", b.do("DELETE", "/new-bucket", ""), 404, "NoSuchBucket")
}

func TestBucketsAreListedInPages(t *testing.T) {
	b := serve(t, s3server.Options{})
	for _, name := range []string{"a-one", "a-two", "b-one"} {
		b.must("PUT", "/"+name, "")
	}
	var found []string
	for query := "?prefix=a-&max-buckets=1"; query != ""; {
		var page struct {
			ContinuationToken string
			Buckets           []string `xml:"Buckets>Bucket>Name"`
		}
		if err := xml.Unmarshal([]byte(b.must("GET", "/"+query, "").body), &page); err != nil {
			t.Fatal(err)
		}
		found, query = append(found, page.Buckets...), ""
		if page.ContinuationToken != "" {
			query = "?prefix=a-&max-buckets=1&continuation-token=" + url.QueryEscape(page.ContinuationToken)
		}
	}
	if strings.Join(found, " ") != "a-one a-two" {
		t.Errorf("%q", found)
	}
	b.want("none", b.do("GET", "/?max-buckets=0", ""), 400, "InvalidArgument")
	b.want("no token", b.do("GET", "/?continuation-token=x", ""), 400, "InvalidArgument")
	b.want("tags", b.do("PUT", "/new-bucket", "<CreateBucketConfiguration><Tags><Tag><Key>a</Key><Value>b</Value></Tag></Tags></CreateBucketConfiguration>"), 501, "NotImplemented")
	b.want("ownership", b.do("PUT", "/new-bucket", "", "x-amz-object-ownership: ObjectWriter"), 501, "NotImplemented")
	b.want("someone else's", b.do("GET", "/a-one", "", "x-amz-expected-bucket-owner: 123456789012"), 403, "AccessDenied")
}

func TestOptionsThatAreNone(t *testing.T) {
	b := serve(t, s3server.Options{})
	b.putOptions(`{"etag":"md5"}`)
	for text, code := range map[string]string{
		"": "InvalidRequest", "etag=md5": "InvalidRequest", `{"etag":"md5"`: "InvalidRequest", `{"etag":"md5"} {}`: "InvalidRequest", `[]`: "InvalidRequest", `{"etags":"md5"}`: "InvalidRequest",
		`{"etag":5}`: "InvalidRequest", `{"etag":"sha"}`: "InvalidArgument", `{"require-conditions":"all"}`: "InvalidArgument",
	} {
		b.want(text, b.do("PUT", "/box?etagfs-options", text, contentMD5(text)), 400, code)
	}
	b.want("no checksum", b.do("PUT", "/box?etagfs-options", "{}"), 400, "InvalidRequest")
	if got := b.must("GET", "/box?etagfs-options", "").body; got != `{"etag":"md5"}` {
		t.Errorf("%s", got)
	}
}

// A bucket that was deleted takes its settings with it.
func TestSettingsGoWithTheirBucket(t *testing.T) {
	b := serve(t, s3server.Options{})
	b.putOptions(`{"require-conditions":"create"}`)
	b.want("required", b.do("PUT", "/box/k", "x"), 403, "AccessDenied")
	b.must("DELETE", "/box", "")
	b.must("PUT", "/box", "")
	b.must("PUT", "/box/k", "x")
}

func TestHealthIsNoBucket(t *testing.T) {
	b := serve(t, s3server.Options{})
	for _, path := range []string{s3server.PathLive, s3server.PathReady} {
		b.must("GET", path, "")
	}
	b.handler.Drain()
	if b.do("GET", s3server.PathLive, "").status != 200 || b.do("GET", s3server.PathReady, "").status != 503 {
		t.Error("who is about to go is not ready, but lives")
	}
}

// A server whose store takes no more writes is not ready, and says no more of it to strangers than that. It lives.
func TestServerOfAStoreThatRefusesWritesIsNotReady(t *testing.T) {
	var why error
	b := serve(t, s3server.Options{Refusing: func() error { return why }})
	b.must("GET", s3server.PathReady, "")
	why = errors.New("sync /secret/place: input/output error")
	ready := b.do("GET", s3server.PathReady, "")
	if ready.status != 503 || !strings.Contains(ready.body, "takes no more writes") || strings.Contains(ready.body, "secret") {
		t.Errorf("%d: %q", ready.status, ready.body)
	}
	b.must("GET", s3server.PathLive, "")
}
