package badgerstore

import (
	"context"
	"strings"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/record"
)

// completion is one CompleteUpload.
type completion struct {
	b    *Bucket
	req  objstore.CompleteRequest
	opt  objstore.UploadOptions
	seen uint64 // Parts of the upload when they were looked at
	pins []*pinned
	in   *incoming

	info objstore.Info
	done bool // by an earlier call
}

// errPartsChanged says that the parts of an upload are not those any more that were looked at.
var errPartsChanged = problem(objstore.ErrConflict, "the parts of the upload were changed")

// CompleteUpload implements [objstore.Uploads].
func (b *Bucket) CompleteUpload(ctx context.Context, req objstore.CompleteRequest) (objstore.Info, error) {
	const op = "complete upload"
	if !req.Cond.Valid() {
		return objstore.Info{}, named(op, string(req.Key), objstore.ErrInvalid)
	}
	for {
		c := &completion{b: b, req: req}
		err := c.attempt(ctx)
		if err == errPartsChanged {
			continue
		}
		if err == nil && !c.done {
			b.e.purge(c.recordKey())
		}
		return c.info, named(op, string(req.Key), err)
	}
}

func (c *completion) recordKey() []byte {
	return record.UploadKey(c.b.root, string(c.req.Key), uploadNumber(c.req.ID))
}

// attempt assembles the parts that are there and commits them, unless they change meanwhile.
func (c *completion) attempt(ctx context.Context) error {
	defer func() {
		for _, p := range c.pins {
			p.release()
		}
	}()
	err := c.b.read(ctx, "", "", c.look)
	if err != nil || c.done {
		return err
	}
	c.in.digests = c.req.Digests
	err = c.write(ctx)
	if err != errBatchTooLarge {
		return err
	}
	spilled, err := c.b.spill(ctx, c.in, false)
	if spilled != nil {
		defer c.b.e.pins.remove(spilled.holder, sideVersion)
	}
	if err != nil {
		return err
	}
	c.in = spilled
	return c.write(ctx)
}

// look finds an earlier answer, or the parts, and assembles them.
func (c *completion) look(v *view) error {
	if err := c.replay(v.tree); err != nil || c.done {
		return err
	}
	u, _, err := v.upload(c.b.root, c.req.Key, c.req.ID)
	if err != nil {
		return err
	}
	c.opt, c.seen = u.Options, u.Parts
	pieces, parts, err := c.parts(v)
	if err != nil {
		return err
	}
	if c.in, err = c.b.e.assemble(pieces); err != nil {
		return err
	}
	c.in.parts = parts
	return nil
}

// parts are the parts asked for.
func (c *completion) parts(v *view) (pieces []piece, told []objstore.Part, err error) {
	upload, last := uploadNumber(c.req.ID), 0
	for _, asked := range c.req.Parts {
		value, err := v.get(record.PartKey(upload, asked.Number))
		if err != nil {
			return nil, nil, err
		}
		p, ok := value.(*record.Part)
		if !ok || objstore.ETag(p.ETag).Content() != asked.ETag.Content() || asked.Number <= last {
			return nil, nil, noSuchPart(asked.Number)
		}
		pin, err := v.pin(p.ID, p.ID, p.Content)
		if err != nil {
			return nil, nil, err
		}
		c.pins = append(c.pins, pin)
		pieces = append(pieces, piece{from: pin, length: p.Content.Size})
		told = append(told, objstore.Part{Number: asked.Number, Size: p.Content.Size, Checksum: p.Checksum})
		last = asked.Number
	}
	if len(pieces) == 0 {
		return nil, nil, noSuchPart(0)
	}
	return pieces, told, nil
}

func noSuchPart(number int) error {
	e := &objstore.Error{Kind: objstore.ErrInvalid, Detail: "no parts", Err: objstore.NoSuchPart}
	if number > 0 {
		e = problem(objstore.ErrInvalid, "part %d", number).(*objstore.Error)
		e.Err = objstore.NoSuchPart
	}
	return e
}

// write is the step in which everything happens.
func (c *completion) write(ctx context.Context) error {
	return c.b.write(ctx, c.req.Durability, false, func(t *tx) error {
		if err := c.replay(t.tree); err != nil || c.done {
			return err
		}
		u, at, err := t.upload(c.b.root, c.req.Key, c.req.ID)
		if err != nil {
			return err
		}
		if u.Parts != c.seen {
			return errPartsChanged
		}
		if err := c.check(t, u); err != nil {
			return err
		}
		t.creates = objstore.EventComplete
		o, err := c.b.putObject(t, c.req.Key, c.in, objstore.PutOptions{
			ContentType: c.opt.ContentType, UserMeta: c.opt.UserMeta, Headers: c.opt.Headers, Tags: c.opt.Tags, Attr: c.opt.Attr,
		})
		if err != nil {
			return err
		}
		c.info = objectInfoOf(o)
		t.closeUpload(at, u)
		return t.storeOutcome(c.outcomeKey(), c.writeID(), c.b.root, newOutcome(c.digest(), o, nil, nil))
	})
}

// check evaluates the condition, and whether the key was left alone since the upload began.
func (c *completion) check(t *tx, u *record.Upload) error {
	o, err := t.objectAt(c.b.root, c.req.Key)
	if err == nil {
		err = check(c.req.Cond, o)
	}
	if err != nil || c.req.Cond.IsUnconditional() {
		return err
	}
	var now uint64
	if o != nil {
		now = o.Version
	}
	if u.Gone || now != u.Was {
		return &objstore.Error{Kind: objstore.ErrConflict, Err: objstore.KeyChanged}
	}
	return nil
}

// writeID is the one under which the outcome is kept.
func (c *completion) writeID() string    { return "upload\x00" + string(c.req.ID) }
func (c *completion) outcomeKey() []byte { return record.OutcomeKey(c.b.root, c.writeID()) }
func (c *completion) digest() [16]byte {
	return requestOf("complete", string(c.req.Key), c.req.Contents())
}

// replay takes the answer of an earlier call, if there was one that was applied.
func (c *completion) replay(t tree) error {
	value, err := t.src.get(c.outcomeKey())
	if err != nil || value == nil {
		return err
	}
	old, ok := value.(*record.Outcome)
	if !ok || old.Request != c.digest() || old.Object == nil {
		return noSuchUpload()
	}
	c.info, c.done = objectInfoOf(old.Object), true
	return nil
}

// closeUpload ends an upload. What is left of it is for purge.
func (t *tx) closeUpload(at []byte, u *record.Upload) {
	closed := *u
	closed.Closed = true
	t.set(at, &closed)
}

// closeUploads ends all uploads of a bucket and returns the keys of their records.
func (t *tx) closeUploads(root uint64) (all [][]byte, err error) {
	open := map[string]*record.Upload{}
	err = t.src.scan(record.UploadPrefix(root, ""), func(at []byte, value any) (bool, error) {
		if u, ok := value.(*record.Upload); ok && !u.Closed {
			open[string(at)] = u
		}
		return true, nil
	})
	for at, u := range open {
		t.closeUpload([]byte(at), u)
		all = append(all, []byte(at))
	}
	return all, err
}

// purgeAtOnce is how many parts go in one mutation.
const purgeAtOnce = 256

// purge removes the parts of closed uploads, and then their records. What
// fails is done at the next opening.
func (e *Engine) purge(uploads ...[]byte) {
	for _, at := range uploads {
		more := true
		var err error
		for more && err == nil {
			err = e.commit(context.Background(), objstore.Visible, true, func(t *tx) error {
				more, err = t.purge(at)
				return err
			})
		}
		if err != nil {
			e.log.Warn("parts of an upload that ended stay until the next opening", "error", err)
			continue
		}
		e.openUploads.Add(-1)
	}
}

// purge removes some parts of a closed upload, and reports whether there are more.
func (t *tx) purge(at []byte) (more bool, err error) {
	_, _, number := record.ParseUploadKey(at)
	var keys [][]byte
	err = t.src.scan(record.PartPrefix(number), func(key []byte, _ any) (bool, error) {
		more = len(keys) == purgeAtOnce
		if !more {
			keys = append(keys, append([]byte(nil), key...))
		}
		return !more, nil
	})
	for _, key := range keys {
		if err == nil {
			err = t.replacePart(key, nil)
		}
	}
	if err == nil && !more {
		t.set(at, nil)
	}
	return more, err
}

// loadUploads counts the uploads an earlier process left, and removes those that ended.
func (e *Engine) loadUploads() error {
	v := e.view()
	defer v.close()
	var closed [][]byte
	err := v.scan(record.AllUploads(), func(at []byte, value any) (bool, error) {
		u, ok := value.(*record.Upload)
		if !ok {
			return false, damaged("an upload is none")
		}
		e.openUploads.Add(1)
		if u.Closed {
			closed = append(closed, append([]byte(nil), at...))
		}
		return true, nil
	})
	if err == nil {
		e.purge(closed...)
	}
	return err
}

// markGone notes in the uploads to the key of p that the object there is about to go; with below, which
// is for a directory, in those to keys below it as well, as far as objects are there.
func (t *tx) markGone(p place, o *record.Object, below bool) error {
	if t.e.openUploads.Load() == 0 || !below && !isObject(o) {
		return nil
	}
	root, key, err := t.keyOf(p)
	if err != nil {
		return err
	}
	prefix := record.UploadsOfKey(root, string(key))
	if below {
		prefix = record.UploadPrefix(root, string(key))
	}
	found := map[string]*record.Upload{}
	err = t.src.scan(prefix, func(at []byte, value any) (bool, error) {
		_, of, _ := record.ParseUploadKey(at)
		u, ok := value.(*record.Upload)
		if ok && !u.Gone && (of == string(key) || below && strings.HasPrefix(of, string(key))) {
			found[string(at)] = u
		}
		return true, nil
	})
	for at, u := range found {
		if err == nil {
			err = t.mark([]byte(at), u)
		}
	}
	return err
}

// mark notes in an upload that the object at its key is about to go, if there is one.
func (t *tx) mark(at []byte, u *record.Upload) error {
	root, key, _ := record.ParseUploadKey(at)
	o, err := t.objectAt(root, objstore.Key(key))
	if err != nil || o == nil {
		return err
	}
	marked := *u
	marked.Gone = true
	t.set(at, &marked)
	return nil
}
