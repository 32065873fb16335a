package faultstore

import (
	"context"

	"github.com/etagfs/etagfs/objstore"
)

// stage wraps an [objstore.Stage]. Its operations go by the owner's path.
type stage struct {
	// Constant.
	objstore.Stage
	f    *faults
	path string
}

// NewStage implements [objstore.Namespace].
func (b *Bucket) NewStage(ctx context.Context, spec objstore.StageSpec) (objstore.Stage, error) {
	path := spec.Owner.Path
	if own, ok := spec.Base.(*reader); ok {
		spec.Base = own.Reader
	}
	if own, ok := spec.Source.(*reader); ok {
		spec.Source = own.Reader
	}
	drop := func(s objstore.Stage) { s.Close() } // its error is lost with the reply
	inner, err := call(ctx, b.f, b.op(OpNewStage, path), drop, func() (objstore.Stage, error) {
		return b.ns.NewStage(ctx, spec)
	})
	if err != nil {
		return nil, err
	}
	return &stage{inner, b.f, path}, nil
}

func (s *stage) op(kind Kind, off int64) Op {
	op := s.f.begin(kind, s.path)
	op.Offset = off
	return op
}

// ReadAt implements [objstore.Stage].
func (s *stage) ReadAt(ctx context.Context, p []byte, off int64) (int, error) {
	return call(ctx, s.f, s.op(OpStageRead, off), nil, func() (int, error) { return s.Stage.ReadAt(ctx, p, off) })
}

// WriteAt implements [objstore.Stage].
func (s *stage) WriteAt(ctx context.Context, p []byte, off int64) (int, error) {
	return call(ctx, s.f, s.op(OpStageWrite, off), nil, func() (int, error) { return s.Stage.WriteAt(ctx, p, off) })
}

// Truncate implements [objstore.Stage].
func (s *stage) Truncate(ctx context.Context, size int64) error {
	return do(ctx, s.f, s.op(OpStageTruncate, size), func() error { return s.Stage.Truncate(ctx, size) })
}

// Allocate implements [objstore.Stage].
func (s *stage) Allocate(ctx context.Context, off, length int64, mode objstore.AllocateMode) error {
	return do(ctx, s.f, s.op(OpStageAllocate, off), func() error { return s.Stage.Allocate(ctx, off, length, mode) })
}

// NextData implements [objstore.Stage].
func (s *stage) NextData(ctx context.Context, off int64) (int64, error) {
	return call(ctx, s.f, s.op(OpStageSeek, off), nil, func() (int64, error) { return s.Stage.NextData(ctx, off) })
}

// NextHole implements [objstore.Stage].
func (s *stage) NextHole(ctx context.Context, off int64) (int64, error) {
	return call(ctx, s.f, s.op(OpStageSeek, off), nil, func() (int64, error) { return s.Stage.NextHole(ctx, off) })
}

// Commit implements [objstore.Stage].
func (s *stage) Commit(ctx context.Context, req objstore.CommitRequest) (objstore.CommitResult, error) {
	return call(ctx, s.f, s.op(OpCommit, 0), nil, func() (objstore.CommitResult, error) { return s.Stage.Commit(ctx, req) })
}

// Keep implements [objstore.Stage].
func (s *stage) Keep(ctx context.Context, c objstore.Conflict) (objstore.Conflict, error) {
	return call(ctx, s.f, s.op(OpKeep, 0), nil, func() (objstore.Conflict, error) { return s.Stage.Keep(ctx, c) })
}
