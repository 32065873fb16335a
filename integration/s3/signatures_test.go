package s3_test

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/etagfs/etagfs/objstore/s3server"
)

// signed is a request that root signed at a time.
func (s *site) signed(method, path, body string, at time.Time, headers ...string) *http.Request {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.http.URL+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		req.Header.Set(name, value)
	}
	sum := sha256.Sum256([]byte(body))
	digest := hex.EncodeToString(sum[:])
	req.Header.Set("X-Amz-Content-Sha256", digest)
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	who := aws.Credentials{AccessKeyID: "AKIDROOT", SecretAccessKey: "root-secret"}
	if err := signer.SignHTTP(s.t.Context(), who, req, digest, "s3", "us-east-1", at); err != nil {
		s.t.Fatal(err)
	}
	return req
}

func (s *site) send(req *http.Request) (status int, body string) {
	s.t.Helper()
	resp, err := s.http.Client().Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// A signature is for one request: it cannot be moved to another.
func TestSignaturesAreForOneRequest(t *testing.T) {
	s := open(t, false, s3server.Options{})
	now := time.Now()
	for _, r := range []struct {
		row    string
		change func(*http.Request)
		at     time.Time
		status int
		code   string
	}{
		{"as it was signed", func(*http.Request) {}, now, 200, ""},
		{"another key", func(r *http.Request) { r.URL.Path = "/main/other" }, now, 403, "SignatureDoesNotMatch"},
		{"another method", func(r *http.Request) { r.Method = "DELETE" }, now, 403, "SignatureDoesNotMatch"},
		{"another parameter", func(r *http.Request) { r.URL.RawQuery = "tagging" }, now, 403, "SignatureDoesNotMatch"},
		{"without its condition", func(r *http.Request) { r.Header.Del("If-None-Match") }, now, 403, ""},
		{"with another condition", func(r *http.Request) { r.Header.Set("If-None-Match", "x") }, now, 403, "SignatureDoesNotMatch"},
		{"with unsigned metadata", func(r *http.Request) { r.Header.Set("x-amz-meta-b", "1") }, now, 403, ""},
		{"another body", func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader("bodx")) }, now, 400, "XAmzContentSHA256Mismatch"},
		{"another digest", func(r *http.Request) { r.Header.Set("x-amz-content-sha256", "UNSIGNED-PAYLOAD") }, now, 403, "SignatureDoesNotMatch"},
		{"too old", func(*http.Request) {}, now.Add(-16 * time.Minute), 403, "RequestTimeTooSkewed"},
		{"from the future", func(*http.Request) {}, now.Add(16 * time.Minute), 403, "RequestTimeTooSkewed"},
		{"another date", func(r *http.Request) {
			r.Header.Set("X-Amz-Date", now.Add(-time.Minute).UTC().Format("20060102T150405Z"))
		}, now, 403, "SignatureDoesNotMatch"},
		{"another user", func(r *http.Request) {
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), "AKIDROOT", "AKIDREADER", 1))
		}, now, 403, "SignatureDoesNotMatch"},
	} {
		status, text := s.send(s.signed("DELETE", "/main/k", "", now))
		if status != 204 {
			t.Fatal(status, text)
		}
		req := s.signed("PUT", "/main/k", "body", r.at, "If-None-Match: *", "x-amz-meta-a: 1")
		r.change(req)
		status, text = s.send(req)
		if status != r.status || r.code != "" && !strings.Contains(text, "<Code>"+r.code+"</Code>") {
			t.Errorf("%s: %d %s", r.row, status, text)
		}
		status, _ = s.send(s.signed("HEAD", "/main/k", "", now))
		if made := status == 200; made != (r.status == 200) {
			t.Errorf("%s: the object is there: %v", r.row, made)
		}
	}
}
