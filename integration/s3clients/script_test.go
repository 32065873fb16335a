package s3clients_test

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A scenario is a list of steps, one per line:
//
//	METHOD KEY[?QUERY] [| Name: value]... => STATUS [CODE] [Element=text]... [as NAME]
//	UPLOAD KEY [| Name: value]... as NAME
//	COMPLETE KEY NAME [| Name: value]... => ...
//
// A body is the header "body". UPLOAD begins an upload and puts one part. After "as NAME", $NAME is the ETag
// that came back, $NAME.date its Last-Modified. $bucket is the scenario's own bucket, $past
// and $future are dates.
type scenario struct {
	s      *server
	t      *testing.T
	bucket string
	words  map[string]string // what stands for a word with a $
	parts  map[string]string // the list of parts of an upload
}

// play runs the scenarios of a file, each a name in brackets and its steps, as subtests.
func (s *server) play(t *testing.T, file string) {
	t.Helper()
	text := must(os.ReadFile(file))(t)
	for i, part := range strings.Split("\n"+string(text), "\n[")[1:] {
		name, steps, _ := strings.Cut(part, "]\n")
		t.Run(name, func(t *testing.T) {
			r := &scenario{s: s, t: t, bucket: "scenario-" + strconv.Itoa(i), parts: map[string]string{}}
			r.words = map[string]string{"bucket": r.bucket, "past": "Mon, 01 Jan 2001 00:00:00 GMT", "future": "Thu, 01 Jan 2099 00:00:00 GMT"}
			if a := s.do("PUT", "/"+r.bucket, ""); a.status != 200 {
				t.Fatalf("%d %s", a.status, a.body)
			}
			for line := range strings.Lines(steps) {
				if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
					r.step(line)
				}
			}
		})
	}
}

// step runs one line.
func (r *scenario) step(line string) {
	r.t.Helper()
	text, want, _ := strings.Cut(r.expand(line), " => ")
	if want == "" {
		text, want, _ = strings.Cut(text, " as ")
		want = "200 as " + want
	}
	fields := strings.Split(text, " | ")
	words := strings.Fields(fields[0])
	if len(words) < 2 {
		r.t.Fatalf("no step: %q", line)
	}
	method, path := words[0], "/"+r.bucket+"/"+strings.TrimPrefix(words[1], ".")
	body, headers := split(fields[1:])
	want, name, _ := strings.Cut(want, "as ")
	switch method {
	case "UPLOAD":
		r.upload(path, name, headers)
		return
	case "COMPLETE":
		method, path = "POST", path+"?uploadId="+r.words[words[2]+".id"]
		body = "<CompleteMultipartUpload>" + r.parts[words[2]] + "</CompleteMultipartUpload>"
	}
	a := r.s.do(method, path, body, headers...)
	r.check(line, a, strings.Fields(want))
	if name != "" {
		r.words[name], r.words[name+".date"], r.words[name+".id"] = a.ETag, a.header.Get("Last-Modified"), a.UploadId
	}
}

func split(fields []string) (body string, headers []string) {
	body = "body"
	for _, f := range fields {
		if text, ok := strings.CutPrefix(f, "body: "); ok {
			body = text
		} else {
			headers = append(headers, f)
		}
	}
	return body, headers
}

// upload begins an upload of one part.
func (r *scenario) upload(path, name string, headers []string) {
	r.t.Helper()
	created := r.s.do("POST", path+"?uploads", "", headers...)
	part := r.s.do("PUT", path+"?partNumber=1&uploadId="+created.UploadId, "part of "+name)
	if created.status != 200 || part.status != 200 {
		r.t.Fatalf("%v %v", created, part)
	}
	r.words[name+".id"] = created.UploadId
	r.parts[name] = fmt.Sprintf("<Part><PartNumber>1</PartNumber><ETag>%s</ETag></Part>", part.ETag)
}

// check compares an answer with the status, the code and the elements that were expected.
func (r *scenario) check(line string, a answer, want []string) {
	r.t.Helper()
	if strconv.Itoa(a.status) != want[0] {
		r.t.Fatalf("%s\n%d %s", line, a.status, a.body)
	}
	for _, w := range want[1:] {
		name, text, ok := strings.Cut(w, "=")
		if !ok {
			name, text = "Code", w
		}
		if !strings.Contains(a.body, "<"+name+">"+text+"</"+name+">") {
			r.t.Errorf("%s\nno %s in %s", line, w, a.body)
		}
	}
}

// expand puts in what words with a $ stand for, the longest first.
func (r *scenario) expand(line string) string {
	names := slices.SortedFunc(maps.Keys(r.words), func(a, b string) int { return len(b) - len(a) })
	for _, name := range names {
		line = strings.ReplaceAll(line, "$"+name, r.words[name])
	}
	return line
}
