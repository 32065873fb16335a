package sigv4_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/etagfs/etagfs/objstore/s3server/internal/s3code"
	"github.com/etagfs/etagfs/objstore/s3server/internal/sigv4"
)

func credentials() aws.Credentials {
	return aws.Credentials{AccessKeyID: exampleKey, SecretAccessKey: exampleSecret}
}

// asS3 makes the signer of the AWS SDK sign as its S3 client does.
func asS3(o *v4.SignerOptions) { o.DisableURIPathEscaping = true }

// verdicts is a server that says what the verifier says, and remembers it.
type verdicts struct {
	*httptest.Server
	signed *sigv4.Signed
	err    error
}

func newVerdicts(t *testing.T, v *sigv4.Verifier) *verdicts {
	s := &verdicts{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.signed, s.err = v.Verify(r)
		io.Copy(io.Discard, r.Body) // what is left is not of interest
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *verdicts) send(t *testing.T, r *http.Request) {
	t.Helper()
	response, err := s.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
}

// wireRequest is a request whose path goes over the wire exactly as given.
func wireRequest(t *testing.T, method, base, target string, body string) *http.Request {
	t.Helper()
	r, err := http.NewRequest(method, base+target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if path, _, _ := strings.Cut(target, "?"); r.URL.EscapedPath() != path {
		t.Fatalf("the path %q would be sent as %q", path, r.URL.EscapedPath())
	}
	return r
}

func targets() []string {
	return []string{
		"/", "/b", "/b/", "/b/k", "/b//k", "/b/../k", "/b/./k", "//b//", "/b/%20", "/b/a%20b", "/b/a%2Bb", "/b/a%2Fb",
		"/b/%C3%BC%E2%82%AC", "/b/%25", "/b/a=b&c%3Fd", "/b/~-_.", "/b/%FF%FE", "/b/a%0Ab", "/b/%27%28%29%2A%21", "/b/'()*!", "/b/a:b@c,d;e",
		"/b?acl", "/b?acl=", "/b?prefix=a%20b", "/b?prefix=a%2Bb", "/b?prefix=a%2Fb&delimiter=%2F", "/b?b=2&a=1&a=0&a=10", "/b?a-=1&a=2&a%3D=3",
		"/b?list-type=2&prefix=%C3%BC", "/b?key=%25%26%3D", "/b?x=*~'()",
	}
}

func TestWhatTheSDKSignsPasses(t *testing.T) {
	now := time.Now()
	s := newVerdicts(t, verifierAt(now))
	const body = "some bytes"
	digest := sha256.Sum256([]byte(body))
	for _, target := range targets() {
		r := wireRequest(t, "PUT", s.URL, target, body)
		r.Header.Set("X-Amz-Content-Sha256", hex.EncodeToString(digest[:]))
		r.Header.Set("X-Amz-Meta-Note", "  two  words   and ü ")
		r.Header["X-Amz-Meta-Twice"] = []string{"a", " b "}
		r.Header.Set("X-Amz-Meta-Empty", "")
		r.Header.Set("If-Match", `"etag"`)
		if err := v4.NewSigner().SignHTTP(t.Context(), credentials(), r, hex.EncodeToString(digest[:]), "s3", "eu-west-1", now, asS3); err != nil {
			t.Fatal(err)
		}
		s.send(t, r)
		if s.err != nil {
			t.Errorf("%s: %v", target, s.err)
			continue
		}
		if s.signed.Digest != digest || !s.signed.Covers("If-Match") || s.signed.Covers("If-None-Match") || s.signed.Region != "eu-west-1" {
			t.Errorf("%s: %+v", target, s.signed)
		}
	}
}

func TestWhatTheSDKPresignsPasses(t *testing.T) {
	now := time.Now()
	s := newVerdicts(t, verifierAt(now))
	for _, target := range targets() {
		r := wireRequest(t, "GET", s.URL, target, "")
		r.Header.Set("If-None-Match", "*")
		q := r.URL.Query()
		q.Set("X-Amz-Expires", "604800")
		r.URL.RawQuery = q.Encode()
		signedURL, headers, err := v4.NewSigner().PresignHTTP(t.Context(), credentials(), r, "UNSIGNED-PAYLOAD", "s3", "us-east-1", now, asS3)
		if err != nil {
			t.Fatal(err)
		}
		if r.URL, err = url.Parse(signedURL); err != nil {
			t.Fatal(err)
		}
		r.Header = headers
		s.send(t, r)
		if s.err != nil {
			t.Errorf("%s: %v", target, s.err)
		} else if !s.signed.Covers("if-none-match") || s.signed.Source != sigv4.Query {
			t.Errorf("%s: %+v", target, s.signed)
		}
	}
}

// A signature is good for the request it was made for and no other.
func TestNoPartOfASignedRequestMayChange(t *testing.T) {
	now := time.Now()
	changes := map[string]func(*http.Request){
		"nothing":             func(*http.Request) {},
		"the method":          func(r *http.Request) { r.Method = "POST" },
		"the key":             func(r *http.Request) { r.URL.Path = "/b/other" },
		"a slash":             func(r *http.Request) { r.URL.Path = "/b//k" },
		"the query":           func(r *http.Request) { r.URL.RawQuery = "acl" },
		"one more parameter":  func(r *http.Request) { r.URL.RawQuery = "tagging&x=1" },
		"a parameter's value": func(r *http.Request) { r.URL.RawQuery = "tagging=1" },
		"the host":            func(r *http.Request) { r.Host = "elsewhere" },
		"a signed header":     func(r *http.Request) { r.Header.Set("If-Match", `"other"`) },
		"one more value":      func(r *http.Request) { r.Header.Add("If-Match", `"other"`) },
		"the date": func(r *http.Request) {
			r.Header.Set("X-Amz-Date", now.Add(time.Second).UTC().Format("20060102T150405Z"))
		},
		"the digest": func(r *http.Request) { r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD") },
		"the region": func(r *http.Request) {
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), "us-east-1", "eu-west-1", 1))
		},
		"the signed headers": func(r *http.Request) {
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), "if-match;", "", 1))
		},
		"the signature": func(r *http.Request) { r.Header.Set("Authorization", r.Header.Get("Authorization")+"0") },
	}
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			r := request("PUT", "/b/k?tagging", "localhost:9000", "X-Amz-Content-Sha256", emptySHA256, "If-Match", `"etag"`)
			if err := v4.NewSigner().SignHTTP(t.Context(), credentials(), r, emptySHA256, "s3", "us-east-1", now, asS3); err != nil {
				t.Fatal(err)
			}
			change(r)
			_, err := verifierAt(now).Verify(r)
			if want := name != "nothing"; errors.Is(err, s3code.SignatureDoesNotMatch) != want || (err != nil) != want {
				t.Errorf("%v", err)
			}
		})
	}
}
