package faultstore

import (
	"context"
	"strconv"

	"github.com/etagfs/etagfs/objstore"
)

// Bucket wraps a bucket that is a [objstore.Store] and an [objstore.Namespace].
type Bucket struct {
	*Store
	ns objstore.Namespace // constant
}

// NewBucket wraps a store and the namespace over the same objects.
func NewBucket(store objstore.Store, ns objstore.Namespace, injector Injector) *Bucket {
	return &Bucket{New(store, injector), ns}
}

func (b *Bucket) op(kind Kind, name string) Op { return b.f.begin(kind, name) }

func (b *Bucket) opOn(kind Kind, id objstore.ID) Op {
	return b.f.begin(kind, strconv.FormatUint(uint64(id), 10))
}

// Root implements [objstore.Namespace].
func (b *Bucket) Root() objstore.ID { return b.ns.Root() }

// NewID implements [objstore.Namespace].
func (b *Bucket) NewID(ctx context.Context) (objstore.ID, error) {
	return call(ctx, b.f, b.op(OpNewID, ""), nil, func() (objstore.ID, error) { return b.ns.NewID(ctx) })
}

// Lookup implements [objstore.Namespace].
func (b *Bucket) Lookup(ctx context.Context, parent objstore.ID, name string) (objstore.Info, error) {
	return call(ctx, b.f, b.op(OpLookup, name), nil, func() (objstore.Info, error) {
		return b.ns.Lookup(ctx, parent, name)
	})
}

// Stat implements [objstore.Namespace].
func (b *Bucket) Stat(ctx context.Context, id objstore.ID) (objstore.Info, error) {
	return call(ctx, b.f, b.opOn(OpStat, id), nil, func() (objstore.Info, error) { return b.ns.Stat(ctx, id) })
}

// Parent implements [objstore.Namespace].
func (b *Bucket) Parent(ctx context.Context, id objstore.ID) (objstore.ID, error) {
	return call(ctx, b.f, b.opOn(OpParent, id), nil, func() (objstore.ID, error) { return b.ns.Parent(ctx, id) })
}

// Path implements [objstore.Namespace].
func (b *Bucket) Path(ctx context.Context, id objstore.ID) (string, error) {
	return call(ctx, b.f, b.opOn(OpPath, id), nil, func() (string, error) { return b.ns.Path(ctx, id) })
}

// ReadDir implements [objstore.Namespace].
func (b *Bucket) ReadDir(ctx context.Context, dir objstore.ID, after string, max int) ([]objstore.DirEntry, bool, error) {
	var more bool
	entries, err := call(ctx, b.f, b.opOn(OpReadDir, dir), nil, func() (entries []objstore.DirEntry, err error) {
		entries, more, err = b.ns.ReadDir(ctx, dir, after, max)
		return entries, err
	})
	return entries, more && err == nil, err
}

// Readlink implements [objstore.Namespace].
func (b *Bucket) Readlink(ctx context.Context, id objstore.ID) (string, error) {
	return call(ctx, b.f, b.opOn(OpReadlink, id), nil, func() (string, error) { return b.ns.Readlink(ctx, id) })
}

// Open implements [objstore.Namespace].
func (b *Bucket) Open(ctx context.Context, id objstore.ID, want objstore.Version) (objstore.Reader, error) {
	return b.f.open(ctx, b.opOn(OpOpen, id), func() (objstore.Reader, error) { return b.ns.Open(ctx, id, want) })
}

// Make implements [objstore.Namespace].
func (b *Bucket) Make(ctx context.Context, req objstore.MakeRequest) (objstore.Info, error) {
	return call(ctx, b.f, b.op(OpMake, req.Name), nil, func() (objstore.Info, error) { return b.ns.Make(ctx, req) })
}

// Link implements [objstore.Namespace].
func (b *Bucket) Link(ctx context.Context, id, parent objstore.ID, name string, d objstore.Durability) (objstore.Info, error) {
	return call(ctx, b.f, b.op(OpLink, name), nil, func() (objstore.Info, error) {
		return b.ns.Link(ctx, id, parent, name, d)
	})
}

// Unlink implements [objstore.Namespace].
func (b *Bucket) Unlink(ctx context.Context, parent objstore.ID, name string, cond objstore.Cond, d objstore.Durability) (objstore.RemoveResult, error) {
	return call(ctx, b.f, b.op(OpUnlink, name), nil, func() (objstore.RemoveResult, error) {
		return b.ns.Unlink(ctx, parent, name, cond, d)
	})
}

// Rmdir implements [objstore.Namespace].
func (b *Bucket) Rmdir(ctx context.Context, parent objstore.ID, name string, d objstore.Durability) (objstore.RemoveResult, error) {
	return call(ctx, b.f, b.op(OpRmdir, name), nil, func() (objstore.RemoveResult, error) {
		return b.ns.Rmdir(ctx, parent, name, d)
	})
}

// Move implements [objstore.Namespace].
func (b *Bucket) Move(ctx context.Context, req objstore.MoveRequest) (objstore.MoveResult, error) {
	return call(ctx, b.f, b.op(OpMove, req.Name), nil, func() (objstore.MoveResult, error) { return b.ns.Move(ctx, req) })
}

// SetAttr implements [objstore.Namespace].
func (b *Bucket) SetAttr(ctx context.Context, id objstore.ID, change objstore.AttrChange, d objstore.Durability) (objstore.Info, error) {
	return call(ctx, b.f, b.opOn(OpSetAttr, id), nil, func() (objstore.Info, error) {
		return b.ns.SetAttr(ctx, id, change, d)
	})
}

// Watch implements [objstore.Namespace].
func (b *Bucket) Watch(f func(objstore.Change)) (stop func()) { return b.ns.Watch(f) }

// Usage implements [objstore.Namespace].
func (b *Bucket) Usage(ctx context.Context) (objstore.Usage, error) {
	return call(ctx, b.f, b.op(OpUsage, ""), nil, func() (objstore.Usage, error) { return b.ns.Usage(ctx) })
}

// ListConflicts implements [objstore.Conflicts].
func (b *Bucket) ListConflicts(ctx context.Context) ([]objstore.Conflict, error) {
	return call(ctx, b.f, b.op(OpListConflicts, ""), nil, func() ([]objstore.Conflict, error) {
		return b.ns.ListConflicts(ctx)
	})
}

// Conflict implements [objstore.Conflicts].
func (b *Bucket) Conflict(ctx context.Context, id objstore.ConflictID) (objstore.Conflict, error) {
	return call(ctx, b.f, b.op(OpConflict, string(id)), nil, func() (objstore.Conflict, error) {
		return b.ns.Conflict(ctx, id)
	})
}

// OpenConflict implements [objstore.Conflicts].
func (b *Bucket) OpenConflict(ctx context.Context, id objstore.ConflictID, side objstore.ConflictSide) (objstore.Reader, error) {
	return b.f.open(ctx, b.op(OpOpenConflict, string(id)), func() (objstore.Reader, error) {
		return b.ns.OpenConflict(ctx, id, side)
	})
}

// DropConflict implements [objstore.Conflicts].
func (b *Bucket) DropConflict(ctx context.Context, id objstore.ConflictID) error {
	return do(ctx, b.f, b.op(OpDropConflict, string(id)), func() error { return b.ns.DropConflict(ctx, id) })
}
