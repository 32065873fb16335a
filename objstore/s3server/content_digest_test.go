package s3server_test

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/etagfs/etagfs/objstore/s3server"
)

// 3: what the head says of the whole body is compared with it before the commit, and has to be a digest or the name of a mode.
func TestContentSHA256IsThatOfTheBody(t *testing.T) {
	b := serve(t, s3server.Options{})
	digest := func(text string) string {
		sum := sha256.Sum256([]byte(text))
		return hex.EncodeToString(sum[:])
	}
	for _, r := range []struct {
		row, value string
		status     int
		code       string
	}{
		{"of another body", digest("other"), 400, "XAmzContentSHA256Mismatch"},
		{"too short", "e3b0", 400, "InvalidRequest"},
		{"no mode", "STREAMING-NOTHING", 400, "InvalidRequest"},
		{"SigV4A", "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD", 501, "NotImplemented"},
		{"SigV4A with a trailer", "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER", 501, "NotImplemented"},
		{"its own", digest(body), 200, ""},
		{"none", "UNSIGNED-PAYLOAD", 200, ""},
	} {
		before := b.image()
		a := b.do("PUT", "/box/digest", body, "x-amz-content-sha256: "+r.value)
		b.want(r.row, a, r.status, r.code)
		if a.status != 200 && b.image() != before {
			t.Errorf("%s: left a trace", r.row)
		}
	}
}

// 3: a body in chunks of AWS may come in chunks of HTTP as well.
func TestChunksInChunksAreDecoded(t *testing.T) {
	b := serve(t, s3server.Options{})
	const chunks = "9\r\n123456789\r\n0\r\nx-amz-checksum-crc32:y/Q5Jg==\r\n\r\n"
	for length, want := range map[string]int{"9": 200, "8": 400, "": 411} {
		req := b.request("PUT", "/box/k", strings.NewReader(chunks))
		req.ContentLength = -1
		for name, value := range map[string]string{
			"X-Amz-Content-Sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "Content-Encoding": "aws-chunked",
			"X-Amz-Trailer": "x-amz-checksum-crc32", "X-Amz-Decoded-Content-Length": length,
		} {
			req.Header.Set(name, value)
		}
		if a := b.send(req); a.status != want {
			t.Errorf("length %q: %d %s", length, a.status, a.body)
		}
	}
	if got := b.must("GET", "/box/k", ""); got.body != body || got.header.Get("Content-Encoding") != "" {
		t.Errorf("%q %v", got.body, got.header)
	}
}
