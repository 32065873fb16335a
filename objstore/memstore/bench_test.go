package memstore

import (
	"testing"

	"github.com/etagfs/etagfs/objstore"
)

// BenchmarkAppendAndCommit appends 100 bytes and commits: a step must not cost more
// the longer the file is.
func BenchmarkAppendAndCommit(b *testing.B) {
	ctx := b.Context()
	bucket := NewBucket(Options{})
	id, err := bucket.NewID(ctx)
	if err != nil {
		b.Fatal(err)
	}
	s, err := bucket.NewStage(ctx, objstore.StageSpec{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	req := objstore.CommitRequest{Target: objstore.Target{ID: id, Parent: bucket.Root(), Name: "log"}, Cond: objstore.Unconditional()}
	line := make([]byte, 100)
	for b.Loop() {
		if _, err := s.WriteAt(ctx, line, s.Size()); err != nil {
			b.Fatal(err)
		}
		if _, err := s.Commit(ctx, req); err != nil {
			b.Fatal(err)
		}
	}
}
