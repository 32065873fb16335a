package s3server_test

import (
	"bufio"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/etagfs/etagfs/objstore/s3server"
)

// The table of error bodies: code, message and further elements, in this order.
func TestErrorBodiesAreThoseOfTheTable(t *testing.T) {
	b := serve(t, s3server.Options{})
	b.given("exists")
	upload := b.createUpload("k")
	part := b.putPart("k", upload, 1, "part")
	now := b.must("PUT", "/box/k", "new").etag()
	const (
		notImplemented = "<Code>NotImplemented</Code><Message>A header you provided implies functionality that is not implemented</Message>"
		precondition   = "<Code>PreconditionFailed</Code><Message>At least one of the pre-conditions you specified did not hold</Message>"
	)
	for _, r := range []struct {
		row  string
		got  answer
		want string
	}{
		{"412", b.do("PUT", "/box/k", "x", "If-None-Match: *"), precondition + "<Condition>If-None-Match</Condition>"},
		{"412 of a read", b.do("GET", "/box/k", "", "If-Unmodified-Since: Mon, 02 Jan 2006 15:04:05 GMT"), precondition + "<Condition>If-Unmodified-Since</Condition>"},
		{"412 of a source", b.do("PUT", "/box/c", "", "x-amz-copy-source: box/k", "x-amz-copy-source-if-match: x"), precondition + "<Condition>x-amz-copy-source-If-Match</Condition>"},
		{"404", b.do("PUT", "/box/none", "x", "If-Match: x"), "<Code>NoSuchKey</Code><Message>The specified key does not exist.</Message><Key>none</Key>"},
		{"409", b.completeUpload("k", upload, []string{part}, "If-Match: "+now), "<Code>ConditionalRequestConflict</Code><Message>The conditional request cannot succeed due to a conflicting operation against this resource.</Message><Condition>If-Match</Condition><Key>k</Key>"},
		{"501, both", b.do("PUT", "/box/k", "x", "If-None-Match: *", "If-Match: x"), notImplemented + "<Header>If-Match,If-None-Match</Header><additionalMessage>Multiple conditional request headers present in the request</additionalMessage>"},
		{"501, value", b.do("PUT", "/box/k", "x", "If-None-Match: x"), notImplemented + "<Header>If-None-Match</Header><additionalMessage>We don&#39;t accept the provided value of If-None-Match header for this API</additionalMessage>"},
		{"501, value of If-Match", b.do("PUT", "/box/k", "x", "If-Match: *"), notImplemented + "<Header>If-Match</Header><additionalMessage>We don&#39;t accept the provided value of If-Match header for this API</additionalMessage>"},
	} {
		body := regexp.MustCompile(`<Resource>.*</RequestId>`).ReplaceAllString(r.got.body, "")
		if want := `<?xml version="1.0" encoding="UTF-8"?>` + "\n<Error>" + r.want + "</Error>"; body != want {
			t.Errorf("%s:\n%s\n%s", r.row, body, want)
		}
	}
}

// Refusals without a body: 304, and everything that is asked for by HEAD.
func TestRefusalsWithoutABody(t *testing.T) {
	b := serve(t, s3server.Options{})
	etag := b.must("PUT", "/box/k", "x", "Cache-Control: max-age=5", "Expires: Mon, 02 Jan 2040 15:04:05 GMT").etag()
	for _, method := range []string{"GET", "HEAD"} {
		a := b.do(method, "/box/k", "", "If-None-Match: "+etag)
		if a.status != 304 || a.body != "" || a.etag() != etag || a.header.Get("Last-Modified") == "" || a.header.Get("Cache-Control") != "max-age=5" || a.header.Get("Expires") == "" {
			t.Errorf("%s: %d %q %v", method, a.status, a.body, a.header)
		}
	}
	for header, status := range map[string]int{"If-Match: x": 412, "If-Unmodified-Since: Mon, 02 Jan 2006 15:04:05 GMT": 412} {
		if a := b.do("HEAD", "/box/k", "", header); a.status != status || a.body != "" {
			t.Errorf("%s: %d %q", header, a.status, a.body)
		}
	}
	if a := b.do("HEAD", "/box/none", ""); a.status != 404 || a.body != "" {
		t.Errorf("%d %q", a.status, a.body)
	}
}

// Some clients look for the header in this spelling only, which net/http would not send.
func TestETagIsSpelledAsInS3(t *testing.T) {
	b := serve(t, s3server.Options{})
	for _, request := range []string{"PUT", "GET", "HEAD"} {
		conn := b.dial()
		fmt.Fprintf(conn, "%s /box/k HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", request)
		found := false
		lines := bufio.NewScanner(conn)
		for lines.Scan() {
			found = found || strings.HasPrefix(lines.Text(), `ETag: "`)
		}
		conn.Close()
		if !found {
			t.Errorf("%s has no ETag", request)
		}
	}
}
