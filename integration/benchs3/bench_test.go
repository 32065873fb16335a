package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/etagfs/etagfs/integration/internal/measure"
	"github.com/etagfs/etagfs/objstore/memstore"
	"github.com/etagfs/etagfs/objstore/s3server"
)

// served is a server of this process.
func served(t *testing.T, name string, handler http.Handler) *server {
	t.Helper()
	h := httptest.NewServer(handler)
	t.Cleanup(h.Close)
	return &server{name: name, addr: h.Listener.Addr().String(), process: measure.Process(os.Getpid())}
}

// newTestBench has etagfs over a store in memory, and the file server.
func newTestBench(t *testing.T) *bench {
	t.Helper()
	store := memstore.New(memstore.Options{})
	handler, err := s3server.New(s3server.Options{
		Buckets: store,
		Users:   s3server.Users{Users: []s3server.User{{Name: "bench", AccessKey: accessKey, SecretKey: secretKey, Admin: []string{"*"}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(handler.Close)
	b := &bench{
		settle: func(ctx context.Context) error { return ctx.Err() },
		dir:    t.TempDir(), rows: regexp.MustCompile(""), rounds: 2, values: make(measure.Values),
		content:  bytes.Repeat([]byte("content."), 1<<14),
		uploaded: bytes.Repeat([]byte("content."), 1<<14),
		sizes: sizes{
			shapes: []shape{{small, 5, 1}, {small, 20, 16}, {1 << 16, 3, 2}},
			time:   time.Millisecond, uploads: 3, upload: 1 << 18, counted: 3,
		},
	}
	b.servers = []*server{served(t, etagfsName, handler), served(t, fileServerName, fileServer(b.dir))}
	for _, s := range b.servers {
		if err := s.makeBucket(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

func TestEveryRowIsMeasuredInEveryRound(t *testing.T) {
	for _, signed := range []bool{false, true} {
		b := newTestBench(t)
		b.signPayloads = signed
		if err := b.run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := b.uploads(t.Context(), b.servers[0]); err != nil {
			t.Fatal(err)
		}
		for _, err := range b.failures {
			t.Error(err)
		}
		for _, shape := range b.sizes.shapes {
			for _, op := range operations() {
				if v := measure.Summarize(b.values[measure.At(shape.row(op), etagfsName)]); v.N != b.rounds || v.Least <= 0 {
					t.Errorf("%s: %+v", shape.row(op), v)
				}
			}
		}
		if v := measure.Summarize(b.values[measure.At(rowUploads(b.sizes), etagfsName)]); v.Least <= 0 {
			t.Errorf("memory: %+v", v)
		}
	}
}

func TestNothingIsLeftOnTheServers(t *testing.T) {
	b := newTestBench(t)
	if err := b.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, s := range b.servers {
		q, err := b.signer(s).request(t.Context(), http.MethodGet, "/4-KiB-1-client/1/0", nil, nil, http.StatusNotFound)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.run(t.Context(), load{clients: 1, requests: []*request{q}}); err != nil {
			t.Errorf("%s: %v", s.name, err)
		}
	}
}

func TestAServerThatRefusesIsAFailure(t *testing.T) {
	b := newTestBench(t)
	b.servers = []*server{served(t, etagfsName, http.NotFoundHandler())}
	if err := b.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if want := len(b.sizes.shapes) * (b.rounds + 1); len(b.failures) != want || !strings.Contains(b.failures[0].Error(), "status 404, not 200") {
		t.Errorf("%d failures, not %d: %v", len(b.failures), want, b.failures)
	}
}

func TestEachClientSendsSomethingHoweverLittleTimeThereIs(t *testing.T) {
	b := newTestBench(t)
	s := b.servers[1]
	q, err := b.signer(s).request(t.Context(), http.MethodGet, "/none", nil, nil, http.StatusNotFound)
	if err != nil {
		t.Fatal(err)
	}
	o, err := s.run(t.Context(), load{clients: 3, requests: []*request{q}, time: 1})
	if err != nil || o.done < 3 {
		t.Errorf("%d requests, %v", o.done, err)
	}
}

func TestAnswersAreReadToTheirEnd(t *testing.T) {
	const next = "HTTP/1.1 299 next\r\nContent-Length: 0\r\n\r\n"
	for name, c := range map[string]struct {
		text string
		bare bool
		etag string
	}{
		"length":     {"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nEtag: \"a\"\r\n\r\nhello", false, `"a"`},
		"chunks":     {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\na\r\n0123456789\r\n0\r\n\r\n", false, ""},
		"head":       {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", true, ""},
		"no content": {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			c1, c2 := net.Pipe()
			defer c1.Close()
			go func() {
				io.CopyN(io.Discard, c2, 2) // the two requests
				io.WriteString(c2, c.text+next)
			}()
			client := newConn(c1)
			if a, err := client.do(&request{head: []byte("12"), bare: c.bare, status: 200}); err != nil || a.etag != c.etag {
				t.Fatalf("%+v, %v", a, err)
			}
			if a, err := client.answer(); err != nil || a.status != 299 {
				t.Errorf("the next answer is %+v, %v", a, err)
			}
		})
	}
}

func TestSyncsAreCounted(t *testing.T) {
	text := `# tracer: nop
#           TASK-PID     CPU#  |||||  TIMESTAMP  FUNCTION
          etagfs-12      [000] .....   101.000001: sys_fdatasync(fd: 8)
   a: b (sys_x)-13       [001] .....   101.000002: sys_fsync(fd: 9)
`
	if n := countSyncs([]byte(text)); n != 2 {
		t.Errorf("%d syncs, want 2", n)
	}
}

func TestBarsCompareWithTheBetterPeer(t *testing.T) {
	s := shape{small, 1, 16}
	get := s.row(opGet)
	servers := []*server{{name: etagfsName}, {name: minioName}, {name: versitygwName}}
	b := &bench{servers: servers, sizes: sizes{shapes: []shape{s}}, values: measure.Values{
		measure.At(get, etagfsName): {90}, measure.At(get, minioName): {50}, measure.At(get, versitygwName): {100},
		measure.At(rowCPU(get), etagfsName): {4}, measure.At(rowCPU(get), minioName): {8}, measure.At(rowCPU(get), versitygwName): {9},
	}}
	verdicts := make(map[string]string)
	for _, bar := range b.bars() {
		verdicts[bar.Text] = bar.Judge(b.values).String()
	}
	for text, want := range map[string]string{
		get + ", against the better":             "missed",
		rowCPU(get) + ", against the better":     "met",
		s.row(opPut) + ", against MinIO":         "not measured",
		rowUploads(b.sizes):                      "not measured",
		rowSyncsMatch + ", against without":      "not measured",
		s.row(opDelete) + ", against the better": "not measured",
	} {
		if verdicts[text] != want {
			t.Errorf("%s is %q, want %q", text, verdicts[text], want)
		}
	}
	var out bytes.Buffer
	if err := b.report(&out); err != nil || !strings.Contains(out.String(), "versitygw  100 /s") {
		t.Errorf("%v\n%s", err, out.String())
	}
}
