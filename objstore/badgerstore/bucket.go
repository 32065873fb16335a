package badgerstore

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/record"
)

// Bucket is one bucket of an [Engine]: an [objstore.Store] and an
// [objstore.Namespace] over the same objects.
type Bucket struct {
	e    *Engine
	name string
	root uint64
}

// Bucket implements [objstore.Buckets]. The result is a [*Bucket].
func (e *Engine) Bucket(ctx context.Context, name string) (objstore.Store, error) {
	b, err := e.bucket(ctx, name)
	if err != nil {
		return nil, named("open bucket", name, err)
	}
	return b, nil
}

func (e *Engine) bucket(ctx context.Context, name string) (*Bucket, error) {
	if err := e.usable(ctx); err != nil {
		return nil, err
	}
	v := e.view()
	defer v.close()
	rec, err := v.bucket(name)
	if err != nil {
		return nil, err
	}
	return &Bucket{e: e, name: name, root: rec.Root}, nil
}

func (t tree) bucket(name string) (record.Bucket, error) {
	value, err := t.src.get(record.BucketKey(name))
	if err != nil {
		return record.Bucket{}, err
	}
	rec, ok := value.(record.Bucket)
	if !ok {
		return record.Bucket{}, objstore.ErrNotFound
	}
	return rec, nil
}

// CreateBucket implements [objstore.Buckets].
func (e *Engine) CreateBucket(ctx context.Context, name string) error {
	if !validBucketName(name) {
		return named("create bucket", name, objstore.ErrInvalid)
	}
	err := e.commit(ctx, objstore.Durable, false, func(t *tx) error { return t.createBucket(name) })
	return named("create bucket", name, err)
}

func (t *tx) createBucket(name string) error {
	key := record.BucketKey(name)
	if old, err := t.get(key); err != nil || old != nil {
		return orElse(err, objstore.ErrPrecondition)
	}
	id, err := t.e.numbers.next()
	if err != nil {
		return err
	}
	root, err := t.newObject(id, objstore.TypeDir, t.e.opt.NewDir)
	if err != nil {
		return err
	}
	root.Explicit = true
	t.store(root)
	t.objects++
	t.set(key, record.Bucket{Root: id, Created: t.now})
	return nil
}

// orElse is err, or other if err is nil.
func orElse(err, other error) error {
	if err != nil {
		return err
	}
	return other
}

// firstBucket makes the bucket that every store has, in a new one.
func (e *Engine) firstBucket(ctx context.Context) error {
	if e.published.Load() > 0 {
		return nil
	}
	return e.CreateBucket(ctx, MainBucket)
}

// DeleteBucket implements [objstore.Buckets].
func (e *Engine) DeleteBucket(ctx context.Context, name string) error {
	var uploads [][]byte
	err := e.commit(ctx, objstore.Durable, true, func(t *tx) error {
		rec, err := t.bucket(name)
		if err != nil {
			return err
		}
		root, err := t.directory(objstore.ID(rec.Root))
		switch {
		case err != nil:
			return err
		case root.Children > 0:
			return objstore.ErrNotEmpty
		}
		if err := t.dropConflicts(rec.Root); err != nil {
			return err
		}
		if err := t.dropDocuments(rec.Root); err != nil {
			return err
		}
		if uploads, err = t.closeUploads(rec.Root); err != nil {
			return err
		}
		t.set(record.BucketKey(name), nil)
		t.set(record.ObjectKey(rec.Root), nil)
		t.objects--
		return t.discard(contentOf(root))
	})
	if err == nil {
		e.purge(uploads...)
	}
	return named("delete bucket", name, err)
}

// ListBuckets implements [objstore.Buckets], in the order of names.
func (e *Engine) ListBuckets(ctx context.Context) ([]objstore.BucketInfo, error) {
	if err := e.usable(ctx); err != nil {
		return nil, named("list buckets", "", err)
	}
	v := e.view()
	defer v.close()
	var all []objstore.BucketInfo
	err := v.scan(record.BucketPrefix(), func(key []byte, value any) (bool, error) {
		rec, _ := value.(record.Bucket)
		all = append(all, objstore.BucketInfo{Name: record.BucketName(key), Created: rec.Created})
		return true, nil
	})
	slices.SortFunc(all, func(a, b objstore.BucketInfo) int { return strings.Compare(a.Name, b.Name) })
	return all, named("list buckets", "", err)
}

// validBucketName applies the rules of S3: 3 to 63 of a-z, 0-9, "-" and ".",
// beginning and ending with a letter or digit, no two dots in a row, no IP address.
func validBucketName(name string) bool {
	if len(name) < 3 || len(name) > 63 || strings.Contains(name, "..") {
		return false
	}
	alphanumeric := func(c byte) bool { return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' }
	if !alphanumeric(name[0]) || !alphanumeric(name[len(name)-1]) {
		return false
	}
	for i := range len(name) {
		if c := name[i]; !alphanumeric(c) && c != '-' && c != '.' {
			return false
		}
	}
	_, err := netip.ParseAddr(name)
	return err != nil
}

// read runs f on a view and names its error.
func (b *Bucket) read(ctx context.Context, op, key string, f func(*view) error) error {
	err := b.e.usable(ctx)
	if err == nil {
		v := b.e.view()
		defer v.close()
		err = f(v)
	}
	return named(op, key, err)
}

// write runs f as a mutation of the bucket.
func (b *Bucket) write(ctx context.Context, d objstore.Durability, essential bool, f func(*tx) error) error {
	return b.e.commit(ctx, d, essential, func(t *tx) error {
		root, err := t.free(b.root)
		if err != nil {
			return err
		}
		if root == nil {
			return problem(objstore.ErrNotFound, "the bucket has been deleted")
		}
		return f(t)
	})
}

// Capabilities implements [objstore.Store].
func (b *Bucket) Capabilities() objstore.Capabilities {
	all := objstore.AllConds()
	return objstore.Capabilities{
		Put: all, Delete: all, CopySource: all, CopyTarget: all, RenameSource: all, RenameTarget: all,
		UniqueVersions: true, PinnedReaders: true, OneDelete: true, RenameFile: true, RenameDir: true, HardLinks: true, Attributes: true,
		AccessTimes: true, PartialCommit: true, ServerCopy: true, Watch: true,
		CrossBucket: true, Headers: true, Multipart: true, Append: true, Tags: true, Documents: true,
		Answers: true, Feed: true,
		ObjectBytesMax: objstore.ObjectBytesMax, KeyBytesMax: objstore.KeyBytesMax,
	}
}

// Sync implements [objstore.Store].
func (b *Bucket) Sync(ctx context.Context) error { return b.e.Sync(ctx) }

// Usage implements [objstore.Namespace]. It is that of the whole store.
func (b *Bucket) Usage(context.Context) (objstore.Usage, error) {
	const objectsMax = 1 << 40
	u := objstore.Usage{ObjectsMax: objectsMax}
	var err error
	if b.e.guard == nil {
		space, serr := b.e.fs.Space(b.e.dir)
		u.BytesTotal, u.BytesFree, err = space.BytesTotal, space.BytesFree, serr
	} else {
		u.BytesTotal, u.BytesFree, err = b.e.guard.Usage()
	}
	u.Objects = b.e.objects.Load()
	if why := b.e.Refusing(); why != nil {
		u.Refusing, err = why.Error(), nil // which says why nothing is known of the disk, too
	}
	return u, named("usage", "", err)
}
