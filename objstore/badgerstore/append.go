package badgerstore

import (
	"context"
	"errors"
	"io"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/record"
	"github.com/etagfs/etagfs/objstore/blockhash"
)

// errBaseMoved says that an append was prepared for a content that was replaced meanwhile.
var errBaseMoved = problem(objstore.ErrConflict, "the object was changed")

// appending is one Append.
type appending struct {
	b      *Bucket
	key    objstore.Key
	offset int64
	cond   objstore.Cond
	opt    objstore.PutOptions

	body    blockhash.Hasher
	stage   *stage // the content that is there, and the body
	base    uint64 // version of the former; 0: there is none
	digests objstore.Digests
	info    objstore.Info
}

// Append implements [objstore.Appender]. The content is staged with the body behind it, outside of the
// committer; if it was replaced meanwhile by another that is as long, that is done again.
func (b *Bucket) Append(ctx context.Context, key objstore.Key, offset int64, body io.Reader, cond objstore.Cond, opt objstore.PutOptions) (objstore.Info, error) {
	a := &appending{b: b, key: key, offset: offset, cond: cond, opt: opt}
	err := checkNewKey(key, cond)
	if err == nil {
		err = a.run(ctx, body)
	}
	if a.stage != nil {
		err = errors.Join(err, a.stage.Close())
	}
	return a.info, named("append", string(key), err)
}

func (a *appending) run(ctx context.Context, body io.Reader) error {
	if a.b.e.opt.ReadOnly {
		return objstore.ErrReadOnly
	}
	if a.offset < 0 {
		return offsetMoved()
	}
	if err := a.begin(ctx); err != nil {
		return err
	}
	size, err := a.stage.fill(ctx, nil, io.TeeReader(body, &a.body), a.offset)
	if err == nil {
		err = errors.Join(checkLength(size-a.offset, a.opt), cancelled(ctx))
	}
	if err == nil && a.opt.Finish != nil {
		a.digests, err = a.b.judged(a.opt.Finish)
	}
	for err == nil {
		if err = a.commit(ctx); err == errBaseMoved {
			err = a.again(ctx, size)
			continue
		}
		return err
	}
	return err
}

// begin stages the content that is there. Whether it is the one that counts is for the commit to say.
func (a *appending) begin(ctx context.Context) error {
	var base *pinned
	err := a.b.read(ctx, "", "", func(v *view) error {
		o, err := v.objectAt(a.b.root, a.key)
		if err != nil || o == nil {
			a.base = 0
			return err
		}
		a.base = o.Version
		base, err = v.pin(o.ID, o.Version, o.Content)
		return err
	})
	if err == nil {
		a.stage = a.b.newStage(objstore.Owner{}, base, false)
	}
	return err
}

// again stages the body behind another content.
func (a *appending) again(ctx context.Context, size int64) error {
	old := a.stage
	if err := a.begin(ctx); err != nil {
		a.stage = old
		return err
	}
	body := io.NewSectionReader(stageReader{ctx, old}, a.offset, size-a.offset)
	_, err := a.stage.fill(ctx, nil, body, a.offset)
	return errors.Join(err, old.Close())
}

func offsetMoved() error {
	return &objstore.Error{Kind: objstore.ErrRange, Err: objstore.OffsetMoved}
}

// stageReader is a stage as an io.ReaderAt.
type stageReader struct {
	ctx context.Context // of the one call this lives for
	s   *stage
}

func (r stageReader) ReadAt(p []byte, off int64) (int, error) { return r.s.ReadAt(r.ctx, p, off) }

// commit makes what is staged the content, if the object is still the one it was staged for.
func (a *appending) commit(ctx context.Context) error {
	if err := a.stage.seal(ctx, 0); err != nil {
		return err
	}
	defer a.stage.finish()
	in := a.stage.in
	in.digests = a.digests
	request := func() [16]byte {
		return requestOf("append", string(a.key), a.offset, a.cond.String(), a.body.Sum(), a.body.Size())
	}
	return a.stage.mutate(ctx, a.opt.Durability, func(t *tx) (err error) {
		a.info, err = a.b.once(t, a.opt.WriteID, request, func() (*record.Object, error) { return a.apply(t) })
		return err
	})
}

func (a *appending) apply(t *tx) (*record.Object, error) {
	old, err := t.objectAt(a.b.root, a.key)
	if err == nil {
		err = check(a.cond, old)
	}
	if err != nil {
		return nil, err
	}
	var size int64
	var version uint64
	opt := a.opt
	if old != nil {
		size, version = old.Content.Size, old.Version
		opt.ContentType, opt.UserMeta, opt.Headers, opt.Tags = old.ContentType, old.UserMeta, old.Headers, old.Tags
	}
	switch {
	case size != a.offset:
		return nil, offsetMoved()
	case version != a.base:
		return nil, errBaseMoved
	}
	return a.b.putObject(t, a.key, a.stage.in, opt)
}
