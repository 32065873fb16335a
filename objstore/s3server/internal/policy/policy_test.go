package policy_test

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/etagfs/etagfs/objstore/s3server/internal/policy"
	"github.com/etagfs/etagfs/objstore/s3server/internal/s3code"
)

func parse(t *testing.T, text string) *policy.Document {
	t.Helper()
	d, err := policy.Parse([]byte(text), "b")
	if err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return d
}

// the five policies of the S3 user guide, "Enforce conditional writes" and
// "Enforce conditional deletes".
func documented(name string) string {
	return map[string]string{
		"create only": `{"Version":"2012-10-17","Statement":[
{"Sid":"AllowConditionalPut","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:user/Alice"},"Action":"s3:PutObject","Resource":"arn:aws:s3:::b/*","Condition":{"Null":{"s3:if-none-match":"false"}}},
{"Sid":"AllowConditionalPutwithMPUs","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:user/Alice"},"Action":"s3:PutObject","Resource":"arn:aws:s3:::b/*","Condition":{"Bool":{"s3:ObjectCreationOperation":"false"}}}]}`,
		"replace only": `{"Version":"2012-10-17","Statement":[
{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:user/Alice"},"Action":"s3:PutObject","Resource":"arn:aws:s3:::b/*"},
{"Sid":"BlockNonConditionalObjectCreation","Effect":"Deny","Principal":{"AWS":"arn:aws:iam::111122223333:user/Alice"},"Action":"s3:PutObject","Resource":"arn:aws:s3:::b/*","Condition":{"Null":{"s3:if-match":"true"},"Bool":{"s3:ObjectCreationOperation":"true"}}},
{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:user/Alice"},"Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"}]}`,
		"either": `{"Version":"2012-10-17","Statement":[
{"Effect":"Allow","Principal":{"AWS":["arn:aws:iam::111122223333:user/Alice"]},"Action":"s3:PutObject","Resource":"arn:aws:s3:::b/*","Condition":{"Null":{"s3:if-none-match":"false"}}},
{"Effect":"Allow","Principal":{"AWS":["arn:aws:iam::111122223333:user/Alice"]},"Action":"s3:PutObject","Resource":"arn:aws:s3:::b/*","Condition":{"Null":{"s3:if-match":"false"}}},
{"Effect":"Allow","Principal":{"AWS":["arn:aws:iam::111122223333:user/Alice"]},"Action":"s3:PutObject","Resource":"arn:aws:s3:::b/*","Condition":{"Bool":{"s3:ObjectCreationOperation":"false"}}},
{"Effect":"Allow","Principal":{"AWS":["arn:aws:iam::111122223333:user/Alice"]},"Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"}]}`,
		"conditional deletes": `{"Version":"2012-10-17","Statement":[
{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:user/Alice"},"Action":"s3:DeleteObject","Resource":"arn:aws:s3:::b/*","Condition":{"Null":{"s3:if-match":"false"}}},
{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:user/Alice"},"Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"}]}`,
		"deletes of what exists": `{"Version":"2012-10-17","Statement":[
{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:user/Alice"},"Action":"s3:DeleteObject","Resource":"arn:aws:s3:::b/*","Condition":{"Null":{"s3:if-match":"false"}}}]}`,
		// what is used in practice
		"deny unconditional": `{"Version":"2012-10-17","Statement":[{"Sid":"DenyUnconditional","Effect":"Deny","Principal":"*","Action":"s3:PutObject",
 "Resource":"arn:aws:s3:::b/*","Condition":{"Null":{"s3:if-none-match":"true"},"Bool":{"s3:ObjectCreationOperation":"true"}}}]}`,
		"only a star": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:PutObject","Resource":"arn:aws:s3:::b/*","Condition":{"StringEquals":{"s3:if-none-match":"*"}}}]}`,
		"no multipart": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:PutObject","Resource":"arn:aws:s3:::b/*"},
{"Effect":"Deny","Principal":"*","Action":"s3:PutObject","Resource":"arn:aws:s3:::b/*","Condition":{"Bool":{"s3:ObjectCreationOperation":"false"}}}]}`,
	}[name]
}

// The keys of requests that put and delete.
func keysOf(create, match, noneMatch string) map[string]string {
	keys := map[string]string{"s3:ObjectCreationOperation": create, "s3:if-match": match, "s3:if-none-match": noneMatch}
	maps.DeleteFunc(keys, func(_, value string) bool { return value == "" })
	return keys
}

func TestDocumentedPoliciesForConditionalWrites(t *testing.T) {
	for _, c := range []struct {
		policy                   string
		action                   string
		create, match, noneMatch string
		want                     policy.Decision
	}{
		{"create only", "s3:PutObject", "true", "", "*", policy.Allow},
		{"create only", "s3:PutObject", "true", "", "", policy.Silent},
		{"create only", "s3:PutObject", "true", "e", "", policy.Silent},
		{"create only", "s3:PutObject", "false", "", "", policy.Allow},
		{"create only", "s3:GetObject", "", "", "", policy.Silent},
		{"replace only", "s3:PutObject", "true", "e", "", policy.Allow},
		{"replace only", "s3:PutObject", "true", "", "", policy.Deny},
		{"replace only", "s3:PutObject", "true", "", "*", policy.Deny},
		{"replace only", "s3:PutObject", "false", "", "", policy.Allow},
		{"replace only", "s3:GetObject", "", "", "", policy.Allow},
		{"either", "s3:PutObject", "true", "e", "", policy.Allow},
		{"either", "s3:PutObject", "true", "", "*", policy.Allow},
		{"either", "s3:PutObject", "true", "", "", policy.Silent},
		{"either", "s3:PutObject", "false", "", "", policy.Allow},
		{"either", "s3:GetObject", "", "", "", policy.Allow},
		{"conditional deletes", "s3:DeleteObject", "", "e", "", policy.Allow},
		{"conditional deletes", "s3:DeleteObject", "", "*", "", policy.Allow},
		{"conditional deletes", "s3:DeleteObject", "", "", "", policy.Silent},
		{"conditional deletes", "s3:GetObject", "", "", "", policy.Allow},
		{"deletes of what exists", "s3:DeleteObject", "", "*", "", policy.Allow},
		{"deletes of what exists", "s3:DeleteObject", "", "", "", policy.Silent},
		{"deletes of what exists", "s3:GetObject", "", "", "", policy.Silent},
		{"deny unconditional", "s3:PutObject", "true", "", "", policy.Deny},
		{"deny unconditional", "s3:PutObject", "true", "", "*", policy.Silent},
		{"deny unconditional", "s3:PutObject", "false", "", "", policy.Silent},
		{"only a star", "s3:PutObject", "true", "", "*", policy.Allow},
		{"only a star", "s3:PutObject", "true", "", `"etag"`, policy.Silent},
		{"only a star", "s3:PutObject", "true", "", "", policy.Silent},
		{"no multipart", "s3:PutObject", "true", "", "", policy.Allow},
		{"no multipart", "s3:PutObject", "false", "", "", policy.Deny},
	} {
		r := policy.Request{Principal: "Alice", Action: c.action, Resource: policy.ObjectARN("b", "k"), Keys: keysOf(c.create, c.match, c.noneMatch)}
		if got := parse(t, documented(c.policy)).Decide(r); got != c.want {
			t.Errorf("%s, %s with %v: %v, want %v", c.policy, c.action, r.Keys, got, c.want)
		}
	}
	mallory := policy.Request{Principal: "Mallory", Action: "s3:PutObject", Resource: policy.ObjectARN("b", "k"), Keys: keysOf("true", "", "*")}
	if got := parse(t, documented("create only")).Decide(mallory); got != policy.Silent {
		t.Errorf("another user: %v", got)
	}
}

// statement is a policy with one Allow; each argument replaces a member.
func statement(members ...string) string {
	all := map[string]string{"Effect": `"Allow"`, "Principal": `"*"`, "Action": `"s3:GetObject"`, "Resource": `"arn:aws:s3:::b/*"`}
	for i := 0; i < len(members); i += 2 {
		delete(all, strings.TrimPrefix(members[i], "Not"))
		all[members[i]] = members[i+1]
	}
	var parts []string
	for name, value := range all {
		if value != "" {
			parts = append(parts, fmt.Sprintf("%q:%s", name, value))
		}
	}
	return `{"Version":"2012-10-17","Id":"i","Statement":{` + strings.Join(parts, ",") + `}}`
}

func TestWhoWhatAndWhere(t *testing.T) {
	const object = "arn:aws:s3:::b/dir/k"
	for _, c := range []struct {
		policy                      string
		principal, action, resource string
		applies                     bool
	}{
		{statement(), "u", "s3:GetObject", object, true},
		{statement(), "", "s3:GetObject", object, true},
		{statement(), "u", "s3:GetObject", "arn:aws:s3:::b", false},
		{statement(), "u", "s3:PutObject", object, false},
		{statement("Principal", `{"AWS":"*"}`), "", "s3:GetObject", object, true},
		{statement("Principal", `{"AWS":"u"}`), "u", "s3:GetObject", object, true},
		{statement("Principal", `{"AWS":"u"}`), "U", "s3:GetObject", object, false},
		{statement("Principal", `{"AWS":"u"}`), "", "s3:GetObject", object, false},
		{statement("Principal", `["u","v"]`), "v", "s3:GetObject", object, true},
		{statement("Principal", `{"AWS":["arn:aws:iam::1:user/team/u","w"]}`), "u", "s3:GetObject", object, true},
		{statement("Effect", `"Deny"`, "NotPrincipal", `"u"`), "u", "s3:GetObject", object, false},
		{statement("Effect", `"Deny"`, "NotPrincipal", `"u"`), "v", "s3:GetObject", object, true},
		{statement("Effect", `"Deny"`, "NotPrincipal", `"u"`), "", "s3:GetObject", object, true},
		{statement("Action", `"s3:*"`), "u", "s3:DeleteObject", object, true},
		{statement("Action", `"*"`), "u", "s3:DeleteObject", object, true},
		{statement("Action", `["s3:Put*","s3:getobject"]`), "u", "s3:GetObject", object, true},
		{statement("Action", `["s3:?etObject"]`), "u", "s3:GetObject", object, true},
		{statement("NotAction", `"s3:Get*"`), "u", "s3:GetObject", object, false},
		{statement("NotAction", `"s3:Get*"`), "u", "s3:PutObject", object, true},
		{statement("Resource", `"arn:aws:s3:::b/dir/*"`), "u", "s3:GetObject", object, true},
		{statement("Resource", `"arn:aws:s3:::b/dir"`), "u", "s3:GetObject", object, false},
		{statement("Resource", `"arn:aws:s3:::b/di?/?"`), "u", "s3:GetObject", object, true},
		{statement("Resource", `"arn:aws:s3:::b*"`), "u", "s3:GetObject", object, true},
		{statement("Resource", `["arn:aws:s3:::b","arn:aws:s3:::b/x"]`), "u", "s3:GetObject", object, false},
		{statement("NotResource", `"arn:aws:s3:::b/dir/*"`), "u", "s3:GetObject", object, false},
		{statement("NotResource", `"arn:aws:s3:::b/other/*"`), "u", "s3:GetObject", object, true},
	} {
		got := parse(t, c.policy).Decide(policy.Request{Principal: c.principal, Action: c.action, Resource: c.resource})
		if applies := got != policy.Silent; applies != c.applies {
			t.Errorf("%s of %s to %s: %v by %s", c.action, c.principal, c.resource, got, c.policy)
		}
	}
	if got := (*policy.Document)(nil).Decide(policy.Request{}); got != policy.Silent {
		t.Errorf("no policy: %v", got)
	}
	users := parse(t, statement("Principal", `{"AWS":["v","arn:aws:iam::1:user/u","v"]}`)).Users()
	if strings.Join(users, ",") != "u,v" {
		t.Errorf("users %q", users)
	}
}

func TestConditionsCompare(t *testing.T) {
	for _, c := range []struct {
		condition string
		keys      string // "name=value", or empty
		holds     bool
	}{
		{`{"StringEquals":{"s3:prefix":"a"}}`, "s3:prefix=a", true},
		{`{"StringEquals":{"S3:PREFIX":["x","a"]}}`, "s3:prefix=a", true},
		{`{"StringEquals":{"s3:prefix":"a"}}`, "s3:prefix=A", false},
		{`{"StringEquals":{"s3:prefix":"a"}}`, "", false},
		{`{"StringEquals":{"s3:prefix":""}}`, "s3:prefix=", true},
		{`{"StringEqualsIfExists":{"s3:prefix":"a"}}`, "", true},
		{`{"StringEqualsIfExists":{"s3:prefix":"a"}}`, "s3:prefix=b", false},
		{`{"StringNotEquals":{"s3:prefix":["a","b"]}}`, "s3:prefix=b", false},
		{`{"StringNotEquals":{"s3:prefix":["a","b"]}}`, "s3:prefix=c", true},
		{`{"StringNotEquals":{"s3:prefix":"a"}}`, "", true},
		{`{"StringEqualsIgnoreCase":{"s3:prefix":"A"}}`, "s3:prefix=a", true},
		{`{"StringNotEqualsIgnoreCase":{"s3:prefix":"A"}}`, "s3:prefix=a", false},
		{`{"StringLike":{"s3:prefix":"home/*"}}`, "s3:prefix=home/u/x", true},
		{`{"StringLike":{"s3:prefix":"home/?"}}`, "s3:prefix=home/", false},
		{`{"StringNotLike":{"s3:prefix":"home/*"}}`, "s3:prefix=home/u", false},
		{`{"NumericLessThanEquals":{"s3:max-keys":10}}`, "s3:max-keys=10", true},
		{`{"NumericLessThan":{"s3:max-keys":"10"}}`, "s3:max-keys=10", false},
		{`{"NumericGreaterThan":{"s3:max-keys":10}}`, "s3:max-keys=11", true},
		{`{"NumericGreaterThanEquals":{"s3:max-keys":10}}`, "s3:max-keys=9", false},
		{`{"NumericEquals":{"s3:max-keys":10}}`, "s3:max-keys=1e1", true},
		{`{"NumericEquals":{"s3:max-keys":10}}`, "s3:max-keys=x", false},
		{`{"NumericNotEquals":{"s3:max-keys":10}}`, "s3:max-keys=10", false},
		{`{"Bool":{"aws:SecureTransport":false}}`, "aws:SecureTransport=false", true},
		{`{"Bool":{"aws:SecureTransport":"False"}}`, "aws:SecureTransport=true", false},
		{`{"Bool":{"aws:SecureTransport":"false"}}`, "", false},
		{`{"BoolIfExists":{"aws:SecureTransport":"false"}}`, "", true},
		{`{"Null":{"s3:if-match":"true"}}`, "", true},
		{`{"Null":{"s3:if-match":true}}`, "s3:if-match=x", false},
		{`{"Null":{"s3:if-match":"false"}}`, "s3:if-match=x", true},
		{`{"Null":{"s3:if-match":false}}`, "", false},
		{`{"IpAddress":{"aws:SourceIp":"10.1.0.0/16"}}`, "aws:SourceIp=10.1.2.3", true},
		{`{"IpAddress":{"aws:SourceIp":["10.1.0.0/16","::1"]}}`, "aws:SourceIp=::1", true},
		{`{"IpAddress":{"aws:SourceIp":"10.1.0.0/16"}}`, "aws:SourceIp=10.2.0.1", false},
		{`{"IpAddress":{"aws:SourceIp":"10.1.2.3"}}`, "aws:SourceIp=::ffff:10.1.2.3", true},
		{`{"IpAddress":{"aws:SourceIp":"10.1.2.3"}}`, "aws:SourceIp=here", false},
		{`{"NotIpAddress":{"aws:SourceIp":"10.1.0.0/16"}}`, "aws:SourceIp=10.1.2.3", false},
		{`{"NotIpAddress":{"aws:SourceIp":"10.1.0.0/16"}}`, "aws:SourceIp=192.168.0.1", true},
		{`{"StringEquals":{"s3:prefix":"a","s3:delimiter":"/"}}`, "s3:prefix=a", false},
		{`{"StringEquals":{"s3:prefix":"a"},"Null":{"s3:delimiter":"true"}}`, "s3:prefix=a", true},
		{`{}`, "", true},
	} {
		keys := map[string]string{}
		if name, value, ok := strings.Cut(c.keys, "="); ok {
			keys[name] = value
		}
		d := parse(t, statement("Condition", c.condition, "Action", `"s3:ListBucket"`, "Resource", `"arn:aws:s3:::b"`))
		got := d.Decide(policy.Request{Action: "s3:ListBucket", Resource: policy.BucketARN("b"), Keys: keys})
		if (got == policy.Allow) != c.holds {
			t.Errorf("%s with %q: %v", c.condition, c.keys, got)
		}
	}
}

func TestDenyWins(t *testing.T) {
	allow := `{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"arn:aws:s3:::b/*"}`
	deny := `{"Effect":"Deny","Principal":"*","Action":"s3:Put*","Resource":"arn:aws:s3:::b/*"}`
	for _, order := range []string{allow + "," + deny, deny + "," + allow} {
		d := parse(t, `{"Statement":[`+order+`]}`)
		for action, want := range map[string]policy.Decision{"s3:PutObject": policy.Deny, "s3:GetObject": policy.Allow} {
			if got := d.Decide(policy.Request{Action: action, Resource: policy.ObjectARN("b", "k")}); got != want {
				t.Errorf("%s: %v, want %v", action, got, want)
			}
		}
	}
}

func TestWhatIsNotUnderstoodIsRefused(t *testing.T) {
	for _, c := range []struct{ text, message string }{
		{"", "the first byte must be '{'"},
		{" {}", "the first byte must be '{'"},
		{"{true}", "This policy contains invalid Json"},
		{"{", "This policy contains invalid Json"},
		{"{} {}", "This policy contains invalid Json"},
		{"{" + strings.Repeat(" ", 20<<10) + "}", "Policy exceeds the maximum allowed document size."},
		{`{"Version":"2012-10-17"}`, "Missing required field Statement"},
		{`{"Statement":[]}`, "Statement is empty!"},
		{`{"Statement":null}`, "Statement is empty!"},
		{`{"Statement":1}`, "This policy contains invalid Json"},
		{`{"Version":"2020-01-01","Statement":[]}`, "valid version string"},
		{`{"More":1,"Statement":[]}`, "Unknown field More"},
		{`{"Statement":[],"Statement":[]}`, "This policy contains invalid Json"},
		{statement("Effect", `"Deny","Effect":"Allow"`), "This policy contains invalid Json"},
		{statement("Condition", `{"Null":{"s3:prefix":"true","s3:prefix":"false"}}`), "This policy contains invalid Json"},
		{statement("effect", `"Allow"`), "Unknown field effect"},
		{statement("Effect", ``), "Missing required field Effect"},
		{statement("Effect", `"allow"`), "Invalid effect: allow"},
		{statement("Sid", `1`), "This policy contains invalid Json"},
		{statement("Principal", ``), "Missing required field Principal"},
		{statement("Principal", `""`), "Invalid principal in policy"},
		{statement("Principal", `[]`), "Invalid principal in policy"},
		{statement("Principal", `null`), "Invalid principal in policy"},
		{statement("Principal", `{"AWS":""}`), "Invalid principal in policy"},
		{statement("Principal", `{"AWS":[]}`), "Invalid principal in policy"},
		{statement("Principal", `{"AWS":["u",null]}`), "Invalid principal in policy"},
		{statement("Principal", `["*","u"]`), "Invalid principal in policy"},
		{statement("Principal", `"u*"`), "Invalid principal in policy"},
		{statement("Principal", `{"Service":"s3.amazonaws.com"}`), "Invalid principal in policy"},
		{statement("Principal", `{"AWS":"arn:aws:iam::1:role/r"}`), "Invalid principal in policy"},
		{statement("Principal", `{"AWS":"arn:aws:iam::1:user/*"}`), "Invalid principal in policy"},
		{statement("NotPrincipal", `"u"`), "Allow with NotPrincipal is not allowed."},
		{statement("Action", ``), "Missing required field Action"},
		{statement("Action", `"s3:Fly"`), "Policy has invalid action"},
		{statement("Action", `"s3:Fly*"`), "Policy has invalid action"},
		{statement("Action", `"ec2:*"`), "Policy has invalid action"},
		{statement("Action", `"*:GetObject"`), "Policy has invalid action"},
		{statement("Action", `["s3:GetObject",1]`), "Policy has invalid action"},
		{statement("Action", `"s3:ListBucket"`), "Action does not apply to any resource(s) in statement"},
		{statement("Resource", `"arn:aws:s3:::b"`), "Action does not apply to any resource(s) in statement"},
		{statement("Resource", ``), "Missing required field Resource"},
		{statement("Resource", `""`), "Policy has invalid resource"},
		{statement("Resource", `[]`), "Policy has invalid resource"},
		{statement("Resource", `"*"`), "Policy has invalid resource"},
		{statement("Resource", `"arn:aws:s3:::/b/*"`), "Policy has invalid resource"},
		{statement("Resource", `"arn:aws:s3:::bb/*"`), "Policy has invalid resource"},
		{statement("Resource", `"arn:aws:s3:::*"`), "Policy has invalid resource"},
		{statement("Resource", `"arn:aws:s3:::b/${aws:username}/*"`), "Policy has invalid resource"},
		{statement("Condition", `1`), "This policy contains invalid Json"},
		{statement("Condition", `{"StringIs":{"s3:prefix":"a"}}`), "Invalid Condition type : StringIs"},
		{statement("Condition", `{"ForAnyValue:StringEquals":{"s3:prefix":"a"}}`), "Invalid Condition type : ForAnyValue:StringEquals"},
		{statement("Condition", `{"NullIfExists":{"s3:prefix":"true"}}`), "Invalid Condition type : NullIfExists"},
		{statement("Condition", `{"StringEquals":{}}`), "Invalid Condition type : StringEquals"},
		{statement("Condition", `{"StringEquals":{"s3:ExistingObjectTag/a":"b"}}`), "Policy has an invalid condition key - s3:ExistingObjectTag/a"},
		{statement("Condition", `{"StringEquals":{"s3:prefix":{}}}`), "Invalid value for condition StringEquals of s3:prefix"},
		{statement("Condition", `{"StringEquals":{"s3:prefix":null}}`), "Invalid value for condition StringEquals of s3:prefix"},
		{statement("Condition", `{"StringEquals":{"s3:prefix":[]}}`), "Invalid value for condition StringEquals of s3:prefix"},
		{statement("Condition", `{"StringLike":{"s3:prefix":"${aws:username}/*"}}`), "Invalid value for condition StringLike of s3:prefix"},
		{statement("Condition", `{"NumericEquals":{"s3:max-keys":"ten"}}`), "Invalid value for condition NumericEquals of s3:max-keys"},
		{statement("Condition", `{"NumericEquals":{"s3:max-keys":"NaN"}}`), "Invalid value for condition NumericEquals of s3:max-keys"},
		{statement("Condition", `{"Bool":{"aws:SecureTransport":"yes"}}`), "Invalid value for condition Bool of aws:SecureTransport"},
		{statement("Condition", `{"Null":{"s3:prefix":"maybe"}}`), "Invalid value for condition Null of s3:prefix"},
		{statement("Condition", `{"IpAddress":{"aws:SourceIp":"10.0.0.0/33"}}`), "Invalid value for condition IpAddress of aws:SourceIp"},
	} {
		_, err := policy.Parse([]byte(c.text), "b")
		var e *s3code.Error
		if !errors.As(err, &e) || e.Code != s3code.MalformedPolicy || !strings.Contains(e.Text(), c.message) {
			t.Errorf("%.200s: %v, want %s", c.text, err, c.message)
		}
	}
}

// A pattern made to be slow is not.
func TestPatternsTakeBoundedTime(t *testing.T) {
	d := parse(t, statement("Resource", `"arn:aws:s3:::b/`+strings.Repeat("*a", 500)+`b"`))
	key := strings.Repeat("a", 1024)
	if got := d.Decide(policy.Request{Action: "s3:GetObject", Resource: policy.ObjectARN("b", key)}); got != policy.Silent {
		t.Error(got)
	}
	if got := d.Decide(policy.Request{Action: "s3:GetObject", Resource: policy.ObjectARN("b", key+"b")}); got != policy.Allow {
		t.Error(got)
	}
}

func TestKeysAreNamed(t *testing.T) {
	for _, key := range policy.Keys() {
		parse(t, statement("Condition", fmt.Sprintf(`{"Null":{%q:"true"}}`, strings.ToUpper(key))))
	}
}

// Whatever the document: no panic; what is accepted can be evaluated.
func FuzzParse(f *testing.F) {
	for _, name := range []string{"create only", "replace only", "either", "conditional deletes", "deny unconditional", "only a star"} {
		f.Add(documented(name), "s3:PutObject", "k", "*")
	}
	f.Add(statement("NotAction", `["s3:*"]`, "NotResource", `"arn:aws:s3:::b/?*"`, "Condition", `{"NotIpAddress":{"aws:SourceIp":"::/0"},"NumericLessThan":{"s3:max-keys":1e3}}`), "s3:GetObject", "", "10.0.0.1")
	f.Fuzz(func(t *testing.T, text, action, key, value string) {
		d, err := policy.Parse([]byte(text), "b")
		if err != nil {
			if !errors.Is(err, s3code.MalformedPolicy) {
				t.Fatal(err)
			}
			return
		}
		keys := map[string]string{}
		for _, name := range policy.Keys() {
			keys[name] = value
		}
		d.Decide(policy.Request{Principal: value, Action: action, Resource: policy.ObjectARN("b", key), Keys: keys})
		d.Decide(policy.Request{Action: action, Resource: policy.BucketARN("b")})
		d.Users()
	})
}
