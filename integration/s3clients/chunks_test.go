package s3clients_test

import (
	"bufio"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// The payload modes of bodies in chunks.
const (
	modeSigned          = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
	modeSignedTrailer   = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
	modeUnsignedTrailer = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
	modeECDSA           = "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD"
	trailerName         = "x-amz-checksum-crc32"
)

// chunked is a body in chunks as the documentation has it, by an implementation of its own. The
// pieces stay apart so that a test can damage one of them.
type chunked struct {
	mode    string
	chunks  []string // each with its line
	trailer string   // with all that is behind it
	decoded int
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// chain signs chunks one after the other.
type chain struct {
	at       time.Time
	previous string
}

func (c *chain) sign(kind, digests string) string {
	key := []byte("AWS4" + secretKey)
	day := c.at.Format("20060102")
	for _, part := range []string{day, region, "s3", "aws4_request"} {
		key = mac(key, part)
	}
	c.previous = hex.EncodeToString(mac(key, "AWS4-HMAC-SHA256-"+kind+"\n"+c.at.Format("20060102T150405Z")+"\n"+day+"/"+region+"/s3/aws4_request\n"+c.previous+"\n"+digests))
	return c.previous
}

// newChunked makes the body that belongs to a seed, the signature of the headers.
func newChunked(mode, seed string, at time.Time, trailer string, chunks ...string) *chunked {
	c := &chunked{mode: mode}
	signing := &chain{at, seed}
	for _, chunk := range append(chunks, "") {
		line := fmt.Sprintf("%x", len(chunk))
		if mode != modeUnsignedTrailer {
			line += ";chunk-signature=" + signing.sign("PAYLOAD", hexDigest("")+"\n"+hexDigest(chunk))
		}
		if line += "\r\n"; chunk != "" {
			line += chunk + "\r\n"
		}
		c.chunks = append(c.chunks, line)
		c.decoded += len(chunk)
	}
	if mode != modeSigned {
		c.trailer = trailer + "\r\n"
	}
	if mode == modeSignedTrailer {
		c.trailer += "x-amz-trailer-signature:" + signing.sign("TRAILER", hexDigest(trailer+"\n")) + "\r\n"
	}
	c.trailer += "\r\n"
	return c
}

func (c *chunked) text() string { return strings.Join(c.chunks, "") + c.trailer }

// damage is what a test does to a request after it was signed.
type damage struct {
	name   string
	modes  string // those it can be done to: "S", "T" and "U"
	change func(c *chunked)
	status int
	code   string
}

func replaced(chunk int, from, to string) func(*chunked) {
	return func(c *chunked) { c.chunks[chunk] = strings.Replace(c.chunks[chunk], from, to, 1) }
}

func damages() []damage {
	const every, signed, trailers = "STU", "ST", "TU"
	wrong := "signature=" + strings.Repeat("0", 64)
	old := func(c *chunked) string { return c.chunks[0][strings.Index(c.chunks[0], "signature="):][:74] }
	return []damage{
		{"none", every, func(*chunked) {}, 200, ""},
		{"another byte in the first chunk", signed, replaced(0, "a\r\n", "b\r\n"), 403, "SignatureDoesNotMatch"},
		{"another byte in the last chunk", signed, replaced(1, "end\r\n", "enx\r\n"), 403, "SignatureDoesNotMatch"},
		{"another byte, told by the trailer", "U", replaced(1, "end\r\n", "enx\r\n"), 400, "BadDigest"},
		{"a wrong signature of the first chunk", signed, func(c *chunked) { replaced(0, old(c), wrong)(c) }, 403, "SignatureDoesNotMatch"},
		{"a signature that is too short", signed, replaced(0, "signature=", "signature=0"), 400, "IncompleteBody"},
		{"no signature", signed, func(c *chunked) { replaced(0, ";chunk-"+old(c), "")(c) }, 400, "IncompleteBody"},
		{"the chunks swapped", signed, func(c *chunked) {
			end := strings.Replace(c.chunks[1], "3;", "2000;", 1)
			c.chunks[0], c.chunks[1] = strings.Replace(end, "end", strings.Repeat("a", 8192), 1), strings.Replace(strings.Replace(c.chunks[0], "2000;", "3;", 1), strings.Repeat("a", 8192), "end", 1)
		}, 403, "SignatureDoesNotMatch"},
		{"the end signed wrongly", signed, func(c *chunked) { c.chunks[2] = c.chunks[2][:len(c.chunks[2])-3] + "x\r\n" }, 403, "SignatureDoesNotMatch"},
		{"cut in a chunk", every, func(c *chunked) { c.chunks, c.trailer = []string{c.chunks[0][:5000]}, "" }, 400, "IncompleteBody"},
		{"cut between chunks", every, func(c *chunked) { c.chunks, c.trailer = c.chunks[:1], "" }, 400, "IncompleteBody"},
		{"cut before the end", every, func(c *chunked) { c.chunks, c.trailer = c.chunks[:2], "" }, 400, "IncompleteBody"},
		{"cut in the size", every, func(c *chunked) { c.chunks, c.trailer = []string{"20"}, "" }, 400, "IncompleteBody"},
		{"no body", every, func(c *chunked) { c.chunks, c.trailer = nil, "" }, 400, "IncompleteBody"},
		{"a size that is no number", every, replaced(0, "2000", "20g0"), 400, "IncompleteBody"},
		{"a negative size", every, replaced(0, "2000", "-200"), 400, "IncompleteBody"},
		{"a size beyond all", every, replaced(0, "2000", "ffffffffffffffffff"), 400, "IncompleteBody"},
		{"a size that is too small", every, replaced(0, "2000", "1fff"), 400, "IncompleteBody"},
		{"more behind the end", every, func(c *chunked) { c.trailer += "x" }, 400, "IncompleteBody"},
		{"a small chunk before another", "U", func(c *chunked) { c.chunks[0] = "1\r\na\r\n1fff\r\n" + strings.Repeat("a", 8191) + "\r\n" }, 400, "InvalidChunkSizeError"},
		{"another value in the trailer", "U", func(c *chunked) { c.trailer = trailerName + ":AAAAAA==\r\n\r\n" }, 400, "BadDigest"},
		{"another value in a signed trailer", "T", func(c *chunked) { c.trailer = strings.Replace(c.trailer, ":", ":A", 1) }, 403, "SignatureDoesNotMatch"},
		{"a trailer that is no checksum", "U", func(c *chunked) { c.trailer = trailerName + ":!\r\n\r\n" }, 400, "InvalidRequest"},
		{"another trailer", trailers, func(c *chunked) { c.trailer = strings.Replace(c.trailer, "crc32", "sha1", 1) }, 400, "MalformedTrailerError"},
		{"no trailer", trailers, func(c *chunked) { c.trailer = "\r\n" }, 400, "MalformedTrailerError"},
		{"a trailer without a signature", "T", func(c *chunked) { c.trailer = strings.SplitAfter(c.trailer, "\r\n")[0] + "\r\n" }, 400, "IncompleteBody"},
		{"a trailer signed wrongly", "T", func(c *chunked) {
			c.trailer = strings.SplitAfter(c.trailer, "signature:")[0] + strings.Repeat("0", 64) + "\r\n\r\n"
		}, 403, "SignatureDoesNotMatch"},
	}
}

// Each damage to each mode of chunks, over a connection of its own: refused with its code, and without a trace.
func TestDamagedChunksLeaveNoTrace(t *testing.T) {
	s := serve(t)
	if a := s.do("PUT", "/main/k", "before"); a.status != 200 {
		t.Fatal(a)
	}
	for letter, mode := range map[string]string{"S": modeSigned, "T": modeSignedTrailer, "U": modeUnsignedTrailer} {
		for _, d := range damages() {
			if !strings.Contains(d.modes, letter) {
				continue
			}
			t.Run(mode+"/"+d.name, func(t *testing.T) {
				before := s.image()
				a := s.sendChunks(t, mode, d.change)
				if a.status != d.status || a.Code != d.code {
					t.Errorf("%d %s instead of %d %s\n%s", a.status, a.Code, d.status, d.code, a.body)
				}
				if changed := s.image() != before; changed != (d.status == 200) {
					t.Errorf("changed: %v", changed)
				}
			})
		}
	}
}

// sendChunks puts two chunks, "aaa...end", after they were damaged.
func (s *server) sendChunks(t *testing.T, mode string, change func(*chunked)) answer {
	t.Helper()
	const crc = trailerName + ":" + "ZRR0jw=="
	decoded := 8192 + 3
	now := time.Now().UTC()
	headers := []string{"X-Amz-Decoded-Content-Length: " + fmt.Sprint(decoded), "Content-Encoding: aws-chunked"}
	if mode != modeSigned {
		headers = append(headers, "X-Amz-Trailer: "+trailerName)
	}
	req := s.request("PUT", "/main/k", "", mode, now, headers...)
	_, seed, _ := strings.Cut(req.Header.Get("Authorization"), "Signature=")
	body := newChunked(mode, seed, now, crc, strings.Repeat("a", 8192), "end")
	change(body)
	return s.raw(t, req, body.text())
}

// head is that of a request, for a body of a length.
func head(req *http.Request, length int) string {
	var text strings.Builder
	fmt.Fprintf(&text, "%s %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\nConnection: close\r\n", req.Method, req.URL.RequestURI(), req.Host, length)
	for name, values := range req.Header {
		fmt.Fprintf(&text, "%s: %s\r\n", name, values[0])
	}
	return text.String() + "\r\n"
}

// raw sends the head of a request and then text, whatever it is.
func (s *server) raw(t *testing.T, req *http.Request, text string) answer {
	t.Helper()
	conn := must(net.Dial("tcp", s.addr()))(t)
	defer conn.Close()
	if _, err := fmt.Fprint(conn, head(req, len(text)), text); err != nil {
		t.Fatal(err)
	}
	return answerOf(t, must(http.ReadResponse(bufio.NewReader(conn), req))(t))
}

// What the headers say of chunks has to make sense before any of them is read.
func TestHeadersOfChunksAreChecked(t *testing.T) {
	s := serve(t)
	before := s.image()
	for _, r := range []struct {
		name, mode string
		headers    []string
		status     int
		code       string
	}{
		{"a mode that is not here", modeECDSA, []string{"X-Amz-Decoded-Content-Length: 1"}, 501, "NotImplemented"},
		{"and with a trailer", modeECDSA + "-TRAILER", []string{"X-Amz-Decoded-Content-Length: 1"}, 501, "NotImplemented"},
		{"a mode that is none", "STREAMING-NOTHING", []string{"X-Amz-Decoded-Content-Length: 1"}, 400, "InvalidRequest"},
		{"no decoded length", modeSigned, nil, 411, "MissingContentLength"},
		{"a decoded length that is no number", modeUnsignedTrailer, []string{"X-Amz-Decoded-Content-Length: x"}, 411, "MissingContentLength"},
		{"a negative one", modeUnsignedTrailer, []string{"X-Amz-Decoded-Content-Length: -1"}, 411, "MissingContentLength"},
		{"one beyond all", modeUnsignedTrailer, []string{"X-Amz-Decoded-Content-Length: 9223372036854775807"}, 400, "EntityTooLarge"},
		{"a trailer that is no checksum", modeUnsignedTrailer, []string{"X-Amz-Decoded-Content-Length: 1", "X-Amz-Trailer: x-amz-meta-a"}, 400, "InvalidRequest"},
		{"a trailer beside a value", modeUnsignedTrailer, []string{"X-Amz-Decoded-Content-Length: 1", "X-Amz-Trailer: x-amz-checksum-crc32", "x-amz-checksum-sha1: 2jmj7l5rSw0yVb/vlWAYkK/YBwk="}, 400, "InvalidRequest"},
	} {
		a := s.raw(t, s.request("PUT", "/main/k", "", r.mode, time.Now(), r.headers...), "1\r\nx\r\n0\r\n\r\n")
		if a.status != r.status || a.Code != r.code {
			t.Errorf("%s: %d %s instead of %d %s\n%s", r.name, a.status, a.Code, r.status, r.code, a.body)
		}
	}
	if s.image() != before {
		t.Error("a refused request left a trace")
	}
}
