package s3server_test

import (
	"bytes"
	"mime/multipart"
	"strconv"
	"strings"
	"testing"

	"github.com/etagfs/etagfs/objstore/s3server"
)

// post sends a form; fields are "name=value".
func (b *bench) post(file string, fields ...string) answer {
	b.t.Helper()
	return b.postTo("/box", file, fields...)
}

func (b *bench) postTo(path, file string, fields ...string) answer {
	b.t.Helper()
	kind, body := b.form(file, fields...)
	return b.do("POST", path, body, "Content-Type: "+kind)
}

// form is a form as a browser writes it, and its content type.
func (b *bench) form(file string, fields ...string) (contentType, text string) {
	b.t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	for _, field := range fields {
		name, value, _ := strings.Cut(field, "=")
		if err := form.WriteField(name, value); err != nil {
			b.t.Fatal(err)
		}
	}
	w, err := form.CreateFormFile("file", "photo.jpg")
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := w.Write([]byte(file)); err != nil {
		b.t.Fatal(err)
	}
	if err := form.Close(); err != nil {
		b.t.Fatal(err)
	}
	return form.FormDataContentType(), body.String()
}

func TestFormsUploadFiles(t *testing.T) {
	b := serve(t, s3server.Options{})
	a := b.post("pixels", "key=up/${filename}", "Content-Type=image/jpeg", "x-amz-meta-who=me", "success_action_status=201", "tagging=<Tagging><TagSet><Tag><Key>a</Key><Value>1</Value></Tag></TagSet></Tagging>")
	if a.status != 201 || !strings.Contains(a.body, "<Key>up/photo.jpg</Key>") || !strings.HasSuffix(a.header.Get("Location"), "/box/up/photo.jpg") {
		t.Errorf("%d %s %v", a.status, a.body, a.header)
	}
	got := b.must("GET", "/box/up/photo.jpg", "")
	if got.body != "pixels" || got.header.Get("Content-Type") != "image/jpeg" || got.header.Get("x-amz-meta-who") != "me" || got.header.Get("x-amz-tagging-count") != "1" {
		t.Errorf("%q %v", got.body, got.header)
	}
	b.want("no status asked", b.post("x", "key=k"), 204, "")
	if a := b.post("x", "key=k", "success_action_redirect=https://example.org/done?a=1"); a.status != 303 || !strings.HasPrefix(a.header.Get("Location"), "https://example.org/done?a=1&bucket=box&etag=") {
		t.Errorf("%d %v", a.status, a.header)
	}
	before := b.image()
	b.want("no key", b.post("x"), 400, "UserKeyMustBeSpecified")
	b.want("a checksum that is not its", b.post("x", "key=k", "x-amz-checksum-crc32=AAAAAA=="), 400, "BadDigest")
	b.want("too many fields", b.post("x", "key=k", "x-amz-meta-a="+strings.Repeat("a", 30<<10)), 400, "MaxPostPreDataLengthExceededError")
	b.want("no form", b.do("POST", "/box", "key=k", "Content-Type: application/x-www-form-urlencoded"), 412, "RequestIsNotMultiPartContent")
	for _, field := range []string{
		"Content-Type=a\x00b", "Cache-Control=a\r\nEvil: 1", "Content-Disposition=\x7f", "Content-Encoding=\x01", "Expires=a\nb", "x-amz-meta-a=\x00",
		"x-amz-meta-a b=x", "x-amz-meta-a:b=x", "x-amz-meta-\xe9=x", "x-amz-website-redirect-location=/a\r\n",
	} {
		b.want(strconv.Quote(field)+", which cannot be sent again", b.post("x", "key=k", field), 400, "InvalidArgument")
	}
	_, mixed := b.form("x", "key=k")
	boundary, _, _ := strings.Cut(strings.TrimPrefix(mixed, "--"), "\r\n")
	b.want("another kind in parts", b.do("POST", "/box", mixed, "Content-Type: multipart/mixed; boundary="+boundary), 412, "RequestIsNotMultiPartContent")
	b.want("half a form", b.do("POST", "/box", "--x\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\nk", "Content-Type: multipart/form-data; boundary=x"), 400, "IncompleteBody")
	b.want("a field without a name", b.do("POST", "/box", "--x\r\nContent-Disposition: form-data; name=\"\"\r\n\r\nk\r\n--x--\r\n", "Content-Type: multipart/form-data; boundary=x"), 400, "MalformedPOSTRequest")
	b.want("no file", b.do("POST", "/box", "--x\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\nk\r\n--x--\r\n", "Content-Type: multipart/form-data; boundary=x"), 400, "IncorrectNumberOfFilesInPostRequest")
	if b.image() != before {
		t.Error("a refused form left a trace")
	}
}

func TestFormsNeedRightsAndConditions(t *testing.T) {
	b := serve(t, s3server.Options{Users: s3server.Users{Anonymous: &s3server.User{Write: []string{"box/up/"}}}})
	b.want("elsewhere", b.post("x", "key=k"), 403, "AccessDenied")
	b.want("there", b.post("x", "key=up/k"), 204, "")
	required := serve(t, s3server.Options{})
	required.putOptions(`{"require-conditions":"any"}`)
	required.want("a form without conditions", required.post("x", "key=k"), 403, "AccessDenied")
}

// The conditions of a form are headers of its request, and are those of PutObject: a bucket that requires one
// gets what it asks for.
func TestFormsAreConditionalByTheirHeaders(t *testing.T) {
	for _, r := range append(putRows(), writeRow{"exists, unconditional", "exists", "", 200, "", ""}) {
		t.Run(r.name, func(t *testing.T) {
			b := serve(t, s3server.Options{})
			etag := b.given(r.state)
			if strings.HasSuffix(r.headers, "*") {
				b.putOptions(`{"require-conditions":"any"}`)
			}
			before := b.image()
			kind, body := b.form("new", "key=k")
			a := b.do("POST", "/box", body, append(r.lines(etag), "Content-Type: "+kind)...)
			if r.status == 200 {
				b.want(r.name, a, 204, "")
				if got := b.must("GET", "/box/k", "").body; got != "new" {
					t.Errorf("the object is %q", got)
				}
				return
			}
			r.check(t, b, a, before)
		})
	}
	writer := serve(t, s3server.Options{Users: s3server.Users{Anonymous: &s3server.User{Write: []string{"box"}}}})
	kind, body := writer.form("new", "key=k")
	writer.want("If-Match without the right to read", writer.do("POST", "/box", body, "Content-Type: "+kind, "If-Match: "+otherETag), 403, "AccessDenied")
}
