package s3store_test

import (
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/memstore"
	"github.com/etagfs/etagfs/objstore/s3store"
)

// openAt opens a bucket at a URL, which is @ in what it says of it.
func openAt(t *testing.T, url string, patience time.Duration) (kind objstore.Kind, said string) {
	t.Helper()
	_, err := s3store.Open(t.Context(), s3store.Options{
		Bucket: "box", Endpoint: url, Region: "us-east-1", Patience: patience,
	}, s3store.Parts{HTTP: &http.Client{Transport: &http.Transport{}}, Clock: noWait{}, Credentials: aws.AnonymousCredentials{}})
	if err == nil {
		t.Fatalf("%s was opened", url)
	}
	return objstore.KindOf(err), strings.ReplaceAll(err.Error(), url, "@")
}

// quietly is a server whose complaints about its clients nobody reads.
func quietly(t *testing.T, start func(*httptest.Server), handler http.HandlerFunc) (url string) {
	server := httptest.NewUnstartedServer(handler)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	start(server)
	t.Cleanup(server.Close)
	return server.URL
}

// Whatever answers and is no S3 service is called that, whatever it answers: its 404 is no bucket that is missing, and its 403
// are no credentials that are refused.
func TestOtherServersAreToldFromS3(t *testing.T) {
	for status, want := range map[int]string{
		200: "open store box: @ does not answer like S3",
		301: "open store box: @ does not answer like S3: 301 Moved Permanently",
		400: "open store box: @ does not answer like S3: 400 Bad Request; if it speaks TLS, write https://",
		401: "open store box: @ does not answer like S3: 401 Unauthorized",
		403: "open store box: @ does not answer like S3: 403 Forbidden",
		404: "open store box: @ does not answer like S3: 404 Not Found",
		405: "open store box: @ does not answer like S3: 405 Method Not Allowed",
		502: "open store box: @ does not answer like S3: 502 Bad Gateway",
	} {
		for what, text := range map[string]string{"nothing": "", "text": "no\n", "HTML": "<html><body><h1>No</h1></body></html>"} {
			url := quietly(t, (*httptest.Server).Start, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(status)
				io.WriteString(w, text) // who has hung up does not read it
			})
			if kind, got := openAt(t, url, s3store.PatienceDefault); kind != objstore.ErrUnavailable || got != want {
				t.Errorf("%d and %s: %v: %s", status, what, kind, got)
			}
		}
	}
}

// What an S3 service refuses is said in a sentence, with what to do about it.
func TestRefusalsOfAStoreAreExplained(t *testing.T) {
	for _, row := range []struct {
		status int
		code   string
		kind   objstore.Kind
		want   string
	}{
		{404, "NoSuchBucket", objstore.ErrNotFound, "@ has no bucket box; create it, or look for a typing error"},
		{400, "InvalidBucketName", objstore.ErrInvalid, "box is no name of a bucket, says @: it has 3 to 63 lower-case letters, digits, hyphens and dots"},
		{403, "InvalidAccessKeyId", objstore.ErrPermission, "@ does not know the access key; see AWS_ACCESS_KEY_ID or the profile"},
		{404, "XAdminUserNotFound", objstore.ErrPermission, "@ does not know the access key; see AWS_ACCESS_KEY_ID or the profile"},
		{403, "SignatureDoesNotMatch", objstore.ErrPermission, "the secret key does not belong to the access key, says @; see AWS_SECRET_ACCESS_KEY"},
		{403, "RequestTimeTooSkewed", objstore.ErrPermission, "the clocks of this machine and of @ differ by more than 15 minutes; set the clock"},
		{400, "ExpiredToken", objstore.ErrInvalid, "the session token is not valid (any more); get new credentials"},
		{400, "AuthorizationHeaderMalformed", objstore.ErrInvalid, "the bucket is in another region; add ?region=NAME to the URL"},
	} {
		url := quietly(t, (*httptest.Server).Start, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(row.status)
			io.WriteString(w, "<Error><Code>"+row.code+"</Code><Message>No.</Message></Error>")
		})
		if kind, got := openAt(t, url, s3store.PatienceDefault); kind != row.kind || got != "open store box: "+row.want {
			t.Errorf("%s: %v: %s", row.code, kind, got)
		}
	}
}

// TLS where there is none, none where there is, and a certificate of an authority nobody knows are each called so; as is what
// speaks no HTTP, and what says nothing.
func TestConnectionsThatFailAreExplained(t *testing.T) {
	never := func(http.ResponseWriter, *http.Request) { t.Error("a request came through") }
	plain, secure := quietly(t, (*httptest.Server).Start, never), quietly(t, (*httptest.Server).StartTLS, never)
	for _, row := range []struct{ what, url, want string }{
		{"TLS", strings.Replace(plain, "http:", "https:", 1), "@ does not speak TLS; write http://"},
		{"no TLS", strings.Replace(secure, "https:", "http:", 1), "@ does not answer like S3: 400 Bad Request; if it speaks TLS, write https://"},
		{"an unknown authority", secure, "@ has a certificate this machine does not trust (x509: certificate signed by unknown authority); " +
			"SSL_CERT_FILE or AWS_CA_BUNDLE names a file of authorities to trust"},
		{"no HTTP", listening(t, "SSH-2.0-x\r\n"), `@ does not answer like S3: net/http: HTTP/1.x transport connection broken: malformed HTTP response "SSH-2.0-x"`},
		{"silence", listening(t, ""), "@ did not answer in time"},
	} {
		patience := s3store.PatienceDefault
		if row.what == "silence" {
			patience = 100 * time.Millisecond
		}
		if kind, got := openAt(t, row.url, patience); kind != objstore.ErrUnavailable || got != "open store box: "+row.want {
			t.Errorf("%s: %v: %s", row.what, kind, got)
		}
	}
}

// listening says something to who has asked, and reads on until they end it.
func listening(t *testing.T, text string) (url string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				if _, err := conn.Read(make([]byte, 1)); err != nil {
					return
				}
				io.WriteString(conn, text)
				io.Copy(io.Discard, conn)
			}()
		}
	}()
	return "http://" + listener.Addr().String()
}

// forbids answers requests of some methods as a store does whose policy denies them.
type forbids struct{ methods []string }

// RoundTrip implements [http.RoundTripper].
func (f forbids) RoundTrip(r *http.Request) (*http.Response, error) {
	for _, method := range f.methods {
		if r.Method == method {
			return refused(http.StatusForbidden, "AccessDenied")(r)
		}
	}
	return http.DefaultTransport.RoundTrip(r)
}

// Who may read only, or may not delete, learns what is refused; and no key of the probe stays.
func TestProbeWithoutRightsLeavesNothing(t *testing.T) {
	for what, methods := range map[string][]string{
		"DeleteObject": {http.MethodDelete, http.MethodPut},
		"PutObject":    {http.MethodPut},
	} {
		server, err := serve(t.Context(), memstore.New(memstore.Options{}))
		if err != nil {
			t.Fatal(err)
		}
		defer server.Close()
		for _, methods := range [][]string{methods, methods[:1]} {
			_, err = s3store.Open(t.Context(), s3store.Options{Bucket: "box", Endpoint: server.URL, Region: "us-east-1"},
				s3store.Parts{HTTP: &http.Client{Transport: forbids{methods}}, Clock: noWait{}, Credentials: aws.AnonymousCredentials{}})
			want := "these credentials may not do that with bucket box: " + what + " is refused; use others, or only read, as mount -o ro does"
			var told *objstore.Error
			if objstore.KindOf(err) != objstore.ErrPermission || !errors.As(err, &told) || told.Detail != want {
				t.Errorf("%s: %v", what, err)
			}
		}
		store, err := open(t.Context(), server.URL, http.DefaultTransport)
		if err != nil {
			t.Fatal(err)
		}
		if page, err := store.List(t.Context(), objstore.ListOptions{}); err != nil || len(page.Entries) > 0 {
			t.Errorf("%s: there is %v (%v)", what, page.Entries, err)
		}
	}
}
