package s3server_test

import (
	"strings"
	"testing"
	"time"

	"github.com/etagfs/etagfs/objstore/s3server"
)

func TestRenameObjectIsTheWholeTable(t *testing.T) {
	for _, r := range []struct {
		row           string
		target        string // state of the destination
		headers       string // S is the ETag of the source, E that of the destination
		status        int
		code, element string
	}{
		{"no conditions, missing", "missing", "", 200, "", ""},
		{"no conditions, exists", "exists", "", 200, "", ""},
		{"If-None-Match: *, missing", "missing", "If-None-Match: *", 200, "", ""},
		{"If-None-Match: *, exists", "exists", "If-None-Match: *", 412, "PreconditionFailed", "If-None-Match"},
		{"If-None-Match: etag", "exists", `If-None-Match: "{E}"`, 501, "NotImplemented", "If-None-Match"},
		{"If-Match equal", "exists", `If-Match: "{E}"`, 200, "", ""},
		{"If-Match other", "exists", `If-Match: "x"`, 412, "PreconditionFailed", "If-Match"},
		{"If-Match, missing", "missing", `If-Match: "x"`, 404, "NoSuchKey", ""},
		{"If-Unmodified-Since holds", "exists", "If-Unmodified-Since: Mon, 02 Jan 2090 15:04:05 GMT", 200, "", ""},
		{"If-Unmodified-Since fails", "exists", "If-Unmodified-Since: Mon, 02 Jan 2006 15:04:05 GMT", 412, "PreconditionFailed", "If-Unmodified-Since"},
		{"If-Modified-Since holds", "exists", "If-Modified-Since: Mon, 02 Jan 2006 15:04:05 GMT", 200, "", ""},
		{"If-Modified-Since fails", "exists", "If-Modified-Since: Tue, 03 Feb 2026 04:05:06 GMT", 412, "PreconditionFailed", "If-Modified-Since"},
		{"source match equal", "exists", `x-amz-rename-source-if-match: "{S}"`, 200, "", ""},
		{"source match other", "exists", `x-amz-rename-source-if-match: "x"`, 412, "PreconditionFailed", "x-amz-rename-source-If-Match"},
		{"source none-match *", "exists", "x-amz-rename-source-if-none-match: *", 412, "PreconditionFailed", "x-amz-rename-source-If-None-Match"},
		{"source none-match its own", "exists", `x-amz-rename-source-if-none-match: "{S}"`, 412, "PreconditionFailed", "x-amz-rename-source-If-None-Match"},
		{"source unmodified fails", "exists", "x-amz-rename-source-if-unmodified-since: Mon, 02 Jan 2006 15:04:05 GMT", 412, "PreconditionFailed", "x-amz-rename-source-If-Unmodified-Since"},
		{"source modified fails", "exists", "x-amz-rename-source-if-modified-since: Tue, 03 Feb 2026 04:05:06 GMT", 412, "PreconditionFailed", "x-amz-rename-source-If-Modified-Since"},
		{"both hold", "missing", `x-amz-rename-source-if-match: "{S}"; If-None-Match: *`, 200, "", ""},
	} {
		t.Run(r.row, func(t *testing.T) {
			b := serve(t, s3server.Options{})
			source := b.must("PUT", "/box/source", "moved").etag()
			target := b.given(r.target)
			before := b.image()
			row := writeRow{r.row, "", strings.ReplaceAll(r.headers, "{S}", source), r.status, r.code, r.element}
			a := b.do("PUT", "/box/k?renameObject", "", append(row.lines(target), "x-amz-rename-source: source")...)
			row.check(t, b, a, before)
			if a.status != 200 {
				return
			}
			if got := b.must("GET", "/box/k", ""); got.body != "moved" || got.etag() != source {
				t.Errorf("%q, %s instead of %s", got.body, got.etag(), source)
			}
			b.want("the source", b.do("GET", "/box/source", ""), 404, "NoSuchKey")
		})
	}
}

func TestRenameOfADirectoryMovesAllBelowIt(t *testing.T) {
	b := serve(t, s3server.Options{})
	for _, key := range []string{"d/a", "d/sub/b", "d/sub/c", "other"} {
		b.must("PUT", "/box/"+key, key)
	}
	b.want("onto an object", b.do("PUT", "/box/e/?renameObject", "", "x-amz-rename-source: none/"), 404, "NoSuchKey")
	b.must("PUT", "/box/e/?renameObject", "", "x-amz-rename-source: /box/d/", "If-None-Match: *")
	for _, key := range []string{"a", "sub/b", "sub/c"} {
		if got := b.must("GET", "/box/e/"+key, "").body; got != "d/"+key {
			t.Errorf("%s: %q", key, got)
		}
		b.want(key, b.do("GET", "/box/d/"+key, ""), 404, "NoSuchKey")
	}
}

// What a policy says of the keys below a directory is not looked at, so a policy keeps it in its place.
func TestDirectoriesUnderAPolicyAreMovedByAdministratorsOnly(t *testing.T) {
	mover := &s3server.User{Read: []string{"box"}, Write: []string{"box"}}
	b := serve(t, s3server.Options{Users: s3server.Users{Anonymous: mover}})
	b.must("PUT", "/box/d/secret", "x")
	b.must("PUT", "/box/e/?renameObject", "", "x-amz-rename-source: d/")
	b.putPolicy(allow("s3:GetObject", ""))
	policed := b.withUsers(s3server.Users{Anonymous: mover})
	policed.want("a directory", policed.do("PUT", "/box/d/?renameObject", "", "x-amz-rename-source: e/"), 403, "AccessDenied")
	policed.want("an object", policed.do("PUT", "/box/d/secret?renameObject", "", "x-amz-rename-source: e/secret"), 200, "")
}

func TestRenameSourcesThatAreNone(t *testing.T) {
	b := serve(t, s3server.Options{})
	b.given("exists")
	for source, code := range map[string]string{"none": "NoSuchKey", "/other/k": "InvalidRequest", "/": "InvalidRequest", "%zz": "InvalidRequest"} {
		a := b.do("PUT", "/box/to?renameObject", "", "x-amz-rename-source: "+source)
		if a.failure().Code != code {
			t.Errorf("%s: %d %s", source, a.status, a.body)
		}
	}
	b.want("no source", b.do("PUT", "/box/to?renameObject", ""), 400, "InvalidRequest")
}

// A rename whose answer was lost is asked for again: it is told as done, and its token is its own.
func TestRenameIsRepeatedByItsToken(t *testing.T) {
	b := serve(t, s3server.Options{})
	etag := b.given("exists")
	rename := func(to string, headers ...string) answer {
		return b.do("PUT", "/box/"+to+"?renameObject", "", append(headers, "x-amz-rename-source: k", "x-amz-client-token: t")...)
	}
	b.want("first", rename("to", "If-None-Match: *", "x-amz-rename-source-if-match: "+etag), 200, "")
	b.must("PUT", "/box/k", "someone else's")
	b.want("again", rename("to", "If-None-Match: *", "x-amz-rename-source-if-match: "+etag), 200, "")
	b.want("another request", rename("elsewhere"), 400, "IdempotencyParameterMismatch")
	if got := b.must("GET", "/box/k", "").body; got != "someone else's" {
		t.Errorf("the repetition moved %q", got)
	}
}

func TestWriteIDsMakeRepetitionsHarmless(t *testing.T) {
	b := serve(t, s3server.Options{})
	first := b.given("exists")
	put := func() answer {
		return b.do("PUT", "/box/k", "new", "If-Match: "+first, "x-etagfs-write-id: w1")
	}
	won := put()
	b.want("first", won, 200, "")
	b.must("PUT", "/box/k", "someone else's")
	again := put()
	b.want("again", again, 200, "")
	if again.etag() != won.etag() {
		t.Errorf("%s instead of %s", again.etag(), won.etag())
	}
	if got := b.must("GET", "/box/k", "").body; got != "someone else's" {
		t.Errorf("the repetition wrote %q", got)
	}
	copied := func() answer {
		return b.do("PUT", "/box/copy", "", "x-amz-copy-source: /box/k", "x-amz-copy-source-if-match: "+b.do("HEAD", "/box/k", "").etag(), "If-None-Match: *", "x-etagfs-write-id: w4")
	}
	b.want("copy", copied(), 200, "")
	b.want("copy again", copied(), 200, "")
	lost := func() answer {
		return b.do("PUT", "/box/k", "new", "If-None-Match: *", "x-etagfs-write-id: w2")
	}
	b.want("lost", lost(), 412, "PreconditionFailed")
	b.must("DELETE", "/box/k", "", "x-etagfs-write-id: w3")
	b.want("lost again, though it would win now", lost(), 412, "PreconditionFailed")
	b.must("PUT", "/box/k", "later")
	b.must("DELETE", "/box/k", "", "x-etagfs-write-id: w3")
	if got := b.must("GET", "/box/k", "").body; got != "later" {
		t.Errorf("the repeated delete left %q", got)
	}
}

func TestAppendsGoToTheEnd(t *testing.T) {
	b := serve(t, s3server.Options{})
	b.must("PUT", "/box/log", "one ", "x-amz-write-offset-bytes: 0")
	second := b.must("PUT", "/box/log", "two ", "x-amz-write-offset-bytes: 4")
	if second.header.Get("x-amz-object-size") != "8" {
		t.Errorf("%v", second.header)
	}
	before := b.image()
	for _, offset := range []string{"", "0", "4", "9", "-1", "x"} {
		b.want(offset, b.do("PUT", "/box/log", "three", "x-amz-write-offset-bytes: "+offset), 400, "InvalidWriteOffset")
	}
	b.want("another ETag", b.do("PUT", "/box/log", "three", "x-amz-write-offset-bytes: 8", `If-Match: "x"`), 412, "PreconditionFailed")
	b.want("a wrong checksum", b.do("PUT", "/box/log", "three", "x-amz-write-offset-bytes: 8", "x-amz-checksum-crc32: AAAAAA=="), 400, "BadDigest")
	b.want("to nothing, not at its beginning", b.do("PUT", "/box/none", "x", "x-amz-write-offset-bytes: 3"), 400, "InvalidWriteOffset")
	if b.image() != before {
		t.Error("a refused append left a trace")
	}
	b.clock.advance(time.Second)
	third := b.must("PUT", "/box/log", "three", "x-amz-write-offset-bytes: 8", "If-Match: "+second.etag())
	if got := b.must("GET", "/box/log", ""); got.body != "one two three" || got.etag() != third.etag() || third.etag() == second.etag() {
		t.Errorf("%q", got.body)
	}
}

// An append whose answer was lost is repeated as it was: its bytes are there once, also where
// the object has changed since, and as another request it is refused.
func TestAppendRepeatedIsAnsweredAgain(t *testing.T) {
	b := serve(t, s3server.Options{})
	add := func(text, offset, id string) answer {
		return b.do("PUT", "/box/log", text, "x-amz-write-offset-bytes: "+offset, "x-etagfs-write-id: "+id)
	}
	b.want("created", add("one ", "0", "a1"), 200, "")
	first := add("two ", "4", "a2")
	b.want("appended", first, 200, "")
	for range 2 {
		again := add("two ", "4", "a2")
		if b.want("again", again, 200, ""); again.etag() != first.etag() || again.header.Get("x-amz-object-size") != "8" {
			t.Errorf("%v instead of %v", again.header, first.header)
		}
	}
	b.want("someone else", add("three", "8", "a3"), 200, "")
	b.want("again, after that", add("two ", "4", "a2"), 200, "")
	b.want("another offset under the same id", add("two ", "13", "a2"), 400, "IdempotencyParameterMismatch")
	b.want("the same without its id", b.do("PUT", "/box/log", "two ", "x-amz-write-offset-bytes: 4"), 400, "InvalidWriteOffset")
	if got := b.must("GET", "/box/log", "").body; got != "one two three" {
		t.Errorf("%q", got)
	}
}
