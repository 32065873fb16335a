package s3server_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// The user of signed messages, and when they are signed: the clock's beginning.
const (
	signerKey    = "AKIASIGNER"
	signerSecret = "a secret of the signer"
	signerScope  = "20260203/us-east-1/s3/aws4_request"
	signerTime   = "20260203T040506Z"
)

// The ways a message is signed: by the digest of its body, or as the value of x-amz-content-sha256 says.
const (
	bodyDigest     = ""
	bodyUnsigned   = "UNSIGNED-PAYLOAD"
	chunksSigned   = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
	chunksTrailed  = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
	chunksUnsigned = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
	byAddress      = "presigned"
	nobody         = "anonymous"
)

// field is a header or a parameter.
type field struct{ name, value string }

// message is a request before it is signed and written. It is taken apart so that one thing of it can be
// changed and the rest signed again.
type message struct {
	method  string
	path    string // as it goes over the wire
	query   []field
	headers []field
	body    string
	mode    string
	trailer string // "name:value", where the mode has one
}

func (m message) clone() message {
	m.query, m.headers = slices.Clone(m.query), slices.Clone(m.headers)
	return m
}

func digestOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

func hmacOf(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text)) // never fails
	return h.Sum(nil)
}

// signatureOf signs text with the key of the scope.
func signatureOf(text string) string {
	key := []byte("AWS4" + signerSecret)
	for part := range strings.SplitSeq(signerScope, "/") {
		key = hmacOf(key, part)
	}
	return hex.EncodeToString(hmacOf(key, text))
}

// canonicalQuery is the query in the order and the spelling that are signed.
func canonicalQuery(query []field) string {
	var pairs []string
	for _, f := range query {
		escape := func(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }
		pairs = append(pairs, escape(f.name)+"="+escape(f.value))
	}
	slices.Sort(pairs)
	return strings.Join(pairs, "&")
}

// canonicalHeaders are the headers as they are signed, and their names.
func canonicalHeaders(headers []field) (text, names string) {
	values := map[string][]string{}
	var order []string
	for _, f := range headers {
		name := strings.ToLower(f.name)
		if values[name] == nil {
			order = append(order, name)
		}
		values[name] = append(values[name], strings.Join(strings.Fields(f.value), " "))
	}
	slices.Sort(order)
	var b strings.Builder
	for _, name := range order {
		fmt.Fprintf(&b, "%s:%s\n", name, strings.Join(values[name], ","))
	}
	return b.String(), strings.Join(order, ";")
}

// signedMessage is a message as it goes over the wire, with the parts that a signature or a checksum covers.
type signedMessage struct {
	target  string
	headers []field // all of them signed, but the first, which says so
	body    string
	fixed   bool // nothing may change in the body
}

// sign signs a message, its chunks included.
func (m message) sign() signedMessage {
	host := field{"Host", "etagfs.test"}
	switch m.mode {
	case nobody:
		return signedMessage{target: m.target(), headers: append([]field{host}, m.headers...), body: m.body}
	case byAddress:
		return m.presign(host)
	}
	payload := m.mode
	if payload == bodyDigest {
		payload = digestOf(m.body)
	}
	headers := append(slices.Clone(m.headers), host, field{"X-Amz-Date", signerTime}, field{"X-Amz-Content-Sha256", payload})
	if name, _, ok := strings.Cut(m.trailer, ":"); ok {
		headers = append(headers, field{"X-Amz-Trailer", name})
	}
	if strings.HasPrefix(m.mode, "STREAMING") {
		headers = append(headers, field{"X-Amz-Decoded-Content-Length", fmt.Sprint(len(m.body))}, field{"Content-Encoding", "aws-chunked"})
	}
	signature, names := m.seal(headers, m.query, payload)
	authorization := "AWS4-HMAC-SHA256 Credential=" + signerKey + "/" + signerScope + ",SignedHeaders=" + names + ",Signature=" + signature
	return signedMessage{m.target(), append([]field{{"Authorization", authorization}}, headers...), m.chunks(signature), m.mode != bodyUnsigned}
}

func (m message) presign(host field) signedMessage {
	_, names := canonicalHeaders(append(slices.Clone(m.headers), host))
	m.query = append(slices.Clone(m.query), field{"X-Amz-Algorithm", "AWS4-HMAC-SHA256"}, field{"X-Amz-Credential", signerKey + "/" + signerScope},
		field{"X-Amz-Date", signerTime}, field{"X-Amz-Expires", "60"}, field{"X-Amz-SignedHeaders", names})
	signature, _ := m.seal(append(slices.Clone(m.headers), host), m.query, bodyUnsigned)
	m.query = append(m.query, field{"X-Amz-Signature", signature})
	return signedMessage{target: m.target(), headers: append([]field{host}, m.headers...), body: m.body}
}

// seal is the signature of a request without its body, and the names of the headers in it.
func (m message) seal(headers, query []field, payload string) (signature, names string) {
	text, names := canonicalHeaders(headers)
	request := strings.Join([]string{m.method, m.path, canonicalQuery(query), text, names, payload}, "\n")
	return signatureOf("AWS4-HMAC-SHA256\n" + signerTime + "\n" + signerScope + "\n" + digestOf(request)), names
}

func (m message) target() string {
	if len(m.query) == 0 {
		return m.path
	}
	return m.path + "?" + canonicalQuery(m.query)
}

// chunks is the body as the mode has it. previous is the signature of the head.
func (m message) chunks(previous string) string {
	if !strings.HasPrefix(m.mode, "STREAMING") {
		return m.body
	}
	var b strings.Builder
	next := func(kind, text string) string {
		previous = signatureOf("AWS4-HMAC-SHA256-" + kind + "\n" + signerTime + "\n" + signerScope + "\n" + previous + "\n" + text)
		return previous
	}
	chunk := func(text string) {
		fmt.Fprintf(&b, "%x", len(text))
		if m.mode != chunksUnsigned {
			b.WriteString(";chunk-signature=" + next("PAYLOAD", digestOf("")+"\n"+digestOf(text)))
		}
		b.WriteString("\r\n" + text)
	}
	if m.body != "" {
		chunk(m.body)
		b.WriteString("\r\n")
	}
	chunk("")
	if m.trailer != "" {
		b.WriteString(m.trailer + "\r\n")
		if m.mode == chunksTrailed {
			b.WriteString("x-amz-trailer-signature:" + next("TRAILER", digestOf(m.trailer+"\n")) + "\r\n")
		}
	}
	return b.String() + "\r\n"
}

// write is the text of the request.
func (s signedMessage) write(method string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\n", method, s.target)
	for _, f := range s.headers {
		fmt.Fprintf(&b, "%s: %s\r\n", f.name, f.value)
	}
	fmt.Fprintf(&b, "Connection: close\r\nContent-Length: %d\r\n\r\n%s", len(s.body), s.body)
	return b.String()
}
