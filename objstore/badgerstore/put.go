package badgerstore

import (
	"context"
	"errors"
	"io"
	"maps"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/record"
	"github.com/etagfs/etagfs/objstore/blockhash"
)

// checkNewKey refuses keys nobody may create.
func checkNewKey(key objstore.Key, cond objstore.Cond) error {
	switch {
	case !cond.Valid():
		return objstore.ErrInvalid
	case key == "":
		return problem(objstore.ErrInvalid, "the key is empty")
	case len(key) > objstore.KeyBytesMax:
		return problem(objstore.ErrTooLarge, "the key is longer than 1,024 bytes")
	}
	return nil
}

// Put implements [objstore.Store].
func (b *Bucket) Put(ctx context.Context, key objstore.Key, body io.Reader, cond objstore.Cond, opt objstore.PutOptions) (objstore.Info, error) {
	info, err := b.put(ctx, key, body, cond, opt)
	return info, named("put", string(key), err)
}

func (b *Bucket) put(ctx context.Context, key objstore.Key, body io.Reader, cond objstore.Cond, opt objstore.PutOptions) (info objstore.Info, err error) {
	if err := checkNewKey(key, cond); err != nil {
		return info, err
	}
	u, err := b.receive(ctx, body, opt)
	if err != nil {
		return info, err
	}
	defer u.close()
	request := func() [16]byte { return requestOf("put", string(key), cond.String(), u.in.hash, u.in.size) }
	err = b.write(ctx, opt.Durability, false, func(t *tx) (err error) {
		info, err = b.once(t, opt.WriteID, request, func() (*record.Object, error) {
			old, err := t.objectAt(b.root, key)
			if err == nil {
				err = check(cond, old)
			}
			if err != nil {
				return nil, err
			}
			return b.putObject(t, key, u.in, opt)
		})
		return err
	})
	return info, err
}

// upload is a received body.
type upload struct {
	in    *incoming
	stage *stage // nil if it was small
}

// close drops what was received and not committed.
func (u *upload) close() {
	if u.stage != nil {
		u.stage.finish()
		_ = u.stage.Close() // nothing is lost that was not dropped on purpose
	}
}

// receive reads a body to its end and lets the caller judge it.
func (b *Bucket) receive(ctx context.Context, body io.Reader, opt objstore.PutOptions) (*upload, error) {
	u, err := b.receiveBody(ctx, body, opt)
	if err != nil || opt.Finish == nil {
		return u, err
	}
	if u.in.digests, err = b.judged(opt.Finish); err != nil {
		u.close()
		return nil, err
	}
	return u, nil
}

// judged is what finish says of a body. What an older program would not understand is announced first.
func (b *Bucket) judged(finish func() (objstore.Digests, error)) (objstore.Digests, error) {
	d, err := finish()
	if err != nil {
		return d, bodyError(err)
	}
	return d, b.e.needFor(d)
}

// receiveBody reads a body to its end.
func (b *Bucket) receiveBody(ctx context.Context, body io.Reader, opt objstore.PutOptions) (*upload, error) {
	if err := b.e.usable(ctx); err != nil {
		return nil, err
	}
	if b.e.opt.ReadOnly {
		return nil, objstore.ErrReadOnly
	}
	payload := record.NewPayload(b.headBytes(opt))
	head := record.PayloadBytes(payload)
	n, ended, err := fill(ctx, body, head)
	switch {
	case err != nil:
		return nil, err
	case !ended:
		return b.receiveLarge(ctx, head, body, opt)
	}
	if err := errors.Join(checkLength(int64(n), opt), cancelled(ctx)); err != nil {
		return nil, err
	}
	version, err := b.e.numbers.next()
	if err != nil {
		return nil, err
	}
	in, err := b.e.whole(version, payload, n)
	return &upload{in: in}, err
}

// headBytes is one more than what is kept inline, or than what is announced.
func (b *Bucket) headBytes(opt objstore.PutOptions) int {
	n := b.e.sizes.inlineBytes
	if opt.LengthKnown && opt.Length >= 0 && opt.Length < int64(n) {
		n = int(opt.Length)
	}
	return n + 1
}

// fill reads from body until p is full or the body has ended. Unlike
// io.ReadFull it does not take a body that was cut for one that ended.
func fill(ctx context.Context, body io.Reader, p []byte) (n int, ended bool, err error) {
	for n < len(p) {
		if err := cancelled(ctx); err != nil {
			return n, false, err
		}
		m, err := body.Read(p[n:])
		n += m
		if err == io.EOF {
			return n, true, nil
		}
		if err != nil {
			return n, false, bodyError(err)
		}
	}
	return n, false, nil
}

// receiveLarge stages a body that begins with head.
func (b *Bucket) receiveLarge(ctx context.Context, head []byte, body io.Reader, opt objstore.PutOptions) (u *upload, err error) {
	s := b.newStage(objstore.Owner{}, nil, true)
	defer func() {
		if err != nil {
			s.finish()
			err = errors.Join(err, s.Close())
		}
	}()
	size, err := s.fill(ctx, head, body, 0)
	if err == nil {
		err = errors.Join(checkLength(size, opt), cancelled(ctx))
	}
	if err == nil {
		err = s.seal(ctx, 0)
	}
	if err != nil {
		return nil, err
	}
	return &upload{in: s.in, stage: s}, nil
}

// bodyBytes is how much of a body is received at once: it passes through several hashes and to its file while
// a processor has it at hand. It is so many whole units of checksum.
const bodyBytes = 256 << 10

// fill writes head and then body, from an offset on, and returns where they end.
func (s *stage) fill(ctx context.Context, head []byte, body io.Reader, off int64) (size int64, err error) {
	if _, err := s.WriteAt(ctx, head, off); err != nil {
		return 0, err
	}
	size = off + int64(len(head))
	buf := s.b.e.bodies.Get().(*[bodyBytes]byte)
	defer s.b.e.bodies.Put(buf)
	for {
		n, ended, err := fill(ctx, body, buf[size%bodyBytes:]) // to where the next piece is aligned
		if err == nil && n > 0 {
			_, err = s.WriteAt(ctx, buf[size%bodyBytes:][:n], size)
		}
		if size += int64(n); ended || err != nil {
			return size, err
		}
	}
}

func checkLength(n int64, opt objstore.PutOptions) error {
	if opt.LengthKnown && n != opt.Length {
		return problem(objstore.ErrInvalid, "the body has %d bytes instead of %d", n, opt.Length)
	}
	return nil
}

// bodyError classifies what reading a put's body failed with.
func bodyError(err error) error {
	if objstore.KindOf(err) != 0 {
		return err
	}
	return &objstore.Error{Kind: objstore.ErrInvalid, Detail: "the body failed", Err: err}
}

// makePlace is where key goes; directories on the way are made, implicit.
func (b *Bucket) makePlace(t *tx, key objstore.Key) (place, error) {
	dirs, stored := splitKey(key)
	dir := b.root
	for _, component := range dirs {
		p := place{Parent: dir, Stored: component + "/"}
		o, err := t.entry(p)
		if err == nil && o == nil {
			o, err = b.makeImplied(t, p)
		}
		if err != nil {
			return place{}, err
		}
		dir = o.ID
	}
	return place{Parent: dir, Stored: stored}, nil
}

func (b *Bucket) makeImplied(t *tx, p place) (*record.Object, error) {
	id, err := t.e.numbers.next()
	if err != nil {
		return nil, err
	}
	o, err := t.newObject(id, objstore.TypeDir, t.e.opt.NewDir)
	if err != nil {
		return nil, err
	}
	return b.add(t, p, o)
}

// putObject makes in the content of key, which the caller found to be allowed.
func (b *Bucket) putObject(t *tx, key objstore.Key, in *incoming, opt objstore.PutOptions) (*record.Object, error) {
	p, err := b.makePlace(t, key)
	if err != nil {
		return nil, err
	}
	old, err := t.entry(p)
	if err != nil {
		return nil, err
	}
	if old == nil || !old.IsDir() && (old.Type != objstore.TypeFile || old.Links > 1) {
		return b.putNew(t, p, old, in, opt)
	}
	o, err := t.touched(old)
	if err != nil {
		return nil, err
	}
	if err := t.setContent(o, in); err != nil {
		return nil, err
	}
	describe(o, opt)
	t.store(o)
	return o, b.tellContent(t, o, old.Version, in.appended)
}

// putNew makes a new object at p, in place of one name of a file with several, of a symlink or of
// a special file. It takes over a file's attributes.
func (b *Bucket) putNew(t *tx, p place, old *record.Object, in *incoming, opt objstore.PutOptions) (*record.Object, error) {
	id, err := t.e.numbers.next()
	if err != nil {
		return nil, err
	}
	o, err := t.newObject(id, typeAt(p), t.newAttr(p, opt.Attr))
	if err != nil {
		return nil, err
	}
	if old != nil {
		o.Modified = old.Modified
	}
	if err := t.setContent(o, in); err != nil {
		return nil, err
	}
	describe(o, opt)
	if old != nil {
		if old.Type == objstore.TypeFile {
			o.Attr.Mode, o.Attr.UID, o.Attr.GID, o.Xattrs = old.Attr.Mode, old.Attr.UID, old.Attr.GID, old.Xattrs
		}
		if _, err := b.drop(t, p, old); err != nil {
			return nil, err
		}
	}
	return b.add(t, p, o)
}

func describe(o *record.Object, opt objstore.PutOptions) {
	o.ContentType, o.UserMeta, o.Explicit = opt.ContentType, cloneMeta(opt.UserMeta), o.IsDir()
	o.Headers, o.Tags = opt.Headers, cloneMeta(opt.Tags)
}

func cloneMeta(m map[string]string) map[string]string { return maps.Clone(m) }

func typeAt(p place) objstore.FileType {
	if _, isDir := component(p.Stored); isDir {
		return objstore.TypeDir
	}
	return objstore.TypeFile
}

func (t *tx) newAttr(p place, asked *objstore.NewAttr) objstore.NewAttr {
	switch {
	case asked != nil:
		return *asked
	case typeAt(p) == objstore.TypeDir:
		return t.e.opt.NewDir
	default:
		return t.e.opt.NewFile
	}
}

// requestOf is a digest of what a write with an id asks for.
func requestOf(parts ...any) [16]byte { return blockhash.Of(appendAll(nil, parts...)) }
