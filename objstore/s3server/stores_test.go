package s3server_test

import (
	"testing"
	"time"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/memstore"
)

// newBuckets is the store under the server. The tests run on the embedded engine too, with another file
// in place of this one.
func newBuckets(_ *testing.T, now func() time.Time) objstore.Buckets {
	return memstore.New(memstore.Options{Clock: now})
}
