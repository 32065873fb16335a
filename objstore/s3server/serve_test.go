package s3server_test

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/s3server"
)

// bench is a server over a store, in which anyone may do anything unless a test says otherwise.
type bench struct {
	t       *testing.T
	engine  objstore.Buckets
	handler *s3server.Server
	http    *httptest.Server
	clock   *clock
}

// clock is the time of server and store: it stands until it is moved.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func everything() *s3server.User { return &s3server.User{Admin: []string{"*"}} }

// serve starts a server with a bucket "box".
func serve(t *testing.T, opt s3server.Options) *bench {
	t.Helper()
	b := &bench{t: t, clock: &clock{now: time.Date(2026, 2, 3, 4, 5, 6, 789e6, time.UTC)}}
	b.engine = newBuckets(t, b.clock.Now)
	opt.Buckets = b.engine
	if opt.Users.Anonymous == nil && len(opt.Users.Users) == 0 {
		opt.Users.Anonymous = everything()
	}
	if opt.Now == nil {
		opt.Now = b.clock.Now
	}
	opt.Limits.PartBytesMin = 4
	var err error
	if b.handler, err = s3server.New(opt); err != nil {
		t.Fatal(err)
	}
	b.http = listen(b.handler)
	t.Cleanup(func() {
		b.handler.Drain()
		b.http.Close()
	})
	if err := b.engine.CreateBucket(t.Context(), "box"); err != nil {
		t.Fatal(err)
	}
	return b
}

// listen starts a server whose client takes bodies as they are, follows nothing, and waits to be asked for bodies.
func listen(h http.Handler) *httptest.Server {
	server := httptest.NewServer(h)
	transport := server.Client().Transport.(*http.Transport)
	transport.DisableCompression = true
	transport.ExpectContinueTimeout = time.Minute
	server.Client().CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return server
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

// failure is an error document.
type failure struct {
	XMLName           xml.Name `xml:"Error"`
	Code              string
	Message           string
	Key               string
	Condition         string
	Header            string
	AdditionalMessage string `xml:"additionalMessage"`
	RequestID         string `xml:"RequestId"`
}

func (a answer) failure() (f failure) {
	if err := xml.Unmarshal([]byte(a.body), &f); err != nil {
		return failure{}
	}
	return f
}

func (a answer) etag() string { return strings.Trim(strings.Join(a.header["Etag"], ","), `"`) }

// do sends a request. Headers are written "Name: value"; the path is as it goes over the wire.
func (b *bench) do(method, path, body string, headers ...string) answer {
	b.t.Helper()
	req := b.request(method, path, strings.NewReader(body))
	for _, line := range headers {
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			b.t.Fatalf("no header: %q", line)
		}
		if name == "Host" {
			req.Host = strings.TrimSpace(value)
			continue
		}
		req.Header[http.CanonicalHeaderKey(name)] = append(req.Header[http.CanonicalHeaderKey(name)], strings.TrimSpace(value))
	}
	return b.send(req)
}

func (b *bench) request(method, path string, body io.Reader) *http.Request {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), method, b.http.URL+path, body)
	if err != nil {
		b.t.Fatal(err)
	}
	return req
}

func (b *bench) send(req *http.Request) answer {
	b.t.Helper()
	resp, err := b.http.Client().Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(body)}
}

// must is do for a request that has to succeed.
func (b *bench) must(method, path, body string, headers ...string) answer {
	b.t.Helper()
	a := b.do(method, path, body, headers...)
	if a.status/100 != 2 {
		b.t.Fatalf("%s %s: %d\n%s", method, path, a.status, a.body)
	}
	return a
}

// want checks the status of an answer, and its code if it is an error.
func (b *bench) want(what string, a answer, status int, code string) {
	b.t.Helper()
	if a.status != status || a.failure().Code != code {
		b.t.Errorf("%s: %d %s instead of %d %s\n%s", what, a.status, a.failure().Code, status, code, a.body)
	}
}

// image is all that can be seen of the bucket: whatever is refused must not change it.
func (b *bench) image() string {
	b.t.Helper()
	store, err := b.engine.Bucket(b.t.Context(), "box")
	if err != nil {
		return err.Error()
	}
	page, err := store.List(b.t.Context(), objstore.ListOptions{})
	if err != nil {
		b.t.Fatal(err)
	}
	var out bytes.Buffer
	for _, e := range page.Entries {
		fmt.Fprintf(&out, "%q %v %d %v %v\n", e.Key, e.Info.ETag, e.Info.MetaVersion, e.Info.UserMeta, e.Info.Tags)
	}
	uploads, err := store.(objstore.Uploads).ListUploads(b.t.Context(), objstore.UploadListOptions{})
	if err != nil {
		b.t.Fatal(err)
	}
	for _, e := range uploads.Entries {
		parts, err := store.(objstore.Uploads).ListParts(b.t.Context(), e.Upload.Key, e.Upload.ID, 0, 0)
		if err != nil {
			b.t.Fatal(err)
		}
		fmt.Fprintf(&out, "upload %q %v %v\n", e.Upload.Key, e.Upload.ID, parts.Parts)
	}
	return out.String()
}

// date is a moment near the clock's, as headers have it.
func (b *bench) date(d time.Duration) string {
	return b.clock.Now().Add(d).UTC().Format(http.TimeFormat)
}

// withUsers is another server over the same store.
func (b *bench) withUsers(u s3server.Users) *bench {
	b.t.Helper()
	handler, err := s3server.New(s3server.Options{Buckets: b.engine, Users: u, Now: b.clock.Now, Limits: s3server.Limits{PartBytesMin: 4}})
	if err != nil {
		b.t.Fatal(err)
	}
	other := *b
	other.handler, other.http = handler, listen(handler)
	b.t.Cleanup(func() {
		handler.Drain()
		other.http.Close()
	})
	return &other
}

// setDocument sets a document of the bucket before the server has read any.
func (b *bench) setDocument(name, text string) error {
	store, err := b.engine.Bucket(b.t.Context(), "box")
	if err != nil {
		return err
	}
	return store.(objstore.Documents).SetDocument(b.t.Context(), name, []byte(text))
}
