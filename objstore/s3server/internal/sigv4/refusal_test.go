package sigv4_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/etagfs/etagfs/objstore/s3server/internal/s3code"
	"github.com/etagfs/etagfs/objstore/s3server/internal/sigv4"
)

// expectRefusal checks code and a part of the message.
func expectRefusal(t *testing.T, err error, code s3code.Code, message string) {
	t.Helper()
	var e *s3code.Error
	if !errors.As(err, &e) || e.Code != code || !strings.Contains(e.Text(), message) {
		t.Errorf("%v, want %v: %s", err, code, message)
	}
}

func TestHeadersThatAreRefused(t *testing.T) {
	header := func(replace ...string) func(*http.Request) {
		return func(r *http.Request) {
			r.Header.Set("Authorization", strings.NewReplacer(replace...).Replace(r.Header.Get("Authorization")))
		}
	}
	set := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	for _, c := range []struct {
		name    string
		change  func(*http.Request)
		code    s3code.Code
		message string
	}{
		{"no space", set("Authorization", "AWS4-HMAC-SHA256"), s3code.InvalidArgument, "one and only one ' '"},
		{"other kind", set("Authorization", "Bearer abc"), s3code.InvalidArgument, "Unsupported Authorization Type"},
		{"SigV2", set("Authorization", "AWS AKIA:c2ln"), s3code.InvalidRequest, "Please use AWS4-HMAC-SHA256"},
		{"SigV4A", header("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"), s3code.NotImplemented, ""},
		{"two headers", func(r *http.Request) { r.Header.Add("Authorization", "x") }, s3code.InvalidArgument, "Only one auth mechanism"},
		{"header and query", func(r *http.Request) { r.URL.RawQuery = "X-Amz-Algorithm=AWS4-HMAC-SHA256" }, s3code.InvalidArgument, "Only one auth mechanism"},
		{"no credential", header("Credential=", "Credentia="), s3code.AuthorizationHeaderMalformed, "missing Credential."},
		{"no signature", header("Signature=", "Signatur="), s3code.AuthorizationHeaderMalformed, "missing Signature."},
		{"no signed headers", header("SignedHeaders=host;range;x-amz-content-sha256;x-amz-date", "SignedHeaders="), s3code.AuthorizationHeaderMalformed, "missing SignedHeaders."},
		{"four components", header(",Signature", ",More=1,Signature"), s3code.AuthorizationHeaderMalformed, "three components"},
		{"a component twice", header(",Signature", ",Signature=0,Signature"), s3code.AuthorizationHeaderMalformed, "is malformed"},
		{"no component", header(",Signature", ",x,Signature"), s3code.AuthorizationHeaderMalformed, `the authorization component "x" is malformed`},
		{"short credential", header("/s3/", "/"), s3code.AuthorizationHeaderMalformed, "the Credential is mal-formed"},
		{"other service", header("/s3/", "/ec2/"), s3code.AuthorizationHeaderMalformed, `incorrect service "ec2"`},
		{"other terminal", header("aws4_request", "aws5"), s3code.AuthorizationHeaderMalformed, `incorrect terminal "aws5"`},
		{"bad date", header("20130524", "2013-05-24"), s3code.AuthorizationHeaderMalformed, "incorrect date format"},
		{"other day", header("20130524", "20130523"), s3code.AuthorizationHeaderMalformed, "Invalid credential date"},
		{"other region", header("us-east-1", "eu-west-1"), s3code.AuthorizationHeaderMalformed, "the region 'eu-west-1' is wrong; expecting 'us-east-1'"},
		{"unknown key", header(exampleKey, "AKIDELSE"), s3code.InvalidAccessKeyId, "does not exist in our records"},
		{"key with slashes", header(exampleKey, "a/b"), s3code.InvalidAccessKeyId, "does not exist in our records"},
		{"no date", func(r *http.Request) { r.Header.Del("X-Amz-Date") }, s3code.AccessDenied, "valid Date or x-amz-date"},
		{"unreadable date", set("X-Amz-Date", "yesterday"), s3code.AccessDenied, "valid Date or x-amz-date"},
		{"no digest", func(r *http.Request) { r.Header.Del("X-Amz-Content-Sha256") }, s3code.InvalidRequest, "x-amz-content-sha256"},
		{"short digest", set("X-Amz-Content-Sha256", "e3b0"), s3code.InvalidRequest, "x-amz-content-sha256"},
		{"ECDSA chunks", set("X-Amz-Content-Sha256", "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER"), s3code.NotImplemented, ""},
		{"session token", set("X-Amz-Security-Token", "t"), s3code.InvalidToken, ""},
		{"unsigned x-amz-", set("X-Amz-Meta-A", "1"), s3code.AccessDenied, "headers present in the request which were not signed"},
		{"host not signed", header("host;", ""), s3code.AccessDenied, "headers present in the request which were not signed"},
		{"bad query", func(r *http.Request) { r.URL.RawQuery = "a=%zz" }, s3code.InvalidURI, ""},
		{"short signature", header("6036bdb41", ""), s3code.SignatureDoesNotMatch, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := headerExamples()["get object"]
			c.change(r)
			v := sigv4.New(sigv4.Options{Region: "us-east-1", Secret: secretOf, Now: exampleTime})
			_, err := v.Verify(r)
			expectRefusal(t, err, c.code, c.message)
		})
	}
}

func TestClocksMayDifferByFifteenMinutes(t *testing.T) {
	for skew, ok := range map[time.Duration]bool{
		-15*time.Minute - time.Second: false, -15 * time.Minute: true, 0: true, 15 * time.Minute: true, 15*time.Minute + time.Second: false,
	} {
		_, err := verifierAt(exampleTime().Add(skew)).Verify(headerExamples()["get object"])
		if ok && err != nil {
			t.Errorf("%v: %v", skew, err)
		} else if !ok {
			expectRefusal(t, err, s3code.RequestTimeTooSkewed, "")
		}
	}
}

func TestPresignedURLsThatAreRefused(t *testing.T) {
	query := func(replace ...string) func(*http.Request) {
		return func(r *http.Request) { r.URL.RawQuery = strings.NewReplacer(replace...).Replace(r.URL.RawQuery) }
	}
	const week = "X-Amz-Expires=86400"
	for _, c := range []struct {
		name    string
		change  func(*http.Request)
		age     time.Duration
		code    s3code.Code
		message string
	}{
		{"expired", query(), 24*time.Hour + time.Second, s3code.AccessDenied, "Request has expired"},
		{"not yet", query(), -16 * time.Minute, s3code.AccessDenied, "Request is not valid yet"},
		{"other algorithm", query("HMAC-SHA256", "HMAC-SHA1"), 0, s3code.AuthorizationQueryParametersError, "X-Amz-Algorithm only supports"},
		{"SigV4A", query("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"), 0, s3code.NotImplemented, ""},
		{"SigV2", query("X-Amz-Credential", "AWSAccessKeyId", "X-Amz-Signature", "Signature", "X-Amz-Algorithm", "a"), 0, s3code.InvalidRequest, "Please use AWS4-HMAC-SHA256"},
		{"no date", query("X-Amz-Date", "a"), 0, s3code.AuthorizationQueryParametersError, "requires the X-Amz-Algorithm"},
		{"no expiry", query("X-Amz-Expires", "a"), 0, s3code.AuthorizationQueryParametersError, "requires the X-Amz-Algorithm"},
		{"two signatures", query("&X-Amz-Signature", "&X-Amz-Signature=0&X-Amz-Signature"), 0, s3code.AuthorizationQueryParametersError, "requires"},
		{"bad date", query("20130524T000000Z", "2013"), 0, s3code.AuthorizationQueryParametersError, "ISO8601"},
		{"other day", query("20130524T000000Z", "20130523T000000Z"), 0, s3code.AuthorizationQueryParametersError, "Invalid credential date"},
		{"bad credential", query("%2Fs3%2F", "%2F"), 0, s3code.AuthorizationQueryParametersError, "Credential is mal-formed"},
		{"other region", query("us-east-1", "eu-west-1"), 0, s3code.AuthorizationQueryParametersError, "the region 'eu-west-1' is wrong"},
		{"longer than a week", query(week, "X-Amz-Expires=604801"), 0, s3code.AuthorizationQueryParametersError, "less than a week"},
		{"zero", query(week, "X-Amz-Expires=0"), 0, s3code.AuthorizationQueryParametersError, "non-negative"},
		{"negative", query(week, "X-Amz-Expires=-1"), 0, s3code.AuthorizationQueryParametersError, "non-negative"},
		{"no number", query(week, "X-Amz-Expires=soon"), 0, s3code.AuthorizationQueryParametersError, "should be a number"},
		{"longer than signed", query(week, "X-Amz-Expires=86401"), 0, s3code.SignatureDoesNotMatch, ""},
		{"token", query("&X-Amz-Date", "&X-Amz-Security-Token=t&X-Amz-Date"), 0, s3code.InvalidToken, ""},
		{"unknown key", query(exampleKey, "AKIDELSE"), 0, s3code.InvalidAccessKeyId, ""},
		{"one more header", func(r *http.Request) { r.Header.Set("X-Amz-Acl", "public-read") }, 0, s3code.AccessDenied, "not signed"},
		{"for another key", func(r *http.Request) { r.URL.Path = "/other.txt" }, 0, s3code.SignatureDoesNotMatch, ""},
		{"for another method", func(r *http.Request) { r.Method = "DELETE" }, 0, s3code.SignatureDoesNotMatch, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := presignedExample()
			c.change(r)
			now := exampleTime().Add(c.age)
			v := sigv4.New(sigv4.Options{Region: "us-east-1", Secret: secretOf, Now: func() time.Time { return now }})
			_, err := v.Verify(r)
			expectRefusal(t, err, c.code, c.message)
		})
	}
}

func TestAnonymousRequestsAreToldApart(t *testing.T) {
	s, err := verifierAt(exampleTime()).Verify(request("GET", "/b/k", "localhost"))
	if err != nil || s.Source != sigv4.Anonymous || s.AccessKey != "" || s.Payload != sigv4.PayloadUnsigned {
		t.Errorf("%+v %v", s, err)
	}
	s, err = verifierAt(exampleTime()).Verify(request("PUT", "/b/k", "localhost", "x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"))
	if err != nil || s.Payload != sigv4.PayloadUnsignedTrailer || s.Chain != nil {
		t.Errorf("%+v %v", s, err)
	}
	_, err = verifierAt(exampleTime()).Verify(request("PUT", "/b/k", "localhost", "x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"))
	expectRefusal(t, err, s3code.InvalidRequest, "Anonymous requests")
}

func TestMismatchShowsWhatShouldHaveBeenSigned(t *testing.T) {
	r := headerExamples()["get object"]
	r.Header.Set("Range", "bytes=0-8")
	_, err := verifierAt(exampleTime()).Verify(r)
	var e *s3code.Error
	if !errors.As(err, &e) {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, d := range e.Details {
		got[d.Name] = d.Value
	}
	if !strings.HasPrefix(got["CanonicalRequest"], "GET\n/test.txt\n\nhost:examplebucket.s3.amazonaws.com\nrange:bytes=0-8\n") ||
		!strings.HasPrefix(got["StringToSign"], "AWS4-HMAC-SHA256\n20130524T000000Z\n") || got["AWSAccessKeyId"] != exampleKey {
		t.Errorf("%v", e.Details)
	}
	if strings.Contains(err.Error()+strings.Join([]string{got["CanonicalRequest"], got["StringToSign"]}, ""), exampleSecret) {
		t.Error("the secret is told")
	}
}

func TestChunksCannotBeReordered(t *testing.T) {
	e := streamExamples()["chunks"]
	s, err := verifierAt(exampleTime()).Verify(e.request())
	if err != nil {
		t.Fatal(err)
	}
	expectRefusal(t, s.Chain.Chunk([32]byte{1}, e.chunks[0]), s3code.SignatureDoesNotMatch, "")
	expectRefusal(t, s.Chain.Chunk([32]byte{}, ""), s3code.SignatureDoesNotMatch, "")
	expectRefusal(t, s.Chain.Chunk([32]byte{}, e.chunks[1]), s3code.SignatureDoesNotMatch, "")
}

// A changed secret takes effect at once, though signing keys are kept.
func TestKeysOfOldSecretsAreNotUsed(t *testing.T) {
	secret := exampleSecret
	v := sigv4.New(sigv4.Options{Now: exampleTime, Secret: func(string) (string, bool) { return secret, true }})
	if _, err := v.Verify(headerExamples()["get object"]); err != nil {
		t.Fatal(err)
	}
	secret = "another"
	_, err := v.Verify(headerExamples()["get object"])
	expectRefusal(t, err, s3code.SignatureDoesNotMatch, "")
}
