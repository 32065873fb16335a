package s3server_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/s3server"
)

// behindHTTP serves as [s3server.Server.HTTP] does, with its limits on heads, and returns the address.
func (b *bench) behindHTTP() (address string) {
	b.t.Helper()
	h := b.handler.HTTP(nil)
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- h.Serve(b.handler.Listener(tcp)) }()
	b.t.Cleanup(func() {
		if err := h.Close(); err != nil {
			b.t.Error(err)
		}
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			b.t.Error(err)
		}
	})
	return tcp.Addr().String()
}

func dialTo(t *testing.T, address string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func TestHeadsAreBounded(t *testing.T) {
	b := serve(t, s3server.Options{Limits: s3server.Limits{HeaderBytes: 8 << 10}})
	address := b.behindHTTP()
	for size, want := range map[int]int{4 << 10: 200, 64 << 10: 431} {
		conn := dialTo(t, address)
		fmt.Fprintf(conn, "PUT /box/k HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nX-Much: %s\r\n\r\n", strings.Repeat("x", size))
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || resp.StatusCode != want {
			t.Errorf("a head of %d bytes: %v %v", size, resp, err)
		}
	}
}

// A client that does not finish its head, or sends none after a request, is left. What it has sent and the server has not read by then is lost,
// which is told as a reset.
func TestHeadsThatStallEndTheirConnection(t *testing.T) {
	const soon = 50 * time.Millisecond
	for what, c := range map[string]struct {
		limits s3server.Limits
		text   string
	}{
		"half a head":  {s3server.Limits{HeaderTime: soon}, "GET /box/k HTTP/1.1\r\nHost:"},
		"nothing more": {s3server.Limits{IdleTime: soon}, "HEAD /-/live HTTP/1.1\r\nHost: x\r\n\r\n"},
	} {
		b := serve(t, s3server.Options{Limits: c.limits})
		conn := dialTo(t, b.behindHTTP())
		fmt.Fprint(conn, c.text)
		if _, err := io.ReadAll(conn); err != nil && !errors.Is(err, syscall.ECONNRESET) { // ends because the server ends it
			t.Errorf("%s: %v", what, err)
		}
	}
}

// Documents are read into memory, so they are bounded; one that says its length is refused before it is read.
func TestDocumentsAreBounded(t *testing.T) {
	b := serve(t, s3server.Options{})
	b.must("PUT", "/box/k", "x")
	id := b.createUpload("k")
	before := b.image()
	for path, most := range map[string]int{
		"POST /box?delete": 2 << 20, "PUT /box/k?tagging": 64 << 10, "PUT /box?cors": 64 << 10, "PUT /box?etagfs-options": 64 << 10, "PUT /box?policy": 20 << 10,
		"POST /box/k?uploadId=" + id: 4 << 20, "PUT /new-bucket": 64 << 10,
	} {
		method, path, _ := strings.Cut(path, " ")
		conn := b.dial()
		fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-MD5: AAAAAAAAAAAAAAAAAAAAAA==\r\nContent-Length: %d\r\n\r\n", method, path, most+1)
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(resp.Body)
		a := answer{resp.StatusCode, resp.Header, string(text)}
		if b.want(path, a, 400, "MaxMessageLengthExceeded"); err != nil {
			t.Error(err)
		}
		conn.Close()
		full := strings.Repeat("x", most)
		if a := b.do(method, path, full, contentMD5(full)); a.status != 400 || a.failure().Code == "MaxMessageLengthExceeded" {
			t.Errorf("%s: %d bytes: %d %s", path, most, a.status, a.body)
		}
	}
	if b.image() != before {
		t.Error("a refused document left a trace")
	}
}

// What XML can do to a reader that takes all of it.
func TestDocumentsThatAreTraps(t *testing.T) {
	b := serve(t, s3server.Options{})
	b.must("PUT", "/box/k", "x")
	id := b.createUpload("k")
	before := b.image()
	for what, document := range map[string]string{
		"an entity":         `<!DOCTYPE d [<!ENTITY e "k">]><Delete><Object><Key>&e;</Key></Object></Delete>`,
		"nested entities":   `<!DOCTYPE d [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]><Delete><Object><Key>&b;</Key></Object></Delete>`,
		"an outer entity":   `<!DOCTYPE d [<!ENTITY e SYSTEM "file:///etc/passwd">]><Delete><Object><Key>&e;</Key></Object></Delete>`,
		"deep":              strings.Repeat("<Object>", 3000),
		"deep and closed":   "<Delete>" + strings.Repeat("<Object>", 3000) + strings.Repeat("</Object>", 3000) + "</Delete>",
		"two roots":         "<Delete><Object><Key>k</Key></Object></Delete><Delete></Delete>",
		"crossed":           "<Delete><Object><Key>k</Object></Key></Delete>",
		"not closed":        "<Delete><Object><Key>k</Key></Object>",
		"not UTF-8":         "<Delete><Object><Key>\xff\xfe</Key></Object></Delete>",
		"a NUL":             "<Delete><Object><Key>k\x00</Key></Object></Delete>",
		"an attribute only": `<Delete Object="k"/>`,
		"JSON":              `{"Delete":{"Object":{"Key":"k"}}}`,
	} {
		for _, path := range []string{"POST /box?delete", "PUT /box/k?tagging", "PUT /box?cors", "POST /box/k?uploadId=" + id, "PUT /new-bucket"} {
			method, path, _ := strings.Cut(path, " ")
			b.want(what+", "+path, b.do(method, path, document, contentMD5(document)), 400, "MalformedXML")
		}
	}
	if b.image() != before {
		t.Error("a refused document left a trace")
	}
}

// The largest put bounds parts, chunks, forms and appends too.
func TestLargestBodies(t *testing.T) {
	b := serve(t, s3server.Options{Limits: s3server.Limits{PutBytes: 5}})
	b.must("PUT", "/box/k", "")
	id := b.createUpload("k")
	before := b.image()
	chunks := []string{"x-amz-content-sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER", "Content-Encoding: aws-chunked"}
	for what, a := range map[string]answer{
		"part":                      b.do("PUT", "/box/k?partNumber=1&uploadId="+id, "123456"),
		"append":                    b.do("PUT", "/box/k", "123456", "x-amz-write-offset-bytes: 0"),
		"form":                      b.post("123456", "key=k"),
		"chunks":                    b.do("PUT", "/box/k", "6\r\n123456\r\n0\r\n\r\n", append(chunks, "x-amz-decoded-content-length: 6")...),
		"a length beyond all":       b.do("PUT", "/box/k", "", append(chunks, "x-amz-decoded-content-length: 9223372036854775807")...),
		"chunks that say they fit ": b.do("PUT", "/box/k", "6\r\n123456\r\n0\r\n\r\n", append(chunks, "x-amz-decoded-content-length: 5")...),
	} {
		if code := a.failure().Code; a.status != 400 || code != "EntityTooLarge" && !(strings.HasSuffix(what, "fit ") && code != "") {
			t.Errorf("%s: %d %s", what, a.status, a.body)
		}
	}
	if b.image() != before {
		t.Error("a body that is too large left a trace")
	}
}

// A listener that does not read loses its stream instead of the server its memory.
func TestListenersThatFallBehindAreCutOff(t *testing.T) {
	b := serve(t, s3server.Options{})
	store, err := b.engine.Bucket(t.Context(), "box")
	if err != nil {
		t.Fatal(err)
	}
	conn := b.dial()
	fmt.Fprint(conn, "GET /box?events=s3:ObjectCreated:* HTTP/1.1\r\nHost: x\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || resp.StatusCode != 200 {
		t.Fatal(resp, err)
	}
	key := objstore.Key(strings.Repeat("k", 1000))
	for range 20_000 { // more than the sockets take and as many events as may wait
		if _, err := store.Put(t.Context(), key, strings.NewReader(""), objstore.Unconditional(), objstore.PutOptions{Durability: objstore.Visible}); err != nil {
			t.Fatal(err)
		}
	}
	text, err := io.ReadAll(resp.Body)
	if err == nil || strings.Count(string(text), "\n") >= 20_000 {
		t.Errorf("%d bytes of events, %v", len(text), err)
	}
}
