package memstore

import (
	"context"
	"fmt"
	"io"

	"github.com/etagfs/etagfs/objstore"
)

// Append implements [objstore.Appender].
func (b *Bucket) Append(ctx context.Context, key objstore.Key, offset int64, body io.Reader, cond objstore.Cond, opt objstore.PutOptions) (info objstore.Info, err error) {
	if err := checkPut(key, cond); err != nil {
		return info, named("append", string(key), err)
	}
	tail, err := receive(ctx, body, opt)
	if err != nil {
		return info, named("append", string(key), err)
	}
	request := fmt.Sprintf("append %q %d %v %x %d", key, offset, cond, tail.content.hash(), tail.content.size)
	err = b.read(ctx, "append", string(key), func() (err error) {
		info, err = once(b, opt.WriteID, request, func(t *tx) (objstore.Info, error) {
			old := b.objectAt(key)
			if err := check(cond, old); err != nil {
				return objstore.Info{}, err
			}
			return t.append(key, old, offset, tail, opt)
		})
		return err
	})
	return info, err
}

// append adds tail to old, which may be nil.
func (t *tx) append(key objstore.Key, old *node, offset int64, tail incoming, opt objstore.PutOptions) (objstore.Info, error) {
	base := emptyContent()
	if old != nil {
		base = old.content
		opt.ContentType, opt.UserMeta, opt.Headers, opt.Tags = old.contentType, old.userMeta, old.headers, old.tags
	}
	if base.size != offset {
		return objstore.Info{}, &objstore.Error{Kind: objstore.ErrRange, Err: objstore.OffsetMoved}
	}
	d := newDraft(base)
	if err := d.appendRange(tail.content, 0, tail.content.size); err != nil {
		return objstore.Info{}, err
	}
	in := incoming{content: d.freeze(), digests: tail.digests, appended: true}
	return t.put(key, in, opt).object(), nil
}
