package fs

import (
	"testing"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/memstore"
)

// newStore is an empty store that ends with the test. It is alone in its file: integration/embedded puts
// another in its place.
func newStore(testing.TB) objstore.Namespace { return memstore.NewBucket(memstore.Options{}) }
