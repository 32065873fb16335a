package s3server_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/s3server"
)

// records collects what is logged, a line at a time.
type records struct {
	mu    sync.Mutex
	lines []string
	more  chan struct{}
}

func newRecords() *records { return &records{more: make(chan struct{}, 1000)} }

// Write implements [io.Writer].
func (r *records) Write(p []byte) (int, error) {
	r.mu.Lock()
	r.lines = append(r.lines, string(p))
	r.mu.Unlock()
	r.more <- struct{}{}
	return len(p), nil
}

func (r *records) all() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lines
}

func (b *bench) dial() net.Conn {
	b.t.Helper()
	conn, err := net.Dial("tcp", b.http.Listener.Addr().String())
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { conn.Close() })
	return conn
}

func TestBodiesThatStallAreCutOff(t *testing.T) {
	// The refusal must be sent in the same time: on a machine that stands still there may be none, and more time is given.
	for stall := 100 * time.Millisecond; ; stall *= 2 {
		b := serve(t, s3server.Options{Limits: s3server.Limits{StallTime: stall}})
		conn := b.dial()
		fmt.Fprint(conn, "PUT /box/k HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc")
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		var body []byte
		if err == nil {
			body, err = io.ReadAll(resp.Body)
		}
		if got := b.image(); got != "" {
			t.Errorf("made %s", got)
		}
		switch {
		case err != nil && stall < time.Minute:
			t.Logf("cut off after %v without a word: %v", stall, err)
		case err != nil:
			t.Fatal(err)
		case resp.StatusCode != 400 || !strings.Contains(string(body), "RequestTimeout"):
			t.Fatalf("%s %s", resp.Status, body)
		default:
			return
		}
	}
}

func TestBodiesThatEndEarlyAreIncomplete(t *testing.T) {
	b := serve(t, s3server.Options{})
	conn := b.dial()
	fmt.Fprint(conn, "PUT /box/k HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc")
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 400 || !strings.Contains(string(body), "IncompleteBody") {
		t.Errorf("%s %s %v", resp.Status, body, err)
	}
	b.want("nothing was made", b.do("GET", "/box/k", ""), 404, "NoSuchKey")
}

func TestReadersThatStallAreCutOff(t *testing.T) {
	log := newRecords()
	b := serve(t, s3server.Options{Limits: s3server.Limits{StallTime: 20 * time.Millisecond}, Logger: slog.New(slog.NewJSONHandler(log, nil))})
	store, err := b.engine.Bucket(t.Context(), "box")
	if err != nil {
		t.Fatal(err)
	}
	content := strings.NewReader(strings.Repeat("x", 32<<20)) // more than the sockets of both sides take
	if _, err := store.Put(t.Context(), "k", content, objstore.Unconditional(), objstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	conn := b.dial()
	if err := conn.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(conn, "GET /box/k HTTP/1.1\r\nHost: x\r\n\r\n")
	<-log.more // the request ends although nobody reads
	if line := log.all()[0]; !strings.Contains(line, "GetObject") || !strings.Contains(line, "error") {
		t.Error(line)
	}
}

// One record per request, with its id, and nothing secret in any.
func TestAccessLogHasOneRecordPerRequest(t *testing.T) {
	log := newRecords()
	b := serve(t, s3server.Options{Logger: slog.New(slog.NewJSONHandler(log, nil)), Users: s3server.Users{
		Users:     []s3server.User{{Name: "ana", AccessKey: "AK", SecretKey: "hush-hush", Admin: []string{"*"}}},
		Anonymous: everything(),
	}})
	put := b.must("PUT", "/box/k", "body")
	<-log.more
	b.do("GET", "/box/none", "")
	<-log.more
	b.do("GET", "/box/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AK%2F20260203%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20260203T040506Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature=5197a7e0", "")
	<-log.more
	lines := log.all()
	if len(lines) != 3 {
		t.Fatalf("%d records: %q", len(lines), lines)
	}
	for i, want := range []map[string]any{
		{"id": put.header.Get("x-amz-request-id"), "operation": "PutObject", "bucket": "box", "key": "k", "status": 200.0, "received": 4.0, "method": "PUT"},
		{"operation": "GetObject", "key": "none", "status": 404.0, "code": "NoSuchKey"},
		{"status": 403.0, "code": "SignatureDoesNotMatch"},
	} {
		var record map[string]any
		if err := json.Unmarshal([]byte(lines[i]), &record); err != nil {
			t.Fatal(err)
		}
		for name, value := range want {
			if record[name] != value {
				t.Errorf("record %d: %s is %v instead of %v", i, name, record[name], value)
			}
		}
		if strings.Contains(lines[i], "hush") || strings.Contains(lines[i], "5197a7e0") {
			t.Errorf("a secret or a signature is in the log: %s", lines[i])
		}
	}
}

func TestMetricsCountRequests(t *testing.T) {
	registry := prometheus.NewRegistry()
	b := serve(t, s3server.Options{Metrics: registry})
	b.must("PUT", "/box/k", "body")
	b.do("GET", "/box/none", "")
	b.must("GET", "/box/k", "")
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	for _, f := range families {
		for _, m := range f.GetMetric() {
			fmt.Fprint(&out, f.GetName())
			for _, l := range m.GetLabel() {
				fmt.Fprint(&out, " ", l.GetValue())
			}
			fmt.Fprintln(&out, "", m.GetCounter().GetValue())
		}
	}
	for _, line := range []string{"etagfs_s3_requests_total PutObject 200 1\n", "etagfs_s3_requests_total GetObject 404 1\n", "etagfs_s3_requests_total GetObject 200 1\n", "etagfs_s3_received_bytes_total 4\n"} {
		if !strings.Contains(out.String(), line) {
			t.Errorf("no %q in\n%s", line, out.String())
		}
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	b := serve(t, s3server.Options{Limits: s3server.Limits{Connections: 1}})
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := b.handler.Listener(tcp)
	for range 2 {
		conn, err := net.Dial("tcp", tcp.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	first, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	second := make(chan error, 1)
	go func() {
		conn, err := l.Accept()
		if err == nil {
			err = conn.Close()
		}
		second <- err
	}()
	select {
	case err := <-second:
		t.Fatalf("accepted beyond the bound: %v", err)
	default:
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-second; err != nil {
		t.Error(err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if _, err := l.Accept(); err == nil {
		t.Error("accepted after the end")
	}
}

// Shutdown lets a running upload finish, and ends streams that would never.
func TestShutdownLetsRequestsFinish(t *testing.T) {
	b := serve(t, s3server.Options{})
	h := b.handler.HTTP(nil)
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- h.Serve(b.handler.Listener(tcp)) }()
	address := "http://" + tcp.Addr().String()
	stream, err := http.Get(address + "/box?events=s3:ObjectCreated:*")
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Body.Close()
	body, writer := io.Pipe()
	req, err := http.NewRequestWithContext(t.Context(), "PUT", address+"/box/k", body)
	if err != nil {
		t.Fatal(err)
	}
	req.ContentLength = 10
	req.Header.Set("Expect", "100-continue") // the body is sent when the server asks for it
	answered := make(chan error, 1)
	go func() {
		resp, err := b.http.Client().Do(req) // which waits for long to be asked
		if err == nil && resp.StatusCode != 200 {
			err = fmt.Errorf("%s", resp.Status)
		}
		answered <- err
	}()
	if _, err := io.WriteString(writer, "12345"); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- b.handler.Shutdown(context.Background(), h) }()
	if _, err := io.Copy(io.Discard, stream.Body); err != nil { // ends because of the shutdown
		t.Error(err)
	}
	if _, err := io.WriteString(writer, "67890"); err != nil {
		t.Fatal(err)
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	for what, ch := range map[string]chan error{"upload": answered, "shutdown": ended} {
		if err := <-ch; err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := <-served; err != http.ErrServerClosed {
		t.Error(err)
	}
	if got := b.must("GET", "/box/k", "").body; got != "1234567890" {
		t.Errorf("%q", got)
	}
}
