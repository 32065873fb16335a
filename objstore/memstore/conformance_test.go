package memstore

import (
	"context"
	"testing"

	"github.com/etagfs/etagfs/objstore/objstoretest"
)

func openSubject(context.Context) (*objstoretest.Subject, error) {
	engine := New(Options{})
	bucket := engine.buckets[MainBucket]
	return &objstoretest.Subject{
		Store: bucket, Namespace: bucket, Buckets: engine, Check: bucket.checkInvariants,
	}, nil
}

func TestConformance(t *testing.T) {
	objstoretest.Run(t, objstoretest.Config{
		Open: openSubject, Oracle: openSubject, Sizes: []int64{chunkBytes},
	})
}
