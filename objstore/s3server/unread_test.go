package s3server_test

import (
	"bufio"
	"fmt"
	"io"
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
