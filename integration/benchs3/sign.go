package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// What every server is started with.
const (
	accessKey = "AKIDBENCH"
	secretKey = "bench-secret-key"
	region    = "us-east-1"
	bucket    = "bench"
)

const unsignedPayload = "UNSIGNED-PAYLOAD"

// signer makes requests for one server.
type signer struct {
	addr         string
	signPayloads bool // false: UNSIGNED-PAYLOAD
}

// request is METHOD /bench/PATH, where path may have a query, with more headers.
func (s signer) request(ctx context.Context, method, path string, body [][]byte, headers map[string]string, status int) (*request, error) {
	r, err := http.NewRequestWithContext(ctx, method, "http://"+s.addr+"/"+bucket+path, nil)
	if err != nil {
		return nil, err
	}
	for name, value := range headers {
		r.Header.Set(name, value)
	}
	for _, piece := range body {
		r.ContentLength += int64(len(piece))
	}
	digest := unsignedPayload
	if s.signPayloads || len(body) == 0 {
		digest = digestOf(body)
	}
	r.Header.Set("X-Amz-Content-Sha256", digest)
	keys := aws.Credentials{AccessKeyID: accessKey, SecretAccessKey: secretKey}
	sign := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	if err := sign.SignHTTP(ctx, keys, r, digest, "s3", region, time.Now()); err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	return &request{head: headOf(r), body: body, bare: method == http.MethodHead, status: status}, nil
}

func digestOf(body [][]byte) string {
	sum := sha256.New()
	for _, piece := range body {
		sum.Write(piece)
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// headOf is the request up to its body, as it is sent.
func headOf(r *http.Request) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", r.Method, r.URL.RequestURI(), r.URL.Host)
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		fmt.Fprintf(&b, "%s: %s\r\n", name, r.Header.Get(name))
	}
	if r.ContentLength > 0 || r.Method == http.MethodPut {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", r.ContentLength)
	}
	b.WriteString("\r\n")
	return b.Bytes()
}
