package s3server_test

import (
	"crypto/md5"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strings"
	"testing"

	"github.com/etagfs/etagfs/objstore/s3server"
)

// contentMD5 is the header of that name for a body.
func contentMD5(body string) string {
	sum := md5.Sum([]byte(body))
	return "Content-MD5: " + base64.StdEncoding.EncodeToString(sum[:])
}

func (b *bench) putPolicy(statements string) {
	b.t.Helper()
	body := `{"Version":"2012-10-17","Statement":[` + statements + `]}`
	if err := b.setDocument("s3.policy", body); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) putOptions(body string) {
	b.t.Helper()
	b.must("PUT", "/box?etagfs-options", body, contentMD5(body))
}

// allow and deny are statements about all objects of the bucket for everyone.
func allow(action, condition string) string { return statement("Allow", action, condition) }
func deny(action, condition string) string  { return statement("Deny", action, condition) }

func statement(effect, action, condition string) string {
	s := `{"Effect":"` + effect + `","Principal":"*","Action":"` + action + `","Resource":"arn:aws:s3:::box/*"`
	if condition != "" {
		s += `,"Condition":` + condition
	}
	return s + "}"
}

// attempt is a request and whether the policy lets it through.
type attempt struct {
	what    string
	request func(b *bench, etag, upload, part string) answer
	allowed [5]bool // by the five documented policies
}

func attempts() []attempt {
	put := func(headers ...string) func(*bench, string, string, string) answer {
		return func(b *bench, etag, _, _ string) answer {
			return b.do("PUT", "/box/k", "new", writeRow{headers: strings.Join(headers, "; ")}.lines(etag)...)
		}
	}
	complete := func(headers ...string) func(*bench, string, string, string) answer {
		return func(b *bench, etag, upload, part string) answer {
			return b.completeUpload("k", upload, []string{part}, writeRow{headers: strings.Join(headers, "; ")}.lines(etag)...)
		}
	}
	copied := func(headers ...string) func(*bench, string, string, string) answer {
		return func(b *bench, etag, _, _ string) answer {
			return b.do("PUT", "/box/k", "", append(writeRow{headers: strings.Join(headers, "; ")}.lines(etag), "x-amz-copy-source: /box/source")...)
		}
	}
	remove := func(headers ...string) func(*bench, string, string, string) answer {
		return func(b *bench, etag, _, _ string) answer {
			return b.do("DELETE", "/box/k", "", writeRow{headers: strings.Join(headers, "; ")}.lines(etag)...)
		}
	}
	create := func(b *bench, _, _, _ string) answer { return b.do("POST", "/box/k?uploads", "") }
	uploadPart := func(b *bench, _, upload, _ string) answer {
		return b.do("PUT", "/box/k?partNumber=2&uploadId="+upload, "more")
	}
	read := func(b *bench, _, _, _ string) answer { return b.do("GET", "/box/k", "") }
	return []attempt{
		{"put without a condition", put(), [5]bool{}},
		{"put If-None-Match: *", put("If-None-Match: *"), [5]bool{true, false, true}},
		{"put If-Match", put("If-Match: {E}"), [5]bool{false, true, true}},
		{"complete without a condition", complete(), [5]bool{}},
		{"complete If-None-Match: *", complete("If-None-Match: *"), [5]bool{true, false, true}},
		{"complete If-Match", complete("If-Match: {E}"), [5]bool{false, true, true}},
		{"copy without a condition", copied(), [5]bool{}},
		{"copy If-None-Match: *", copied("If-None-Match: *"), [5]bool{false, false, true}}, // the first has no right to read the source
		{"copy If-Match", copied("If-Match: {E}"), [5]bool{false, true, true}},
		{"create an upload", create, [5]bool{true, true, true}},
		{"upload a part", uploadPart, [5]bool{true, true, true}},
		{"delete without a condition", remove(), [5]bool{}},
		{"delete If-Match: etag", remove("If-Match: {E}"), [5]bool{3: true}},
		{"delete If-Match: *", remove("If-Match: *"), [5]bool{3: true, 4: true}},
		{"read", read, [5]bool{false, true, true, true, false}},
	}
}

// documentedPolicies are the five of the S3 user guide: only create, only compare-and-swap, either; and for
// deletes only compare-and-swap, only what exists.
func documentedPolicies() [5]string {
	const (
		matched     = `{"Null":{"s3:if-match":"false"}}`
		noneMatched = `{"Null":{"s3:if-none-match":"false"}}`
		preparing   = `{"Bool":{"s3:ObjectCreationOperation":"false"}}`
		blind       = `{"Null":{"s3:if-match":"true"},"Bool":{"s3:ObjectCreationOperation":"true"}}`
	)
	return [5]string{
		allow("s3:PutObject", noneMatched) + "," + allow("s3:PutObject", preparing),
		allow("s3:PutObject", "") + "," + deny("s3:PutObject", blind) + "," + allow("s3:GetObject", ""),
		allow("s3:PutObject", noneMatched) + "," + allow("s3:PutObject", matched) + "," + allow("s3:PutObject", preparing) + "," + allow("s3:GetObject", ""),
		allow("s3:DeleteObject", matched) + "," + allow("s3:GetObject", ""),
		allow("s3:DeleteObject", matched),
	}
}

func TestDocumentedPolicies(t *testing.T) {
	for i, policy := range documentedPolicies() {
		for _, a := range attempts() {
			t.Run(fmt.Sprintf("%d %s", i+1, a.what), func(t *testing.T) {
				// Who asks has no rights but those of the policy.
				b := serve(t, s3server.Options{Users: s3server.Users{Anonymous: &s3server.User{}}})
				admin := b.withUsers(s3server.Users{Anonymous: everything()})
				etag := admin.must("PUT", "/box/k", "old").etag()
				admin.must("PUT", "/box/source", "source")
				upload := admin.createUpload("k")
				part := admin.putPart("k", upload, 1, "part")
				b.putPolicy(policy)
				before := b.image()
				got := a.request(b, etag, upload, part)
				refused := got.status == 403 && got.failure().Code == "AccessDenied"
				if refused == a.allowed[i] {
					t.Errorf("%d\n%s", got.status, got.body)
				}
				if refused && b.image() != before {
					t.Error("a refused request left a trace")
				}
			})
		}
	}
}

func TestRequireConditions(t *testing.T) {
	for option, row := range map[string]int{"create": 0, "cas": 1, "any": 2} {
		for _, a := range attempts() {
			if strings.HasPrefix(a.what, "delete") || a.what == "read" {
				continue
			}
			t.Run(option+" "+a.what, func(t *testing.T) {
				b := serve(t, s3server.Options{})
				etag := b.must("PUT", "/box/k", "old").etag()
				b.must("PUT", "/box/source", "source")
				upload := b.createUpload("k")
				part := b.putPart("k", upload, 1, "part")
				b.putOptions(`{"require-conditions":"` + option + `"}`)
				got := a.request(b, etag, upload, part)
				allowed := a.allowed[row] || a.what == "copy If-None-Match: *" && option == "create"
				if refused := got.status == 403; refused == allowed {
					t.Errorf("%d\n%s", got.status, got.body)
				}
			})
		}
	}
}

// A list of nothing is a condition that never holds, so it does not get past what a bucket requires.
func TestListsOfNothingNeverMatch(t *testing.T) {
	policy := allow("s3:PutObject", `{"Null":{"s3:if-match":"false"}}`) + "," + allow("s3:PutObject", `{"Null":{"s3:if-none-match":"false"}}`) + "," +
		allow("s3:DeleteObject", `{"Null":{"s3:if-match":"false"}}`) + "," + allow("s3:GetObject", "")
	for what, require := range map[string]func(b *bench){
		"nothing": func(b *bench) {},
		"policy":  func(b *bench) { b.putPolicy(policy) },
		"option":  func(b *bench) { b.putOptions(`{"require-conditions":"any"}`) },
	} {
		for _, value := range []string{",", " , ,", `"", ,`} {
			t.Run(what+" "+value, func(t *testing.T) {
				b := serve(t, s3server.Options{})
				b.must("PUT", "/box/k", "old")
				require(b)
				before := b.image()
				b.want("put If-Match", b.do("PUT", "/box/k", "new", "If-Match: "+value), 412, "PreconditionFailed")
				b.want("put If-None-Match", b.do("PUT", "/box/k", "new", "If-None-Match: "+value), 501, "NotImplemented")
				b.want("copy If-Match", b.do("PUT", "/box/k", "", "x-amz-copy-source: box/k", "x-amz-metadata-directive: REPLACE", "If-Match: "+value), 412, "PreconditionFailed")
				b.want("delete If-Match", b.do("DELETE", "/box/k", "", "If-Match: "+value), 412, "PreconditionFailed")
				b.deleteObjects("<Delete><Object><Key>k</Key><ETag>" + value + "</ETag></Object><Object><Key>k</Key><ETag> \n</ETag></Object></Delete>")
				if status := b.raw("PUT", "/box/k", "new", []string{"If-Match: \u00a0"}); status != 412 {
					t.Errorf("put If-Match of a blank: %d", status)
				}
				b.want("missing", b.do("PUT", "/box/none", "new", "If-Match: "+value), 404, "NoSuchKey")
				b.want("read If-Match", b.do("GET", "/box/k", "", "If-Match: "+value), 412, "PreconditionFailed")
				b.want("read If-None-Match", b.do("GET", "/box/k", "", "If-None-Match: "+value), 200, "")
				if b.image() != before {
					t.Error("left a trace")
				}
			})
		}
	}
}

// A missing header is told before anything about the object is, and before legality.
func TestEnforcementComesFirst(t *testing.T) {
	b := serve(t, s3server.Options{})
	b.putPolicy(deny("s3:PutObject", `{"Null":{"s3:if-none-match":"true"},"Bool":{"s3:ObjectCreationOperation":"true"}}`))
	for _, header := range []string{`If-Match: "x"`, "If-Match: *", "x-amz-meta-a: 1"} {
		b.want(header, b.do("PUT", "/box/missing", "x", header), 403, "AccessDenied")
	}
	b.want("both are 501, where the policy has no objection", b.do("PUT", "/box/missing", "x", "If-Match: x", "If-None-Match: *"), 501, "NotImplemented")
	b.want("an upload without the header", b.completeUpload("k", b.createUpload("k"), []string{"<Part><PartNumber>1</PartNumber><ETag>x</ETag></Part>"}), 403, "AccessDenied")
}

// If-Match by who may not read would tell what the object is.
func TestIfMatchNeedsTheRightToRead(t *testing.T) {
	writer := &s3server.User{Write: []string{"box"}}
	b := serve(t, s3server.Options{Users: s3server.Users{Anonymous: writer}})
	admin := b.withUsers(s3server.Users{Anonymous: everything()})
	etag := admin.must("PUT", "/box/k", "old").etag()
	b.want("put", b.do("PUT", "/box/k", "new", "If-Match: "+etag), 403, "AccessDenied")
	b.want("delete", b.do("DELETE", "/box/k", "", "If-Match: "+etag), 403, "AccessDenied")
	b.want("an empty line before it", b.do("PUT", "/box/k", "new", "If-Match:", "If-Match: "+etag), 403, "AccessDenied")
	b.want("rename", b.do("PUT", "/box/other?renameObject", "", "x-amz-rename-source: k", "x-amz-rename-source-if-match: "+etag), 403, "AccessDenied")
	b.want("put If-None-Match", b.do("PUT", "/box/k", "new", "If-None-Match: *"), 412, "PreconditionFailed")
	b.want("get", b.do("GET", "/box/k", ""), 403, "AccessDenied")
	b.want("delete If-Match: *", b.do("DELETE", "/box/k", "", "If-Match: *"), 204, "")
}

// A missing key is no secret from who may list it, and nothing more is told: whether a policy allows listings by prefix, or denies others.
func TestMissingKeyIsToldToWhoMayListIt(t *testing.T) {
	list := func(effect, condition string) string {
		return `{"Effect":"` + effect + `","Principal":"*","Action":"s3:ListBucket","Resource":"arn:aws:s3:::box","Condition":` + condition + "}"
	}
	anything := `{"Effect":"Allow","Principal":"*","Action":"s3:ListBucket","Resource":"arn:aws:s3:::box"}`
	for _, statements := range []string{
		list("Allow", `{"StringLike":{"s3:prefix":"public/*"}}`),
		anything + "," + list("Deny", `{"StringNotLike":{"s3:prefix":"public/*"}}`),
	} {
		b := serve(t, s3server.Options{Users: s3server.Users{Anonymous: &s3server.User{}}})
		b.putPolicy(allow("s3:Get*", "") + "," + statements)
		for _, r := range []struct {
			method, path string
			status       int
			code         string
		}{
			{"GET", "/box/public/none", 404, "NoSuchKey"}, {"HEAD", "/box/public/none", 404, ""}, {"GET", "/box/public/none?tagging", 404, "NoSuchKey"},
			{"GET", "/box/private/none", 403, "AccessDenied"}, {"HEAD", "/box/private/none", 403, ""}, {"GET", "/box/private/none?tagging", 403, "AccessDenied"},
			{"GET", "/box?prefix=public/", 200, ""}, {"GET", "/box?prefix=private/", 403, "AccessDenied"}, {"GET", "/box", 403, "AccessDenied"},
		} {
			b.want(r.method+" "+r.path, b.do(r.method, r.path, ""), r.status, r.code)
		}
		b = serve(t, s3server.Options{Users: s3server.Users{Anonymous: &s3server.User{}}})
		b.putPolicy(statements)
		b.want("no right to read", b.do("HEAD", "/box/public/none", ""), 403, "")
	}
}

// Policies seen in the wild beside the documented ones.
func TestOtherPoliciesAboutConditions(t *testing.T) {
	for _, r := range []struct {
		policy string
		// Which headers let a put, and what else, pass.
		allowed string
	}{
		{allow("s3:PutObject", `{"StringEquals":{"s3:if-none-match":"*"}}`), "put *"},
		{allow("s3:PutObject", "") + "," + deny("s3:PutObject", `{"Bool":{"s3:ObjectCreationOperation":"false"}}`), "put, put *, append, form"}, // no multipart
		{allow("s3:PutObject", "") + "," + deny("s3:PutObject", `{"StringNotEquals":{"s3:if-none-match":"*"}}`), "put *"},
		{allow("s3:PutObject", "") + "," + deny("s3:PutObject", `{"Null":{"s3:if-none-match":"true"}}`), "put *"},
		{allow("s3:PutObject", "") + "," + deny("s3:PutObject", `{"Null":{"s3:if-none-match":"true"},"Bool":{"s3:ObjectCreationOperation":"true"}}`), "put *, create, part"},
	} {
		b := serve(t, s3server.Options{Users: s3server.Users{Anonymous: &s3server.User{}}})
		admin := b.withUsers(s3server.Users{Anonymous: everything()})
		upload := admin.createUpload("up")
		b.putPolicy(r.policy)
		kind, form := b.form("x", "key=form")
		var allowed []string
		for _, attempt := range []struct {
			what string
			a    answer
		}{
			{"put", b.do("PUT", "/box/one", "x")},
			{"put *", b.do("PUT", "/box/two", "x", "If-None-Match: *")},
			{"append", b.do("PUT", "/box/three", "x", "x-amz-write-offset-bytes: 0")},
			{"form", b.do("POST", "/box", form, "Content-Type: "+kind)},
			{"create", b.do("POST", "/box/up?uploads", "")},
			{"part", b.do("PUT", "/box/up?partNumber=1&uploadId="+upload, "x")},
		} {
			switch {
			case attempt.a.status/100 == 2:
				allowed = append(allowed, attempt.what)
			case attempt.a.status != 403:
				t.Errorf("%s: %s: %d %s", r.policy, attempt.what, attempt.a.status, attempt.a.body)
			}
		}
		if got := strings.Join(allowed, ", "); got != r.allowed {
			t.Errorf("%s\nlets pass %s instead of %s", r.policy, got, r.allowed)
		}
	}
}

// Every way to make an object is one: none gets around a bucket that requires conditions.
func TestAllThatMakesObjectsIsConditional(t *testing.T) {
	for _, policy := range []bool{false, true} {
		b := serve(t, s3server.Options{})
		for _, key := range []string{"k", "source"} {
			b.must("PUT", "/box/"+key, "old")
		}
		upload := b.createUpload("k")
		part := b.putPart("k", upload, 1, "new")
		if policy {
			b.must("PUT", "/box?policy", `{"Version":"2012-10-17","Statement":[`+deny("s3:PutObject", `{"Null":{"s3:if-none-match":"true"},"Bool":{"s3:ObjectCreationOperation":"true"}}`)+`]}`)
		} else {
			b.putOptions(`{"require-conditions":"create"}`)
		}
		kind, form := b.form("x", "key=k")
		for what, ask := range map[string]func(headers ...string) answer{
			"put": func(h ...string) answer { return b.do("PUT", "/box/k", "x", h...) },
			"append": func(h ...string) answer {
				return b.do("PUT", "/box/k", "x", append(h, "x-amz-write-offset-bytes: 3")...)
			},
			"copy": func(h ...string) answer {
				return b.do("PUT", "/box/k", "", append(h, "x-amz-copy-source: box/source")...)
			},
			"rename": func(h ...string) answer {
				return b.do("PUT", "/box/k?renameObject", "", append(h, "x-amz-rename-source: source")...)
			},
			"complete": func(h ...string) answer { return b.completeUpload("k", upload, []string{part}, h...) },
			"form":     func(h ...string) answer { return b.do("POST", "/box", form, append(h, "Content-Type: "+kind)...) },
		} {
			before := b.image()
			b.want(what, ask(), 403, "AccessDenied")
			b.want(what+" with an empty header", ask("If-None-Match:"), 403, "AccessDenied")
			b.want(what+" with the other header", ask("If-Match: "+otherETag), 403, "AccessDenied")
			b.want(what+" with the header", ask("If-None-Match: *"), 412, "PreconditionFailed")
			if b.image() != before {
				t.Errorf("%s left a trace", what)
			}
		}
	}
}

// A header that a presigned address does not sign could have been added by anyone: it does not get anyone past
// a policy, but it is a condition.
func TestPoliciesTrustWhatAnAddressSigns(t *testing.T) {
	s := newStage(t)
	s.made(message{method: "PUT", path: "/box", query: []field{{"policy", ""}}, body: `{"Version":"2012-10-17","Statement":[` +
		`{"Effect":"Deny","Principal":"*","Action":"s3:PutObject","Resource":"arn:aws:s3:::box/kept/*","Condition":{"Null":{"s3:if-none-match":"true"}}}]}`})
	put := func(path string, signed, added []field) answer {
		m := message{method: "PUT", path: path, body: "x", mode: byAddress, headers: signed}.sign()
		m.headers = append(m.headers, added...)
		a, err := s.exchange("PUT", m.write("PUT"))
		if err != nil {
			t.Error(err)
		}
		return a
	}
	absent := []field{{"If-None-Match", "*"}}
	s.want("signed", put("/box/kept/a", absent, nil), 200, "")
	s.want("signed, and there is one", put("/box/kept/a", absent, nil), 412, "PreconditionFailed")
	s.want("added", put("/box/kept/b", nil, absent), 403, "AccessDenied")
	s.want("signed, and taken away", func() answer {
		m := message{method: "PUT", path: "/box/kept/c", body: "x", mode: byAddress, headers: absent}.sign()
		m.headers = m.headers[:1]
		a, err := s.exchange("PUT", m.write("PUT"))
		if err != nil {
			t.Error(err)
		}
		return a
	}(), 403, "SignatureDoesNotMatch")
	s.want("added where nothing is required", put("/box/k", nil, absent), 412, "PreconditionFailed")
	s.made(message{method: "PUT", path: "/box", query: []field{{"etagfs-options", ""}}, body: `{"require-conditions":"create"}`, headers: []field{{"x-amz-checksum-crc32", crcOf(`{"require-conditions":"create"}`)}}})
	s.want("the option: added", put("/box/d", nil, absent), 403, "AccessDenied")
	s.want("the option: signed", put("/box/d", absent, nil), 200, "")
}

// crcOf is the CRC-32 of text as a header has it.
func crcOf(text string) string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE([]byte(text))))
}
