package sigv4_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/etagfs/etagfs/objstore/s3server/internal/sigv4"
)

// The credentials of all examples in the S3 API reference.
const (
	exampleKey    = "AKIAIOSFODNN7EXAMPLE"
	exampleSecret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
	emptySHA256   = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
)

func exampleTime() time.Time { return time.Date(2013, 5, 24, 0, 0, 0, 0, time.UTC) }

func secretOf(accessKey string) (string, bool) {
	if accessKey != exampleKey {
		return "", false
	}
	return exampleSecret, true
}

// verifierAt is a verifier whose clock stands.
func verifierAt(now time.Time) *sigv4.Verifier {
	return sigv4.New(sigv4.Options{Secret: secretOf, Now: func() time.Time { return now }})
}

// request is as net/http would hand it to a server.
func request(method, target, host string, headers ...string) *http.Request {
	r := httptest.NewRequest(method, "http://"+host+target, nil)
	r.Host = host
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	return r
}

func authorization(signedHeaders, signature string) string {
	return "AWS4-HMAC-SHA256 Credential=" + exampleKey + "/20130524/us-east-1/s3/aws4_request,SignedHeaders=" + signedHeaders +
		",Signature=" + signature
}

// Examples of "Authenticating Requests: Using the Authorization Header".
func headerExamples() map[string]*http.Request {
	const host = "examplebucket.s3.amazonaws.com"
	return map[string]*http.Request{
		"get object": request("GET", "/test.txt", host,
			"Range", "bytes=0-9", "x-amz-content-sha256", emptySHA256, "x-amz-date", "20130524T000000Z",
			"Authorization", authorization("host;range;x-amz-content-sha256;x-amz-date",
				"f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41")),
		"put object": request("PUT", "/test$file.text", host,
			"Date", "Fri, 24 May 2013 00:00:00 GMT", "x-amz-date", "20130524T000000Z", "x-amz-storage-class", "REDUCED_REDUNDANCY",
			"x-amz-content-sha256", "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
			"Authorization", authorization("date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
				"98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd")),
		"get lifecycle": request("GET", "/?lifecycle", host,
			"x-amz-date", "20130524T000000Z", "x-amz-content-sha256", emptySHA256,
			"Authorization", authorization("host;x-amz-content-sha256;x-amz-date",
				"fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543")),
		"list objects": request("GET", "/?max-keys=2&prefix=J", host,
			"x-amz-date", "20130524T000000Z", "x-amz-content-sha256", emptySHA256,
			"Authorization", authorization("host;x-amz-content-sha256;x-amz-date",
				"34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7")),
	}
}

func TestDocumentedHeaderSignaturesPass(t *testing.T) {
	for name, r := range headerExamples() {
		t.Run(name, func(t *testing.T) {
			s, err := verifierAt(exampleTime()).Verify(r)
			if err != nil {
				t.Fatal(err)
			}
			if s.Source != sigv4.Header || s.AccessKey != exampleKey || s.Region != "us-east-1" || !s.Time.Equal(exampleTime()) ||
				s.Payload != sigv4.PayloadDigest || s.Digest == [sha256.Size]byte{} || s.Chain != nil {
				t.Errorf("%+v", s)
			}
		})
	}
}

func presignedExample() *http.Request {
	return request("GET", "/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"+
		"&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"+
		"&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404", "examplebucket.s3.amazonaws.com")
}

// Example of "Authenticating Requests: Using Query Parameters".
func TestDocumentedPresignedURLPasses(t *testing.T) {
	for _, age := range []time.Duration{-15 * time.Minute, 0, 24 * time.Hour} {
		s, err := verifierAt(exampleTime().Add(age)).Verify(presignedExample())
		if err != nil {
			t.Fatalf("after %v: %v", age, err)
		}
		if s.Source != sigv4.Query || s.Payload != sigv4.PayloadUnsigned || !s.Covers("Host") || s.Covers("if-match") {
			t.Errorf("%+v", s)
		}
	}
}

// streamExample is an example of "Transferring Payload in Multiple Chunks" and
// of "Including Trailing Headers".
type streamExample struct {
	mode, signedHeaders, seed string
	chunks                    [3]string // signatures of 64 KiB, 1 KiB and no "a"
	trailer, trailerSignature string
}

func streamExamples() map[string]streamExample {
	return map[string]streamExample{
		"chunks": {
			mode:          "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
			signedHeaders: "content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class",
			seed:          "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
			chunks: [3]string{
				"ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
				"0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
				"b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
			},
		},
		"chunks and trailer": {
			mode:          "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
			signedHeaders: "content-encoding;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class;x-amz-trailer",
			seed:          "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e",
			chunks: [3]string{
				"b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
				"1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
				"2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
			},
			trailer:          "x-amz-checksum-crc32c:sOO8/Q==\n",
			trailerSignature: "d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435",
		},
	}
}

func (e streamExample) request() *http.Request {
	r := request("PUT", "/examplebucket/chunkObject.txt", "s3.amazonaws.com",
		"x-amz-date", "20130524T000000Z", "x-amz-storage-class", "REDUCED_REDUNDANCY", "x-amz-content-sha256", e.mode,
		"Content-Encoding", "aws-chunked", "x-amz-decoded-content-length", "66560",
		"Authorization", authorization(e.signedHeaders, e.seed))
	r.ContentLength = 66824 // where net/http keeps the header
	if e.trailer != "" {
		r.Header.Set("x-amz-trailer", "x-amz-checksum-crc32c")
	}
	return r
}

func TestDocumentedChunkSignaturesPass(t *testing.T) {
	for name, e := range streamExamples() {
		t.Run(name, func(t *testing.T) {
			s, err := verifierAt(exampleTime()).Verify(e.request())
			if err != nil {
				t.Fatal(err)
			}
			if s.Payload.String() != e.mode || !s.Payload.Chunked() || !s.Payload.SignedChunks() || s.Payload.Trailer() != (e.trailer != "") {
				t.Errorf("%+v", s)
			}
			for i, bytesOf := range []int{64 << 10, 1 << 10, 0} {
				if err := s.Chain.Chunk(sha256.Sum256(bytes.Repeat([]byte("a"), bytesOf)), e.chunks[i]); err != nil {
					t.Fatal(err)
				}
			}
			if e.trailer != "" {
				if err := s.Chain.Trailer(sha256.Sum256([]byte(e.trailer)), e.trailerSignature); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// examplePolicy is the policy of "Browser-Based Upload using HTTP POST".
const examplePolicy = `{ "expiration": "2015-12-30T12:00:00.000Z",
  "conditions": [
    {"bucket": "sigv4examplebucket"},
    ["starts-with", "$key", "user/user1/"],
    {"acl": "public-read"},
    {"success_action_redirect": "http://sigv4examplebucket.s3.amazonaws.com/successful_upload.html"},
    ["starts-with", "$Content-Type", "image/"],
    {"x-amz-meta-uuid": "14365123651274"},
    {"x-amz-server-side-encryption": "AES256"},
    ["starts-with", "$x-amz-meta-tag", ""],

    {"x-amz-credential": "AKIAIOSFODNN7EXAMPLE/20151229/us-east-1/s3/aws4_request"},
    {"x-amz-algorithm": "AWS4-HMAC-SHA256"},
    {"x-amz-date": "20151229T000000Z" }
  ]
}`

func exampleForm() sigv4.Form {
	return sigv4.Form{
		"bucket":                       "sigv4examplebucket",
		"key":                          "user/user1/MyPhoto.jpg",
		"acl":                          "public-read",
		"success_action_redirect":      "http://sigv4examplebucket.s3.amazonaws.com/successful_upload.html",
		"content-type":                 "image/jpeg",
		"x-amz-meta-uuid":              "14365123651274",
		"x-amz-server-side-encryption": "AES256",
		"x-amz-credential":             "AKIAIOSFODNN7EXAMPLE/20151229/us-east-1/s3/aws4_request",
		"x-amz-algorithm":              "AWS4-HMAC-SHA256",
		"x-amz-date":                   "20151229T000000Z",
		"x-amz-meta-tag":               "",
		"policy":                       base64.StdEncoding.EncodeToString([]byte(strings.ReplaceAll(examplePolicy, "\n", "\r\n"))),
		"x-amz-signature":              "8afdbf4008c03f22c2cd3cdb72e4afbb1f6a588f3255ac628749a66d7f09699e",
	}
}

func TestDocumentedFormPasses(t *testing.T) {
	s, policy, err := verifierAt(time.Date(2015, 12, 30, 12, 0, 0, 0, time.UTC)).VerifyForm(exampleForm())
	if err != nil {
		t.Fatal(err)
	}
	if s.Source != sigv4.PostForm || s.AccessKey != exampleKey {
		t.Errorf("%+v", s)
	}
	if err := policy.Check(exampleForm()); err != nil {
		t.Error(err)
	}
	if _, _, ok := policy.LengthRange(); ok {
		t.Error("a length range from nowhere")
	}
}
