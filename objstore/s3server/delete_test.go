package s3server_test

import (
	"crypto/md5"
	"encoding/base64"
	"encoding/xml"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/etagfs/etagfs/objstore/s3server"
)

func TestDeleteObjectIsTheWholeTable(t *testing.T) {
	for _, r := range []struct {
		writeRow
		extended int // the status with extended conditions
	}{
		{writeRow{"exists, If-Match equal", "exists", `If-Match: "{E}"`, 204, "", ""}, 204},
		{writeRow{"exists, If-Match: *", "exists", "If-Match: *", 204, "", ""}, 204},
		{writeRow{"exists, If-Match other", "exists", `If-Match: "{other}"`, 412, "PreconditionFailed", "If-Match"}, 412},
		{writeRow{"exists, none", "exists", "", 204, "", ""}, 204},
		{writeRow{"exists, If-None-Match: *, which is no condition of deletes and is not passed over", "exists", "If-None-Match: *", 501, "NotImplemented", "If-None-Match"}, 501},
		{writeRow{"exists, If-None-Match: etag", "exists", `If-None-Match: "{other}"`, 501, "NotImplemented", "If-None-Match"}, 501},
		{writeRow{"missing, none", "missing", "", 204, "", ""}, 204},
		{writeRow{"missing, If-Match: etag", "missing", `If-Match: "{other}"`, 404, "NoSuchKey", ""}, 204},
		{writeRow{"missing, If-Match: *", "missing", "If-Match: *", 404, "NoSuchKey", ""}, 204},
		{writeRow{"deleted, If-Match: *", "deleted", "If-Match: *", 404, "NoSuchKey", ""}, 204},
		{writeRow{"deleted, If-Match: etag", "deleted", `If-Match: "{E}"`, 404, "NoSuchKey", ""}, 204},
		{writeRow{"size", "exists", "x-amz-if-match-size: 3", 501, "NotImplemented", "x-amz-if-match-size"}, 204},
		{writeRow{"another size", "exists", "x-amz-if-match-size: 4", 501, "NotImplemented", "x-amz-if-match-size"}, 412},
		{writeRow{"size, missing", "missing", "x-amz-if-match-size: 4", 501, "NotImplemented", "x-amz-if-match-size"}, 204},
		{writeRow{"another time", "exists", "x-amz-if-match-last-modified-time: Mon, 02 Jan 2006 15:04:05 GMT", 501, "NotImplemented", "x-amz-if-match-last-modified-time"}, 412},
		{writeRow{"the time", "exists", "x-amz-if-match-last-modified-time: Tue, 03 Feb 2026 04:05:06 GMT", 501, "NotImplemented", "x-amz-if-match-last-modified-time"}, 204},
		{writeRow{"size and time: the time is named", "exists",
			"x-amz-if-match-size: 4; x-amz-if-match-last-modified-time: Mon, 02 Jan 2006 15:04:05 GMT", 501, "NotImplemented", "x-amz-if-match-last-modified-time"}, 412},
	} {
		for mode, status := range map[s3server.Conditions]int{s3server.ConditionsStrict: r.status, s3server.ConditionsExtended: r.extended} {
			t.Run(r.name, func(t *testing.T) {
				b := serve(t, s3server.Options{Conditions: mode})
				etag := b.given(r.state)
				before := b.image()
				a := b.do("DELETE", "/box/k", "", r.lines(etag)...)
				if mode == s3server.ConditionsStrict {
					r.check(t, b, a, before)
				} else if a.status != status {
					t.Errorf("extended: %d instead of %d\n%s", a.status, status, a.body)
				}
				if gone := b.do("HEAD", "/box/k", "").status == 404; gone != (a.status == 204 || r.state != "exists") {
					t.Errorf("gone: %v after %d", gone, a.status)
				}
			})
		}
	}
}

func TestDeleteOfAVersion(t *testing.T) {
	b := serve(t, s3server.Options{})
	etag := b.given("exists")
	b.want("If-Match and versionId", b.do("DELETE", "/box/k?versionId=null", "", "If-Match: "+etag), 501, "NotImplemented")
	b.want("a version that is none", b.do("DELETE", "/box/k?versionId=abc", ""), 404, "NoSuchVersion")
	b.want("the null version", b.do("DELETE", "/box/k?versionId=null", ""), 204, "")
	extended := serve(t, s3server.Options{Conditions: s3server.ConditionsExtended})
	etag = extended.given("exists")
	extended.want("extended: another ETag", extended.do("DELETE", "/box/k?versionId=null", "", `If-Match: "x"`), 412, "PreconditionFailed")
	extended.want("extended: its ETag", extended.do("DELETE", "/box/k?versionId=null", "", "If-Match: "+etag), 204, "")
}

// deleteResult is the answer of DeleteObjects.
type deleteResult struct {
	Deleted []struct{ Key string }
	Error   []struct{ Key, Code, Message string }
}

func (b *bench) deleteObjects(body string) (deleteResult, answer) {
	b.t.Helper()
	sum := md5.Sum([]byte(body))
	a := b.do("POST", "/box?delete", body, "Content-MD5: "+base64.StdEncoding.EncodeToString(sum[:]))
	var r deleteResult
	if a.status == 200 {
		if err := xml.Unmarshal([]byte(a.body), &r); err != nil {
			b.t.Fatal(err)
		}
	}
	return r, a
}

func TestDeleteObjectsDecidesEachKeyAlone(t *testing.T) {
	b := serve(t, s3server.Options{})
	etags := map[string]string{}
	for _, key := range []string{"good", "bad", "star", "plain", "twice", "sized"} {
		etags[key] = b.must("PUT", "/box/"+key, key).etag()
	}
	b.clock.advance(time.Second)
	r, a := b.deleteObjects(`<Delete>
		<Object><Key>good</Key><ETag>"` + etags["good"] + `"</ETag></Object>
		<Object><Key>bad</Key><ETag>` + otherETag + `</ETag></Object>
		<Object><Key>star</Key><ETag>*</ETag></Object>
		<Object><Key>none</Key><ETag>*</ETag></Object>
		<Object><Key>absent</Key></Object>
		<Object><Key>plain</Key></Object>
		<Object><Key>twice</Key><ETag>` + etags["twice"] + `</ETag></Object>
		<Object><Key>twice</Key><ETag>` + etags["twice"] + `</ETag></Object>
		<Object><Key>sized</Key><Size>5</Size></Object>
	</Delete>`)
	if a.status != 200 {
		t.Fatalf("%d\n%s", a.status, a.body)
	}
	var deleted, failed []string
	for _, d := range r.Deleted {
		deleted = append(deleted, d.Key)
	}
	for _, f := range r.Error {
		failed = append(failed, f.Key+" "+f.Code)
		if f.Message == "" {
			t.Errorf("%s has no message", f.Key)
		}
	}
	if got := strings.Join(deleted, ", "); got != "good, star, absent, plain, twice" {
		t.Errorf("deleted: %s", got)
	}
	if got := strings.Join(failed, ", "); got != "bad PreconditionFailed, none NoSuchKey, twice NoSuchKey, sized NotImplemented" {
		t.Errorf("failed: %s", got)
	}
	if b.do("HEAD", "/box/bad", "").status != 200 || b.do("HEAD", "/box/sized", "").status != 200 {
		t.Error("a refused key is gone")
	}
}

func TestDeleteObjectsRefusesWhatIsNoList(t *testing.T) {
	b := serve(t, s3server.Options{})
	b.given("exists")
	before := b.image()
	for what, body := range map[string]string{
		"empty": "", "no XML": "delete", "no objects": "<Delete></Delete>", "another root": "<Remove><Object><Key>k</Key></Object></Remove>",
		"too many": "<Delete>" + strings.Repeat("<Object><Key>k</Key></Object>", 1001) + "</Delete>",
	} {
		if _, a := b.deleteObjects(body); a.status != 400 || a.failure().Code != "MalformedXML" {
			t.Errorf("%s: %d %s", what, a.status, a.body)
		}
	}
	b.want("no checksum", b.do("POST", "/box?delete", "<Delete><Object><Key>k</Key></Object></Delete>"), 400, "InvalidRequest")
	if b.image() != before {
		t.Error("a refused request deleted something")
	}
}

// Each key of a batch needs what a delete of it alone would need: to name an ETag is to ask what the object is.
func TestDeleteObjectsAsksForEachKey(t *testing.T) {
	writer := &s3server.User{Write: []string{"box/up/"}}
	b := serve(t, s3server.Options{Users: s3server.Users{Anonymous: writer}})
	admin := b.withUsers(s3server.Users{Anonymous: everything()})
	for _, key := range []string{"up/a", "up/b", "up/c", "other"} {
		admin.must("PUT", "/box/"+key, "x")
	}
	etag := admin.do("HEAD", "/box/up/b", "").etag()
	b.wantDeleted(`<Delete>
		<Object><Key>up/a</Key></Object>
		<Object><Key>up/b</Key><ETag>`+etag+`</ETag></Object>
		<Object><Key>up/c</Key><ETag>*</ETag></Object>
		<Object><Key>other</Key></Object>
	</Delete>`, "up/a, up/c", "up/b AccessDenied, other AccessDenied")
	b.want("one of the refused", admin.do("HEAD", "/box/up/b", ""), 200, "")
}

// wantDeleted deletes a list of objects and compares which were deleted and why the others were not.
func (b *bench) wantDeleted(list, deleted, failed string) {
	b.t.Helper()
	r, a := b.deleteObjects(list)
	if a.status != 200 {
		b.t.Fatalf("%d\n%s", a.status, a.body)
	}
	var done, refused []string
	for _, d := range r.Deleted {
		done = append(done, d.Key)
	}
	for _, f := range r.Error {
		refused = append(refused, f.Key+" "+f.Code)
	}
	if got := strings.Join(done, ", "); got != deleted {
		b.t.Errorf("deleted: %s", got)
	}
	if got := strings.Join(refused, ", "); got != failed {
		b.t.Errorf("failed: %s", got)
	}
}

// Versions, sizes, times, and spellings of ETags in a batch; and what is not said when nobody wants to hear it.
func TestDeleteObjectsTakesAllElements(t *testing.T) {
	strict, extended := serve(t, s3server.Options{}), serve(t, s3server.Options{Conditions: s3server.ConditionsExtended})
	for _, r := range []struct {
		row, object      string
		strict, extended string // the code; empty: deleted
	}{
		{"quoted as in XML", "<ETag>&quot;{E}&quot;</ETag>", "", ""},
		{"quoted twice", `<ETag>""{E}""</ETag>`, "", ""},
		{"a weak tag", `<ETag>W/"{E}"</ETag>`, "PreconditionFailed", "PreconditionFailed"},
		{"a list", "<ETag>x, {E}</ETag>", "", ""},
		{"an empty ETag is none", "<ETag></ETag>", "", ""},
		{"the null version", "<VersionId>null</VersionId>", "", ""},
		{"another version", "<VersionId>abc</VersionId>", "NoSuchVersion", "NoSuchVersion"},
		{"the null version and its ETag", "<VersionId>null</VersionId><ETag>{E}</ETag>", "NotImplemented", ""},
		{"the null version and another ETag", "<VersionId>null</VersionId><ETag>x</ETag>", "NotImplemented", "PreconditionFailed"},
		{"the size", "<Size>3</Size>", "NotImplemented", ""},
		{"another size", "<Size>4</Size>", "NotImplemented", "PreconditionFailed"},
		{"no size", "<Size>three</Size>", "NotImplemented", "InvalidArgument"},
		{"the time", "<LastModifiedTime>Tue, 03 Feb 2026 04:05:06 GMT</LastModifiedTime>", "NotImplemented", ""},
		{"the time with a numeric zone", "<LastModifiedTime>Tue, 03 Feb 2026 04:05:06 +0000</LastModifiedTime>", "NotImplemented", ""},
		{"another time", "<LastModifiedTime>Tue, 03 Feb 2026 04:05:07 GMT</LastModifiedTime>", "NotImplemented", "PreconditionFailed"},
		{"no time", "<LastModifiedTime>noon</LastModifiedTime>", "NotImplemented", "InvalidArgument"},
		{"ETag, size and time", "<ETag>{E}</ETag><LastModifiedTime>Tue, 03 Feb 2026 04:05:06 GMT</LastModifiedTime><Size>3</Size>", "NotImplemented", ""},
	} {
		for b, code := range map[*bench]string{strict: r.strict, extended: r.extended} {
			b.t = t
			etag := b.must("PUT", "/box/k", "old").etag()
			list := "<Delete><Object><Key>k</Key>" + strings.ReplaceAll(r.object, "{E}", etag) + "</Object></Delete>"
			deleted, failed := "k", ""
			if code != "" {
				deleted, failed = "", "k "+code
			}
			b.wantDeleted(list, deleted, failed)
			if left := b.do("HEAD", "/box/k", "").status == 200; left != (code != "") {
				t.Errorf("%s: left %v", r.row, left)
			}
		}
	}
	extended.wantDeleted("<Delete><Object><Key>none</Key><ETag>*</ETag></Object><Object><Key>none</Key><Size>3</Size></Object></Delete>", "none, none", "")
	strict.must("PUT", "/box/k", "old")
	strict.wantDeleted("<Delete><Quiet>true</Quiet><Object><Key>k</Key></Object><Object><Key>none</Key><ETag>x</ETag></Object></Delete>", "", "none NoSuchKey")
	strict.want("quietly deleted", strict.do("HEAD", "/box/k", ""), 404, "")
}

// A condition in the head of a batch is about nothing.
func TestDeleteObjectsHasNoConditionOfItsOwn(t *testing.T) {
	b := serve(t, s3server.Options{})
	for _, header := range []string{`If-Match: "x"`, "If-Match: *", "If-None-Match: *", "If-Unmodified-Since: Mon, 02 Jan 2006 15:04:05 GMT"} {
		b.must("PUT", "/box/k", "x")
		list := "<Delete><Object><Key>k</Key></Object></Delete>"
		if a := b.do("POST", "/box?delete", list, contentMD5(list), header); a.status != 200 || !strings.Contains(a.body, "<Deleted>") {
			t.Errorf("%s: %d %s", header, a.status, a.body)
		}
	}
}

// Of many deletes with one ETag, and a put in their midst, at most one takes effect, and none what was put.
func TestConcurrentDeletesHaveOneWinner(t *testing.T) {
	b := serve(t, s3server.Options{})
	for range 20 {
		etag := b.must("PUT", "/box/k", "old").etag()
		var wg sync.WaitGroup
		var answers [8]answer
		for i := range answers {
			wg.Go(func() {
				if i == 0 {
					answers[i] = b.do("PUT", "/box/k", "new", "If-Match: "+etag)
				} else {
					answers[i] = b.do("DELETE", "/box/k", "", "If-Match: "+etag)
				}
			})
		}
		wg.Wait()
		won := 0
		for i, a := range answers {
			switch {
			case a.status/100 == 2:
				won++
			case a.status != 404 && a.status != 409 && a.status != 412:
				t.Errorf("%d: %d %s", i, a.status, a.body)
			}
		}
		if now := b.do("GET", "/box/k", ""); won != 1 || (now.status == 200) != (answers[0].status == 200) || now.status == 200 && now.body != "new" {
			t.Errorf("%d won, then %d %q", won, now.status, now.body)
		}
	}
}
