package s3server_test

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/etagfs/etagfs/objstore/s3server"
)

// The frames of HTTP/2 that a request and its answer take.
const (
	frameData     = 0
	frameHeaders  = 1
	frameSettings = 4
	endStream     = 1
	endHeaders    = 4
)

func frame(kind, flags byte, stream uint32, payload string) string {
	head := binary.BigEndian.AppendUint32(nil, uint32(len(payload))<<8|uint32(kind))
	head = binary.BigEndian.AppendUint32(append(head, flags), stream)
	return string(head) + payload
}

// literals are fields of a head that nobody compresses or remembers.
func literals(fields ...string) string {
	var b strings.Builder
	for i, f := range fields {
		if i%2 == 0 {
			b.WriteByte(0)
		}
		fmt.Fprintf(&b, "%c%s", len(f), f)
	}
	return b.String()
}

// http2Put sends a body behind a head that announces another length, and returns the body of the answer.
func http2Put(t *testing.T, conn io.ReadWriter, path, announced, body string) string {
	t.Helper()
	fields := literals(":method", "PUT", ":scheme", "https", ":authority", "x", ":path", path, "content-length", announced)
	text := "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(frameSettings, 0, 0, "") +
		frame(frameHeaders, endHeaders, 1, fields) + frame(frameData, endStream, 1, body)
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	var answer bytes.Buffer
	for {
		var head [9]byte
		if _, err := io.ReadFull(conn, head[:]); err != nil {
			t.Fatal(err)
		}
		payload := make([]byte, binary.BigEndian.Uint32(head[:4])>>8)
		if _, err := io.ReadFull(conn, payload); err != nil {
			t.Fatal(err)
		}
		if stream := binary.BigEndian.Uint32(head[5:]); stream == 0 {
			continue
		}
		if head[3] == frameData {
			answer.Write(payload)
		}
		if head[3] > frameHeaders || head[4]&endStream != 0 {
			return answer.String()
		}
	}
}

// HTTP/2 tells where a body ends beside its length. One that is shorter than that is incomplete, as it is in HTTP/1.
func TestShortBodiesOfHTTP2AreIncomplete(t *testing.T) {
	b := serve(t, s3server.Options{})
	server := httptest.NewUnstartedServer(b.handler)
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	conn, err := tls.Dial("tcp", server.Listener.Addr().String(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if text := http2Put(t, conn, "/box/k", "10", "short"); !strings.Contains(text, "<Code>IncompleteBody</Code>") {
		t.Errorf("a short body: %s", text)
	}
	if got := b.image(); got != "" {
		t.Errorf("left behind: %s", got)
	}
}
