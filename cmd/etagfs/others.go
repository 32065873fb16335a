package main

import (
	"context"
	"sync/atomic"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/s3server"
)

// others are the mounts of other processes that use a store of this one.
type others struct {
	through atomic.Pointer[s3server.Server]
}

// settle returns once they have forgotten what was changed.
func (o *others) settle() {
	if server := o.through.Load(); server != nil {
		server.Settle()
	}
}

// told is a namespace whose changes are acknowledged once others have forgotten what was before.
type told struct {
	objstore.Namespace
	others *others
}

// Make implements [objstore.Namespace].
func (t told) Make(ctx context.Context, r objstore.MakeRequest) (objstore.Info, error) {
	defer t.others.settle()
	return t.Namespace.Make(ctx, r)
}

// Link implements [objstore.Namespace].
func (t told) Link(ctx context.Context, id, parent objstore.ID, name string, d objstore.Durability) (objstore.Info, error) {
	defer t.others.settle()
	return t.Namespace.Link(ctx, id, parent, name, d)
}

// Unlink implements [objstore.Namespace].
func (t told) Unlink(ctx context.Context, parent objstore.ID, name string, c objstore.Cond, d objstore.Durability) (objstore.RemoveResult, error) {
	defer t.others.settle()
	return t.Namespace.Unlink(ctx, parent, name, c, d)
}

// Rmdir implements [objstore.Namespace].
func (t told) Rmdir(ctx context.Context, parent objstore.ID, name string, d objstore.Durability) (objstore.RemoveResult, error) {
	defer t.others.settle()
	return t.Namespace.Rmdir(ctx, parent, name, d)
}

// Move implements [objstore.Namespace].
func (t told) Move(ctx context.Context, r objstore.MoveRequest) (objstore.MoveResult, error) {
	defer t.others.settle()
	return t.Namespace.Move(ctx, r)
}

// SetAttr implements [objstore.Namespace].
func (t told) SetAttr(ctx context.Context, id objstore.ID, c objstore.AttrChange, d objstore.Durability) (objstore.Info, error) {
	defer t.others.settle()
	return t.Namespace.SetAttr(ctx, id, c, d)
}

// NewStage implements [objstore.Namespace].
func (t told) NewStage(ctx context.Context, spec objstore.StageSpec) (objstore.Stage, error) {
	s, err := t.Namespace.NewStage(ctx, spec)
	if err != nil {
		return nil, err
	}
	return toldStage{s, t.others}, nil
}

type toldStage struct {
	objstore.Stage
	others *others
}

// Commit implements [objstore.Stage].
func (t toldStage) Commit(ctx context.Context, r objstore.CommitRequest) (objstore.CommitResult, error) {
	defer t.others.settle()
	return t.Stage.Commit(ctx, r)
}

// Share implements [objstore.Sharer].
func (t toldStage) Share(ctx context.Context, src objstore.Reader, from, n, to int64) (int64, error) {
	if s, ok := t.Stage.(objstore.Sharer); ok {
		return s.Share(ctx, src, from, n, to)
	}
	return 0, objstore.ErrUnsupported
}
