package cors_test

import (
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/etagfs/etagfs/objstore/s3server/internal/cors"
	"github.com/etagfs/etagfs/objstore/s3server/internal/s3code"
	"github.com/etagfs/etagfs/objstore/s3server/internal/s3xml"
)

func expectRefusal(t *testing.T, err error, code s3code.Code, message string) {
	t.Helper()
	var e *s3code.Error
	if !errors.As(err, &e) || e.Code != code || !strings.Contains(e.Text(), message) {
		t.Errorf("%v, want %v: %s", err, code, message)
	}
}

func compile(t *testing.T, rules ...s3xml.CORSRule) *cors.Rules {
	t.Helper()
	r, err := cors.Compile(&s3xml.CORSConfiguration{Rules: rules})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Three rules, like those in the S3 user guide.
func guide(t *testing.T) *cors.Rules {
	return compile(t,
		s3xml.CORSRule{AllowedOrigins: []string{"http://www.example1.com"}, AllowedMethods: []string{"PUT", "POST", "DELETE"},
			AllowedHeaders: []string{"*"}, MaxAgeSeconds: 3000, ExposeHeaders: []string{"ETag", "x-amz-version-id"}},
		s3xml.CORSRule{AllowedOrigins: []string{"https://*.example2.com"}, AllowedMethods: []string{"PUT"}, AllowedHeaders: []string{"X-Amz-*", "content-type"}},
		s3xml.CORSRule{AllowedOrigins: []string{"*"}, AllowedMethods: []string{"GET"}},
	)
}

const vary = "Origin, Access-Control-Request-Headers, Access-Control-Request-Method"

func TestFirstRuleThatMatchesCounts(t *testing.T) {
	for _, c := range []struct {
		name, origin, method, headers string
		want                          http.Header // nil: refused
	}{
		{"by name", "http://www.example1.com", "PUT", "Content-Type, x-anything", http.Header{
			"Access-Control-Allow-Origin": {"http://www.example1.com"}, "Access-Control-Allow-Credentials": {"true"},
			"Access-Control-Allow-Methods": {"PUT, POST, DELETE"}, "Access-Control-Allow-Headers": {"content-type, x-anything"},
			"Access-Control-Expose-Headers": {"ETag, x-amz-version-id"}, "Access-Control-Max-Age": {"3000"}, "Vary": {vary},
		}},
		{"by wildcard", "https://a.b.example2.com", "PUT", "x-amz-meta-a,CONTENT-TYPE", http.Header{
			"Access-Control-Allow-Origin": {"https://a.b.example2.com"}, "Access-Control-Allow-Credentials": {"true"},
			"Access-Control-Allow-Methods": {"PUT"}, "Access-Control-Allow-Headers": {"x-amz-meta-a, content-type"}, "Vary": {vary},
		}},
		{"anyone", "http://www.example1.com", "GET", "", http.Header{
			"Access-Control-Allow-Origin": {"*"}, "Access-Control-Allow-Methods": {"GET"}, "Vary": {vary},
		}},
		{"other method", "http://www.example1.com", "HEAD", "", nil},
		{"other header", "https://a.example2.com", "PUT", "x-amz-date, authorization", nil},
		{"no header allowed", "http://elsewhere", "GET", "range", nil},
		{"other scheme", "http://a.example2.com", "PUT", "", nil},
		{"other case", "HTTP://www.example1.com", "PUT", "", nil},
		{"wildcard is not empty here", "https://example2.com", "PUT", "", nil},
		{"no origin", "", "GET", "", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := guide(t).Preflight(c.origin, c.method, c.headers)
			if c.want == nil {
				expectRefusal(t, err, s3code.AccessForbidden, "This CORS request is not allowed")
				return
			}
			if err != nil || !reflect.DeepEqual(got, c.want) {
				t.Errorf("%v %v, want %v", got, err, c.want)
			}
			actual := guide(t).Actual(c.origin, c.method)
			c.want.Del("Access-Control-Allow-Headers")
			if !reflect.DeepEqual(actual, c.want) {
				t.Errorf("answer: %v, want %v", actual, c.want)
			}
		})
	}
	if got := guide(t).Actual("http://elsewhere", "PUT"); got != nil {
		t.Errorf("%v", got)
	}
}

func TestSenselessQuestionsAreRefused(t *testing.T) {
	_, err := guide(t).Preflight("http://a", "PATCH", "")
	expectRefusal(t, err, s3code.BadRequest, "Invalid Access-Control-Request-Method: PATCH")
	_, err = guide(t).Preflight("http://a", "GET", "a b")
	expectRefusal(t, err, s3code.BadRequest, `Access-Control-Request-Headers "a b" contains invalid character.`)
	var none *cors.Rules
	_, err = none.Preflight("http://a", "GET", "")
	expectRefusal(t, err, s3code.AccessForbidden, "")
	if none.Actual("http://a", "GET") != nil {
		t.Error("an answer without rules")
	}
}

func TestBadRulesAreRefused(t *testing.T) {
	good := s3xml.CORSRule{AllowedOrigins: []string{"*"}, AllowedMethods: []string{"GET"}}
	for _, c := range []struct {
		name    string
		change  func(*s3xml.CORSRule)
		code    s3code.Code
		message string
	}{
		{"no origin", func(r *s3xml.CORSRule) { r.AllowedOrigins = nil }, s3code.MalformedXML, ""},
		{"no method", func(r *s3xml.CORSRule) { r.AllowedMethods = nil }, s3code.MalformedXML, ""},
		{"long id", func(r *s3xml.CORSRule) { r.ID = strings.Repeat("i", 256) }, s3code.MalformedXML, ""},
		{"method", func(r *s3xml.CORSRule) { r.AllowedMethods = []string{"GET", "PATCH"} }, s3code.InvalidRequest, "Unsupported method is PATCH"},
		{"small method", func(r *s3xml.CORSRule) { r.AllowedMethods = []string{"get"} }, s3code.InvalidRequest, "Unsupported method is get"},
		{"origin", func(r *s3xml.CORSRule) { r.AllowedOrigins = []string{"http://*.*"} }, s3code.InvalidRequest, `AllowedOrigin "http://*.*" can not have more than one wildcard.`},
		{"header", func(r *s3xml.CORSRule) { r.AllowedHeaders = []string{"*-*"} }, s3code.InvalidRequest, `AllowedHeader "*-*" can not have more than one wildcard.`},
		{"header name", func(r *s3xml.CORSRule) { r.AllowedHeaders = []string{"a b"} }, s3code.InvalidRequest, `AllowedHeader "a b" contains invalid character.`},
		{"exposed", func(r *s3xml.CORSRule) { r.ExposeHeaders = []string{"*"} }, s3code.InvalidRequest, `ExposeHeader "*" contains wildcard.`},
		{"exposed name", func(r *s3xml.CORSRule) { r.ExposeHeaders = []string{"a\r\nb"} }, s3code.InvalidRequest, "contains invalid character."},
	} {
		t.Run(c.name, func(t *testing.T) {
			bad := good
			c.change(&bad)
			_, err := cors.Compile(&s3xml.CORSConfiguration{Rules: []s3xml.CORSRule{good, bad}})
			expectRefusal(t, err, c.code, c.message)
		})
	}
	_, err := cors.Compile(&s3xml.CORSConfiguration{})
	expectRefusal(t, err, s3code.MalformedXML, "")
	_, err = cors.Compile(&s3xml.CORSConfiguration{Rules: slices.Repeat([]s3xml.CORSRule{good}, 101)})
	expectRefusal(t, err, s3code.InvalidRequest, "100 rules")
	compile(t, slices.Repeat([]s3xml.CORSRule{good}, 100)...)
}

// Whatever the configuration and the question: no panic, and no field with a line end in it
// that was not in the origin.
func FuzzPreflight(f *testing.F) {
	f.Add("https://*.example.com", "x-*", "https://a.example.com", "x-a,x-b")
	f.Add("*", "*", "null", "")
	f.Fuzz(func(t *testing.T, allowedOrigin, allowedHeader, origin, headers string) {
		r, err := cors.Compile(&s3xml.CORSConfiguration{Rules: []s3xml.CORSRule{{
			AllowedOrigins: []string{allowedOrigin}, AllowedMethods: []string{"GET"}, AllowedHeaders: []string{allowedHeader}, ExposeHeaders: []string{"ETag"},
		}}})
		if err != nil {
			return
		}
		h, err := r.Preflight(origin, "GET", headers)
		if err == nil && strings.ContainsAny(fmt.Sprint(h), "\r\n") && !strings.ContainsAny(origin, "\r\n") {
			t.Fatal(h)
		}
	})
}
