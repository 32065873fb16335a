package objstoretest

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/blockhash"
)

func basicCases() []Case {
	return []Case{
		{Name: "PutIsReadBack", run: putIsReadBack},
		{Name: "ETagIsHashAndVersion", run: etagIsHashAndVersion},
		{Name: "MissingKeysAreNotFound", run: missingKeysAreNotFound},
		{Name: "DeleteRemovesTheKey", run: deleteRemovesTheKey},
		{Name: "SizesAtBoundaries", run: sizesAtBoundaries},
		{Name: "FiveGiBOfZeros", needs: needLong, run: fiveGiBOfZeros},
		{Name: "ErrorsNameOperationAndKey", run: errorsNameOperationAndKey},
		{Name: "CopyCopies", run: copyCopies},
		{Name: "RenameKeepsTheObject", needs: needRenameFile, run: renameKeepsTheObject},
		{Name: "CancelledCallsChangeNothing", run: cancelledCallsChangeNothing},
	}
}

func putIsReadBack(ctx context.Context, e *Env) {
	meta := map[string]string{"colour": "blue", "x": ""}
	put, err := e.Store.Put(ctx, "dir/key", strings.NewReader("hello"), objstore.IfAbsent(), objstore.PutOptions{
		Length: 5, LengthKnown: true, ContentType: "text/plain", UserMeta: meta,
	})
	e.ok(err, "put")
	meta["colour"] = "red" // the caller's map is the caller's
	e.wantContent(ctx, "dir/key", "hello")
	r := e.open(ctx, "dir/key")
	defer r.Close()
	for what, info := range map[string]objstore.Info{"put": put, "head": e.head(ctx, "dir/key"), "get": r.Info()} {
		equal(e, info.Size, 5, what+": size")
		equal(e, info.Type, objstore.TypeFile, what+": type")
		equal(e, info.Version, put.Version, what+": version")
		equal(e, info.ETag, put.ETag, what+": etag")
		equal(e, info.ContentType, "text/plain", what+": content type")
		equal(e, fmt.Sprint(info.UserMeta), "map[colour:blue x:]", what+": user metadata")
		equal(e, info.Modified.Equal(put.Modified), true, what+": modified as put said")
		if info.Modified.IsZero() || info.Version == "" {
			e.Failf("%s: no time or no version: %+v", what, info)
		}
	}
}

func etagIsHashAndVersion(ctx context.Context, e *Env) {
	for _, size := range []int64{0, 1, 5 << 20} {
		body := pattern(1, size)
		info := e.put(ctx, "k", string(body))
		hash, version, ok := info.ETag.Split()
		if !ok {
			continue // another service's etags
		}
		var h blockhash.Hasher
		h.Write(body)
		equal(e, hash, [16]byte(h.Sum()), "hash in the etag")
		equal(e, version, info.Version, "version in the etag")
	}
}

func missingKeysAreNotFound(ctx context.Context, e *Env) {
	e.put(ctx, "a/b", "x")
	for _, key := range []objstore.Key{"none", "a", "a/b/", "a/b/c", "a//b", "/a/b"} {
		e.wantAbsent(ctx, key)
		_, err := e.Store.Get(ctx, key, objstore.IfPresent())
		e.want(err, objstore.ErrNotFound, "get if present")
	}
}

func deleteRemovesTheKey(ctx context.Context, e *Env) {
	e.put(ctx, "k", "1")
	e.put(ctx, "kk", "2")
	e.delete(ctx, "k")
	e.wantAbsent(ctx, "k")
	e.wantContent(ctx, "kk", "2")
	e.delete(ctx, "k") // deleting nothing succeeds
	e.put(ctx, "k", "3")
	e.wantContent(ctx, "k", "3")
}

// sizes are the lengths worth testing: around zero, 64 KiB, 4 MiB and the
// store's own boundaries.
func (e *Env) sizes() []int64 {
	sizes := []int64{0, 1}
	for _, at := range append([]int64{64 << 10, 4 << 20}, e.cfg.Sizes...) {
		sizes = append(sizes, at-1, at, at+1)
	}
	slices.Sort(sizes)
	return slices.Compact(sizes)
}

func sizesAtBoundaries(ctx context.Context, e *Env) {
	sizes := e.sizes()
	for i, size := range sizes {
		if size < 0 {
			continue
		}
		body := string(pattern(uint64(i), size))
		key := objstore.Key(fmt.Sprintf("size/%d", size))
		e.wantRanges(ctx, key, e.put(ctx, key, body), body)
		// Shrink or grow one key through all the sizes too.
		e.put(ctx, "same", body)
		e.wantContent(ctx, "same", body)
	}
}

// wantRanges reads parts that begin and end around boundaries.
func (e *Env) wantRanges(ctx context.Context, key objstore.Key, info objstore.Info, body string) {
	equal(e, info.Size, int64(len(body)), "size")
	e.wantContent(ctx, key, body)
	r := e.open(ctx, key)
	defer r.Close()
	for _, off := range []int64{0, 1, 64<<10 - 1, 64 << 10, 4<<20 - 1, 4 << 20} {
		for _, length := range []int64{0, 1, 4096, 64<<10 + 1} {
			if off > int64(len(body)) {
				continue
			}
			want := body[off:min(off+length, int64(len(body)))]
			p := make([]byte, length)
			n, err := r.ReadAt(ctx, p, off)
			if err != nil && err != io.EOF || int64(n) < length && err != io.EOF {
				e.Failf("%q: read %d at %d: %d bytes: %w", key, length, off, n, err)
			}
			e.wantBytes(string(p[:n]), want, fmt.Sprintf("%q: read %d at %d", key, length, off))
			s := r.Stream(ctx, off, length)
			streamed, err := io.ReadAll(s)
			e.ok(err, "stream")
			e.ok(s.Close(), "close stream")
			e.wantBytes(string(streamed), want, fmt.Sprintf("%q: stream %d at %d", key, length, off))
		}
	}
}

// zeros is an endless body of zeros.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func fiveGiBOfZeros(ctx context.Context, e *Env) {
	const size = 5 << 30
	info, err := e.Store.Put(ctx, "zeros", io.LimitReader(zeros{}, size), objstore.IfAbsent(), objstore.PutOptions{Length: size, LengthKnown: true})
	e.ok(err, "put")
	equal(e, info.Size, size, "size")
	r := e.open(ctx, "zeros")
	defer r.Close()
	s := r.Stream(ctx, 0, -1)
	defer s.Close()
	buf, total := make([]byte, 1<<20), int64(0)
	for {
		n, err := s.Read(buf)
		for i, c := range buf[:n] {
			if c != 0 {
				e.Failf("byte %d is %d", total+int64(i), c)
			}
		}
		total += int64(n)
		if err == io.EOF {
			break
		}
		e.ok(err, "read")
	}
	equal(e, total, size, "bytes read")
}

func errorsNameOperationAndKey(ctx context.Context, e *Env) {
	const key = objstore.Key("some/key")
	stale := e.put(ctx, key, "1").Version
	winner := e.put(ctx, key, "2")
	_, putErr := e.tryPut(ctx, key, "3", objstore.IfVersion(stale))
	_, headErr := e.Store.Head(ctx, "some/absent-key")
	_, getErr := e.Store.Get(ctx, key, objstore.IfVersion(stale))
	deleteKind := objstore.ErrPrecondition
	if !e.Store.Capabilities().Delete.Has(objstore.IfVersion(stale)) {
		deleteKind = objstore.ErrUnsupported
	}
	deleteErr := e.Store.Delete(ctx, key, objstore.IfVersion(stale), objstore.DeleteOptions{})
	for what, row := range map[string]struct {
		err  error
		kind objstore.Kind
		text string
	}{
		"put":    {putErr, objstore.ErrPrecondition, "some/key"},
		"head":   {headErr, objstore.ErrNotFound, "some/absent-key"},
		"get":    {getErr, objstore.ErrPrecondition, "some/key"},
		"delete": {deleteErr, deleteKind, "some/key"},
	} {
		e.want(row.err, row.kind, what)
		if !strings.Contains(row.err.Error(), row.text) {
			e.Failf("%s: the error does not name %q: %w", what, row.text, row.err)
		}
		full, ok := row.err.(*objstore.Error)
		if ok && full.Winner != "" && full.Winner != winner.ETag {
			e.Failf("%s: the error names winner %s instead of %s", what, full.Winner, winner.ETag)
		}
	}
}

func copyCopies(ctx context.Context, e *Env) {
	src, err := e.Store.Put(ctx, "src", strings.NewReader("body"), objstore.IfAbsent(), objstore.PutOptions{
		ContentType: "text/plain", UserMeta: map[string]string{"a": "1"},
	})
	e.ok(err, "put")
	dst, err := e.Store.Copy(ctx, objstore.CopyRequest{
		Src: "src", SrcCond: objstore.IfVersion(src.Version), Dst: "dir/dst", DstCond: objstore.IfAbsent(),
	})
	e.ok(err, "copy")
	e.wantContent(ctx, "dir/dst", "body")
	equal(e, dst.ContentType, "text/plain", "content type")
	equal(e, dst.UserMeta["a"], "1", "user metadata")
	if e.isNamespace() && dst.ID == src.ID {
		e.Failf("the copy has the source's id")
	}
	_, err = e.Store.Copy(ctx, objstore.CopyRequest{
		Src: "src", SrcCond: objstore.IfPresent(), Dst: "dir/dst", DstCond: objstore.IfVersion(dst.Version),
		ReplaceAttrs: true, Put: objstore.PutOptions{ContentType: "text/html", UserMeta: map[string]string{"b": "2"}},
	})
	e.ok(err, "copy with other attributes")
	again := e.head(ctx, "dir/dst")
	equal(e, again.ContentType, "text/html", "content type")
	equal(e, fmt.Sprint(again.UserMeta), "map[b:2]", "user metadata")
	equal(e, e.head(ctx, "src").ETag, src.ETag, "etag of the source")
	e.put(ctx, "src", "changed")
	e.wantContent(ctx, "dir/dst", "body")
}

func renameKeepsTheObject(ctx context.Context, e *Env) {
	before := e.put(ctx, "a/src", "body")
	e.put(ctx, "b/dst", "replaced")
	after, err := e.Store.Rename(ctx, objstore.RenameRequest{
		Src: "a/src", SrcCond: objstore.Unconditional(), Dst: "b/dst", DstCond: objstore.Unconditional(),
	})
	e.ok(err, "rename")
	equal(e, after.ID, before.ID, "id")
	equal(e, after.Version, before.Version, "version")
	equal(e, after.ETag, before.ETag, "etag")
	e.wantAbsent(ctx, "a/src")
	e.wantContent(ctx, "b/dst", "body")
	equal(e, len(e.keys(ctx, objstore.ListOptions{})), 1, "keys")
	// Onto itself nothing happens.
	_, err = e.Store.Rename(ctx, objstore.RenameRequest{
		Src: "b/dst", SrcCond: objstore.IfVersion(before.Version), Dst: "b/dst", DstCond: objstore.Unconditional(),
	})
	e.ok(err, "rename onto itself")
	e.wantContent(ctx, "b/dst", "body")
}

func cancelledCallsChangeNothing(ctx context.Context, e *Env) {
	e.put(ctx, "k", "1")
	before := e.snapshot(ctx, "k")
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	calls := map[string]func() error{
		"put":    func() error { _, err := e.tryPut(cancelled, "k", "2", objstore.Unconditional()); return err },
		"create": func() error { _, err := e.tryPut(cancelled, "new", "2", objstore.IfAbsent()); return err },
		"delete": func() error {
			return e.Store.Delete(cancelled, "k", objstore.Unconditional(), objstore.DeleteOptions{})
		},
	}
	for what, call := range calls {
		err := call()
		if err == nil {
			e.Failf("%s with a cancelled context succeeded", what)
		}
		if kind := objstore.KindOf(err); kind == 0 || kind.Applied() != objstore.NotApplied {
			e.Failf("%s with a cancelled context: not known to be not applied: %w", what, err)
		}
	}
	equal(e, e.snapshot(ctx, "k"), before, "state of k")
	e.wantAbsent(ctx, "new")
}
