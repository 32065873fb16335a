package faultstore

import (
	"context"
	"io"

	"github.com/etagfs/etagfs/objstore"
)

// Store wraps an [objstore.Store].
type Store struct {
	// Constant.
	f     *faults
	inner objstore.Store
}

var (
	_ objstore.Store     = (*Store)(nil)
	_ objstore.Store     = (*Bucket)(nil)
	_ objstore.Namespace = (*Bucket)(nil)
)

// New wraps a flat store.
func New(inner objstore.Store, injector Injector) *Store {
	return &Store{&faults{injector: injector}, inner}
}

// Ops is the number of operations so far: a test that lets each fail in turn
// counts them first.
func (s *Store) Ops() int64 { return s.f.count.Load() }

// Get implements [objstore.Store].
func (s *Store) Get(ctx context.Context, key objstore.Key, cond objstore.Cond) (objstore.Reader, error) {
	return s.f.open(ctx, s.f.begin(OpGet, string(key)), func() (objstore.Reader, error) {
		return s.inner.Get(ctx, key, cond)
	})
}

// Head implements [objstore.Store].
func (s *Store) Head(ctx context.Context, key objstore.Key) (objstore.Info, error) {
	return call(ctx, s.f, s.f.begin(OpHead, string(key)), nil, func() (objstore.Info, error) {
		return s.inner.Head(ctx, key)
	})
}

// Put implements [objstore.Store].
func (s *Store) Put(ctx context.Context, key objstore.Key, body io.Reader, cond objstore.Cond, opt objstore.PutOptions) (objstore.Info, error) {
	op := s.f.begin(OpPut, string(key))
	return call(ctx, s.f, op, nil, func() (objstore.Info, error) {
		return s.inner.Put(ctx, key, s.f.torn(ctx, op, body), cond, opt)
	})
}

// Delete implements [objstore.Store].
func (s *Store) Delete(ctx context.Context, key objstore.Key, cond objstore.Cond, opt objstore.DeleteOptions) error {
	return do(ctx, s.f, s.f.begin(OpDelete, string(key)), func() error {
		return s.inner.Delete(ctx, key, cond, opt)
	})
}

// Copy implements [objstore.Store]. The key of the operation is the target's.
func (s *Store) Copy(ctx context.Context, req objstore.CopyRequest) (objstore.Info, error) {
	return call(ctx, s.f, s.f.begin(OpCopy, string(req.Dst)), nil, func() (objstore.Info, error) {
		return s.inner.Copy(ctx, req)
	})
}

// Rename implements [objstore.Store]. The key of the operation is the source's.
func (s *Store) Rename(ctx context.Context, req objstore.RenameRequest) (objstore.Info, error) {
	return call(ctx, s.f, s.f.begin(OpRename, string(req.Src)), nil, func() (objstore.Info, error) {
		return s.inner.Rename(ctx, req)
	})
}

// List implements [objstore.Store].
func (s *Store) List(ctx context.Context, opt objstore.ListOptions) (objstore.ListPage, error) {
	return call(ctx, s.f, s.f.begin(OpList, string(opt.Prefix)), nil, func() (objstore.ListPage, error) {
		return s.inner.List(ctx, opt)
	})
}

// Capabilities implements [objstore.Store].
func (s *Store) Capabilities() objstore.Capabilities { return s.inner.Capabilities() }

// Sync implements [objstore.Store].
func (s *Store) Sync(ctx context.Context) error {
	return do(ctx, s.f, s.f.begin(OpSync, ""), func() error { return s.inner.Sync(ctx) })
}
