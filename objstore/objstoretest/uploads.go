package objstoretest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/etagfs/etagfs/objstore"
)

func uploadCases() []Case {
	return []Case{
		{Name: "UploadsAssembleParts", needs: needMultipart, run: uploadsAssembleParts},
		{Name: "UploadsMakeWhatTheyDescribe", needs: needMultipart, run: uploadsMakeWhatTheyDescribe},
		{Name: "UploadsAreInvisible", needs: needMultipart, run: uploadsAreInvisible},
		{Name: "PartsAreReplaced", needs: needMultipart, run: partsAreReplaced},
		{Name: "FailedPartsLeaveNothing", needs: needMultipart, run: failedPartsLeaveNothing},
		{Name: "WrongPartsAreRefused", needs: needMultipart, run: wrongPartsAreRefused},
		{Name: "UploadsEnd", needs: needMultipart, run: uploadsEnd},
		{Name: "UploadsAreListed", needs: needMultipart, run: uploadsAreListed},
		{Name: "PartsAreListed", needs: needMultipart, run: partsAreListed},
		{Name: "OldUploadsAreSwept", needs: needMultipart, run: oldUploadsAreSwept},
		{Name: "PartsAreCopied", needs: needMultipart, run: partsAreCopied},
		{Name: "CopiedPartsOutliveTheirSource", needs: needMultipart, run: copiedPartsOutliveTheirSource},
		{Name: "UploadsSurviveACrash", needs: needMultipart | needReopen, run: uploadsSurviveACrash},
	}
}

func (e *Env) uploads() objstore.Uploads { return e.Store.(objstore.Uploads) }

// begin creates an upload.
func (e *Env) begin(ctx context.Context, key objstore.Key) objstore.UploadID {
	u, err := e.uploads().CreateUpload(ctx, key, objstore.UploadOptions{Durability: objstore.Visible})
	e.ok(err, fmt.Sprintf("create upload %q", key))
	equal(e, u.Key, key, "key of the upload")
	return u.ID
}

// part puts a part.
func (e *Env) part(ctx context.Context, key objstore.Key, id objstore.UploadID, number int, body string) objstore.CompletedPart {
	p, err := e.tryPart(ctx, key, id, number, body)
	e.ok(err, fmt.Sprintf("put part %d", number))
	equal(e, p.Number, number, "number of the part")
	equal(e, p.Size, int64(len(body)), "size of the part")
	return objstore.CompletedPart{Number: number, ETag: p.ETag}
}

func (e *Env) tryPart(ctx context.Context, key objstore.Key, id objstore.UploadID, number int, body string) (objstore.Part, error) {
	return e.uploads().PutPart(ctx, key, id, number, strings.NewReader(body), objstore.PartOptions{Durability: objstore.Visible})
}

func (e *Env) tryComplete(ctx context.Context, key objstore.Key, id objstore.UploadID, cond objstore.Cond, parts ...objstore.CompletedPart) (objstore.Info, error) {
	return e.uploads().CompleteUpload(ctx, objstore.CompleteRequest{
		Key: key, ID: id, Parts: parts, Cond: cond, Durability: objstore.Visible,
	})
}

func (e *Env) complete(ctx context.Context, key objstore.Key, id objstore.UploadID, parts ...objstore.CompletedPart) objstore.Info {
	info, err := e.tryComplete(ctx, key, id, objstore.Unconditional(), parts...)
	e.ok(err, fmt.Sprintf("complete %q", key))
	return info
}

// wantCause is want for an error with a cause.
func (e *Env) wantCause(err error, kind objstore.Kind, cause objstore.Cause, what string) {
	e.want(err, kind, what)
	if !errors.Is(err, cause) {
		e.Failf("%s: not %q: %w", what, cause.Error(), err)
	}
}

// assembled puts an object in parts of the given sizes, holes in some of them, and returns its bytes.
func (e *Env) assembled(ctx context.Context, key objstore.Key, sizes ...int64) string {
	id := e.begin(ctx, key)
	var parts []objstore.CompletedPart
	var whole strings.Builder
	for i, size := range sizes {
		body := pattern(uint64(100+i), size)
		if i%4 == 3 {
			clear(body[size/3:])
		}
		whole.Write(body)
		parts = append(parts, e.part(ctx, key, id, 2*i+1, string(body)))
	}
	info := e.complete(ctx, key, id, parts...)
	equal(e, info.Size, int64(whole.Len()), "size")
	equal(e, info.PartCount, len(sizes), "parts")
	return whole.String()
}

// partSizes are ways to cut a content: parts at and off the boundaries of blocks, and small ones. The short form has
// one that crosses a block.
func (e *Env) partSizes() [][]int64 {
	const block = 4 << 20
	small := [][]int64{{0}, {1}, {100, 200, 300}, {40 << 10, 70<<10 + 1, 20 << 10, 90 << 10, 5}, {12, block, 17}}
	if e.cfg.Short {
		return small
	}
	return append(small, [][]int64{
		{block, 17}, {2 * block, block, block / 2}, {5 << 20, 5 << 20, 3},
		{block - 1, block + 1, 2 * block, 7<<20 + 11, 0, 1}, {12, block, block}, {block, 0, 9 << 20, 1},
	}...)
}

func uploadsAssembleParts(ctx context.Context, e *Env) {
	for i, sizes := range e.partSizes() {
		key := objstore.Key(fmt.Sprintf("dir/%d", i))
		if i%2 == 0 {
			e.put(ctx, key, "what was there")
		}
		body := e.assembled(ctx, key, sizes...)
		e.wantContent(ctx, key, body)
		r := e.open(ctx, key)
		var end int64
		for _, size := range sizes {
			end += size
			off := max(0, end-1000)
			p := make([]byte, min(2000, int64(len(body))-off))
			n, err := r.ReadAt(ctx, p, off)
			if n != len(p) || err != nil && err != io.EOF {
				e.Failf("read across the end of a part at %d: %d of %d bytes: %w", end, n, len(p), err)
			}
			e.wantBytes(string(p), body[off:off+int64(len(p))], "bytes across the end of a part")
		}
		e.ok(r.Close(), "close")
	}
}

func uploadsMakeWhatTheyDescribe(ctx context.Context, e *Env) {
	meta := map[string]string{"a": "1"}
	opt := objstore.UploadOptions{
		ContentType: "text/plain", UserMeta: meta, Headers: objstore.Headers{Expires: "never", CacheControl: "no-store"},
		Tags: map[string]string{"t": "x"}, ChecksumAlgorithm: "CRC32", ChecksumType: "COMPOSITE",
		Attr: &objstore.NewAttr{Mode: 0o600, UID: 7, GID: 8},
	}
	u, err := e.uploads().CreateUpload(ctx, "k", opt)
	e.ok(err, "create upload")
	meta["a"] = "2" // the caller's map is the caller's
	if u.Initiated.IsZero() {
		e.Failf("the upload has no time")
	}
	checksum := objstore.Checksum{Algorithm: "CRC32", Value: "AAAAAA=="}
	p, err := e.uploads().PutPart(ctx, "k", u.ID, 3, strings.NewReader("body"), objstore.PartOptions{
		Length: 4, LengthKnown: true,
		Finish: func() (objstore.Digests, error) { return objstore.Digests{ETag: "part-etag", Checksum: checksum}, nil },
	})
	e.ok(err, "put part")
	equal(e, p.ETag, "part-etag", "etag of the part")
	equal(e, p.Checksum, checksum, "checksum of the part")
	page, err := e.uploads().ListParts(ctx, "k", u.ID, 0, 0)
	e.ok(err, "list parts")
	equal(e, fmt.Sprint(page.Upload.Options.Tags, *page.Upload.Options.Attr)+page.Upload.Options.ChecksumType, "map[t:x] {384 7 8}COMPOSITE", "options kept")
	req := objstore.CompleteRequest{
		Key: "k", ID: u.ID, Parts: []objstore.CompletedPart{{Number: 3, ETag: "part-etag"}}, Cond: objstore.IfAbsent(),
		Digests: objstore.Digests{ETag: "0123456789abcdef0123456789abcdef-1", Checksum: objstore.Checksum{Algorithm: "CRC32", Value: "BBBBBB==-1"}},
	}
	done, err := e.uploads().CompleteUpload(ctx, req)
	e.ok(err, "complete")
	for what, info := range map[string]objstore.Info{"complete": done, "head": e.head(ctx, "k")} {
		equal(e, info.ContentType, "text/plain", what+": content type")
		equal(e, fmt.Sprint(info.UserMeta, info.Tags), "map[a:1] map[t:x]", what+": metadata and tags")
		equal(e, info.Headers, opt.Headers, what+": headers")
		equal(e, info.ETag, req.Digests.ETag, what+": etag")
		equal(e, info.Checksum, req.Digests.Checksum, what+": checksum")
		equal(e, info.PartCount, 1, what+": parts")
		equal(e, info.Attr.Mode, 0o600, what+": mode")
	}
	info, parts, err := e.uploads().Parts(ctx, "k", objstore.IfVersion(done.Version))
	e.ok(err, "parts")
	equal(e, info.Version, done.Version, "version of the parts")
	equal(e, fmt.Sprint(parts), fmt.Sprint([]objstore.Part{{Number: 3, Size: 4, Checksum: checksum}}), "parts")
	_, _, err = e.uploads().Parts(ctx, "missing", objstore.Unconditional())
	e.want(err, objstore.ErrNotFound, "parts of a missing key")
}

func uploadsAreInvisible(ctx context.Context, e *Env) {
	id := e.begin(ctx, "dir/k")
	e.part(ctx, "dir/k", id, 1, "bytes")
	e.wantAbsent(ctx, "dir/k")
	equal(e, len(e.keys(ctx, objstore.ListOptions{})), 0, "keys")
	if e.isNamespace() {
		equal(e, len(e.readDir(ctx, e.root())), 0, "entries of the root")
	}
}

func partsAreReplaced(ctx context.Context, e *Env) {
	id := e.begin(ctx, "k")
	first := e.part(ctx, "k", id, 1, string(pattern(2, 100<<10)))
	again := e.part(ctx, "k", id, 1, string(pattern(1, 100<<10)))
	if first.ETag == again.ETag {
		e.Failf("two parts have the etag %s", first.ETag)
	}
	_, err := e.tryComplete(ctx, "k", id, objstore.Unconditional(), first)
	e.wantCause(err, objstore.ErrInvalid, objstore.NoSuchPart, "complete with a part that was replaced")
	second := e.part(ctx, "k", id, 2, "end")
	e.part(ctx, "k", id, 3, "not wanted")
	e.complete(ctx, "k", id, again, second)
	e.wantContent(ctx, "k", string(pattern(1, 100<<10))+"end")
}

func failedPartsLeaveNothing(ctx context.Context, e *Env) {
	id := e.begin(ctx, "k")
	kept := e.part(ctx, "k", id, 1, "kept")
	cut, refused := errors.New("the client went away"), errors.New("the checksum is wrong")
	for _, size := range []int64{10, 100 << 10, 5 << 20} {
		body := string(pattern(1, size))
		_, err := e.uploads().PutPart(ctx, "k", id, 1, endsWith{strings.NewReader(body), cut}, objstore.PartOptions{})
		e.want(err, objstore.ErrInvalid, "a part that was cut")
		_, err = e.uploads().PutPart(ctx, "k", id, 1, strings.NewReader(body), objstore.PartOptions{Length: size + 1, LengthKnown: true})
		e.want(err, objstore.ErrInvalid, "a part of another length")
		_, err = e.uploads().PutPart(ctx, "k", id, 1, strings.NewReader(body), objstore.PartOptions{
			Finish: func() (objstore.Digests, error) { return objstore.Digests{}, refused },
		})
		if e.want(err, objstore.ErrInvalid, "a part that was refused"); !errors.Is(err, refused) {
			e.Failf("the error does not hold its cause: %w", err)
		}
	}
	for _, number := range []int{0, -1, objstore.PartNumberMax + 1} {
		_, err := e.tryPart(ctx, "k", id, number, "x")
		e.want(err, objstore.ErrInvalid, fmt.Sprintf("part %d", number))
	}
	e.complete(ctx, "k", id, kept)
	e.wantContent(ctx, "k", "kept")
}

func wrongPartsAreRefused(ctx context.Context, e *Env) {
	e.put(ctx, "k", "old")
	before := e.snapshot(ctx, "k")
	id := e.begin(ctx, "k")
	one, two := e.part(ctx, "k", id, 1, "one"), e.part(ctx, "k", id, 2, "two")
	other := objstore.CompletedPart{Number: 2, ETag: one.ETag}
	for what, parts := range map[string][]objstore.CompletedPart{
		"none": {}, "out of order": {two, one}, "twice": {one, one}, "missing": {one, two, {Number: 3, ETag: "x"}},
		"another etag": {one, other}, "no etag": {{Number: 1}},
	} {
		_, err := e.tryComplete(ctx, "k", id, objstore.Unconditional(), parts...)
		e.wantCause(err, objstore.ErrInvalid, objstore.NoSuchPart, "complete with parts: "+what)
		_, err = e.tryComplete(ctx, "k", id, objstore.IfAbsent(), parts...)
		e.wantCause(err, objstore.ErrInvalid, objstore.NoSuchPart, "the parts come before the condition: "+what)
	}
	_, err := e.tryComplete(ctx, "k", id, objstore.Cond{}, one)
	e.want(err, objstore.ErrInvalid, "complete under no condition")
	equal(e, e.snapshot(ctx, "k"), before, "the object")
	e.complete(ctx, "k", id, one, two)
	e.wantContent(ctx, "k", "onetwo")
}

func uploadsEnd(ctx context.Context, e *Env) {
	aborted, done := e.begin(ctx, "k"), e.begin(ctx, "k")
	p := e.part(ctx, "k", aborted, 1, string(pattern(1, 100<<10)))
	e.ok(e.uploads().AbortUpload(ctx, "k", aborted, objstore.Visible), "abort")
	e.complete(ctx, "k", done, e.part(ctx, "k", done, 1, "x"))
	for what, id := range map[string]objstore.UploadID{"aborted": aborted, "completed": done, "unknown": "1", "nonsense": "../x", "empty": ""} {
		_, err := e.tryPart(ctx, "k", id, 1, "x")
		e.wantCause(err, objstore.ErrNotFound, objstore.NoSuchUpload, what+": put part")
		_, err = e.uploads().CopyPart(ctx, objstore.CopyPartRequest{Src: "k", SrcCond: objstore.IfPresent(), Length: -1, Key: "k", ID: id, Number: 1})
		e.wantCause(err, objstore.ErrNotFound, objstore.NoSuchUpload, what+": copy part")
		_, err = e.uploads().ListParts(ctx, "k", id, 0, 0)
		e.wantCause(err, objstore.ErrNotFound, objstore.NoSuchUpload, what+": list parts")
		_, err = e.tryComplete(ctx, "k", id, objstore.IfAbsent(), p)
		e.wantCause(err, objstore.ErrNotFound, objstore.NoSuchUpload, what+": complete")
		err = e.uploads().AbortUpload(ctx, "k", id, objstore.Visible)
		e.wantCause(err, objstore.ErrNotFound, objstore.NoSuchUpload, what+": abort")
	}
	open := e.begin(ctx, "k")
	_, err := e.tryPart(ctx, "other", open, 1, "x")
	e.wantCause(err, objstore.ErrNotFound, objstore.NoSuchUpload, "an upload of another key")
	_, err = e.uploads().CreateUpload(ctx, "", objstore.UploadOptions{})
	e.want(err, objstore.ErrInvalid, "an upload of no key")
}

// uploadNames is a page of uploads, "+" before prefixes.
func (e *Env) uploadNames(ctx context.Context, opt objstore.UploadListOptions) (names []string, page objstore.UploadPage) {
	page, err := e.uploads().ListUploads(ctx, opt)
	e.ok(err, fmt.Sprintf("list uploads %+v", opt))
	for _, entry := range page.Entries {
		if entry.Prefix {
			names = append(names, "+"+string(entry.Upload.Key))
		} else {
			names = append(names, string(entry.Upload.Key))
		}
	}
	return names, page
}

func uploadsAreListed(ctx context.Context, e *Env) {
	var ids []objstore.UploadID
	for _, key := range []objstore.Key{"b", "a/2", "a/1", "b", "a", "c/x", "a\x00", "b"} {
		ids = append(ids, e.begin(ctx, key))
	}
	for _, c := range []struct {
		opt  objstore.UploadListOptions
		want string
		more bool
	}{
		{objstore.UploadListOptions{}, "[a a\x00 a/1 a/2 b b b c/x]", false},
		{objstore.UploadListOptions{Delimiter: "/"}, "[a a\x00 +a/ b b b +c/]", false},
		{objstore.UploadListOptions{Delimiter: "/", AfterKey: "a/"}, "[b b b +c/]", false},
		{objstore.UploadListOptions{Prefix: "a/"}, "[a/1 a/2]", false},
		{objstore.UploadListOptions{Prefix: "a", Max: 3}, "[a a\x00 a/1]", true},
		{objstore.UploadListOptions{AfterKey: "b"}, "[c/x]", false},
		{objstore.UploadListOptions{AfterKey: "b", AfterID: ids[0]}, "[b b c/x]", false},
		{objstore.UploadListOptions{AfterKey: "b", AfterID: ids[3], Max: 1}, "[b]", true},
		{objstore.UploadListOptions{AfterKey: "b", AfterID: ids[7]}, "[c/x]", false},
		{objstore.UploadListOptions{Prefix: "none"}, "[]", false},
	} {
		names, page := e.uploadNames(ctx, c.opt)
		equal(e, fmt.Sprint(names), c.want, fmt.Sprintf("uploads %+v", c.opt))
		equal(e, page.More, c.more, fmt.Sprintf("more uploads %+v", c.opt))
	}
	_, page := e.uploadNames(ctx, objstore.UploadListOptions{Prefix: "b"})
	for i, entry := range page.Entries {
		equal(e, entry.Upload.ID, ids[[]int{0, 3, 7}[i]], "uploads of one key come by age")
	}
}

func partsAreListed(ctx context.Context, e *Env) {
	id := e.begin(ctx, "k")
	for _, number := range []int{10_000, 7, 256, 1} {
		e.part(ctx, "k", id, number, fmt.Sprint(number))
	}
	for _, c := range []struct {
		after, most int
		want        string
		more        bool
	}{
		{0, 0, "[1 7 256 10000]", false}, {1, 0, "[7 256 10000]", false}, {0, 2, "[1 7]", true},
		{6, 1, "[7]", true}, {7, 2, "[256 10000]", false}, {10_000, 5, "[]", false}, {-5, 1, "[1]", true},
	} {
		page, err := e.uploads().ListParts(ctx, "k", id, c.after, c.most)
		e.ok(err, "list parts")
		numbers := []int{}
		for _, p := range page.Parts {
			numbers = append(numbers, p.Number)
			equal(e, p.Size, int64(len(fmt.Sprint(p.Number))), "size of a part")
			if p.ETag == "" || p.Modified.IsZero() {
				e.Failf("a part without etag or time: %+v", p)
			}
		}
		equal(e, fmt.Sprint(numbers), c.want, fmt.Sprintf("parts after %d, %d at most", c.after, c.most))
		equal(e, page.More, c.more, fmt.Sprintf("more parts after %d, %d at most", c.after, c.most))
		equal(e, page.Upload.ID, id, "upload of the page")
	}
}

func oldUploadsAreSwept(ctx context.Context, e *Env) {
	old := e.begin(ctx, "old")
	e.part(ctx, "old", old, 1, string(pattern(1, 100<<10)))
	page, err := e.uploads().ListParts(ctx, "old", old, 0, 0)
	e.ok(err, "list parts")
	n, err := e.uploads().AbortUploadsBefore(ctx, page.Upload.Initiated)
	e.ok(err, "sweep of what is older")
	equal(e, n, 0, "uploads swept")
	young := e.begin(ctx, "young")
	n, err = e.uploads().AbortUploadsBefore(ctx, page.Upload.Initiated.Add(time.Nanosecond))
	e.ok(err, "sweep")
	if n < 1 {
		e.Failf("the old upload was not swept")
	}
	_, err = e.tryPart(ctx, "old", old, 1, "x")
	e.wantCause(err, objstore.ErrNotFound, objstore.NoSuchUpload, "part of an upload that was swept")
	if n == 1 { // the clock may be coarse
		e.part(ctx, "young", young, 1, "x")
	}
}

func partsAreCopied(ctx context.Context, e *Env) {
	const size = 9 << 20
	source := string(pattern(1, size))
	version := e.put(ctx, "src", source).Version
	e.put(ctx, "small", "0123456789")
	for i, ranges := range [][][2]int64{
		{{0, size}}, {{0, -1}}, {{4 << 20, 4 << 20}, {0, 1}}, {{0, 5 << 20}, {5 << 20, 4 << 20}}, {{1, 100}, {size, 0}, {size - 1, 1}}, {{123, 8 << 20}},
	} {
		key := objstore.Key(fmt.Sprint("copy", i))
		id := e.begin(ctx, key)
		var parts []objstore.CompletedPart
		var want strings.Builder
		for n, r := range ranges {
			p, err := e.uploads().CopyPart(ctx, objstore.CopyPartRequest{
				Src: "src", SrcCond: objstore.IfVersion(version), Offset: r[0], Length: r[1], Key: key, ID: id, Number: n + 1,
			})
			e.ok(err, fmt.Sprintf("copy part %v", r))
			if r[1] == -1 {
				r[1] = size - r[0]
			}
			equal(e, p.Size, r[1], "size of the copied part")
			want.WriteString(source[r[0] : r[0]+r[1]])
			parts = append(parts, objstore.CompletedPart{Number: n + 1, ETag: p.ETag})
		}
		e.complete(ctx, key, id, parts...)
		e.wantContent(ctx, key, want.String())
	}
	id := e.begin(ctx, "k")
	for what, c := range map[string]struct {
		req  objstore.CopyPartRequest
		kind objstore.Kind
	}{
		"a lost condition":    {objstore.CopyPartRequest{Src: "small", SrcCond: objstore.IfVersion(version), Length: -1, Number: 1}, objstore.ErrPrecondition},
		"a missing source":    {objstore.CopyPartRequest{Src: "none", SrcCond: objstore.Unconditional(), Length: -1, Number: 1}, objstore.ErrNotFound},
		"no condition":        {objstore.CopyPartRequest{Src: "small", Length: -1, Number: 1}, objstore.ErrInvalid},
		"a range behind":      {objstore.CopyPartRequest{Src: "small", SrcCond: objstore.IfPresent(), Offset: 11, Length: -1, Number: 1}, objstore.ErrRange},
		"a range beyond":      {objstore.CopyPartRequest{Src: "small", SrcCond: objstore.IfPresent(), Offset: 5, Length: 6, Number: 1}, objstore.ErrRange},
		"a negative offset":   {objstore.CopyPartRequest{Src: "small", SrcCond: objstore.IfPresent(), Offset: -1, Length: 1, Number: 1}, objstore.ErrRange},
		"a number of no part": {objstore.CopyPartRequest{Src: "small", SrcCond: objstore.IfPresent(), Length: 1}, objstore.ErrInvalid},
	} {
		c.req.Key, c.req.ID = "k", id
		_, err := e.uploads().CopyPart(ctx, c.req)
		e.want(err, c.kind, "copy part with "+what)
	}
}

// copiedPartsOutliveTheirSource: what a part was copied from may be replaced, edited and deleted.
func copiedPartsOutliveTheirSource(ctx context.Context, e *Env) {
	source := string(pattern(1, 5<<20))
	var want strings.Builder
	id := e.begin(ctx, "k")
	var parts []objstore.CompletedPart
	for n, length := range []int64{10, 20 << 10, 100 << 10, 5 << 20} {
		e.put(ctx, "src", source[:length])
		p, err := e.uploads().CopyPart(ctx, objstore.CopyPartRequest{
			Src: "src", SrcCond: objstore.IfPresent(), Offset: length / 2, Length: -1, Key: "k", ID: id, Number: n + 1,
		})
		e.ok(err, "copy part")
		parts = append(parts, objstore.CompletedPart{Number: n + 1, ETag: p.ETag})
		want.WriteString(source[length/2 : length])
		if e.isNamespace() {
			s, _ := e.edit(ctx, e.head(ctx, "src").ID)
			e.write(ctx, s, "X", length/2+1)
			e.commit(ctx, s, e.head(ctx, "src").ID, objstore.Unconditional())
			e.ok(s.Close(), "close")
		}
		e.delete(ctx, "src")
	}
	e.complete(ctx, "k", id, parts...)
	e.wantContent(ctx, "k", want.String())
}

func uploadsSurviveACrash(ctx context.Context, e *Env) {
	e.put(ctx, "k", "old")
	ended := e.begin(ctx, "k")
	e.part(ctx, "k", ended, 1, string(pattern(9, 200<<10)))
	e.ok(e.uploads().AbortUpload(ctx, "k", ended, objstore.Visible), "abort")
	id := e.begin(ctx, "k")
	one := e.part(ctx, "k", id, 1, string(pattern(1, 5<<20)))
	e.crash(ctx)
	two := e.part(ctx, "k", id, 2, "end")
	e.crash(ctx)
	done := e.complete(ctx, "k", id, one, two)
	e.crash(ctx)
	body := string(pattern(1, 5<<20)) + "end"
	e.wantContent(ctx, "k", body)
	again := e.complete(ctx, "k", id, one, two)
	equal(e, again.Version, done.Version, "version of the repeated completion")
	info, parts, err := e.uploads().Parts(ctx, "k", objstore.IfPresent())
	e.ok(err, "parts")
	equal(e, info.PartCount, 2, "parts counted")
	equal(e, len(parts), 2, "parts")
	names, _ := e.uploadNames(ctx, objstore.UploadListOptions{})
	equal(e, len(names), 0, "open uploads")
}
