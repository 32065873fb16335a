package objstoretest

import (
	"bytes"
	"context"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/memstore"
)

func storeMutants() []mutant {
	put := func(name, caughtBy string, f putFunc) mutant {
		return mutant{name, caughtBy, func(b *memstore.Bucket) subjectStore { return putChanger{b, f} }}
	}
	list := func(name, caughtBy string, f func(*memstore.Bucket, objstore.ListOptions) (objstore.ListPage, error)) mutant {
		return mutant{name, caughtBy, func(b *memstore.Bucket) subjectStore { return listChanger{b, f} }}
	}
	caps := func(name string, f func(*objstore.Capabilities)) mutant {
		return mutant{name, "CapabilitiesTellTheTruth", func(b *memstore.Bucket) subjectStore { return capsChanger{b, f} }}
	}
	return []mutant{
		put("a failing body is taken for a short one", "FailedBodiesLeaveNothing", keepFailedBodies),
		put("a body cut off is taken for its end", "FailedBodiesLeaveNothing", keepCutBodies),
		put("the length is not compared", "WrongLengthsLeaveNothing", ignoreLengths),
		put("contents appear in halves", "ReadersSeeWholeContents", putInHalves),
		put("a repeated write is applied again", "RepeatedPutIsAppliedOnce", ignoreWriteIDs),
		put("keys are cleaned", "OddKeysAreKeys", cleanKeys),
		put("keys of any length are taken", "KeysTooLongOrEmptyAreRefused", shortenKeys),
		put("cancelling has no effect", "CancelledCallsChangeNothing", ignoreCancel),
		put("a cancelled body is stored", "CancelledBodiesLeaveNothing", storeCancelled),
		put("a large content loses its last byte", "SizesAtBoundaries", dropLastByte),
		put("a lost put leaves its directories", "ImpliedDirectoriesComeAndGo", leaveDirectories),
		put("a put follows links", "SymlinksAreEmptyObjects", followLinks),
		put("a put goes to every name of a file", "PutReplacesOneName", putThrough),
		list("the list is the last one", "ListTellsInfos", staleList()),
		list("the list is the last one, to another writer", "WritesAreSeenAtOnce", staleList()),
		list("start-after is ignored", "ListMatchesItsDefinition", ignoreStartAfter),
		list("nothing more is ever told", "ListPagesOfManyKeys", neverMore),
		list("the order is that of directories", "ListMatchesItsDefinition", directoryOrder),
		list("an empty directory is listed", "ImpliedDirectoriesComeAndGo", listsMore),
		caps("it claims to rename directories only in words", func(c *objstore.Capabilities) { c.RenameDir = false }),
		caps("it hides a condition of put", func(c *objstore.Capabilities) { c.Put = objstore.CondsOf(objstore.Unconditional()) }),
		caps("it hides a condition of delete", func(c *objstore.Capabilities) { c.Delete = objstore.CondsOf(objstore.Unconditional()) }),
		{"it claims a condition of delete", "CapabilitiesTellTheTruth", func(b *memstore.Bucket) subjectStore { return refusesDelete{b} }},
		{"a delete is lost", "DeleteRemovesTheKey", func(b *memstore.Bucket) subjectStore { return losesDeletes{b} }},
		{"readers are not pinned", "ReadersArePinned", func(b *memstore.Bucket) subjectStore { return readerChanger{b, unpinned} }},
		{"readers that are not pinned mix", "ReadersArePinned", func(b *memstore.Bucket) subjectStore { return claimsNoPins{readerChanger{b, unpinned}} }},
		{"streams are not pinned", "ReadersArePinned", func(b *memstore.Bucket) subjectStore { return readerChanger{b, unpinnedStream} }},
		{"reading after close succeeds", "ClosedReadersRefuse", func(b *memstore.Bucket) subjectStore { return readerChanger{b, neverClosed} }},
		{"the end is no error", "ReadersEndAtTheEnd", func(b *memstore.Bucket) subjectStore { return readerChanger{b, endless} }},
		{"errors name nothing", "ErrorsNameOperationAndKey", func(b *memstore.Bucket) subjectStore { return bareErrors{b} }},
		{"last-modified is the mtime", "ModifiedNeverGoesBack", func(b *memstore.Bucket) subjectStore { return modifiedIsMtime{b} }},
		{"etags are of the wrong bytes", "ETagIsHashAndVersion", func(b *memstore.Bucket) subjectStore { return putChanger{b, wrongETag} }},
		{"copies share attributes they should replace", "CopyCopies", func(b *memstore.Bucket) subjectStore { return copyChanger{b} }},
		{"a rename is a copy", "RenameKeepsTheObject", func(b *memstore.Bucket) subjectStore { return checkThenAct{b} }},
	}
}

type putFunc func(b *memstore.Bucket, ctx context.Context, key objstore.Key, body io.Reader, cond objstore.Cond, opt objstore.PutOptions) (objstore.Info, error)

// putChanger puts in another way.
type putChanger struct {
	*memstore.Bucket
	f putFunc
}

func (p putChanger) Put(ctx context.Context, key objstore.Key, body io.Reader, cond objstore.Cond, opt objstore.PutOptions) (objstore.Info, error) {
	return p.f(p.Bucket, ctx, key, body, cond, opt)
}

func keepFailedBodies(b *memstore.Bucket, ctx context.Context, key objstore.Key, body io.Reader, cond objstore.Cond, opt objstore.PutOptions) (objstore.Info, error) {
	read, _ := io.ReadAll(body)
	return b.Put(ctx, key, bytes.NewReader(read), cond, opt)
}

func keepCutBodies(b *memstore.Bucket, ctx context.Context, key objstore.Key, body io.Reader, cond objstore.Cond, opt objstore.PutOptions) (objstore.Info, error) {
	read, err := io.ReadAll(body)
	if err != nil && err != io.ErrUnexpectedEOF {
		return objstore.Info{}, &objstore.Error{Op: "put", Key: string(key), Kind: objstore.ErrInvalid, Err: err}
	}
	return b.Put(ctx, key, bytes.NewReader(read), cond, opt)
}

func ignoreLengths(b *memstore.Bucket, ctx context.Context, key objstore.Key, body io.Reader, cond objstore.Cond, opt objstore.PutOptions) (objstore.Info, error) {
	opt.LengthKnown = false
	return b.Put(ctx, key, body, cond, opt)
}

func putInHalves(b *memstore.Bucket, ctx context.Context, key objstore.Key, body io.Reader, cond objstore.Cond, opt objstore.PutOptions) (objstore.Info, error) {
	read, err := io.ReadAll(body)
	if err != nil {
		return objstore.Info{}, err
	}
	if r, err := b.Get(ctx, key, objstore.IfPresent()); err == nil { // the new first half over the old content
		old := make([]byte, r.Info().Size)
		r.ReadAt(ctx, old, 0)
		copy(old, read[:len(read)/2])
		b.Put(ctx, key, bytes.NewReader(old), objstore.Unconditional(), opt)
		dawdle()
	}
	return b.Put(ctx, key, bytes.NewReader(read), cond, opt)
}

func ignoreWriteIDs(b *memstore.Bucket, ctx context.Context, key objstore.Key, body io.Reader, cond objstore.Cond, opt objstore.PutOptions) (objstore.Info, error) {
	opt.WriteID = ""
	return b.Put(ctx, key, body, cond, opt)
}

func cleanKeys(b *memstore.Bucket, ctx context.Context, key objstore.Key, body io.Reader, cond objstore.Cond, opt objstore.PutOptions) (objstore.Info, error) {
	key = objstore.Key(strings.ReplaceAll(string(key), "//", "/"))
	return b.Put(ctx, key, body, cond, opt)
}

func shortenKeys(b *memstore.Bucket, ctx context.Context, key objstore.Key, body io.Reader, cond objstore.Cond, opt objstore.PutOptions) (objstore.Info, error) {
	return b.Put(ctx, key[:min(len(key), objstore.KeyBytesMax)], body, cond, opt)
}

func ignoreCancel(b *memstore.Bucket, ctx context.Context, key objstore.Key, body io.Reader, cond objstore.Cond, opt objstore.PutOptions) (objstore.Info, error) {
	return b.Put(context.WithoutCancel(ctx), key, body, cond, opt)
}

func storeCancelled(b *memstore.Bucket, ctx context.Context, key objstore.Key, body io.Reader, cond objstore.Cond, opt objstore.PutOptions) (objstore.Info, error) {
	info, err := b.Put(context.WithoutCancel(ctx), key, body, cond, opt)
	if ctx.Err() != nil {
		err = &objstore.Error{Op: "put", Key: string(key), Kind: objstore.ErrUnavailable, Err: ctx.Err()}
	}
	return info, err
}

func dropLastByte(b *memstore.Bucket, ctx context.Context, key objstore.Key, body io.Reader, cond objstore.Cond, opt objstore.PutOptions) (objstore.Info, error) {
	read, err := io.ReadAll(body)
	if err == nil && len(read) == 4<<20+1 {
		read[len(read)-1] = 0
	}
	return b.Put(ctx, key, bytes.NewReader(read), cond, opt)
}

func leaveDirectories(b *memstore.Bucket, ctx context.Context, key objstore.Key, body io.Reader, cond objstore.Cond, opt objstore.PutOptions) (objstore.Info, error) {
	if at := strings.LastIndex(string(key), "/"); at > 0 {
		b.Put(ctx, key[:at+1], strings.NewReader(""), objstore.IfAbsent(), objstore.PutOptions{})
	}
	return b.Put(ctx, key, body, cond, opt)
}

func followLinks(b *memstore.Bucket, ctx context.Context, key objstore.Key, body io.Reader, cond objstore.Cond, opt objstore.PutOptions) (objstore.Info, error) {
	if info, err := b.Head(ctx, key); err == nil && info.Type == objstore.TypeSymlink && !cond.IsIfAbsent() {
		key, cond = objstore.Key(info.UserMeta[objstore.SymlinkMeta]), objstore.Unconditional()
	}
	return b.Put(ctx, key, body, cond, opt)
}

func putThrough(b *memstore.Bucket, ctx context.Context, key objstore.Key, body io.Reader, cond objstore.Cond, opt objstore.PutOptions) (objstore.Info, error) {
	old, err := b.Head(ctx, key)
	if err != nil || old.Nlink < 2 {
		return b.Put(ctx, key, body, cond, opt)
	}
	s, err := b.NewStage(ctx, objstore.StageSpec{})
	if err != nil {
		return objstore.Info{}, err
	}
	read, _ := io.ReadAll(body)
	s.WriteAt(ctx, read, 0)
	res, err := s.Commit(ctx, objstore.CommitRequest{Target: objstore.Target{ID: old.ID}, Cond: cond})
	return res.Info, err
}

func wrongETag(b *memstore.Bucket, ctx context.Context, key objstore.Key, body io.Reader, cond objstore.Cond, opt objstore.PutOptions) (objstore.Info, error) {
	info, err := b.Put(ctx, key, body, cond, opt)
	info.ETag = objstore.MakeETag([16]byte{1}, info.Version)
	return info, err
}

// listChanger lists in another way.
type listChanger struct {
	*memstore.Bucket
	f func(*memstore.Bucket, objstore.ListOptions) (objstore.ListPage, error)
}

func (l listChanger) List(_ context.Context, opt objstore.ListOptions) (objstore.ListPage, error) {
	return l.f(l.Bucket, opt)
}

func list(b *memstore.Bucket, opt objstore.ListOptions) (objstore.ListPage, error) {
	return b.List(context.Background(), opt)
}

// staleList answers the first listing with given options for ever.
func staleList() func(*memstore.Bucket, objstore.ListOptions) (objstore.ListPage, error) {
	var mu sync.Mutex
	seen := map[objstore.ListOptions]objstore.ListPage{}
	var of *memstore.Bucket
	return func(b *memstore.Bucket, opt objstore.ListOptions) (objstore.ListPage, error) {
		mu.Lock()
		defer mu.Unlock()
		if of != b {
			clear(seen)
			of = b
		}
		if page, ok := seen[opt]; ok {
			return page, nil
		}
		page, err := list(b, opt)
		seen[opt] = page
		return page, err
	}
}

func ignoreStartAfter(b *memstore.Bucket, opt objstore.ListOptions) (objstore.ListPage, error) {
	opt.StartAfter = ""
	return list(b, opt)
}

func neverMore(b *memstore.Bucket, opt objstore.ListOptions) (objstore.ListPage, error) {
	page, err := list(b, opt)
	page.More = false
	return page, err
}

func directoryOrder(b *memstore.Bucket, opt objstore.ListOptions) (objstore.ListPage, error) {
	page, err := list(b, opt)
	slices.SortFunc(page.Entries, func(a, b objstore.ListEntry) int {
		return slices.Compare(strings.Split(string(a.Key), "/"), strings.Split(string(b.Key), "/"))
	})
	return page, err
}

func listsMore(b *memstore.Bucket, opt objstore.ListOptions) (objstore.ListPage, error) {
	page, err := list(b, opt)
	for i := len(page.Entries) - 1; i >= 0; i-- {
		key := page.Entries[i].Key
		if at := strings.Index(string(key), "/"); at >= 0 && at < len(key)-1 {
			page.Entries = slices.Insert(page.Entries, i, objstore.ListEntry{Key: key[:at+1]})
		}
	}
	return page, err
}

// capsChanger says something else about itself.
type capsChanger struct {
	*memstore.Bucket
	f func(*objstore.Capabilities)
}

func (c capsChanger) Capabilities() objstore.Capabilities {
	caps := c.Bucket.Capabilities()
	c.f(&caps)
	return caps
}

// refusesDelete cannot do what it claims.
type refusesDelete struct{ *memstore.Bucket }

func (r refusesDelete) Delete(ctx context.Context, key objstore.Key, cond objstore.Cond, opt objstore.DeleteOptions) error {
	if _, ok := cond.Version(); ok {
		return &objstore.Error{Op: "delete", Key: string(key), Kind: objstore.ErrUnsupported}
	}
	return r.Bucket.Delete(ctx, key, cond, opt)
}

// losesDeletes answers, and does nothing.
type losesDeletes struct{ *memstore.Bucket }

func (losesDeletes) Delete(context.Context, objstore.Key, objstore.Cond, objstore.DeleteOptions) error {
	return nil
}

// readerChanger reads in another way.
type readerChanger struct {
	*memstore.Bucket
	f func(*memstore.Bucket, objstore.Key, objstore.Reader) objstore.Reader
}

func (c readerChanger) Get(ctx context.Context, key objstore.Key, cond objstore.Cond) (objstore.Reader, error) {
	r, err := c.Bucket.Get(ctx, key, cond)
	if err != nil {
		return nil, err
	}
	return c.f(c.Bucket, key, r), nil
}

// claimsNoPins may fail to read what was replaced, but not read something else.
type claimsNoPins struct{ readerChanger }

func (c claimsNoPins) Capabilities() objstore.Capabilities {
	caps := c.readerChanger.Capabilities()
	caps.PinnedReaders = false
	return caps
}

type oddReader struct {
	objstore.Reader
	readAt func(ctx context.Context, p []byte, off int64) (int, error)
	stream func(ctx context.Context, off, length int64) io.ReadCloser
}

func (r oddReader) ReadAt(ctx context.Context, p []byte, off int64) (int, error) {
	if r.readAt == nil {
		return r.Reader.ReadAt(ctx, p, off)
	}
	return r.readAt(ctx, p, off)
}

func (r oddReader) Stream(ctx context.Context, off, length int64) io.ReadCloser {
	if r.stream == nil {
		return r.Reader.Stream(ctx, off, length)
	}
	return r.stream(ctx, off, length)
}

// unpinned reads what is at the key now.
func unpinned(b *memstore.Bucket, key objstore.Key, r objstore.Reader) objstore.Reader {
	return oddReader{Reader: r, readAt: func(ctx context.Context, p []byte, off int64) (int, error) {
		now, err := b.Get(ctx, key, objstore.IfPresent())
		if err != nil {
			return 0, err
		}
		return now.ReadAt(ctx, p, off)
	}}
}

// unpinnedStream finds its bytes when they are asked for.
func unpinnedStream(b *memstore.Bucket, key objstore.Key, r objstore.Reader) objstore.Reader {
	return oddReader{Reader: r, stream: func(ctx context.Context, off, length int64) io.ReadCloser {
		return io.NopCloser(lateReader(func() io.Reader {
			now, err := b.Get(ctx, key, objstore.IfPresent())
			if err != nil {
				return strings.NewReader("")
			}
			return now.Stream(ctx, off, length)
		}).open())
	}}
}

// lateReader is opened by its first read.
type lateReader func() io.Reader

func (l lateReader) open() io.Reader {
	var inner io.Reader
	return readFunc(func(p []byte) (int, error) {
		if inner == nil {
			inner = l()
		}
		return inner.Read(p)
	})
}

type readFunc func(p []byte) (int, error)

func (f readFunc) Read(p []byte) (int, error) { return f(p) }

// neverClosed reads on after its Close.
func neverClosed(b *memstore.Bucket, key objstore.Key, r objstore.Reader) objstore.Reader {
	other, err := b.Get(context.Background(), key, objstore.IfPresent())
	if err != nil {
		return r
	}
	return oddReader{Reader: r, readAt: other.ReadAt}
}

// endless has no error at the end.
func endless(_ *memstore.Bucket, _ objstore.Key, r objstore.Reader) objstore.Reader {
	return oddReader{Reader: r, readAt: func(ctx context.Context, p []byte, off int64) (int, error) {
		n, err := r.ReadAt(ctx, p, off)
		if err == io.EOF {
			err = nil
		}
		return n, err
	}}
}

// bareErrors returns kinds and nothing else.
type bareErrors struct{ *memstore.Bucket }

func (b bareErrors) Head(ctx context.Context, key objstore.Key) (objstore.Info, error) {
	info, err := b.Bucket.Head(ctx, key)
	if err != nil {
		err = objstore.KindOf(err)
	}
	return info, err
}

// modifiedIsMtime shows S3 what chmod and touch did.
type modifiedIsMtime struct{ *memstore.Bucket }

func (m modifiedIsMtime) Head(ctx context.Context, key objstore.Key) (objstore.Info, error) {
	info, err := m.Bucket.Head(ctx, key)
	info.Modified = info.Attr.Mtime.Round(time.Nanosecond)
	return info, err
}

// copyChanger never replaces attributes.
type copyChanger struct{ *memstore.Bucket }

func (c copyChanger) Copy(ctx context.Context, req objstore.CopyRequest) (objstore.Info, error) {
	req.ReplaceAttrs = false
	return c.Bucket.Copy(ctx, req)
}
