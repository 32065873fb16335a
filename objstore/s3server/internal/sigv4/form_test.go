package sigv4_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"testing"
	"time"

	"github.com/etagfs/etagfs/objstore/s3server/internal/s3code"
	"github.com/etagfs/etagfs/objstore/s3server/internal/sigv4"
)

func formTime() time.Time { return time.Date(2015, 12, 29, 0, 0, 0, 0, time.UTC) }

// signForm signs a policy, by the words of the documentation.
func signForm(f sigv4.Form, policy string) sigv4.Form {
	mac := func(key []byte, text string) []byte {
		h := hmac.New(sha256.New, key)
		h.Write([]byte(text))
		return h.Sum(nil)
	}
	key := []byte("AWS4" + exampleSecret)
	for _, part := range []string{"20151229", "us-east-1", "s3", "aws4_request"} {
		key = mac(key, part)
	}
	f["policy"] = base64.StdEncoding.EncodeToString([]byte(policy))
	f["x-amz-signature"] = hex.EncodeToString(mac(key, f["policy"]))
	return f
}

func TestFormsThatAreRefused(t *testing.T) {
	for _, c := range []struct {
		name, field, value string
		code               s3code.Code
		message            string
	}{
		{"other signature", "x-amz-signature", "00", s3code.SignatureDoesNotMatch, ""},
		{"other policy", "policy", "e30=", s3code.SignatureDoesNotMatch, ""},
		{"no signature", "x-amz-signature", "", s3code.InvalidArgument, "must contain a field named 'x-amz-signature'"},
		{"no credential", "x-amz-credential", "", s3code.InvalidArgument, "must contain a field named 'x-amz-credential'"},
		{"no date", "x-amz-date", "", s3code.InvalidArgument, "must contain a field named 'x-amz-date'"},
		{"no algorithm", "x-amz-algorithm", "", s3code.InvalidArgument, "must contain a field named 'x-amz-algorithm'"},
		{"other algorithm", "x-amz-algorithm", "AWS4-HMAC-SHA1", s3code.InvalidArgument, "only supports"},
		{"SigV4A", "x-amz-algorithm", "AWS4-ECDSA-P256-SHA256", s3code.NotImplemented, ""},
		{"other date", "x-amz-date", "20151230T000000Z", s3code.InvalidArgument, "X-Amz-Date must be of the day"},
		{"bad credential", "x-amz-credential", "x", s3code.InvalidArgument, "the Credential is mal-formed"},
		{"other region", "x-amz-credential", exampleKey + "/20151229/eu-west-1/s3/aws4_request", s3code.InvalidArgument, "the region 'eu-west-1' is wrong"},
		{"unknown key", "x-amz-credential", "X/20151229/us-east-1/s3/aws4_request", s3code.InvalidAccessKeyId, ""},
		{"token", "x-amz-security-token", "t", s3code.InvalidToken, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := exampleForm()
			f[c.field] = c.value
			v := sigv4.New(sigv4.Options{Region: "us-east-1", Secret: secretOf, Now: formTime})
			_, _, err := v.VerifyForm(f)
			expectRefusal(t, err, c.code, c.message)
		})
	}
	_, _, err := verifierAt(time.Date(2015, 12, 30, 12, 0, 1, 0, time.UTC)).VerifyForm(exampleForm())
	expectRefusal(t, err, s3code.AccessDenied, "Policy expired")
	_, _, err = verifierAt(formTime()).VerifyForm(sigv4.Form{"policy": "e30=", "signature": "x", "awsaccesskeyid": "y"})
	expectRefusal(t, err, s3code.InvalidRequest, "Please use AWS4-HMAC-SHA256")
	s, policy, err := verifierAt(formTime()).VerifyForm(sigv4.Form{"key": "k"})
	if err != nil || policy != nil || s.Source != sigv4.Anonymous {
		t.Errorf("%v %v %v", s, policy, err)
	}
}

func TestPoliciesThatAreRefused(t *testing.T) {
	const expiration = `"expiration":"2100-01-01T00:00:00Z"`
	for policy, message := range map[string]string{
		`x`:                                     "Invalid JSON",
		`[]`:                                    "Invalid JSON",
		`{}`:                                    "missing expiration",
		`{"expiration":1}`:                      "Invalid 'expiration' value: '1'",
		`{"expiration":"soon"}`:                 "Invalid 'expiration' value: 'soon'",
		`{` + expiration + `}`:                  "missing conditions",
		`{"more":1,` + expiration + `}`:         `Unexpected: "more"`,
		`{` + expiration + `,"conditions":{}}`:  "must be a List",
		`{` + expiration + `,"conditions":[1]}`: "must be a List or Object",
		`{` + expiration + `,"conditions":[null]}`:                               "must be a List or Object",
		`{` + expiration + `,"conditions":[[]]}`:                                 "missing operation identifier",
		`{` + expiration + `,"conditions":[["ends-with","$key","x"]]}`:           "unknown operation 'ends-with'",
		`{` + expiration + `,"conditions":[["eq","$key"]]}`:                      "wrong number of arguments",
		`{` + expiration + `,"conditions":[["eq","key","x"]]}`:                   "arguments must be",
		`{` + expiration + `,"conditions":[["eq","$key",1]]}`:                    "arguments must be",
		`{` + expiration + `,"conditions":[{}]}`:                                 "exactly one property",
		`{` + expiration + `,"conditions":[{"a":"1","b":"2"}]}`:                  "exactly one property",
		`{` + expiration + `,"conditions":[{"a":1}]}`:                            "value must be a string",
		`{` + expiration + `,"conditions":[["content-length-range",1]]}`:         "wrong number of arguments",
		`{` + expiration + `,"conditions":[["content-length-range",-1,5]]}`:      "non-negative integers",
		`{` + expiration + `,"conditions":[["content-length-range",1.5,5]]}`:     "non-negative integers",
		`{` + expiration + `,"conditions":[["content-length-range",1,true]]}`:    "non-negative integers",
		`{` + expiration + `,"conditions":[["content-length-range",1,"5e300"]]}`: "non-negative integers",
	} {
		_, _, err := verifierAt(formTime()).VerifyForm(signForm(exampleForm(), policy))
		expectRefusal(t, err, s3code.InvalidPolicyDocument, message)
	}
}

func TestConditionsHoldFieldsToTheirWord(t *testing.T) {
	form := func(fields ...string) sigv4.Form {
		f := sigv4.Form{"bucket": "b", "policy": "p", "x-amz-signature": "s", "key": "user/a", "content-type": "image/png"}
		for i := 0; i < len(fields); i += 2 {
			f[fields[i]] = fields[i+1]
		}
		return f
	}
	f := signForm(exampleForm(), `{"expiration":"2100-01-01T00:00:00.000Z","conditions":[{"bucket":"b"},["starts-with","$Key","user/"],`+
		`["starts-with","$Content-Type","image/"],["eq","$acl","private"],["content-length-range",10,"100"],["content-length-range",0,50]]}`)
	_, policy, err := verifierAt(formTime()).VerifyForm(f)
	if err != nil {
		t.Fatal(err)
	}
	if least, most, ok := policy.LengthRange(); least != 10 || most != 50 || !ok {
		t.Error(least, most, ok)
	}
	for _, c := range []struct {
		name    string
		form    sigv4.Form
		message string
	}{
		{"all hold", form("acl", "private"), ""},
		{"ignored and file", form("acl", "private", "x-ignore-me", "1", "file", "x"), ""},
		{"several types", form("acl", "private", "content-type", "image/png, image/gif"), ""},
		{"one type is another", form("acl", "private", "content-type", "image/png, text/html"), `Policy Condition failed: ["starts-with", "$content-type", "image/"]`},
		{"missing field", form(), `Policy Condition failed: ["eq", "$acl", "private"]`},
		{"other value", form("acl", "public-read"), `Policy Condition failed: ["eq", "$acl", "private"]`},
		{"other prefix", form("acl", "private", "key", "use"), `Policy Condition failed: ["starts-with", "$key", "user/"]`},
		{"other bucket", form("acl", "private", "bucket", "c"), `Policy Condition failed: ["eq", "$bucket", "b"]`},
		{"extra fields", form("acl", "private", "tagging", "1", "success_action_status", "200"), "Extra input fields: success_action_status, tagging"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := policy.Check(c.form)
			if c.message == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			expectRefusal(t, err, s3code.AccessDenied, c.message)
		})
	}
}
