package objstoretest

import (
	"context"
	"fmt"
	"io"

	"github.com/etagfs/etagfs/objstore"
)

func readerCases() []Case {
	return []Case{
		{Name: "ReadersEndAtTheEnd", run: readersEndAtTheEnd},
		{Name: "ClosedReadersRefuse", run: closedReadersRefuse},
		{Name: "ReadersArePinned", run: readersArePinned},
		{Name: "ReadersArePinnedInTheNamespace", needs: needNamespace, run: readersArePinnedInTheNamespace},
		{Name: "ReadersMayBeShared", run: readersMayBeShared},
	}
}

func readersEndAtTheEnd(ctx context.Context, e *Env) {
	for _, size := range []int64{0, 1, 100_000} {
		e.put(ctx, "k", string(pattern(1, size)))
		r := e.open(ctx, "k")
		p := make([]byte, 10)
		for _, off := range []int64{size, size + 1, size + 1<<30} {
			if n, err := r.ReadAt(ctx, p, off); n != 0 || err != io.EOF {
				e.Failf("read at %d of %d: %d, %v instead of 0, EOF", off, size, n, err)
			}
		}
		if n, err := r.ReadAt(ctx, make([]byte, size+1), 0); int64(n) != size || err != io.EOF {
			e.Failf("read beyond the end of %d: %d, %v", size, n, err)
		}
		_, err := r.ReadAt(ctx, p, -1)
		e.want(err, objstore.ErrInvalid, "read at -1")
		e.ok(r.Close(), "close")
	}
}

func closedReadersRefuse(ctx context.Context, e *Env) {
	e.put(ctx, "k", "x")
	r := e.open(ctx, "k")
	e.ok(r.Close(), "close")
	e.ok(r.Close(), "close again")
	_, err := r.ReadAt(ctx, make([]byte, 1), 0)
	e.want(err, objstore.ErrClosed, "read after close")
	// Closing one reader leaves others alone.
	first, second := e.open(ctx, "k"), e.open(ctx, "k")
	defer second.Close()
	e.ok(first.Close(), "close")
	e.ok(first.Close(), "close again")
	e.put(ctx, "k", "y")
	e.wantBytes(e.readAll(ctx, second), "x", "what the second reader reads")
}

// pinSizes cover the ways a store may keep a content.
func (e *Env) pinSizes() []int64 {
	sizes := []int64{10, 100_000, 5 << 20}
	for _, at := range e.cfg.Sizes {
		sizes = append(sizes, at+1)
	}
	return sizes
}

// wantPinned opens key, lets change happen, and reads what was there before.
// Part is read before, all after.
func (e *Env) wantPinned(ctx context.Context, what string, r objstore.Reader, body string, change func()) {
	defer r.Close()
	before := r.Info()
	early := make([]byte, min(5, len(body)))
	_, err := r.ReadAt(ctx, early, 0)
	e.ok(err, what+": read before the change")
	s := r.Stream(ctx, 0, -1)
	defer s.Close()
	change()
	var after string
	if err := guarded(func() { after = e.readAll(ctx, r) }); !e.unpinned(err) {
		e.ok(err, what+": read after the change")
		e.wantBytes(after, body, what+": read after the change")
	}
	streamed, err := io.ReadAll(s)
	if e.unpinned(err) {
		e.wantBytes(string(streamed), body[:len(streamed)], what+": stream that ended at the change")
		return
	}
	e.ok(err, what+": stream begun before the change")
	e.wantBytes(string(streamed), body, what+": stream begun before the change")
	equal(e, r.Info().Version, before.Version, what+": version")
	equal(e, r.Info().Size, before.Size, what+": size")
}

// unpinned reports whether err is what a reader may return that the store does not pin.
func (e *Env) unpinned(err error) bool {
	return err != nil && !e.Store.Capabilities().PinnedReaders && objstore.IsLostCondition(err)
}

func readersArePinned(ctx context.Context, e *Env) {
	for i, size := range e.pinSizes() {
		body := string(pattern(uint64(i), size))
		key := objstore.Key(fmt.Sprintf("pin/%d/k", size))
		pinned := func(what string, change func()) {
			e.put(ctx, key, body)
			e.wantPinned(ctx, what, e.open(ctx, key), body, change)
		}
		pinned("overwrite", func() { e.put(ctx, key, "short") })
		pinned("many overwrites", func() {
			for j := range e.times(20, 20, 4) {
				e.put(ctx, key, string(pattern(uint64(j), size)))
			}
		})
		pinned("delete", func() { e.delete(ctx, key) })
		pinned("delete and create", func() { e.delete(ctx, key); e.put(ctx, key, "new") })
		if e.Store.Capabilities().RenameFile {
			rename := func(src, dst objstore.Key) {
				_, err := e.Store.Rename(ctx, objstore.RenameRequest{
					Src: src, SrcCond: objstore.IfPresent(), Dst: dst, DstCond: objstore.Unconditional(),
				})
				e.ok(err, "rename")
			}
			pinned("rename", func() { rename(key, key+".moved"); e.put(ctx, key+".moved", "other") })
			pinned("rename over it", func() { e.put(ctx, "other", "o"); rename("other", key) })
		}
	}
}

func readersArePinnedInTheNamespace(ctx context.Context, e *Env) {
	for i, size := range e.pinSizes() {
		body := string(pattern(uint64(i), size))
		dir := e.mkdir(ctx, e.root(), fmt.Sprintf("d%d", i))
		pinned := func(what string, change func(objstore.Info)) {
			info := e.create(ctx, dir, what, body)
			e.wantPinned(ctx, what, e.openID(ctx, info.ID), body, func() { change(info) })
		}
		pinned("commit", func(f objstore.Info) { e.overwrite(ctx, f.ID, "new") })
		pinned("edit", func(f objstore.Info) {
			s, _ := e.edit(ctx, f.ID)
			defer s.Close()
			e.write(ctx, s, "edited", 1)
			e.ok(s.Truncate(ctx, 3), "truncate")
			e.commit(ctx, s, f.ID, objstore.IfVersion(f.Version))
		})
		pinned("unlink", func(objstore.Info) { e.unlink(ctx, dir, "unlink") })
		pinned("replace", func(objstore.Info) {
			e.create(ctx, dir, "other", "o")
			e.rename(ctx, dir, "other", dir, "replace")
		})
		pinned("directory", func(objstore.Info) {
			to := fmt.Sprintf("moved%d", i)
			e.rename(ctx, e.root(), fmt.Sprintf("d%d", i), e.root(), to)
			e.delete(ctx, objstore.Key(to+"/directory"))
		})
	}
}

func readersMayBeShared(ctx context.Context, e *Env) {
	body := string(pattern(1, 300_000))
	e.put(ctx, "k", body)
	r := e.open(ctx, "k")
	defer r.Close()
	e.parallel(8, func(i int) {
		for j := range 20 {
			off := int64(i*30_000 + j*1000)
			p := make([]byte, 5000)
			_, err := r.ReadAt(ctx, p, off)
			e.ok(err, "read")
			e.wantBytes(string(p), body[off:off+5000], "bytes read")
		}
	})
}
