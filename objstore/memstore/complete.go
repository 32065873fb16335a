package memstore

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/etagfs/etagfs/objstore"
)

// CompleteUpload implements [objstore.Uploads]. It assembles without the
// mutex and then makes sure that the parts are still those.
func (b *Bucket) CompleteUpload(ctx context.Context, req objstore.CompleteRequest) (info objstore.Info, err error) {
	if !req.Cond.Valid() {
		return info, named("complete upload", string(req.Key), objstore.ErrInvalid)
	}
	var parts []*part
	replayed := false
	err = b.read(ctx, "complete upload", string(req.Key), func() error {
		if info, replayed = b.completed(req); replayed {
			return nil
		}
		parts, err = b.completeParts(req)
		return err
	})
	if err != nil || replayed {
		return info, err
	}
	in, err := assemble(parts)
	if err != nil {
		return info, named("complete upload", string(req.Key), err)
	}
	in.digests = req.Digests
	err = b.write(ctx, "complete upload", string(req.Key), func(t *tx) error {
		if info, replayed = b.completed(req); replayed {
			return nil
		}
		info, err = t.complete(req, parts, in)
		return err
	})
	return info, err
}

// completeID is the write id under which the outcome of a completion is kept.
func completeID(id objstore.UploadID) string { return "upload\x00" + string(id) }

func completeText(req objstore.CompleteRequest) string {
	return fmt.Sprintf("complete %q %v", req.Key, req.Contents())
}

// completed is the answer to a completion that was applied before.
func (b *Bucket) completed(req objstore.CompleteRequest) (objstore.Info, bool) {
	b.forgetReplays(b.engine.tick())
	old, ok := b.replays[completeID(req.ID)]
	if !ok || old.request != completeText(req) {
		return objstore.Info{}, false
	}
	return old.result.(objstore.Info), true
}

// completeParts are the parts asked for.
func (b *Bucket) completeParts(req objstore.CompleteRequest) ([]*part, error) {
	u, err := b.upload(req.Key, req.ID)
	if err != nil {
		return nil, err
	}
	var parts []*part
	last := 0
	for _, asked := range req.Parts {
		p := u.parts[asked.Number]
		if p == nil || p.ETag.Content() != asked.ETag.Content() || p.Number <= last {
			return nil, &objstore.Error{Kind: objstore.ErrInvalid, Detail: fmt.Sprintf("part %d", asked.Number), Err: objstore.NoSuchPart}
		}
		parts, last = append(parts, p), p.Number
	}
	if len(parts) == 0 {
		return nil, &objstore.Error{Kind: objstore.ErrInvalid, Detail: "no parts", Err: objstore.NoSuchPart}
	}
	return parts, nil
}

// assemble joins parts.
func assemble(parts []*part) (in incoming, err error) {
	d := newDraft(emptyContent())
	for _, p := range parts {
		if err := d.appendRange(p.content, 0, p.content.size); err != nil {
			return in, err
		}
		told := p.Part
		told.Modified, told.ETag = time.Time{}, ""
		in.parts = append(in.parts, told)
	}
	in.content = d.freeze()
	return in, nil
}

func (t *tx) complete(req objstore.CompleteRequest, parts []*part, in incoming) (objstore.Info, error) {
	now, err := t.b.completeParts(req)
	if err != nil {
		return objstore.Info{}, err
	}
	if !slices.Equal(now, parts) {
		return objstore.Info{}, &objstore.Error{Kind: objstore.ErrInvalid, Err: objstore.NoSuchPart}
	}
	u := t.b.uploads[req.ID]
	if err := t.b.checkComplete(u, req); err != nil {
		return objstore.Info{}, err
	}
	t.creates = objstore.EventComplete
	opt := u.Options
	info := t.put(req.Key, in, objstore.PutOptions{
		ContentType: opt.ContentType, UserMeta: opt.UserMeta, Headers: opt.Headers, Tags: opt.Tags, Attr: opt.Attr,
	}).object()
	delete(t.b.uploads, req.ID)
	t.b.remember(completeID(req.ID), replay{completeText(req), info, nil})
	return info, nil
}

// checkComplete evaluates the condition, and whether the key was left alone since the upload began.
func (b *Bucket) checkComplete(u *upload, req objstore.CompleteRequest) error {
	n := b.objectAt(req.Key)
	if err := check(req.Cond, n); err != nil {
		return err
	}
	var now objstore.Version
	if n != nil {
		now = n.version
	}
	if !req.Cond.IsUnconditional() && (u.gone || now != u.was) {
		return &objstore.Error{Kind: objstore.ErrConflict, Err: objstore.KeyChanged}
	}
	return nil
}

// markGone notes in the uploads below or at a place that objects at their keys are about to go.
func (t *tx) markGone(at entry, n *node) {
	if len(t.b.uploads) == 0 {
		return
	}
	key := at.key()
	for _, u := range t.b.uploads {
		if u.Key == key || n.isDir() && strings.HasPrefix(string(u.Key), string(key)) {
			t.mark(u)
		}
	}
}

// markGoneKey is markGone for one key.
func (t *tx) markGoneKey(key objstore.Key) {
	for _, u := range t.b.uploads {
		if u.Key == key {
			t.mark(u)
		}
	}
}

func (t *tx) mark(u *upload) {
	if t.b.objectAt(u.Key) == nil {
		return
	}
	was := u.gone
	u.gone = true
	t.undo = append(t.undo, func() { u.gone = was })
}

// Parts implements [objstore.Uploads].
func (b *Bucket) Parts(ctx context.Context, key objstore.Key, cond objstore.Cond) (info objstore.Info, parts []objstore.Part, err error) {
	err = b.read(ctx, "get parts", string(key), func() error {
		n := b.objectAt(key)
		if err := checkSource(cond, n); err != nil {
			return err
		}
		info, parts = n.object(), slices.Clone(n.parts)
		return nil
	})
	return info, parts, err
}
