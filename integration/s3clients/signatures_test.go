package s3clients_test

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"
)

// presigned is an address that was signed some time ago for a minute, then changed.
func (s *server) presigned(method, path string, ago time.Duration, change func(*url.URL, http.Header)) answer {
	s.t.Helper()
	req := must(http.NewRequestWithContext(s.t.Context(), method, s.URL+path, http.NoBody))(s.t)
	query := req.URL.Query()
	query.Set("X-Amz-Expires", "60")
	req.URL.RawQuery = query.Encode()
	address, _, err := signer().PresignHTTP(s.t.Context(), signingKeys(), req, "UNSIGNED-PAYLOAD", "s3", region, time.Now().Add(-ago))
	if err != nil {
		s.t.Fatal(err)
	}
	target := must(url.Parse(address))(s.t)
	header := http.Header{}
	change(target, header)
	again := must(http.NewRequestWithContext(s.t.Context(), method, target.String(), http.NoBody))(s.t)
	again.Header = header
	return s.send(again)
}

func inQuery(name, value string) func(*url.URL, http.Header) {
	return func(u *url.URL, _ http.Header) {
		query := u.Query()
		query.Set(name, value)
		u.RawQuery = query.Encode()
	}
}

func TestPresignedAddressesAreForOneRequestAndItsTime(t *testing.T) {
	s := serve(t)
	for _, key := range []string{"k", "other"} {
		if a := s.do("PUT", "/main/"+key, key); a.status != 200 {
			t.Fatal(a)
		}
	}
	for _, r := range []struct {
		name   string
		ago    time.Duration
		change func(*url.URL, http.Header)
		status int
		code   string
	}{
		{"as it was signed", 0, func(*url.URL, http.Header) {}, 200, ""},
		{"expired", 2 * time.Minute, func(*url.URL, http.Header) {}, 403, "AccessDenied"},
		{"not yet", -20 * time.Minute, func(*url.URL, http.Header) {}, 403, "AccessDenied"},
		{"expired, with another time", 2 * time.Minute, inQuery("X-Amz-Expires", "600"), 403, "SignatureDoesNotMatch"},
		{"for more than a week", 0, inQuery("X-Amz-Expires", strconv.Itoa(8*24*3600)), 400, "AuthorizationQueryParametersError"},
		{"for less than nothing", 0, inQuery("X-Amz-Expires", "-1"), 400, "AuthorizationQueryParametersError"},
		{"for another key", 0, func(u *url.URL, _ http.Header) { u.Path = "/main/other" }, 403, "SignatureDoesNotMatch"},
		{"for another bucket", 0, func(u *url.URL, _ http.Header) { u.Path = "/none/k" }, 403, "SignatureDoesNotMatch"},
		{"with another parameter", 0, inQuery("response-content-type", "text/html"), 403, "SignatureDoesNotMatch"},
		{"by another", 0, func(u *url.URL, _ http.Header) { u.RawQuery = strings.Replace(u.RawQuery, accessKey, "NOBODY", 1) }, 403, "InvalidAccessKeyId"},
		{"of another day", 0, inQuery("X-Amz-Credential", accessKey+"/20200101/us-east-1/s3/aws4_request"), 400, "AuthorizationQueryParametersError"},
		{"without a signature", 0, inQuery("X-Amz-Signature", ""), 400, "AuthorizationQueryParametersError"},
		{"by another algorithm", 0, inQuery("X-Amz-Algorithm", "AWS4-HMAC-SHA1"), 400, "AuthorizationQueryParametersError"},
		{"with a header that was not signed", 0, func(_ *url.URL, h http.Header) { h.Set("x-amz-checksum-mode", "ENABLED") }, 403, "AccessDenied"},
	} {
		a := s.presigned("GET", "/main/k", r.ago, r.change)
		if a.status != r.status || a.Code != r.code {
			t.Errorf("%s: %d %s instead of %d %s\n%s", r.name, a.status, a.Code, r.status, r.code, a.body)
		}
	}
}

// A signature in the header is for one request. Repeated as it is, it is the same request.
func TestHeaderSignaturesAreForOneRequest(t *testing.T) {
	s := serve(t)
	nothing := func(*http.Request) {}
	for _, r := range []struct {
		name   string
		at     time.Duration
		change func(*http.Request)
		status int
		code   string
	}{
		{"as it was signed", 0, nothing, 200, ""},
		{"too old", -20 * time.Minute, nothing, 403, "RequestTimeTooSkewed"},
		{"too new", 20 * time.Minute, nothing, 403, "RequestTimeTooSkewed"},
		{"for another key", 0, func(r *http.Request) { r.URL.Path = "/main/other" }, 403, "SignatureDoesNotMatch"},
		{"with another condition", 0, func(r *http.Request) { r.Header.Set("If-None-Match", "x") }, 403, "SignatureDoesNotMatch"},
		{"without its condition", 0, func(r *http.Request) { r.Header.Del("If-None-Match") }, 403, "SignatureDoesNotMatch"},
		{"with metadata that was not signed", 0, func(r *http.Request) { r.Header.Set("x-amz-meta-b", "1") }, 403, "AccessDenied"},
		{"by nobody", 0, func(r *http.Request) {
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), accessKey, "NOBODY", 1))
		}, 403, "InvalidAccessKeyId"},
		{"with another digest", 0, func(r *http.Request) { r.Header.Set("X-Amz-Content-Sha256", hexDigest("x")) }, 403, "SignatureDoesNotMatch"},
	} {
		s.do("DELETE", "/main/k", "")
		before := s.image()
		req := s.request("PUT", "/main/k", "body", hexDigest("body"), time.Now().Add(r.at), "If-None-Match: *")
		r.change(req)
		a := s.send(req)
		if a.status != r.status || a.Code != r.code {
			t.Errorf("%s: %d %s instead of %d %s\n%s", r.name, a.status, a.Code, r.status, r.code, a.body)
		}
		if changed := s.image() != before; changed != (r.status == 200) {
			t.Errorf("%s: changed: %v", r.name, changed)
		}
	}
	// The same bytes once more are answered as the same request would be: its condition decides.
	req := s.request("PUT", "/main/once", "body", hexDigest("body"), time.Now(), "If-None-Match: *")
	for _, want := range []int{200, 412} {
		again := req.Clone(t.Context())
		again.Body = must(req.GetBody())(t)
		if a := s.send(again); a.status != want {
			t.Errorf("%d instead of %d: %s", a.status, want, a.body)
		}
	}
}
