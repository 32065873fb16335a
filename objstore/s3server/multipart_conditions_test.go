package s3server_test

import (
	"strings"
	"testing"
	"time"

	"github.com/etagfs/etagfs/objstore/s3server"
)

// Whether a key was changed since an upload to it began is asked of all of its path: a directory that was moved away or
// moved there changes all keys below it.
func TestDirectoriesThatMoveChangeTheirKeys(t *testing.T) {
	for _, r := range []struct {
		row           string
		before, after string // requests before and after CreateMultipartUpload to a/b/k, and renames "from>to"
		header        string
		status        int
		code          string
	}{
		{"moved away, If-None-Match", "PUT a/b/k", "a/b/>c/", "If-None-Match: *", 409, "ConditionalRequestConflict"},
		{"its parent's parent moved away, If-None-Match", "PUT a/b/k", "a/>c/", "If-None-Match: *", 409, "ConditionalRequestConflict"},
		{"moved away, If-Match", "PUT a/b/k", "a/b/>c/", "If-Match: {other}", 404, "NoSuchKey"},
		{"moved away and back, If-Match", "PUT a/b/k", "a/b/>c/ c/>a/b/", "If-Match: {E}", 409, "ConditionalRequestConflict"},
		{"its parent's parent moved away and back, If-Match", "PUT a/b/k", "a/>c/ c/>a/", "If-Match: {E}", 409, "ConditionalRequestConflict"},
		{"another moved there, If-Match", "PUT c/k", "c/>a/b/", "If-Match: {E}", 409, "ConditionalRequestConflict"},
		{"another moved there, above, If-Match", "PUT c/b/k", "c/>a/", "If-Match: {E}", 409, "ConditionalRequestConflict"},
		{"another moved there, If-None-Match", "PUT c/k", "c/>a/b/", "If-None-Match: *", 412, "PreconditionFailed"},
		{"another moved there and away, If-None-Match", "PUT c/k", "c/>a/b/ a/b/>c/", "If-None-Match: *", 409, "ConditionalRequestConflict"},
		{"moved there before, If-Match", "PUT c/k c/>a/b/", "", "If-Match: {E}", 200, ""},
		{"moved away before, If-None-Match", "PUT a/b/k a/b/>c/", "", "If-None-Match: *", 200, ""},
		{"a neighbour moved, If-Match", "PUT a/b/k PUT a/n/k", "a/n/>c/", "If-Match: {E}", 200, ""},
		{"a neighbour was written, If-Match", "PUT a/b/k", "PUT a/b/n", "If-Match: {E}", 200, ""},
		{"moved away, unconditional", "PUT a/b/k", "a/>c/", "", 200, ""},
	} {
		t.Run(r.row, func(t *testing.T) {
			b := serve(t, s3server.Options{})
			b.steps(r.before)
			id := b.createUpload("a/b/k")
			part := b.putPart("a/b/k", id, 1, "new")
			b.steps(r.after)
			header := writeRow{headers: r.header}.lines(b.do("HEAD", "/box/a/b/k", "").etag())
			before := b.image()
			b.want(r.row, b.completeUpload("a/b/k", id, []string{part}, header...), r.status, r.code)
			if r.status == 200 {
				return
			}
			if after := b.image(); after != before {
				t.Errorf("a refused completion left a trace:\n%s\nwas\n%s", after, before)
			}
			b.want("without the condition", b.completeUpload("a/b/k", id, []string{part}), 200, "")
		})
	}
}

// steps makes requests in the words of the table above.
func (b *bench) steps(all string) {
	b.t.Helper()
	words := strings.Fields(all)
	for i := 0; i < len(words); i++ {
		if from, to, ok := strings.Cut(words[i], ">"); ok {
			b.must("PUT", "/box/"+to+"?renameObject", "", "x-amz-rename-source: "+from)
		} else {
			b.must(words[i], "/box/"+words[i+1], "old")
			i++
		}
		b.clock.advance(time.Second)
	}
}

// What else completions take and pass over.
func TestCompleteTakesOtherHeaders(t *testing.T) {
	for _, r := range []struct {
		row, state, headers string
		mode                s3server.Conditions
		status              int
		code                string
	}{
		{"1.1 If-Modified-Since is ignored", "exists", "If-Modified-Since: Mon, 02 Jan 2040 15:04:05 GMT", s3server.ConditionsStrict, 200, ""},
		{"1.1 If-Unmodified-Since is ignored", "exists", "If-Unmodified-Since: Mon, 02 Jan 2006 15:04:05 GMT", s3server.ConditionsStrict, 200, ""},
		{"0.4 quoted twice", "exists", `If-Match: ""{E}""`, s3server.ConditionsStrict, 200, ""},
		{"0.6 weak", "exists", `If-Match: W/"{E}"`, s3server.ConditionsStrict, 412, "PreconditionFailed"},
		{"0.7 list", "exists", `If-Match: "x", "{E}"`, s3server.ConditionsStrict, 200, ""},
		{"0.13 empty", "exists", "If-None-Match:", s3server.ConditionsStrict, 200, ""},
		{"extended: If-Match: *", "exists", "If-Match: *", s3server.ConditionsExtended, 200, ""},
		{"extended: If-Match: *, missing", "missing", "If-Match: *", s3server.ConditionsExtended, 404, "NoSuchKey"},
		{"extended: If-None-Match with its ETag", "exists", "If-None-Match: {E}", s3server.ConditionsExtended, 412, "PreconditionFailed"},
		{"extended: If-None-Match with another ETag", "exists", "If-None-Match: {other}", s3server.ConditionsExtended, 200, ""},
		{"extended: both", "exists", "If-Match: {E}; If-None-Match: {other}", s3server.ConditionsExtended, 200, ""},
		{"extended: If-Unmodified-Since", "exists", "If-Unmodified-Since: Mon, 02 Jan 2006 15:04:05 GMT", s3server.ConditionsExtended, 412, "PreconditionFailed"},
	} {
		t.Run(r.row, func(t *testing.T) {
			b := serve(t, s3server.Options{Conditions: r.mode})
			etag := b.given(r.state)
			id := b.createUpload("k")
			part := b.putPart("k", id, 1, "new")
			b.want(r.row, b.completeUpload("k", id, []string{part}, writeRow{headers: r.headers}.lines(etag)...), r.status, r.code)
		})
	}
}

// An upload that is not there is told before what its conditions ask; the tags of parts may be quoted.
func TestCompleteOfNoUpload(t *testing.T) {
	b := serve(t, s3server.Options{})
	b.given("exists")
	id := b.createUpload("k")
	part := b.putPart("k", id, 1, "new")
	quoted := strings.NewReplacer("<ETag>", "<ETag>&quot;", "</ETag>", "&quot;</ETag>").Replace(part)
	for _, header := range []string{"If-Match: *", "If-None-Match: x", "If-None-Match: *", "If-Match: " + otherETag, "X-None: 1"} {
		b.want(header, b.completeUpload("k", "none", []string{part}, header), 404, "NoSuchUpload")
		b.want(header+", of another key", b.completeUpload("other", id, []string{part}, header), 404, "NoSuchUpload")
	}
	b.want("quoted", b.completeUpload("k", id, []string{quoted}), 200, "")
	aborted := b.createUpload("k")
	b.must("DELETE", "/box/k?uploadId="+aborted, "")
	b.want("aborted", b.completeUpload("k", aborted, []string{part}), 404, "NoSuchUpload")
	b.want("a part of it", b.do("PUT", "/box/k?partNumber=1&uploadId="+aborted, "x"), 404, "NoSuchUpload")
	b.want("its parts", b.do("GET", "/box/k?uploadId="+aborted, ""), 404, "NoSuchUpload")
	b.want("a copy into it", b.do("PUT", "/box/k?partNumber=1&uploadId="+aborted, "", "x-amz-copy-source: box/k"), 404, "NoSuchUpload")
}
