package fs

import (
	"context"
	"testing"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore"
)

// newStore is an empty store that ends with the test, and of which a check finds nothing then.
func newStore(t testing.TB) objstore.Namespace {
	ctx := context.Background()
	engine, err := badgerstore.Open(ctx, t.TempDir(), badgerstore.Options{Create: true}, badgerstore.Parts{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		err := engine.Check(ctx, badgerstore.CheckOptions{Payload: true}, func(f badgerstore.Finding) error {
			t.Errorf("a check of the store finds %v", f)
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		if err := engine.Close(); err != nil {
			t.Error(err)
		}
	})
	store, err := engine.Bucket(ctx, badgerstore.MainBucket)
	if err != nil {
		t.Fatal(err)
	}
	return store.(objstore.Namespace)
}
