package s3server_test

import (
	"bufio"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/etagfs/etagfs/objstore/s3server"
)

// step is a request with all faults but those corrected so far, and how it is refused.
type step struct {
	what   string
	m      message
	status int
	code   string
}

// Where several things are wrong the first is told: signature, bucket, policy, legality of the headers, existence,
// condition, and a commit in the way last.
func TestTheFirstFaultIsTold(t *testing.T) {
	for name, steps := range map[string]func(*stage) []step{
		"put": func(*stage) []step {
			return orderedWrites(message{method: "PUT", body: body}, "If-Match", "*")
		},
		"put, the other header": func(*stage) []step {
			return orderedWrites(message{method: "PUT", body: body}, "If-None-Match", "x")
		},
		"append": func(*stage) []step {
			return orderedWrites(message{method: "PUT", body: body, headers: []field{{"x-amz-write-offset-bytes", "0"}}}, "If-Match", "*")
		},
		"copy": func(*stage) []step {
			return orderedWrites(message{method: "PUT", headers: []field{{"x-amz-copy-source", "box/parts"}}}, "If-Match", "*")
		},
		"rename": func(*stage) []step {
			return orderedWrites(message{method: "PUT", query: []field{{"renameObject", ""}}, headers: []field{{"x-amz-rename-source", "parts"}}}, "If-None-Match", "x")
		},
		"delete": func(*stage) []step {
			return orderedWrites(message{method: "DELETE"}, "x-amz-if-match-size", "3")
		},
		"complete": orderedCompletion,
	} {
		s := newStage(t)
		s.made(message{method: "PUT", path: "/box/parts", body: "a source"})
		s.made(message{method: "PUT", path: "/box", query: []field{{"policy", ""}},
			body: `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"arn:aws:s3:::box/denied/*"}]}`})
		for _, step := range steps(s) {
			before := s.everythingKept()
			signed := step.m.sign()
			if step.code == "SignatureDoesNotMatch" {
				signed.headers[0].value += "0"
			}
			a, err := s.exchange(step.m.method, signed.write(step.m.method))
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			s.want(name+", "+step.what, a, step.status, step.code)
			if s.everythingKept() != before {
				t.Errorf("%s, %s: left a trace", name, step.what)
			}
		}
	}
}

// orderedWrites are the steps of an operation on one key, of which a header with a value is not legal.
func orderedWrites(m message, illegal, value string) []step {
	at := func(path string, headers ...field) message {
		m := m.clone()
		m.path, m.headers = path, append(m.headers, headers...)
		return m
	}
	wrong := []field{{illegal, value}}
	if illegal != "If-Match" {
		wrong = append(wrong, field{"If-Match", otherETag})
	}
	return []step{
		{"signature", at("/none/k", wrong...), 403, "SignatureDoesNotMatch"},
		{"bucket", at("/none/k", wrong...), 404, "NoSuchBucket"},
		{"policy", at("/box/denied/k", wrong...), 403, "AccessDenied"},
		{"legality", at("/box/missing", wrong...), 501, "NotImplemented"},
		{"existence", at("/box/missing", field{"If-Match", otherETag}), 404, "NoSuchKey"},
		{"condition", at("/box/k", field{"If-Match", otherETag}), 412, "PreconditionFailed"},
	}
}

func orderedCompletion(s *stage) []step {
	list := "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>" + s.part + "</ETag></Part></CompleteMultipartUpload>"
	at := func(path, id string, headers ...field) message {
		return message{method: "POST", path: path, query: []field{{"uploadId", id}}, headers: headers, body: list}
	}
	both := []field{{"If-Match", "*"}, {"If-None-Match", "x"}}
	rewritten := s.made(message{method: "PUT", path: "/box/parts", body: "since the upload began"}).etag()
	other := s.createdUpload("missing")
	return []step{
		{"signature", at("/none/parts", "none", both...), 403, "SignatureDoesNotMatch"},
		{"bucket", at("/none/parts", "none", both...), 404, "NoSuchBucket"},
		{"policy", at("/box/denied/parts", "none", both...), 403, "AccessDenied"},
		{"upload", at("/box/parts", "none", both...), 404, "NoSuchUpload"},
		{"legality", at("/box/parts", s.upload, both...), 501, "NotImplemented"},
		{"part", at("/box/missing", other, field{"If-Match", otherETag}), 400, "InvalidPart"},
		{"condition", at("/box/parts", s.upload, field{"If-Match", otherETag}), 412, "PreconditionFailed"},
		{"commit in the way", at("/box/parts", s.upload, field{"If-Match", rewritten}), 409, "ConditionalRequestConflict"},
	}
}

// createdUpload begins an upload, signed.
func (s *stage) createdUpload(key string) string {
	s.t.Helper()
	created := s.made(message{method: "POST", path: "/box/" + key, query: []field{{"uploads", ""}}})
	_, id, _ := strings.Cut(created.body, "<UploadId>")
	id, _, _ = strings.Cut(id, "</UploadId>")
	return id
}

// What a policy or an option requires is looked for in the head: the body is not waited for.
func TestEnforcementDoesNotWaitForTheBody(t *testing.T) {
	b := serve(t, s3server.Options{})
	b.must("PUT", "/box/k", body)
	b.putPolicy(deny("s3:PutObject", `{"Null":{"s3:if-none-match":"true"},"Bool":{"s3:ObjectCreationOperation":"true"}}`))
	policed := b.withUsers(s3server.Users{Anonymous: everything()})
	for header, want := range map[string]int{"X-None: 1": 403, "If-Match: *": 403, "If-Match: " + otherETag: 403, "If-None-Match: *": 412, "If-None-Match: x": 501} {
		conn := policed.dial()
		fmt.Fprintf(conn, "PUT /box/k HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n%s\r\n\r\n", header)
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != want {
			t.Errorf("%s: %s instead of %d", header, resp.Status, want)
		}
		conn.Close()
	}
}
