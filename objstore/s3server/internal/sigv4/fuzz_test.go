package sigv4_test

import (
	"errors"
	"net/http"
	"net/url"
	"testing"

	"github.com/etagfs/etagfs/objstore/s3server/internal/s3code"
	"github.com/etagfs/etagfs/objstore/s3server/internal/sigv4"
)

// Whatever a client sends: no panic, and either it is one of the documented
// requests or it is refused with a 4xx or 501.
func FuzzVerify(f *testing.F) {
	for _, r := range headerExamples() {
		f.Add(r.Method, r.URL.Path, r.URL.RawQuery, r.Header.Get("Authorization"), r.Header.Get("X-Amz-Content-Sha256"), r.Header.Get("X-Amz-Date"))
	}
	p := presignedExample()
	f.Add(p.Method, p.URL.Path, p.URL.RawQuery, "", "", "")
	f.Add("PUT", "/", "a=b&&=&%", "AWS4-HMAC-SHA256 Credential=////,,=", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "x")
	f.Fuzz(func(t *testing.T, method, path, rawQuery, authorization, digest, date string) {
		r := &http.Request{Method: method, URL: &url.URL{Path: path, RawQuery: rawQuery}, Host: "h", Header: http.Header{}}
		for name, value := range map[string]string{"Authorization": authorization, "X-Amz-Content-Sha256": digest, "X-Amz-Date": date} {
			if value != "" {
				r.Header.Set(name, value)
			}
		}
		s, err := verifierAt(exampleTime()).Verify(r)
		if err == nil && s.Source != sigv4.Anonymous {
			t.Fatalf("%+v passed with a host that was never signed", s)
		}
		checkClientError(t, err)
	})
}

// Whatever a policy says: no panic, no 5xx.
func FuzzForm(f *testing.F) {
	f.Add(examplePolicy, "key", "user/user1/x")
	f.Add(`{"expiration":"2100-01-01T00:00:00Z","conditions":[["content-length-range",0,1e300],{"a":null}]}`, "acl", "private")
	f.Fuzz(func(t *testing.T, policy, field, value string) {
		form := exampleForm()
		form[field] = value
		_, p, err := verifierAt(formTime()).VerifyForm(signForm(form, policy))
		checkClientError(t, err)
		if p != nil {
			checkClientError(t, p.Check(form))
			if least, most, ok := p.LengthRange(); ok && (least < 0 || most < 0) {
				t.Fatal(least, most)
			}
		}
	})
}

func checkClientError(t *testing.T, err error) {
	var e *s3code.Error
	if err != nil && (!errors.As(err, &e) || e.Code.Status() == 500 || e.Text() == "") {
		t.Fatalf("%v", err)
	}
}
