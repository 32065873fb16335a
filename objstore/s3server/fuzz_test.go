package s3server_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/etagfs/etagfs/objstore/memstore"
	"github.com/etagfs/etagfs/objstore/s3server"
)

// FuzzHeaders: whatever the headers of conditions, ranges and descriptions hold, the answer is one of S3's.
func FuzzHeaders(f *testing.F) {
	for _, value := range []string{"*", `"x"`, `W/"x", "y"`, "bytes=0-1", "bytes=-1", "bytes=9-", "Mon, 02 Jan 2006 15:04:05 GMT", "2006-01-02T15:04:05Z", "/main/k", "a=1&b", "7", "AAAAAA==", "", "\x00", "%"} {
		f.Add(value, value)
	}
	engine := memstore.New(memstore.Options{})
	server, err := s3server.New(s3server.Options{Buckets: engine, Users: s3server.Users{Anonymous: everything()}, Conditions: s3server.ConditionsExtended})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, one, two string) {
		for _, r := range []struct{ method, path, first, second string }{
			{"PUT", "/main/k", "If-Match", "If-None-Match"},
			{"PUT", "/main/k", "x-amz-tagging", "Content-Md5"},
			{"PUT", "/main/k", "x-amz-checksum-crc32", "x-amz-write-offset-bytes"},
			{"PUT", "/main/k", "x-amz-copy-source", "x-amz-copy-source-if-match"},
			{"PUT", "/main/k?renameObject", "x-amz-rename-source", "If-Unmodified-Since"},
			{"GET", "/main/k", "Range", "If-Range"},
			{"GET", "/main/k", "If-None-Match", "If-Modified-Since"},
			{"GET", "/main/k?attributes", "x-amz-object-attributes", "x-amz-max-parts"},
			{"DELETE", "/main/k", "x-amz-if-match-size", "x-amz-if-match-last-modified-time"},
		} {
			req := httptest.NewRequestWithContext(t.Context(), r.method, r.path, strings.NewReader("body"))
			req.Header.Set(r.first, one)
			req.Header.Set(r.second, two)
			w := httptest.NewRecorder()
			server.ServeHTTP(w, req)
			if w.Code >= http.StatusInternalServerError && w.Code != http.StatusNotImplemented {
				t.Errorf("%s %s with %s %q and %s %q: %d %s", r.method, r.path, r.first, one, r.second, two, w.Code, w.Body)
			}
		}
	})
}
