package awschunked_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/etagfs/etagfs/objstore/s3server/internal/sigv4"
)

const (
	accessKey = "AKIAIOSFODNN7EXAMPLE"
	secretKey = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
)

func signingTime() time.Time { return time.Date(2013, 5, 24, 0, 0, 0, 0, time.UTC) }

func modes() []sigv4.Payload {
	return []sigv4.Payload{sigv4.PayloadSigned, sigv4.PayloadSignedTrailer, sigv4.PayloadUnsignedTrailer}
}

// encoder writes bodies as the documentation says, with signatures of its own making.
type encoder struct {
	mode     sigv4.Payload
	signed   *sigv4.Signed
	previous string // signature
	body     strings.Builder
}

// newEncoder signs a request in the mode with the AWS SDK and has it verified, for the seed and the chain.
func newEncoder(t testing.TB, mode sigv4.Payload) *encoder {
	r := httptest.NewRequest("PUT", "http://localhost/b/k", nil)
	r.Header.Set("X-Amz-Content-Sha256", mode.String())
	c := aws.Credentials{AccessKeyID: accessKey, SecretAccessKey: secretKey}
	if err := v4.NewSigner().SignHTTP(t.Context(), c, r, mode.String(), "s3", "us-east-1", signingTime()); err != nil {
		t.Fatal(err)
	}
	v := sigv4.New(sigv4.Options{Now: signingTime, Secret: func(string) (string, bool) { return secretKey, true }})
	s, err := v.Verify(r)
	if err != nil {
		t.Fatal(err)
	}
	_, seed, _ := strings.Cut(r.Header.Get("Authorization"), "Signature=")
	return &encoder{mode: mode, signed: s, previous: seed}
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

func hexOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

func (e *encoder) sign(kind, digests string) string {
	key := []byte("AWS4" + secretKey)
	for _, part := range []string{"20130524", "us-east-1", "s3", "aws4_request"} {
		key = mac(key, part)
	}
	text := "AWS4-HMAC-SHA256-" + kind + "\n20130524T000000Z\n20130524/us-east-1/s3/aws4_request\n" + e.previous + "\n" + digests
	e.previous = hex.EncodeToString(mac(key, text))
	return e.previous
}

func (e *encoder) header(chunk string) {
	if e.mode.SignedChunks() {
		fmt.Fprintf(&e.body, "%x;chunk-signature=%s\r\n", len(chunk), e.sign("PAYLOAD", hexOf("")+"\n"+hexOf(chunk)))
	} else {
		fmt.Fprintf(&e.body, "%x\r\n", len(chunk))
	}
}

// encode writes chunks, and the trailer "name:value" if there is one.
func (e *encoder) encode(trailer string, chunks ...string) string {
	e.body.Reset()
	for _, chunk := range chunks {
		e.header(chunk)
		e.body.WriteString(chunk + "\r\n")
	}
	e.header("")
	if trailer != "" {
		e.body.WriteString(trailer + "\r\n")
	}
	if e.mode == sigv4.PayloadSignedTrailer {
		e.body.WriteString("x-amz-trailer-signature:" + e.sign("TRAILER", hexOf(trailer+"\n")) + "\r\n")
	}
	e.body.WriteString("\r\n")
	return e.body.String()
}
