package s3server_test

import (
	"bufio"
	"encoding/xml"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/s3server"
	"github.com/etagfs/etagfs/objstore/s3server/internal/s3code"
)

// stage is a server with one user who signs, and a bucket in a state that every valid message below fits.
type stage struct {
	*bench
	etag, upload, part string
}

func newStage(t *testing.T) *stage { return newStageWith(t, s3server.ConditionsStrict) }

func newStageWith(t *testing.T, conditions s3server.Conditions) *stage {
	t.Helper()
	signer := s3server.User{Name: "signer", AccessKey: signerKey, SecretKey: signerSecret, Admin: []string{"*"}}
	s := &stage{bench: serve(t, s3server.Options{Conditions: conditions, Users: s3server.Users{Users: []s3server.User{signer}}})}
	s.reset()
	return s
}

// reset brings the bucket back into its state, whatever a message has made of it.
func (s *stage) reset() {
	s.t.Helper()
	s.send(message{method: "DELETE", path: "/another"})
	s.send(message{method: "DELETE", path: "/box", query: []field{{"policy", ""}}})
	s.send(message{method: "DELETE", path: "/box", query: []field{{"cors", ""}}})
	if store, err := s.engine.Bucket(s.t.Context(), "box"); err == nil {
		s.empty(store)
	}
	s.send(message{method: "PUT", path: "/box"})
	s.send(message{method: "PUT", path: "/box", query: []field{{"etagfs-options", ""}}, headers: []field{{"Content-MD5", "mZFLkyvTelC5g8XnyQrpOw=="}}, body: "{}"})
	s.etag = s.made(message{method: "PUT", path: "/box/k", body: body, headers: []field{{"x-amz-tagging", "a=1"}}}).etag()
	created := s.made(message{method: "POST", path: "/box/parts", query: []field{{"uploads", ""}}})
	_, id, _ := strings.Cut(created.body, "<UploadId>")
	s.upload, _, _ = strings.Cut(id, "</UploadId>")
	s.part = s.made(message{method: "PUT", path: "/box/parts", query: []field{{"partNumber", "1"}, {"uploadId", s.upload}}, body: body}).etag()
}

func (s *stage) empty(store objstore.Store) {
	s.t.Helper()
	ctx := s.t.Context()
	page, err := store.List(ctx, objstore.ListOptions{})
	if err != nil {
		s.t.Fatal(err)
	}
	for _, e := range page.Entries {
		if err := store.Delete(ctx, e.Key, objstore.Unconditional(), objstore.DeleteOptions{}); err != nil {
			s.t.Fatal(err)
		}
	}
	if _, err := store.(objstore.Uploads).AbortUploadsBefore(ctx, s.clock.Now().Add(24*time.Hour)); err != nil {
		s.t.Fatal(err)
	}
}

// made is the answer to a message that must succeed.
func (s *stage) made(m message) answer {
	s.t.Helper()
	a, err := s.send(m)
	if err != nil || a.status/100 != 2 {
		s.t.Fatalf("%s %s: %d %v\n%s", m.method, m.target(), a.status, err, a.body)
	}
	return a
}

func (s *stage) send(m message) (answer, error) {
	s.t.Helper()
	return s.exchange(m.method, m.sign().write(m.method))
}

// exchange sends text as it stands, and says what is wrong with the answer.
func (s *stage) exchange(method, text string) (answer, error) {
	s.t.Helper()
	conn := s.dial()
	defer conn.Close()
	if _, err := io.WriteString(conn, text); err != nil {
		return answer{}, err
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	if err != nil {
		return answer{}, err
	}
	a := answer{resp.StatusCode, resp.Header, string(content)}
	return a, a.check(method)
}

// check is what is wrong with an answer to whatever was asked: it has to be a success that is one, or a
// refusal in the words of S3, and never a failure of the server.
func (a answer) check(method string) error {
	id := a.header.Get("x-amz-request-id")
	switch {
	case a.status == 501 || a.status == 503, a.status < 500 && a.status >= 400:
	case a.status == 304 || method == "HEAD" && a.status < 400:
		return nil
	case a.status >= 500 || a.status < 200:
		return fmt.Errorf("status %d", a.status)
	case strings.Contains(a.body, "\n<Error>"):
		return fmt.Errorf("a success with an error in it")
	default:
		return nil
	}
	if id == "" { // net/http itself refuses what is no HTTP
		if a.status == 400 && strings.HasPrefix(a.body, "400 Bad Request") {
			return nil
		}
		return fmt.Errorf("no request id")
	}
	if method == "HEAD" {
		return nil
	}
	var f failure
	if err := xml.Unmarshal([]byte(a.body), &f); err != nil {
		return fmt.Errorf("the error body is no XML: %w", err)
	}
	if code, ok := s3code.Parse(f.Code); !ok || code.Status() != a.status || f.Message == "" || f.RequestID != id {
		return fmt.Errorf("code %q, message %q, request %q of %s", f.Code, f.Message, f.RequestID, id)
	}
	return nil
}

// valid are messages of all kinds that succeed in the state of the stage.
func (s *stage) valid() map[string]message {
	const crc = "x-amz-checksum-crc32:y/Q5Jg=="
	id := field{"uploadId", s.upload}
	digested := func(text string) []field {
		name, value, _ := strings.Cut(contentMD5(text), ": ")
		return []field{{name, value}}
	}
	document := func(sub, text string) message {
		return message{method: "PUT", path: "/box", query: []field{{sub, ""}}, headers: digested(text), body: text}
	}
	tags := "<Tagging><TagSet><Tag><Key>a</Key><Value>2</Value></Tag></TagSet></Tagging>"
	remove := "<Delete><Object><Key>k</Key><ETag>" + s.etag + "</ETag></Object><Object><Key>none</Key></Object></Delete>"
	complete := "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>" + s.part + "</ETag></Part></CompleteMultipartUpload>"
	kind, form := s.form(body, signedFormOf(signerSecret, signerKey, "box")...)
	return map[string]message{
		"put":                   {method: "PUT", path: "/box/new", body: body, headers: []field{{"Content-Type", "text/plain"}, {"x-amz-meta-a", "1"}, {"x-amz-tagging", "a=1&b=2"}}},
		"put if absent":         {method: "PUT", path: "/box/new", body: body, headers: []field{{"If-None-Match", "*"}, {"x-amz-checksum-crc32", "y/Q5Jg=="}}},
		"put if match":          {method: "PUT", path: "/box/k", body: body, mode: bodyUnsigned, headers: []field{{"If-Match", `"` + s.etag + `"`}, {"Content-MD5", "JfnnlDI7RTiF9RgfG2JNCw=="}}},
		"put in chunks":         {method: "PUT", path: "/box/new", body: body, mode: chunksSigned},
		"put with trailer":      {method: "PUT", path: "/box/new", body: body, mode: chunksTrailed, trailer: crc},
		"put unsigned, trailer": {method: "PUT", path: "/box/new", body: body, mode: chunksUnsigned, trailer: crc},
		"append":                {method: "PUT", path: "/box/k", body: body, headers: []field{{"x-amz-write-offset-bytes", "9"}, {"x-etagfs-write-id", "w1"}}},
		"presigned put":         {method: "PUT", path: "/box/new", body: body, mode: byAddress, headers: []field{{"If-None-Match", "*"}}},
		"presigned get":         {method: "GET", path: "/box/k", mode: byAddress, query: []field{{"response-content-type", "text/plain"}}},
		"form":                  {method: "POST", path: "/box", body: form, mode: nobody, headers: []field{{"Content-Type", kind}}},
		"get":                   {method: "GET", path: "/box/k", headers: []field{{"If-Match", s.etag}, {"Range", "bytes=1-3"}, {"x-amz-checksum-mode", "ENABLED"}}},
		"get since":             {method: "GET", path: "/box/k", headers: []field{{"If-Modified-Since", "Mon, 02 Jan 2006 15:04:05 GMT"}, {"If-None-Match", `"x"`}}, query: []field{{"partNumber", "1"}}},
		"head":                  {method: "HEAD", path: "/box/k", headers: []field{{"If-Unmodified-Since", "Mon, 02 Jan 2040 15:04:05 GMT"}}},
		"attributes":            {method: "GET", path: "/box/k", query: []field{{"attributes", ""}}, headers: []field{{"x-amz-object-attributes", "ETag,Checksum,ObjectParts,ObjectSize"}}},
		"copy":                  {method: "PUT", path: "/box/new", headers: []field{{"x-amz-copy-source", "/box/k"}, {"x-amz-copy-source-if-match", s.etag}, {"If-None-Match", "*"}, {"x-amz-metadata-directive", "REPLACE"}}},
		"rename":                {method: "PUT", path: "/box/new", query: []field{{"renameObject", ""}}, headers: []field{{"x-amz-rename-source", "k"}, {"x-amz-rename-source-if-match", s.etag}, {"x-amz-client-token", "t"}}},
		"delete":                {method: "DELETE", path: "/box/k", headers: []field{{"If-Match", s.etag}}},
		"delete many":           {method: "POST", path: "/box", query: []field{{"delete", ""}}, headers: digested(remove), body: remove},
		"create upload":         {method: "POST", path: "/box/k", query: []field{{"uploads", ""}}, headers: []field{{"x-amz-checksum-algorithm", "CRC32"}, {"x-amz-checksum-type", "FULL_OBJECT"}}},
		"upload part":           {method: "PUT", path: "/box/parts", query: []field{{"partNumber", "2"}, id}, body: body, mode: chunksUnsigned, trailer: crc},
		"copy part":             {method: "PUT", path: "/box/parts", query: []field{{"partNumber", "2"}, id}, headers: []field{{"x-amz-copy-source", "box/k"}, {"x-amz-copy-source-range", "bytes=0-3"}}},
		"complete":              {method: "POST", path: "/box/parts", query: []field{id}, headers: []field{{"If-None-Match", "*"}, {"x-amz-mp-object-size", "9"}}, body: complete},
		"abort":                 {method: "DELETE", path: "/box/parts", query: []field{id}, headers: []field{{"x-amz-if-match-initiated-time", s.date(0)}}},
		"list parts":            {method: "GET", path: "/box/parts", query: []field{id, {"max-parts", "5"}, {"part-number-marker", "0"}}},
		"list uploads":          {method: "GET", path: "/box", query: []field{{"uploads", ""}, {"delimiter", "/"}, {"max-uploads", "5"}, {"prefix", "p"}}},
		"list":                  {method: "GET", path: "/box", query: []field{{"prefix", "k"}, {"delimiter", "/"}, {"max-keys", "5"}, {"marker", "a"}, {"encoding-type", "url"}}},
		"list v2":               {method: "GET", path: "/box", query: []field{{"list-type", "2"}, {"start-after", "a"}, {"fetch-owner", "true"}, {"max-keys", "5"}}},
		"tagging":               {method: "PUT", path: "/box/k", query: []field{{"tagging", ""}}, headers: digested(tags), body: tags},
		"policy":                document("policy", `{"Version":"2012-10-17","Statement":[`+deny("s3:PutObject", `{"Null":{"s3:if-none-match":"true"},"Bool":{"s3:ObjectCreationOperation":"true"}}`)+`]}`),
		"cors":                  document("cors", "<CORSConfiguration><CORSRule><AllowedOrigin>https://a.org</AllowedOrigin><AllowedMethod>PUT</AllowedMethod><MaxAgeSeconds>5</MaxAgeSeconds></CORSRule></CORSConfiguration>"),
		"options":               document("etagfs-options", `{"etag":"md5","require-conditions":"any"}`),
		"new bucket":            {method: "PUT", path: "/another", body: "<CreateBucketConfiguration><LocationConstraint>us-east-1</LocationConstraint></CreateBucketConfiguration>"},
		"buckets":               {method: "GET", path: "/", query: []field{{"max-buckets", "5"}, {"prefix", "b"}}},
		"location":              {method: "GET", path: "/box", query: []field{{"location", ""}}},
	}
}

// everythingKept is all that a refused message must not change.
func (s *stage) everythingKept() string {
	s.t.Helper()
	ctx := s.t.Context()
	buckets, err := s.engine.ListBuckets(ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	out := s.image()
	for _, b := range buckets {
		out += b.Name + "\n"
	}
	store, err := s.engine.Bucket(ctx, "box")
	if err != nil {
		return out
	}
	for _, name := range []string{"s3.policy", "s3.cors", "s3.options"} {
		if text, err := store.(objstore.Documents).Document(ctx, name); err == nil {
			out += name + ": " + string(text) + "\n"
		}
	}
	return out
}

// The messages are what they are said to be: each succeeds as it stands.
func TestSignedMessagesOfAllKindsSucceed(t *testing.T) {
	s := newStage(t)
	for _, name := range names(s.valid()) {
		s.reset()
		a, err := s.send(s.valid()[name])
		if err != nil || a.status/100 != 2 {
			t.Errorf("%s: %d %v\n%s", name, a.status, err, a.body)
		}
	}
}

func names(messages map[string]message) []string {
	var all []string
	for name := range messages {
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}

// mutate changes one thing of a message before it is signed, so that the change gets past the signature.
func (m message) mutate(r *rand.Rand) message {
	m = m.clone()
	switch r.IntN(10) {
	case 0:
		m.method = pick(r, pieces.methods)
	case 1:
		m.path = pick(r, pieces.paths)
	case 2:
		m.mode = pick(r, []string{bodyDigest, bodyUnsigned, chunksSigned, chunksTrailed, chunksUnsigned, byAddress})
	case 3:
		m.query = mutateFields(r, m.query, pieces.params, pieces.values)
	case 4, 5, 6:
		m.headers = mutateFields(r, m.headers, pieces.headers, pieces.headerValues)
	default:
		m.body = mutateText(r, m.body)
		if len(m.headers) > 0 && m.headers[0].name == "Content-MD5" && r.IntN(2) == 0 {
			_, m.headers[0].value, _ = strings.Cut(contentMD5(m.body), ": ") // else no change gets past it
		}
	}
	return m
}

// mutateFields changes, drops, repeats or adds one.
func mutateFields(r *rand.Rand, fields []field, names, values []string) []field {
	if len(fields) == 0 || r.IntN(4) == 0 {
		return append(fields, field{pick(r, names), pick(r, values)})
	}
	i := r.IntN(len(fields))
	switch r.IntN(4) {
	case 0:
		return slices.Delete(fields, i, i+1)
	case 1:
		return append(fields, fields[i])
	case 2:
		fields[i].value = mutateText(r, fields[i].value)
	default:
		fields[i].value = pick(r, values)
	}
	fields[i].value = strings.Map(func(c rune) rune { // what is no header at all is tested elsewhere
		if c < ' ' || c == 0x7f {
			return '?'
		}
		return c
	}, fields[i].value)
	return fields
}

// mutateText cuts, doubles, replaces or exchanges a piece of a text.
func mutateText(r *rand.Rand, text string) string {
	if text == "" {
		return pick(r, pieces.bodies)
	}
	i := r.IntN(len(text))
	j := i + 1 + r.IntN(min(12, len(text)-i))
	switch r.IntN(6) {
	case 0:
		return text[:i]
	case 1:
		return text[:i] + text[j:]
	case 2:
		return text[:j] + text[i:]
	case 3:
		return pick(r, pieces.bodies)
	case 4:
		return text[:i] + pick(r, pieces.values) + text[j:]
	default:
		return text[:i] + string(rune(' '+r.IntN(95))) + text[i+1:]
	}
}

// randomOf is the source of a random test, which says how to run it again.
func randomOf(t *testing.T, stream uint64) *rand.Rand {
	t.Helper()
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	t.Logf("-s3.seed=%d", *seed)
	return rand.New(rand.NewPCG(*seed, stream))
}

func rounds(short, long int) int {
	if testing.Short() {
		return short
	}
	return long
}

// A valid request with one thing changed, and signed as it then is, is served or refused in the words of S3;
// refused, it leaves no trace.
func TestValidRequestsWithOneThingChanged(t *testing.T) {
	r := randomOf(t, 2)
	stages := []*stage{newStage(t), newStageWith(t, s3server.ConditionsExtended)}
	refusals := map[string]int{}
	codes := []string{"", "NotImplemented", "InvalidArgument", "InvalidRequest", "MalformedXML", "BadDigest", "NoSuchKey", "NoSuchUpload", "PreconditionFailed"}
	unseen := func(code string) bool { return refusals[code] == 0 }
	few := rounds(500, 4000)
	for i := 0; i < few || i < 40*few && slices.ContainsFunc(codes, unseen); i++ { // the rarest may not be among the first
		s := stages[i%len(stages)]
		valid := s.valid()
		name := pick(r, names(valid))
		m := valid[name].mutate(r)
		if m.method == "GET" && slices.ContainsFunc(m.query, func(f field) bool { return f.name == "events" }) {
			continue // a stream has no end
		}
		before := s.everythingKept()
		a, err := s.send(m)
		if err != nil {
			t.Fatalf("round %d, %s: %v\n%+v\n%d %s", i, name, err, m, a.status, a.body)
		}
		refusals[a.failure().Code]++
		switch after := s.everythingKept(); {
		case after == before:
		case a.status >= 300:
			t.Fatalf("round %d, %s: %d left a trace: %+v\n%s\nwas\n%s", i, name, a.status, m, after, before)
		default:
			s.reset()
		}
	}
	for _, code := range codes {
		if unseen(code) {
			t.Errorf("no request was answered with code %q: %v", code, refusals)
		}
	}
}

// A signed request of which one character was changed on its way is refused, wherever that is.
func TestSignedRequestsChangedOnTheirWay(t *testing.T) {
	r := randomOf(t, 3)
	s := newStage(t)
	for i := range rounds(500, 3000) {
		valid := s.valid()
		name := pick(r, names(valid))
		m := valid[name]
		if m.mode == nobody {
			continue
		}
		before := s.everythingKept()
		signed := m.sign()
		what := signed.tamper(r)
		a, err := s.exchange(m.method, signed.write(m.method))
		if err != nil {
			t.Fatalf("round %d, %s, %s: %v\n%d %s", i, name, what, err, a.status, a.body)
		}
		if a.status < 400 {
			t.Errorf("round %d, %s, %s: %d\n%s", i, name, what, a.status, a.body)
		}
		if after := s.everythingKept(); after != before {
			t.Fatalf("round %d, %s, %s: %d left a trace:\n%s\nwas\n%s", i, name, what, a.status, after, before)
		}
	}
}

// tamper changes one letter or digit of what is signed, and says where.
func (s *signedMessage) tamper(r *rand.Rand) (what string) {
	change := func(text string) (string, bool) {
		var at []int
		for i, c := range []byte(text) {
			if '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' {
				at = append(at, i)
			}
		}
		if len(at) == 0 {
			return text, false
		}
		i := at[r.IntN(len(at))]
		to := "q"
		if text[i]|' ' == 'q' {
			to = "7"
		}
		return text[:i] + to + text[i+1:], true
	}
	for {
		was, changed, ok := "", "", false
		switch i := r.IntN(len(s.headers) + 2); {
		case i == len(s.headers):
			was = s.target
			s.target, ok = change(was)
			changed = s.target
		case i > len(s.headers):
			was = s.body
			if s.fixed {
				s.body, ok = change(was)
			}
			changed = s.body
		default:
			was = s.headers[i].value
			s.headers[i].value, ok = change(was)
			changed = s.headers[i].value
		}
		if ok {
			return fmt.Sprintf("%q became %q", was, changed)
		}
	}
}
