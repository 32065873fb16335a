package s3server_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/etagfs/etagfs/objstore/s3server"
)

// refusals are heads of requests that are refused whatever their body is, with the status.
func refusals() map[string]int {
	return map[string]int{
		"PUT /box/k HTTP/1.1\r\nContent-MD5: x":                       400,
		"PUT /box/k HTTP/1.1\r\nAuthorization: AWS4-HMAC-SHA256 x":    400,
		"PUT /none/k HTTP/1.1":                                        404,
		"PUT /box/there HTTP/1.1\r\nIf-Match: \"0\"":                  412,
		"PUT /box/there HTTP/1.1\r\nIf-None-Match: *":                 412,
		"PUT /box/k HTTP/1.1\r\nx-amz-server-side-encryption: AES256": 501,
		"PUT /box/k HTTP/1.1\r\nx-amz-expected-bucket-owner: other":   403,
	}
}

// Who announces a body is refused before it is sent; if it comes then, the connection is good for the next request.
func TestRefusalsDoNotWaitForTheBody(t *testing.T) {
	b := serve(t, s3server.Options{Limits: s3server.Limits{StallTime: 5 * time.Second, DrainTime: time.Minute}})
	b.must("PUT", "/box/there", "x")
	for head, status := range refusals() {
		conn := b.dial()
		answers := bufio.NewReader(conn)
		body := strings.Repeat("y", 1000)
		fmt.Fprintf(conn, "%s\r\nHost: x\r\nContent-Length: %d\r\n\r\n", head, len(body))
		for _, r := range []struct {
			send   string
			status int
		}{
			{"", status},
			{body + "GET /box/there HTTP/1.1\r\nHost: x\r\n\r\n", 200},
		} {
			fmt.Fprint(conn, r.send)
			resp, err := http.ReadResponse(answers, nil)
			if err != nil {
				t.Errorf("%s: %v", head, err)
				break
			}
			text, err := io.ReadAll(resp.Body)
			if err != nil || resp.StatusCode != r.status || resp.Close {
				t.Errorf("%s: %d, closed %v, %v: %s", head, resp.StatusCode, resp.Close, err, text)
			}
		}
	}
}

// What never comes ends the connection, and nothing that comes too late is taken for a request.
func TestRefusedBodiesThatDoNotComeEndTheConnection(t *testing.T) {
	b := serve(t, s3server.Options{Limits: s3server.Limits{DrainTime: time.Millisecond}})
	b.must("PUT", "/box/there", "x")
	for head, status := range refusals() {
		conn := b.dial()
		answers := bufio.NewReader(conn)
		fmt.Fprintf(conn, "%s\r\nHost: x\r\nContent-Length: 1000\r\n\r\nsome", head)
		resp, err := http.ReadResponse(answers, nil)
		if err != nil {
			t.Errorf("%s: %v", head, err)
			continue
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != status {
			t.Errorf("%s: %d, %v", head, resp.StatusCode, err)
		}
		if rest, err := io.ReadAll(answers); err != nil || len(rest) > 0 {
			t.Errorf("%s: then %q, %v", head, rest, err)
		}
	}
}

// A client that is told no while it sends can go on sending until it has read that: the connection is not reset under its answer.
func TestRefusedClientsThatSendOnCanReadTheAnswer(t *testing.T) {
	b := serve(t, s3server.Options{Limits: s3server.Limits{DrainTime: time.Millisecond, LingerTime: time.Minute}})
	b.must("PUT", "/box/there", "x")
	address := b.behindHTTP()
	for what, c := range map[string]struct {
		rest   string // of the head
		status int
	}{
		"a little that comes late":   {"HTTP/1.1\r\nContent-Length: 1000", 412},
		"too much to be read":        {"HTTP/1.1\r\nContent-Length: 1000000000", 412},
		"nobody knows how much":      {"HTTP/1.1\r\nTransfer-Encoding: chunked", 411},
		"it was not told to go on":   {"HTTP/1.1\r\nContent-Length: 1000\r\nExpect: 100-continue", 412},
		"it may not send the next":   {"HTTP/1.1\r\nContent-Length: 1000\r\nConnection: close", 412},
		"it speaks an older version": {"HTTP/1.0\r\nContent-Length: 1000", 412},
	} {
		conn := dialTo(t, address)
		answers := bufio.NewReader(conn)
		fmt.Fprintf(conn, "PUT /box/there %s\r\nHost: x\r\nIf-None-Match: *\r\n\r\n", c.rest)
		resp, err := http.ReadResponse(answers, nil)
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != c.status {
			t.Errorf("%s: %d, %v", what, resp.StatusCode, err)
		}
		if rest, err := io.ReadAll(answers); err != nil || len(rest) > 0 { // the end is told, and then
			t.Errorf("%s: then %q, %v", what, rest, err)
		}
		for range 3 { // the first would be answered by a reset, and the next find it
			if _, err := fmt.Fprint(conn, "late"); err != nil {
				t.Errorf("%s: what is sent behind the answer: %v", what, err)
			}
		}
	}
}

// Who sends on for ever is left in the end.
func TestRefusedClientsThatNeverStopAreLeft(t *testing.T) {
	b := serve(t, s3server.Options{Limits: s3server.Limits{DrainTime: time.Millisecond, LingerTime: time.Millisecond}})
	b.must("PUT", "/box/there", "x")
	conn := dialTo(t, b.behindHTTP())
	fmt.Fprint(conn, "PUT /box/there HTTP/1.1\r\nHost: x\r\nIf-None-Match: *\r\nContent-Length: 1000000000\r\n\r\n")
	var err error
	for err == nil {
		_, err = conn.Write(make([]byte, 4<<10))
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || resp.StatusCode != 412 {
		t.Errorf("%v, %v", resp, err)
	}
}

// Chunks of HTTP that are none end a body like one that is cut off, and who sent them can read that.
func TestMalformedChunksAreAnIncompleteBody(t *testing.T) {
	b := serve(t, s3server.Options{})
	address := b.behindHTTP()
	for what, chunks := range map[string]string{
		"a length that is none":     "zz\r\nhello\r\n",
		"a negative length":         "-1\r\n",
		"a length beyond numbers":   "fffffffffffffffff\r\nhello",
		"no end of a line":          "5\r\nhelloXX0\r\n\r\n",
		"a trailer without a value": "0\r\nfoo\r\n\r\n",
		"a line without an end":     strings.Repeat("1", 9000),
		"more lines than bytes":     strings.Repeat("1;"+strings.Repeat("x", 400)+"\r\nx\r\n", 200),
		"nothing":                   "",
	} {
		conn := dialTo(t, address)
		fmt.Fprintf(conn, "PUT /box/k HTTP/1.1\r\nHost: x\r\nx-amz-content-sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER\r\n"+
			"x-amz-decoded-content-length: 5\r\nTransfer-Encoding: chunked\r\n\r\n%s", chunks)
		closed := conn.(*net.TCPConn).CloseWrite()
		text, err := io.ReadAll(conn)
		if err = errors.Join(closed, err); err != nil || !strings.HasPrefix(string(text), "HTTP/1.1 400 ") || !strings.Contains(string(text), "<Code>IncompleteBody</Code>") {
			t.Errorf("%s: %v, %s", what, err, text)
		}
	}
	if got := b.image(); got != "" {
		t.Errorf("left behind: %s", got)
	}
}
