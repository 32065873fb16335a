package s3clients_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

func signer() *v4.Signer {
	return v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
}

func signingKeys() aws.Credentials {
	return aws.Credentials{AccessKeyID: accessKey, SecretAccessKey: secretKey}
}

func hexDigest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// request is a signed request as this test wants it, not as a client would make it. Headers are "Name: value".
func (s *server) request(method, path, body, payload string, at time.Time, headers ...string) *http.Request {
	s.t.Helper()
	req := must(http.NewRequestWithContext(s.t.Context(), method, s.URL+path, strings.NewReader(body)))(s.t)
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ":")
		req.Header.Add(name, strings.TrimSpace(value))
	}
	req.Header.Set("X-Amz-Content-Sha256", payload)
	if err := signer().SignHTTP(s.t.Context(), signingKeys(), req, payload, "s3", region, at); err != nil {
		s.t.Fatal(err)
	}
	return req
}

// answer is what came back. The zero Code is none.
type answer struct {
	status int
	header http.Header
	body   string

	Code, ETag, UploadId string
}

func answerOf(t *testing.T, resp *http.Response) answer {
	t.Helper()
	defer resp.Body.Close()
	a := answer{status: resp.StatusCode, header: resp.Header, body: string(must(io.ReadAll(resp.Body))(t))}
	if strings.HasPrefix(a.body, "<?xml") {
		if err := xml.Unmarshal([]byte(a.body), &a); err != nil {
			t.Fatalf("%v\n%s", err, a.body)
		}
	}
	if tag := resp.Header.Get("ETag"); tag != "" {
		a.ETag = tag
	}
	a.ETag = strings.Trim(a.ETag, `"`)
	return a
}

func (s *server) send(req *http.Request) answer {
	s.t.Helper()
	return answerOf(s.t, must(s.http.Do(req))(s.t))
}

// do sends a request that is signed as it should be.
func (s *server) do(method, path, body string, headers ...string) answer {
	s.t.Helper()
	return s.send(s.request(method, path, body, hexDigest(body), time.Now(), headers...))
}

// image is all of the bucket: whatever is refused must not change it.
func (s *server) image() string {
	s.t.Helper()
	objects, uploads := s.do("GET", "/main", ""), s.do("GET", "/main?uploads", "")
	if objects.status != http.StatusOK || uploads.status != http.StatusOK {
		s.t.Fatalf("%v\n%v", objects, uploads)
	}
	return objects.body + uploads.body
}
