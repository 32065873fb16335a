package s3server_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/etagfs/etagfs/objstore/s3server"
)

// slowPut sends the first half of a body and returns what sends the rest and waits for the answer.
func (b *bench) slowPut(first, rest string, headers ...string) func() answer {
	b.t.Helper()
	reader, writer := io.Pipe()
	req := b.request("PUT", "/box/k", reader)
	req.ContentLength = int64(len(first) + len(rest))
	req.Header.Set("Expect", "100-continue") // the body is sent when the server asks for it, after its early look
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		req.Header.Set(name, value)
	}
	answered := make(chan answer, 1)
	go func() { answered <- b.send(req) }()
	if _, err := io.WriteString(writer, first); err != nil {
		b.t.Fatal(err)
	}
	return func() answer {
		if _, err := io.WriteString(writer, rest); err != nil {
			b.t.Error(err)
		}
		if err := writer.Close(); err != nil {
			b.t.Error(err)
		}
		return <-answered
	}
}

// A condition that held when the upload began counts for nothing at its end.
func TestTheConditionIsEvaluatedAtTheCommit(t *testing.T) {
	big := strings.Repeat("x", 1<<20)
	for _, r := range []struct {
		row, state, header, meanwhile string
		status                        int
		code                          string
	}{
		{"If-Match, overwritten", "exists", "If-Match: {E}", "put", 412, "PreconditionFailed"},
		{"If-Match, deleted", "exists", "If-Match: {E}", "delete", 404, "NoSuchKey"},
		{"If-None-Match: *, created", "missing", "If-None-Match: *", "put", 412, "PreconditionFailed"},
		{"If-None-Match: *, created and deleted", "missing", "If-None-Match: *", "put delete", 200, ""},
		{"If-Match, untouched", "exists", "If-Match: {E}", "", 200, ""},
	} {
		t.Run(r.row, func(t *testing.T) {
			b := serve(t, s3server.Options{})
			etag := b.given(r.state)
			finish := b.slowPut(big, "end", strings.ReplaceAll(r.header, "{E}", etag))
			b.change(r.meanwhile)
			before := b.image()
			a := finish()
			b.want(r.row, a, r.status, r.code)
			if a.status != 200 && b.image() != before {
				t.Error("the loser's body can be seen")
			}
		})
	}
}

// Of two concurrent writers with one ETag, or of any number of creators, exactly one wins.
func TestConcurrentWritersHaveOneWinner(t *testing.T) {
	const writers = 8
	for _, header := range []string{"If-None-Match: *", "If-Match: {E}"} {
		b := serve(t, s3server.Options{})
		etag := ""
		if strings.Contains(header, "{E}") {
			etag = b.given("exists")
		}
		var finish [writers]func() answer
		for i := range finish {
			finish[i] = b.slowPut(fmt.Sprint("writer ", i), "!", strings.ReplaceAll(header, "{E}", etag))
		}
		var wg sync.WaitGroup
		var answers [writers]answer
		for i := range finish {
			wg.Go(func() { answers[i] = finish[i]() })
		}
		wg.Wait()
		winner := -1
		for i, a := range answers {
			switch {
			case a.status == 200 && winner < 0:
				winner = i
			case a.status == 200:
				t.Errorf("%s: %d and %d won", header, winner, i)
			case a.status != 412 && a.status != 409:
				t.Errorf("%s: %d %s", header, a.status, a.body)
			}
		}
		if winner < 0 || b.must("GET", "/box/k", "").body != fmt.Sprintf("writer %d!", winner) {
			t.Errorf("%s: winner %d", header, winner)
		}
	}
}

// A client that asks before it sends is told at once, without its body.
func TestExpect100ContinueIsAnsweredEarly(t *testing.T) {
	b := serve(t, s3server.Options{})
	etag := b.given("exists")
	for header, want := range map[string]int{
		"If-None-Match: *":                 412,
		`If-Match: "x"`:                    412,
		"If-Match: *":                      501,
		"x-amz-write-offset-bytes: 7":      400,
		"x-amz-checksum-crc32: none":       400,
		"x-amz-storage-class: GLACIER":     400,
		"If-Match: " + etag:                100,
		"Authorization: AWS4-HMAC-SHA256 ": 400,
	} {
		conn, err := net.Dial("tcp", b.http.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "PUT /box/k HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\nExpect: 100-continue\r\n%s\r\n\r\n", header)
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != want {
			t.Errorf("%s: %d instead of %d", header, resp.StatusCode, want)
		}
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	}
}

// endsWith ends something with the last byte.
type endsWith struct {
	io.Reader
	end func()
}

func (e endsWith) Read(p []byte) (int, error) {
	n, err := e.Reader.Read(p)
	if err == io.EOF {
		e.end()
	}
	return n, err
}

// A client that closes its side once it has sent all is taken for gone by net/http. What it asked for is done, and answered.
func TestClientsThatCloseTheirSideAreAnswered(t *testing.T) {
	b := serve(t, s3server.Options{})
	for _, r := range []struct {
		method, body string
		status       int
	}{{"PUT", "body", 200}, {"DELETE", "", 204}} {
		ctx, end := context.WithCancel(t.Context())
		if r.body == "" {
			end()
		}
		req := httptest.NewRequestWithContext(ctx, r.method, "/box/k", endsWith{strings.NewReader(r.body), end})
		req.ContentLength = int64(len(r.body))
		answered := httptest.NewRecorder()
		b.handler.ServeHTTP(answered, req)
		if answered.Code != r.status {
			t.Errorf("%s: %d %s", r.method, answered.Code, answered.Body)
		}
		end()
	}
}
