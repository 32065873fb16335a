package s3server_test

import (
	"testing"
	"time"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore"
)

// newBuckets is the store under the server: the embedded engine.
func newBuckets(t *testing.T, now func() time.Time) objstore.Buckets {
	engine, err := badgerstore.Open(t.Context(), t.TempDir(), badgerstore.Options{Create: true, Profile: badgerstore.ProfileServer}, badgerstore.Parts{Clock: now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := engine.Close(); err != nil {
			t.Error(err)
		}
	})
	return engine
}
