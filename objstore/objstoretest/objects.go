package objstoretest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/etagfs/etagfs/objstore"
)

func objectCases() []Case {
	return []Case{
		{Name: "HeadersAndTagsAreKept", needs: needHeaders | needTags, run: headersAndTagsAreKept},
		{Name: "CopiesTakeOverWhatTheyShould", needs: needHeaders | needTags, run: copiesTakeOverWhatTheyShould},
		{Name: "TagsAreReplaced", needs: needTags, run: tagsAreReplaced},
		{Name: "DigestsGoWithTheContent", needs: needHeaders, run: digestsGoWithTheContent},
		{Name: "CommitsDropDigests", needs: needHeaders | needTags | needNamespace, run: commitsDropDigests},
		{Name: "FinishDecides", needs: needHeaders, run: finishDecides},
		{Name: "CopiesFromOtherBuckets", needs: needCrossBucket | needBuckets, run: copiesFromOtherBuckets},
		{Name: "AppendsGoToTheEnd", needs: needAppend, run: appendsGoToTheEnd},
		{Name: "AppendsKeepWhatWasSaid", needs: needAppend | needHeaders | needTags, run: appendsKeepWhatWasSaid},
		{Name: "AppendsReplaceOneName", needs: needAppend | needNamespace | needHardLinks, run: appendsReplaceOneName},
		{Name: "AppendsAreConditional", needs: needAppend, run: appendsAreConditional},
		{Name: "FailedAppendsLeaveNothing", needs: needAppend, run: failedAppendsLeaveNothing},
		{Name: "OneAppendWins", needs: needAppend, run: oneAppendWins},
		{Name: "RepeatedAppendsAreAppliedOnce", needs: needAppend, run: repeatedAppendsAreAppliedOnce},
	}
}

// describedPut puts an object with all that S3 keeps.
func (e *Env) describedPut(ctx context.Context, key objstore.Key, body string, d objstore.Digests) objstore.Info {
	info, err := e.Store.Put(ctx, key, strings.NewReader(body), objstore.Unconditional(), objstore.PutOptions{
		ContentType: "text/plain", UserMeta: map[string]string{"m": "1"}, Tags: map[string]string{"t": "1", "": ""},
		Headers: objstore.Headers{
			CacheControl: "no-store", ContentDisposition: "inline; \x00", ContentEncoding: "gzip", ContentLanguage: "de",
			Expires: "not a date", WebsiteRedirect: "/elsewhere",
		},
		Finish: func() (objstore.Digests, error) { return d, nil },
	})
	e.ok(err, "put")
	return info
}

// described is what S3 keeps of an object, as text.
func described(info objstore.Info) string {
	return fmt.Sprintf("%q %v %v %q", info.ContentType, info.UserMeta, info.Tags, info.Headers)
}

func headersAndTagsAreKept(ctx context.Context, e *Env) {
	const want = `"text/plain" map[m:1] map[:  t:1] {"no-store" "inline; \x00" "gzip" "de" "not a date" "/elsewhere"}`
	put := e.describedPut(ctx, "dir/k", "body", objstore.Digests{})
	page, err := e.Store.List(ctx, objstore.ListOptions{})
	e.ok(err, "list")
	r := e.open(ctx, "dir/k")
	e.ok(r.Close(), "close")
	for what, info := range map[string]objstore.Info{
		"put": put, "head": e.head(ctx, "dir/k"), "get": r.Info(), "list": page.Entries[0].Info,
	} {
		equal(e, described(info), strings.ReplaceAll(want, "map[:  t", "map[: t"), what)
	}
	e.put(ctx, "dir/k", "body")
	equal(e, described(e.head(ctx, "dir/k")), `"" map[] map[] {"" "" "" "" "" ""}`, "put again")
	e.describedPut(ctx, "dir/", "", objstore.Digests{})
	equal(e, e.head(ctx, "dir/").Headers.Expires, "not a date", "of a directory")
	e.delete(ctx, "dir/")
	e.put(ctx, "dir/", "")
	equal(e, described(e.head(ctx, "dir/")), `"" map[] map[] {"" "" "" "" "" ""}`, "of a directory deleted and put")
}

func copiesTakeOverWhatTheyShould(ctx context.Context, e *Env) {
	src := e.describedPut(ctx, "src", "body", objstore.Digests{})
	for what, c := range map[string]struct {
		req  objstore.CopyRequest
		want string
	}{
		"all": {objstore.CopyRequest{}, `"text/plain" map[m:1] map[: t:1] {"no-store" "inline; \x00" "gzip" "de" "not a date" ""}`},
		"its own redirect": {objstore.CopyRequest{Put: objstore.PutOptions{Headers: objstore.Headers{WebsiteRedirect: "/x"}}},
			`"text/plain" map[m:1] map[: t:1] {"no-store" "inline; \x00" "gzip" "de" "not a date" "/x"}`},
		"tags replaced": {objstore.CopyRequest{ReplaceTags: true, Put: objstore.PutOptions{Tags: map[string]string{"u": "2"}}},
			`"text/plain" map[m:1] map[u:2] {"no-store" "inline; \x00" "gzip" "de" "not a date" ""}`},
		"attributes replaced": {objstore.CopyRequest{ReplaceAttrs: true, Put: objstore.PutOptions{ContentType: "a/b", Headers: objstore.Headers{Expires: "now"}}},
			`"a/b" map[] map[: t:1] {"" "" "" "" "now" ""}`},
	} {
		c.req.Src, c.req.SrcCond, c.req.Dst, c.req.DstCond = "src", objstore.IfVersion(src.Version), "dst", objstore.Unconditional()
		info, err := e.Store.Copy(ctx, c.req)
		e.ok(err, "copy")
		equal(e, described(info), c.want, what)
		equal(e, described(e.head(ctx, "dst")), c.want, what+", by head")
	}
}

func tagsAreReplaced(ctx context.Context, e *Env) {
	tagger := e.Store.(objstore.Tagger)
	before := e.describedPut(ctx, "k", "body", objstore.Digests{ETag: "shown"})
	tags := map[string]string{"a": "1"}
	info, err := tagger.SetTags(ctx, "k", tags, objstore.Durable)
	e.ok(err, "set tags")
	tags["a"] = "2" // the caller's map is the caller's
	for what, now := range map[string]objstore.Info{"set tags": info, "head": e.head(ctx, "k")} {
		equal(e, fmt.Sprint(now.Tags), "map[a:1]", what+": tags")
		equal(e, now.Version, before.Version, what+": version")
		equal(e, now.ETag, before.ETag, what+": etag")
		equal(e, now.Modified.Equal(before.Modified), true, what+": modified")
		equal(e, now.MetaVersion != before.MetaVersion, true, what+": metadata version moved")
	}
	_, err = tagger.SetTags(ctx, "k", nil, objstore.Durable)
	e.ok(err, "remove tags")
	equal(e, len(e.head(ctx, "k").Tags), 0, "tags")
	_, err = tagger.SetTags(ctx, "none", nil, objstore.Durable)
	e.want(err, objstore.ErrNotFound, "set tags of nothing")
	e.wantContent(ctx, "k", "body")
}

func digestsGoWithTheContent(ctx context.Context, e *Env) {
	full := objstore.Digests{ETag: "0123456789abcdef0123456789abcdef", Checksum: objstore.Checksum{Algorithm: "CRC32C", Value: "AAAAAA=="}}
	wantDigests := func(key objstore.Key, want objstore.Digests, what string) {
		info := e.head(ctx, key)
		equal(e, info.Checksum, want.Checksum, what+": checksum")
		if shown := info.ETag == full.ETag; shown != (want.ETag != "") || want.ETag != "" && info.ETag != want.ETag {
			e.Failf("%s: etag %s, wanted is %q", what, info.ETag, want.ETag)
		}
	}
	first := e.describedPut(ctx, "k", string(pattern(1, 70<<10)), full)
	wantDigests("k", full, "put")
	second := e.describedPut(ctx, "k", string(pattern(1, 70<<10)), full)
	wantDigests("k", full, "put again")
	if first.Version == second.Version {
		e.Failf("two contents have the version %s", first.Version)
	}
	_, err := e.tryPut(ctx, "k", "x", objstore.IfVersion(first.Version))
	e.want(err, objstore.ErrPrecondition, "put over the first version")
	var lost *objstore.Error
	errors.As(err, &lost)
	equal(e, lost.Winner, full.ETag, "winner")
	copyOf := func(dst objstore.Key, d objstore.Digests) {
		_, err := e.Store.Copy(ctx, objstore.CopyRequest{Src: "k", SrcCond: objstore.IfPresent(), Dst: dst, DstCond: objstore.Unconditional(), Digests: d})
		e.ok(err, "copy")
	}
	copyOf("copy", objstore.Digests{})
	wantDigests("copy", objstore.Digests{Checksum: full.Checksum}, "copy")
	given := objstore.Digests{ETag: "given", Checksum: objstore.Checksum{Algorithm: "SHA1", Value: "x"}}
	copyOf("copy", given)
	wantDigests("copy", objstore.Digests{Checksum: given.Checksum}, "copy with its own checksum")
	equal(e, e.head(ctx, "copy").ETag, given.ETag, "etag of a copy with its own")
	e.put(ctx, "k", "y")
	wantDigests("k", objstore.Digests{}, "put without digests")
	e.describedPut(ctx, "k", "x", objstore.Digests{Checksum: objstore.Checksum{Algorithm: "CRC32", Value: "AAAAAA==-3"}})
	copyOf("copy", objstore.Digests{})
	wantDigests("copy", objstore.Digests{}, "copy of a composite checksum")
}

// commitsDropDigests: a checksum a client stored never survives a content change through a mount.
func commitsDropDigests(ctx context.Context, e *Env) {
	full := objstore.Digests{ETag: "0123456789abcdef0123456789abcdef", Checksum: objstore.Checksum{Algorithm: "CRC32C", Value: "AAAAAA=="}}
	before := e.describedPut(ctx, "k", "body", full)
	mode := uint32(0o600)
	_, err := e.ns().SetAttr(ctx, before.ID, objstore.AttrChange{Mode: &mode}, objstore.Visible)
	e.ok(err, "set mode")
	_, err = e.ns().Link(ctx, before.ID, e.root(), "link", objstore.Visible)
	e.ok(err, "link")
	info := e.lookup(ctx, e.root(), "link")
	equal(e, info.ETag, full.ETag, "etag after attributes")
	equal(e, info.Checksum, full.Checksum, "checksum after attributes")
	s, version := e.edit(ctx, before.ID)
	defer s.Close()
	e.write(ctx, s, "B", 0)
	e.commit(ctx, s, before.ID, objstore.IfVersion(version))
	now := e.head(ctx, "k")
	equal(e, now.Checksum, objstore.Checksum{}, "checksum after a commit")
	if now.ETag == full.ETag {
		e.Failf("the etag %s outlived its content", now.ETag)
	}
	equal(e, described(now), described(before), "what stays")
}

func finishDecides(ctx context.Context, e *Env) {
	e.put(ctx, "old", "old content")
	before := e.snapshot(ctx, "old")
	refused := errors.New("the checksum is wrong")
	for _, size := range []int64{0, 1, 100 << 10, 5 << 20} {
		calls := 0
		body := strings.NewReader(string(pattern(1, size)))
		put := func(key objstore.Key, length int64, err error) error {
			body.Seek(0, 0)
			_, perr := e.Store.Put(ctx, key, body, objstore.Unconditional(), objstore.PutOptions{
				Length: length, LengthKnown: true,
				Finish: func() (objstore.Digests, error) {
					calls++
					equal(e, body.Len(), 0, "bytes left when the body is judged")
					return objstore.Digests{}, err
				},
			})
			return perr
		}
		for _, key := range []objstore.Key{"old", "new", "dir/new"} {
			err := put(key, size, refused)
			if e.want(err, objstore.ErrInvalid, "put"); !errors.Is(err, refused) {
				e.Failf("the error does not hold its cause: %w", err)
			}
			e.want(put(key, size, &objstore.Error{Op: "verify", Kind: objstore.ErrPermission}), objstore.ErrPermission, "put")
		}
		equal(e, calls, 6, "times asked")
		e.want(put("new", size+1, nil), objstore.ErrInvalid, "put of another length")
		equal(e, calls, 6, "times asked, with another length")
		equal(e, e.snapshot(ctx, "old"), before, "the object")
		equal(e, len(e.keys(ctx, objstore.ListOptions{})), 1, "keys")
		e.ok(put("accepted", size, nil), "put")
		e.delete(ctx, "accepted")
	}
}

func copiesFromOtherBuckets(ctx context.Context, e *Env) {
	e.ok(e.Buckets.CreateBucket(ctx, "other"), "create bucket")
	other, err := e.Buckets.Bucket(ctx, "other")
	e.ok(err, "open bucket")
	main, err := e.Buckets.Bucket(ctx, "main")
	e.ok(err, "open bucket")
	for _, size := range []int64{3, 100 << 10, 5 << 20} {
		body := string(pattern(1, size))
		_, err = other.Put(ctx, "src", strings.NewReader(body), objstore.Unconditional(), objstore.PutOptions{})
		e.ok(err, "put")
		req := objstore.CopyRequest{Src: "src", SrcBucket: "other", SrcCond: objstore.IfPresent(), Dst: "dst", DstCond: objstore.Unconditional()}
		_, err = main.Copy(ctx, req)
		e.ok(err, "copy")
		uploads := main.(objstore.Uploads)
		u, err := uploads.CreateUpload(ctx, "part", objstore.UploadOptions{})
		e.ok(err, "create upload")
		p, err := uploads.CopyPart(ctx, objstore.CopyPartRequest{Src: "src", SrcBucket: "other", SrcCond: objstore.IfPresent(), Length: -1, Key: "part", ID: u.ID, Number: 1})
		e.ok(err, "copy part")
		e.ok(other.Delete(ctx, "src", objstore.IfPresent(), objstore.DeleteOptions{}), "delete")
		_, err = uploads.CompleteUpload(ctx, objstore.CompleteRequest{
			Key: "part", ID: u.ID, Cond: objstore.Unconditional(), Parts: []objstore.CompletedPart{{Number: 1, ETag: p.ETag}},
		})
		e.ok(err, "complete")
		for _, key := range []objstore.Key{"dst", "part"} {
			r, err := main.Get(ctx, key, objstore.IfPresent())
			e.ok(err, "get")
			e.wantBytes(e.readAll(ctx, r), body, string(key))
			e.ok(r.Close(), "close")
		}
		_, err = main.Copy(ctx, req)
		e.want(err, objstore.ErrNotFound, "copy of a missing key")
		req.SrcBucket = "missing"
		_, err = main.Copy(ctx, req)
		e.want(err, objstore.ErrNotFound, "copy from a missing bucket")
	}
}

func (e *Env) tryAppend(ctx context.Context, key objstore.Key, offset int64, body string, cond objstore.Cond) (objstore.Info, error) {
	return e.Store.(objstore.Appender).Append(ctx, key, offset, strings.NewReader(body), cond, objstore.PutOptions{Durability: objstore.Visible})
}

func appendsGoToTheEnd(ctx context.Context, e *Env) {
	for i, sizes := range [][]int64{{0}, {1, 0, 2}, {100, 20 << 10, 50 << 10, 7}, {4 << 20, 1, 4<<20 - 1, 3}, {5 << 20, 100, 6 << 20}} {
		key := objstore.Key(fmt.Sprint("dir/", i))
		var whole string
		var last objstore.Info
		for n, size := range sizes {
			body := string(pattern(uint64(n), size))
			_, err := e.tryAppend(ctx, key, int64(len(whole))+1, body, objstore.Unconditional())
			e.wantCause(err, objstore.ErrRange, objstore.OffsetMoved, "append beyond the end")
			_, err = e.tryAppend(ctx, key, int64(len(whole))-1, body, objstore.Unconditional())
			e.wantCause(err, objstore.ErrRange, objstore.OffsetMoved, "append before the end")
			info, err := e.tryAppend(ctx, key, int64(len(whole)), body, objstore.Unconditional())
			e.ok(err, fmt.Sprintf("append %d bytes at %d", size, len(whole)))
			if n > 0 {
				equal(e, info.ID, last.ID, "id")
				equal(e, info.Version != last.Version, true, "a new version")
			}
			last = info
			whole += body
			equal(e, info.Size, int64(len(whole)), "size")
			e.wantContent(ctx, key, whole)
		}
		ours, _, isOurs := e.head(ctx, key).ETag.Split()
		theirs, _, _ := e.put(ctx, "same", whole).ETag.Split()
		if isOurs && ours != theirs {
			e.Failf("appends of %v: hash %x instead of %x", sizes, ours, theirs)
		}
	}
}

func appendsKeepWhatWasSaid(ctx context.Context, e *Env) {
	before := e.describedPut(ctx, "k", "body", objstore.Digests{ETag: "shown", Checksum: objstore.Checksum{Algorithm: "CRC32", Value: "x"}})
	r := e.open(ctx, "k")
	defer r.Close()
	after, err := e.Store.(objstore.Appender).Append(ctx, "k", 4, strings.NewReader(" and more"), objstore.IfVersion(before.Version), objstore.PutOptions{
		ContentType: "does/not count", Tags: map[string]string{"not": "counted"},
	})
	e.ok(err, "append")
	equal(e, described(after), described(before), "what was said")
	equal(e, after.Attr.Mode, before.Attr.Mode, "mode")
	equal(e, after.Checksum, objstore.Checksum{}, "checksum")
	if after.ETag == "shown" {
		e.Failf("the etag outlived its content")
	}
	e.wantContent(ctx, "k", "body and more")
	e.wantBytes(e.readAll(ctx, r), "body", "what a reader had pinned")
	made, err := e.Store.(objstore.Appender).Append(ctx, "new", 0, strings.NewReader("x"), objstore.IfAbsent(), objstore.PutOptions{ContentType: "a/b"})
	e.ok(err, "append to nothing")
	equal(e, made.ContentType, "a/b", "content type of what an append made")
}

// appendsReplaceOneName: what is no file with one name is replaced, as by a put.
func appendsReplaceOneName(ctx context.Context, e *Env) {
	for _, size := range []int64{3, 100 << 10} {
		body := string(pattern(1, size))
		file := e.put(ctx, "k", body)
		_, err := e.ns().Link(ctx, file.ID, e.root(), "link", objstore.Visible)
		e.ok(err, "link")
		info, err := e.tryAppend(ctx, "k", size, "more", objstore.IfVersion(file.Version))
		e.ok(err, "append to a file with two names")
		equal(e, info.ID != file.ID, true, "a file of its own")
		e.wantContent(ctx, "k", body+"more")
		e.wantContent(ctx, "link", body)
		e.unlink(ctx, e.root(), "link")
	}
	_, err := e.ns().Make(ctx, objstore.MakeRequest{Parent: e.root(), Name: "l", Type: objstore.TypeSymlink, Target: "k", Durability: objstore.Visible})
	e.ok(err, "symlink")
	_, err = e.tryAppend(ctx, "l", 0, "x", objstore.IfPresent())
	e.ok(err, "append to a symlink")
	equal(e, e.lookup(ctx, e.root(), "l").Type, objstore.TypeFile, "type")
	e.wantContent(ctx, "l", "x")
	_, err = e.tryAppend(ctx, "d/", 0, "x", objstore.IfAbsent())
	e.ok(err, "append to a directory that is not there")
	_, err = e.tryAppend(ctx, "d/", 1, "y", objstore.IfPresent())
	e.ok(err, "append to a directory")
	e.wantContent(ctx, "d/", "xy")
}

func appendsAreConditional(ctx context.Context, e *Env) {
	old := e.put(ctx, "k", "old")
	e.put(ctx, "k", "new")
	_, err := e.tryAppend(ctx, "k", 3, "x", objstore.IfVersion(old.Version))
	e.want(err, objstore.ErrPrecondition, "append to another version")
	_, err = e.tryAppend(ctx, "k", 99, "x", objstore.IfVersion(old.Version))
	e.want(err, objstore.ErrPrecondition, "the condition comes before the offset")
	_, err = e.tryAppend(ctx, "k", 3, "x", objstore.IfAbsent())
	e.want(err, objstore.ErrPrecondition, "append to an object if absent")
	_, err = e.tryAppend(ctx, "none", 0, "x", objstore.IfPresent())
	e.want(err, objstore.ErrNotFound, "append to nothing if present")
	_, err = e.tryAppend(ctx, "k", 3, "x", objstore.Cond{})
	e.want(err, objstore.ErrInvalid, "append under no condition")
	_, err = e.tryAppend(ctx, "none", 5, "x", objstore.Unconditional())
	e.wantCause(err, objstore.ErrRange, objstore.OffsetMoved, "append beyond nothing")
	e.wantContent(ctx, "k", "new")
	e.wantAbsent(ctx, "none")
}

func failedAppendsLeaveNothing(ctx context.Context, e *Env) {
	body := string(pattern(1, 100<<10))
	e.put(ctx, "k", body)
	before := e.snapshot(ctx, "k")
	cut := errors.New("the client went away")
	for _, size := range []int64{0, 10, 5 << 20} {
		more := strings.NewReader(string(pattern(2, size)))
		for what, opt := range map[string]objstore.PutOptions{
			"refused":           {Finish: func() (objstore.Digests, error) { return objstore.Digests{}, cut }},
			"of another length": {LengthKnown: true, Length: size + 1},
		} {
			more.Seek(0, 0)
			_, err := e.Store.(objstore.Appender).Append(ctx, "k", int64(len(body)), more, objstore.Unconditional(), opt)
			e.want(err, objstore.ErrInvalid, "an append "+what)
		}
		more.Seek(0, 0)
		_, err := e.Store.(objstore.Appender).Append(ctx, "k", int64(len(body)), endsWith{more, cut}, objstore.Unconditional(), objstore.PutOptions{})
		e.want(err, objstore.ErrInvalid, "an append that was cut")
	}
	equal(e, e.snapshot(ctx, "k"), before, "the object")
}

// oneAppendWins: of several appends at one offset one is applied, and the bytes of the others are nowhere.
func oneAppendWins(ctx context.Context, e *Env) {
	e.put(ctx, "k", "")
	want := ""
	for range 5 {
		var won atomic.Int32
		won.Store(-1)
		e.parallel(8, func(i int) {
			_, err := e.tryAppend(ctx, "k", int64(len(want)), fmt.Sprint("racer ", i), objstore.Unconditional())
			if err == nil && !won.CompareAndSwap(-1, int32(i)) {
				e.Failf("racers %d and %d both won", won.Load(), i)
			}
			if err != nil {
				e.wantCause(err, objstore.ErrRange, objstore.OffsetMoved, "the loser's append")
			}
		})
		want += fmt.Sprint("racer ", won.Load())
		e.wantContent(ctx, "k", want)
	}
}

func repeatedAppendsAreAppliedOnce(ctx context.Context, e *Env) {
	e.put(ctx, "k", "123")
	add := func(body, id string) (objstore.Info, error) {
		return e.Store.(objstore.Appender).Append(ctx, "k", 3, strings.NewReader(body), objstore.Unconditional(), objstore.PutOptions{WriteID: id})
	}
	first, err := add("45", "w1")
	e.ok(err, "append")
	for range 2 {
		again, err := add("45", "w1")
		e.ok(err, "the same append again")
		equal(e, again.Version, first.Version, "version of the repetition")
		_, err = e.tryAppend(ctx, "k", 5, "67", objstore.Unconditional())
		if err != nil {
			e.wantCause(err, objstore.ErrRange, objstore.OffsetMoved, "another append")
		}
	}
	e.wantContent(ctx, "k", "1234567")
	_, err = add("xy", "w1")
	e.wantCause(err, objstore.ErrInvalid, objstore.WriteIDReused, "another append under the same id")
}
