package fs

import (
	"context"
	"flag"
	"os"
	"os/exec"
	"testing"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore"
	"github.com/etagfs/etagfs/objstore/memstore"
)

var storeFlag = flag.String("store", "memstore", "the store the tests run on: memstore or badgerstore")

// newStore is an empty store that ends with the test.
func newStore(t testing.TB) objstore.Namespace {
	if *storeFlag == "memstore" {
		return memstore.NewBucket(memstore.Options{})
	}
	ctx := context.Background()
	engine, err := badgerstore.Open(ctx, t.TempDir(), badgerstore.Options{Create: true}, badgerstore.Parts{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
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

// TestOnBadgerstore runs every test of this package on the embedded engine.
func TestOnBadgerstore(t *testing.T) {
	if *storeFlag != "memstore" {
		t.Skip("this is that run")
	}
	if testing.Short() {
		t.Skip("the engine takes a while: without -short")
	}
	cmd := exec.Command(os.Args[0], "-test.timeout=5m", "-store=badgerstore", "-model.rounds=10")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
