package s3server_test

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/etagfs/etagfs/objstore/s3server"
)

// body is what the checksums below are of.
const body = "123456789"

// checksums of body, in base64; those of the cyclic ones are the check values of their catalogue.
func checksums() map[string]string {
	sha, old := sha256.Sum256([]byte(body)), sha1.Sum([]byte(body))
	return map[string]string{
		"crc32": "y/Q5Jg==", "crc32c": "4waSgw==", "crc64nvme": "rosUhgp5mIg=",
		"sha1": base64.StdEncoding.EncodeToString(old[:]), "sha256": base64.StdEncoding.EncodeToString(sha[:]),
	}
}

func TestIntegrityIsTheWholeTable(t *testing.T) {
	b := serve(t, s3server.Options{})
	sum := md5.Sum([]byte(body))
	good := base64.StdEncoding.EncodeToString(sum[:])
	const wrongMD5 = "AAAAAAAAAAAAAAAAAAAAAA=="
	for _, r := range []struct {
		row, headers string
		status       int
		code, text   string
	}{
		{"two value headers", "x-amz-checksum-crc32: y/Q5Jg==; x-amz-checksum-crc32c: 4waSgw==", 400, "InvalidRequest", "Expecting a single x-amz-checksum- header"},
		{"not base64", "x-amz-checksum-crc32: !!!!", 400, "InvalidRequest", "Value for x-amz-checksum-crc32 header is invalid."},
		{"wrong length", "x-amz-checksum-crc32: AAAA", 400, "InvalidRequest", "Value for x-amz-checksum-crc32 header is invalid."},
		{"mismatch", "x-amz-checksum-crc32: AAAAAA==", 400, "BadDigest", "The CRC32 you specified did not match the calculated checksum."},
		{"algorithm without a value", "x-amz-sdk-checksum-algorithm: CRC32", 400, "InvalidRequest", ""},
		{"Content-MD5 malformed", "Content-MD5: abc", 400, "InvalidDigest", ""},
		{"Content-MD5 mismatch", "Content-MD5: " + wrongMD5, 400, "BadDigest", "The Content-MD5 you specified did not match what we received."},
		{"Content-MD5", "Content-MD5: " + good, 200, "", ""},
		{"a checksum and Content-MD5", "x-amz-checksum-crc32: y/Q5Jg==; Content-MD5: " + good, 200, "", ""},
	} {
		before := b.image()
		a := b.do("PUT", "/box/"+strings.ReplaceAll(r.row, " ", "-"), body, strings.Split(r.headers, "; ")...)
		f := a.failure()
		if a.status != r.status || f.Code != r.code || !strings.HasPrefix(f.Message, r.text) {
			t.Errorf("%s: %d %s", r.row, a.status, a.body)
		}
		if a.status != 200 && b.image() != before {
			t.Errorf("%s: left a trace", r.row)
		}
	}
	for name, value := range checksums() {
		header := "x-amz-checksum-" + name
		if a := b.must("PUT", "/box/"+name, body, header+": "+value); a.header.Get(header) != value {
			t.Errorf("%s of the answer: %q", name, a.header.Get(header))
		}
		a := b.must("HEAD", "/box/"+name, "", "x-amz-checksum-mode: ENABLED")
		if a.header.Get(header) != value || a.header.Get("x-amz-checksum-type") != "FULL_OBJECT" {
			t.Errorf("%s: %v", name, a.header)
		}
		if a := b.must("HEAD", "/box/"+name, ""); a.header.Get(header) != "" {
			t.Errorf("%s without the mode: %v", name, a.header)
		}
	}
	b.must("PUT", "/box/nothing", body)
	if a := b.must("GET", "/box/nothing", "", "x-amz-checksum-mode: enabled"); a.header.Get("x-amz-checksum-crc64nvme") != checksums()["crc64nvme"] {
		t.Errorf("nothing supplied: %v", a.header)
	}
}

// What comes behind a body counts as what comes before it.
func TestTrailersAreVerifiedBeforeTheCommit(t *testing.T) {
	b := serve(t, s3server.Options{})
	for _, r := range []struct {
		row, body, trailer, length string
		status                     int
		code                       string
	}{
		{"right", "9\r\n123456789\r\n0\r\nx-amz-checksum-crc32:y/Q5Jg==\r\n\r\n", "x-amz-checksum-crc32", "9", 200, ""},
		{"a small chunk before the last", "4\r\n1234\r\n5\r\n56789\r\n0\r\nx-amz-checksum-crc32:y/Q5Jg==\r\n\r\n", "x-amz-checksum-crc32", "9", 400, "InvalidChunkSizeError"},
		{"wrong", "9\r\n123456789\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n", "x-amz-checksum-crc32", "9", 400, "BadDigest"},
		{"another name", "9\r\n123456789\r\n0\r\nx-amz-checksum-crc32c:4waSgw==\r\n\r\n", "x-amz-checksum-crc32", "9", 400, "MalformedTrailerError"},
		{"missing", "9\r\n123456789\r\n0\r\n\r\n", "x-amz-checksum-crc32", "9", 400, "MalformedTrailerError"},
		{"no length", "9\r\n123456789\r\n0\r\nx-amz-checksum-crc32:y/Q5Jg==\r\n\r\n", "x-amz-checksum-crc32", "", 411, "MissingContentLength"},
		{"shorter than said", "9\r\n123456789\r\n0\r\nx-amz-checksum-crc32:y/Q5Jg==\r\n\r\n", "x-amz-checksum-crc32", "10", 400, "IncompleteBody"},
		{"cut off", "9\r\n12345", "x-amz-checksum-crc32", "9", 400, "IncompleteBody"},
	} {
		before := b.image()
		a := b.do("PUT", "/box/k", r.body, "x-amz-content-sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER", "Content-Encoding: aws-chunked", "x-amz-trailer: "+r.trailer, "x-amz-decoded-content-length: "+r.length)
		b.want(r.row, a, r.status, r.code)
		if a.status != 200 && b.image() != before {
			t.Errorf("%s: left a trace", r.row)
		}
	}
	if a := b.must("GET", "/box/k", "", "x-amz-checksum-mode: ENABLED"); a.body != body || a.header.Get("x-amz-checksum-crc32") != "y/Q5Jg==" || a.header.Get("Content-Encoding") != "" {
		t.Errorf("%q %v", a.body, a.header)
	}
}

func TestBodiesWithoutALength(t *testing.T) {
	b := serve(t, s3server.Options{})
	req := b.request("PUT", "/box/k", strings.NewReader("x"))
	req.ContentLength = -1
	b.want("no length", b.send(req), 411, "MissingContentLength")
	b.want("nothing was made", b.do("GET", "/box/k", ""), 404, "NoSuchKey")
	for _, head := range []string{
		"PUT /box/k HTTP/1.1", "PUT /box/k HTTP/1.0", "PUT /box/k HTTP/1.0\r\nTransfer-Encoding: chunked", "PUT /box/k HTTP/1.1\r\nx-amz-write-offset-bytes: 0",
		"PUT /box/k?partNumber=1&uploadId=" + b.createUpload("k") + " HTTP/1.1",
	} {
		if got := b.statusOf(head + "\r\nHost: x\r\nConnection: close\r\n\r\n5\r\nhello\r\n0\r\n\r\n"); got != 411 {
			t.Errorf("%s: %d", head, got)
		}
	}
	b.want("nothing was made of bytes up to the end", b.do("GET", "/box/k", ""), 404, "NoSuchKey")
	b.must("PUT", "/box/source", "x")
	for _, head := range []string{"PUT /bucket HTTP/1.1", "PUT /box/copy HTTP/1.1\r\nx-amz-copy-source: box/source", "POST /box/k?uploads HTTP/1.1"} {
		if got := b.statusOf(head + "\r\nHost: x\r\nConnection: close\r\n\r\n"); got != 200 {
			t.Errorf("%s, which needs no body: %d", head, got)
		}
	}
	small := serve(t, s3server.Options{Limits: s3server.Limits{PutBytes: 5}})
	small.want("too large", small.do("PUT", "/box/k", "123456"), 400, "EntityTooLarge")
	small.want("just so", small.do("PUT", "/box/k", "12345"), 200, "")
}

func TestMD5ETagsHaveTheShapeOfS3(t *testing.T) {
	b := serve(t, s3server.Options{})
	b.putOptions(`{"etag":"md5"}`)
	hexMD5 := func(s string) string { sum := md5.Sum([]byte(s)); return hex.EncodeToString(sum[:]) }
	if got := b.must("PUT", "/box/k", body).etag(); got != hexMD5(body) {
		t.Errorf("put: %s", got)
	}
	if got := b.must("HEAD", "/box/k", "").etag(); got != hexMD5(body) {
		t.Errorf("head: %s", got)
	}
	id := b.createUpload("parts")
	parts := []string{b.putPart("parts", id, 1, "part one"), b.putPart("parts", id, 2, "two")}
	b.want("complete", b.completeUpload("parts", id, parts), 200, "")
	one, two := md5.Sum([]byte("part one")), md5.Sum([]byte("two"))
	if got, want := b.must("HEAD", "/box/parts", "").etag(), hexMD5(string(one[:])+string(two[:]))+"-2"; got != want {
		t.Errorf("multipart: %s instead of %s", got, want)
	}
	// Content alone decides, as on S3; the version does not forget.
	first := b.must("GET", "/box/k", "")
	b.must("PUT", "/box/k", "other")
	b.must("PUT", "/box/k", body)
	b.want("A-B-A by version", b.do("PUT", "/box/k", "x", "x-etagfs-if-version-match: "+first.header.Get("x-etagfs-version")), 412, "PreconditionFailed")
	for _, r := range []struct{ method, path, header string }{
		{"GET", "k", "x-etagfs-if-version-match: "},
		{"DELETE", "k", "x-etagfs-if-version-match: "},
		{"PUT", "copy", "x-amz-copy-source: box/k\nx-etagfs-copy-source-if-version-match: "},
		{"PUT", "renamed?renameObject", "x-amz-rename-source: k\nx-etagfs-rename-source-if-version-match: "},
	} {
		ask := func(version string) answer {
			return b.do(r.method, "/box/"+r.path, "", strings.Split(r.header+version, "\n")...)
		}
		b.must("PUT", "/box/k", body)
		current := b.must("HEAD", "/box/k", "").header.Get("x-etagfs-version")
		b.want("A-B-A by version: "+r.path, ask(first.header.Get("x-etagfs-version")), 412, "PreconditionFailed")
		if a := ask(current); a.status >= 300 {
			t.Errorf("%s %s: %d %s", r.method, r.path, a.status, a.body)
		}
	}
	b.must("PUT", "/box/k", body)
	b.want("any version", b.do("PUT", "/box/k", body, "x-etagfs-if-version-match: *"), 200, "")
	b.want("any version of nothing", b.do("PUT", "/box/none", body, "x-etagfs-if-version-match: *"), 404, "NoSuchKey")
	b.want("A-B-A by ETag", b.do("PUT", "/box/k", "x", "If-Match: "+first.etag()), 200, "")
}

// Multipart checksum types: which algorithm goes with which type.
func TestMultipartChecksumTypes(t *testing.T) {
	b := serve(t, s3server.Options{})
	for _, r := range []struct {
		algorithm           string
		composite, fullsize int
	}{
		{"CRC64NVME", 400, 200}, {"CRC32", 200, 200}, {"CRC32C", 200, 200}, {"SHA1", 200, 400}, {"SHA256", 200, 400},
		{"MD5", 200, 400}, {"SHA512", 200, 400}, {"XXHASH64", 200, 400}, {"XXHASH3", 200, 400}, {"XXHASH128", 200, 400},
	} {
		for kind, want := range map[string]int{"COMPOSITE": r.composite, "FULL_OBJECT": r.fullsize} {
			a := b.do("POST", "/box/k?uploads", "", "x-amz-checksum-algorithm: "+r.algorithm, "x-amz-checksum-type: "+kind)
			if a.status != want || want == 400 && a.failure().Code != "InvalidRequest" {
				t.Errorf("%s %s: %d %s", r.algorithm, kind, a.status, a.body)
			}
		}
	}
	b.want("an algorithm that is none", b.do("POST", "/box/k?uploads", "", "x-amz-checksum-algorithm: CRC16"), 400, "InvalidRequest")
	b.want("a type alone", b.do("POST", "/box/k?uploads", "", "x-amz-checksum-type: COMPOSITE"), 400, "InvalidRequest")
}

// A part without a checksum gets the one its upload announced.
func TestPartsGetTheChecksumOfTheirUpload(t *testing.T) {
	b := serve(t, s3server.Options{})
	id := b.createUpload("k", "x-amz-checksum-algorithm: CRC32", "x-amz-checksum-type: FULL_OBJECT")
	part := b.putPart("k", id, 1, body)
	b.want("the type is not said again", b.completeUpload("k", id, []string{part}), 400, "InvalidRequest")
	b.want("complete", b.completeUpload("k", id, []string{part}, "x-amz-checksum-type: FULL_OBJECT", "x-amz-checksum-crc32: "+checksums()["crc32"]), 200, "")
	if a := b.must("HEAD", "/box/k", "", "x-amz-checksum-mode: ENABLED"); a.header.Get("x-amz-checksum-crc32") != checksums()["crc32"] {
		t.Errorf("%v", a.header)
	}
}

// A copy has the checksum it is asked to have, or the source's.
func TestCopiesHaveChecksums(t *testing.T) {
	b := serve(t, s3server.Options{})
	b.must("PUT", "/box/k", body)
	for algorithm, header := range map[string]string{"": "crc64nvme", "CRC64NVME": "crc64nvme", "CRC32C": "crc32c", "SHA256": "sha256"} {
		b.must("PUT", "/box/copy", "", "x-amz-copy-source: /box/k", "x-amz-checksum-algorithm: "+algorithm)
		if a := b.must("HEAD", "/box/copy", "", "x-amz-checksum-mode: ENABLED"); a.header.Get("x-amz-checksum-"+header) != checksums()[header] {
			t.Errorf("%s: %v", algorithm, a.header)
		}
	}
	b.want("none", b.do("PUT", "/box/copy", "", "x-amz-copy-source: /box/k", "x-amz-checksum-algorithm: CRC16"), 400, "InvalidRequest")
	b.want("condition", b.do("PUT", "/box/copy", "", "x-amz-copy-source: /box/k", "x-amz-checksum-algorithm: SHA1", `x-amz-copy-source-if-match: "x"`), 412, "PreconditionFailed")
	b.want("missing", b.do("PUT", "/box/copy", "", "x-amz-copy-source: /box/none", "x-amz-checksum-algorithm: SHA1"), 404, "NoSuchKey")
	id := b.createUpload("parts", "x-amz-checksum-algorithm: CRC32", "x-amz-checksum-type: FULL_OBJECT")
	var parts []string
	for i, span := range []string{"bytes=0-4", "bytes=5-8"} {
		a := b.must("PUT", fmt.Sprintf("/box/parts?partNumber=%d&uploadId=%s", i+1, id), "", "x-amz-copy-source: /box/k", "x-amz-copy-source-range: "+span)
		_, etag, _ := strings.Cut(a.body, "<ETag>")
		etag, _, _ = strings.Cut(etag, "</ETag>")
		parts = append(parts, fmt.Sprintf("<Part><PartNumber>%d</PartNumber><ETag>%s</ETag></Part>", i+1, etag))
	}
	b.want("complete", b.completeUpload("parts", id, parts, "x-amz-checksum-type: FULL_OBJECT"), 200, "")
	if a := b.must("GET", "/box/parts", "", "x-amz-checksum-mode: ENABLED"); a.body != body || a.header.Get("x-amz-checksum-crc32") != checksums()["crc32"] {
		t.Errorf("%q %v", a.body, a.header)
	}
}

func TestCompositeChecksums(t *testing.T) {
	b := serve(t, s3server.Options{})
	id := b.createUpload("k", "x-amz-checksum-algorithm: SHA256", "x-amz-checksum-type: COMPOSITE")
	one, two := sha256.Sum256([]byte("part one")), sha256.Sum256([]byte("two"))
	value := func(sum [32]byte) string { return base64.StdEncoding.EncodeToString(sum[:]) }
	put := func(n int, body string, sum [32]byte) string {
		return b.must("PUT", fmt.Sprintf("/box/k?partNumber=%d&uploadId=%s", n, id), body, "x-amz-checksum-sha256: "+value(sum)).etag()
	}
	etags := []string{put(1, "part one", one), put(2, "two", two)}
	name := func(sums ...string) (parts []string) {
		for i, etag := range etags {
			parts = append(parts, fmt.Sprintf("<Part><PartNumber>%d</PartNumber><ETag>%s</ETag>%s</Part>", i+1, etag, sums[i]))
		}
		return parts
	}
	element := func(sum [32]byte) string { return "<ChecksumSHA256>" + value(sum) + "</ChecksumSHA256>" }
	bare, good, swapped := name("", ""), name(element(one), element(two)), name(element(two), element(one))
	path := "/box/k?partNumber=3&uploadId=" + id
	b.want("a part by another algorithm", b.do("PUT", path, body, "x-amz-checksum-crc32: y/Q5Jg=="), 400, "InvalidRequest")
	b.want("without the parts' checksums", b.completeUpload("k", id, bare), 400, "InvalidRequest")
	b.want("with another part's checksum", b.completeUpload("k", id, swapped), 400, "InvalidPart")
	b.want("with another type", b.completeUpload("k", id, good, "x-amz-checksum-type: FULL_OBJECT"), 400, "InvalidRequest")
	b.want("complete", b.completeUpload("k", id, good, "x-amz-checksum-type: COMPOSITE"), 200, "")
	all := sha256.Sum256(append(one[:], two[:]...))
	a := b.must("HEAD", "/box/k", "", "x-amz-checksum-mode: ENABLED")
	if a.header.Get("x-amz-checksum-sha256") != value(all)+"-2" || a.header.Get("x-amz-checksum-type") != "COMPOSITE" {
		t.Errorf("%v", a.header)
	}
}

// A copy is one piece: what was a checksum of checksums becomes one of the bytes, by the same algorithm.
func TestCopyOfPartsHasAChecksumOfTheWhole(t *testing.T) {
	for algorithm, want := range map[string]string{"CRC32": "y/Q5Jg==", "SHA1": "98O8HYCOBHMq32eZZczDTKeuNEE="} {
		b := serve(t, s3server.Options{})
		header := "x-amz-checksum-" + strings.ToLower(algorithm)
		id := b.createUpload("k", "x-amz-checksum-algorithm: "+algorithm)
		var parts []string
		for i, body := range []string{"12345", "6789"} {
			a := b.must("PUT", fmt.Sprintf("/box/k?partNumber=%d&uploadId=%s", i+1, id), body)
			parts = append(parts, fmt.Sprintf("<Part><PartNumber>%d</PartNumber><ETag>%s</ETag><Checksum%s>%s</Checksum%s></Part>", i+1, a.etag(), algorithm, a.header.Get(header), algorithm))
		}
		b.want("complete", b.completeUpload("k", id, parts), 200, "")
		composite := b.must("HEAD", "/box/k", "", "x-amz-checksum-mode: ENABLED").header.Get(header)
		if !strings.HasSuffix(composite, "-2") {
			t.Fatalf("%s: %q is not composite", algorithm, composite)
		}
		if a := b.must("GET", "/box/k?attributes", "", "x-amz-object-attributes: Checksum"); !strings.Contains(a.body, ">"+strings.TrimSuffix(composite, "-2")+"</Checksum"+algorithm+">") {
			t.Errorf("%s: attributes of %s: %s", algorithm, composite, a.body)
		}
		b.must("PUT", "/box/copy", "", "x-amz-copy-source: box/k")
		got := b.must("HEAD", "/box/copy", "", "x-amz-checksum-mode: ENABLED").header
		if got.Get(header) != want || got.Get("x-amz-checksum-type") != "FULL_OBJECT" {
			t.Errorf("%s: %v", algorithm, got)
		}
	}
}
