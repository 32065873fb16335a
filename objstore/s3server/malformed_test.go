package s3server_test

import (
	"bufio"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/etagfs/etagfs/objstore/s3server"
	"github.com/etagfs/etagfs/objstore/wire"
)

// seed reruns a random test: go test ./objstore/s3server -run Malformed -s3.seed=N
var seed = flag.Uint64("s3.seed", 0, "seed of random requests; 0: another each time")

// pieces are what random requests are made of.
var pieces = struct{ methods, paths, params, values, headers, headerValues, bodies []string }{
	methods: []string{"GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS", "PATCH"},
	paths:   []string{"/", "/box", "/box/", "/box/k", "/box/none", "/box/d/", "/box/%00", "/box/..", "/none/k", "/BOX/k", "/%2e%2e/x", "//", "/box//", "/-/x"},
	params: []string{"uploadId", "partNumber", "uploads", "delete", "tagging", "acl", "policy", "cors", "versionId", "versioning", "location", "list-type", "prefix", "delimiter",
		"max-keys", "marker", "continuation-token", "encoding-type", "attributes", "renameObject", "events", "etagfs-options", "response-content-type", "x-id", "X-Amz-Signature",
		"X-Amz-Algorithm", "X-Amz-Date", "max-parts", "part-number-marker", "max-uploads", "fetch-owner", "ping"},
	values: []string{"", "0", "1", "-1", "2", "99999999999999999999", "null", "x", "%00", "%ff", "*", "url", "true", "s3:ObjectCreated", "AWS4-HMAC-SHA256", "MTox"},
	headers: []string{"If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "If-Range", "Range", "Content-MD5", "Content-Encoding", "Content-Type", "Authorization", "Expires",
		"x-amz-copy-source", "x-amz-copy-source-range", "x-amz-copy-source-if-match", "x-amz-metadata-directive", "x-amz-tagging-directive", "x-amz-tagging", "x-amz-write-offset-bytes", "x-amz-rename-source", "x-amz-client-token",
		"x-amz-checksum-crc32", "x-amz-checksum-sha256", "x-amz-checksum-algorithm", "x-amz-checksum-type", "x-amz-sdk-checksum-algorithm", "x-amz-trailer", "x-amz-decoded-content-length", "x-amz-content-sha256",
		"x-amz-date", "x-amz-security-token", "x-amz-acl", "x-amz-storage-class", "x-amz-mp-object-size", "x-amz-if-match-size", "x-amz-if-match-last-modified-time", "x-amz-if-match-initiated-time",
		"x-amz-object-attributes", "x-amz-max-parts", "x-amz-part-number-marker", "x-amz-meta-a", "Origin", "Access-Control-Request-Method", "x-etagfs-write-id", "x-etagfs-if-version-match"},
	headerValues: []string{"", "*", `"x"`, `W/"x"`, `"`, "x, y", "bytes=0-1", "bytes=9-1", "bytes=-", "bytes=-5", "0", "-1", "7", "99999999999999999999", "Mon, 02 Jan 2006 15:04:05 GMT", "yesterday",
		"/box/k", "box/k", "/box", "%zz", "/none/k", "COPY", "REPLACE", "a=1&a=2", "AAAAAA==", "!!", "CRC32", "COMPOSITE", "FULL_OBJECT", "UNSIGNED-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
		"STREAMING-UNSIGNED-PAYLOAD-TRAILER", "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "aws-chunked", "multipart/form-data; boundary=b",
		"AWS4-HMAC-SHA256 Credential=a/b/c/s3/aws4_request, SignedHeaders=host, Signature=0", "AWS x:y", "https://a.org", "ETag", "\xff\xfe", strings.Repeat("v", 3000)},
	bodies: []string{"", "x", "<", "<Delete>", "<Delete><Object><Key>k</Key></Object></Delete>", "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>x</ETag></Part></CompleteMultipartUpload>",
		"<Tagging><TagSet><Tag><Key>a</Key></Tag></TagSet></Tagging>", `{"etag":"sha"}`, `{"Version":"2012-10-17"}`, "0\r\n\r\n", "1;chunk-signature=0\r\nx\r\n", "--b\r\n\r\n--b--\r\n", strings.Repeat("<a>", 5000), "\x00\xff"},
}

func pick(r *rand.Rand, from []string) string { return from[r.IntN(len(from))] }

// randomRequest is the text of a request that may or may not make sense.
func randomRequest(r *rand.Rand) (method, path, body string, headers []string) {
	method, path, body = pick(r, pieces.methods), pick(r, pieces.paths), pick(r, pieces.bodies)
	for i := range r.IntN(4) {
		path += map[bool]string{true: "?", false: "&"}[i == 0] + pick(r, pieces.params)
		if r.IntN(3) > 0 {
			path += "=" + pick(r, pieces.values)
		}
	}
	for range r.IntN(5) {
		headers = append(headers, pick(r, pieces.headers)+": "+pick(r, pieces.headerValues))
	}
	return method, path, body, headers
}

// Whatever is asked, the answer is no failure of the server, and what is refused leaves no trace.
func TestMalformedRequestsAreRefusedWithoutATrace(t *testing.T) {
	r := randomOf(t, 1)
	b := serve(t, s3server.Options{})
	b.must("PUT", "/box/k", body)
	statuses := map[int]int{}
	for i := range rounds(1000, 6000) {
		method, path, text, headers := randomRequest(r)
		if strings.Contains(path, "events") && method == "GET" {
			continue // a stream has no end
		}
		before := b.image()
		status := b.raw(method, path, text, headers)
		statuses[status]++
		if status >= 500 && status != 501 || status < 200 {
			t.Fatalf("round %d: %d for %s %s %q with %q", i, status, method, path, headers, text)
		}
		if status >= 300 && b.image() != before {
			t.Fatalf("round %d: %d left a trace: %s %s %q with %q", i, status, method, path, headers, text)
		}
	}
	for _, status := range []int{200, 400, 404, 501} { // too few are answered otherwise to be sure of them
		if statuses[status] == 0 {
			t.Errorf("no request was answered %d: %v", status, statuses)
		}
	}
}

// raw sends a request as it stands, which a client of net/http would not, and returns the status.
func (b *bench) raw(method, path, body string, headers []string) int {
	b.t.Helper()
	return b.statusOf(fmt.Sprintf("%s %s HTTP/1.1\r\nHost: x\r\n%s\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s",
		method, path, strings.Join(append(headers, "X-Last: 1"), "\r\n"), len(body), body))
}

// statusOf sends text, and returns the status it is answered with.
func (b *bench) statusOf(text string) int {
	b.t.Helper()
	conn := b.dial()
	defer conn.Close()
	fmt.Fprint(conn, text)
	method, _, _ := strings.Cut(text, " ")
	resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		b.t.Fatalf("%q: %v", text, err)
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

// Who says two things where there is one to say is told so, and none of them is done.
func TestHeadersWithOneValueComeOnce(t *testing.T) {
	b := serve(t, s3server.Options{})
	b.must("PUT", "/box/k", body)
	for _, lines := range []string{
		"Content-MD5: XUFAKrxLKna5cZ2REBfFkg==\nContent-MD5: AAAAAAAAAAAAAAAAAAAAAA==",
		"x-amz-acl: private\nx-amz-acl: public-read", "x-amz-storage-class: STANDARD\nx-amz-storage-class: GLACIER",
		"x-amz-write-offset-bytes: 0\nx-amz-write-offset-bytes: 3", "x-amz-copy-source: box/k\nx-amz-copy-source: box/none",
		"x-amz-tagging: a=1\nx-amz-tagging: b=2", "x-etagfs-write-id: a\nx-etagfs-write-id: b", "x-amz-checksum-crc32: NhCmhg==\nx-amz-checksum-crc32: AAAAAA==",
		"x-etagfs-if-version-match: 1\nx-etagfs-if-version-match: 2",
	} {
		b.want(lines, b.do("PUT", "/box/new", "hello", strings.Split(lines, "\n")...), 400, "InvalidRequest")
		b.want("after "+lines, b.do("HEAD", "/box/new", ""), 404, "")
	}
	b.must("PUT", "/box/new", "hello", "Cache-Control: no-cache", "Cache-Control: private", "Content-Language: de", "Content-Language: en", "x-amz-meta-a: 1", "x-amz-meta-a: 2")
	for name, want := range map[string]string{"Cache-Control": "no-cache, private", "Content-Language": "de, en", "X-Amz-Meta-A": "1,2"} {
		if got := b.must("HEAD", "/box/new", "").header.Get(name); got != want {
			t.Errorf("%s, which is a list: %q", name, got)
		}
	}
}

func TestParametersComeOnce(t *testing.T) {
	b := serve(t, s3server.Options{})
	b.must("PUT", "/box/k", body)
	id := b.createUpload("parts")
	before := b.image()
	for _, request := range []string{
		"DELETE /box/k?versionId=null&versionId=other", "GET /box/k?partNumber=1&partNumber=2", "PUT /box/parts?partNumber=1&partNumber=2&uploadId=" + id,
		"DELETE /box/parts?uploadId=" + id + "&uploadId=other", "GET /box?list-type=2&list-type=1", "GET /box?prefix=a&prefix=b",
	} {
		method, path, _ := strings.Cut(request, " ")
		b.want(request, b.do(method, path, ""), 400, "InvalidArgument")
	}
	if b.image() != before {
		t.Error("a refused request left a trace")
	}
}

// The same for bytes that are no HTTP at all.
func TestWhatIsNoHTTPIsRefused(t *testing.T) {
	b := serve(t, s3server.Options{})
	for _, text := range []string{"\r\n\r\n", "GET\r\n\r\n", "GET /box HTTP/1.1\r\n\r\n", "PUT /box/%zz HTTP/1.1\r\nHost: x\r\n\r\n", "PUT /box/k HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n", "PUT /box/k HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx", "\x16\x03\x01"} {
		conn := b.dial()
		fmt.Fprint(conn, text)
		if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			continue // the connection ended, which is an answer too
		}
		if resp.StatusCode/100 != 4 {
			t.Errorf("%q: %s", text, resp.Status)
		}
		resp.Body.Close()
	}
	if got := b.image(); got != "" {
		t.Errorf("left %s", got)
	}
}

// What mounts send has a checksum of its own. A message that is damaged or cut is refused as a body of S3's is.
func TestDamagedMessagesOfMountsAreRefused(t *testing.T) {
	b := serve(t, s3server.Options{})
	good := string(wire.AppendFrame(nil, []byte("a message")))
	for what, r := range map[string]struct{ body, code string }{
		"nothing":                  {"", "IncompleteBody"},
		"cut":                      {good[:len(good)-1], "IncompleteBody"},
		"changed":                  {good[:len(good)-1] + "?", "BadDigest"},
		"longer than messages are": {"\xff\xff\xff\xff0000", "BadDigest"},
		"whole, and no message":    {good, "InvalidArgument"},
	} {
		b.want(what, b.do("POST", "/box?etagfs-namespace", r.body), 400, r.code)
	}
}
