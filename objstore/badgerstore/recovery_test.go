package badgerstore

import (
	"bytes"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
)

// C8: what a killed process left in the page cache is synced before the durable mark covers it.
func TestRecoverySyncsBlobsBeforeTheMarkCoversThem(t *testing.T) {
	dir, crashed := filepath.Join(testDir(t), "store"), filepath.Join(t.TempDir(), "crashed")
	resume := make(chan struct{})
	parts := testParts(t)
	parts.Disk = disk.Hooked(disk.OS{}, func(op disk.Op) error {
		if op.Kind == disk.OpSync && strings.Contains(op.Name, "/"+blobsName+"/") {
			<-resume // nothing is durable before the crash
		}
		return nil
	})
	e, err := Open(t.Context(), dir, Options{Create: true}, parts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		close(resume)
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	body := bytes.NewReader(make([]byte, 64<<10))
	opt := objstore.PutOptions{Durability: objstore.Visible}
	if _, err := mainBucket(t, e).Put(t.Context(), "f", body, objstore.Unconditional(), opt); err != nil {
		t.Fatal(err)
	}
	if err := copyStore(dir, crashed); err != nil {
		t.Fatal(err)
	}

	var mu sync.Mutex
	var synced []string
	parts = testParts(t)
	parts.Disk = disk.Hooked(disk.OS{}, func(op disk.Op) error {
		if op.Kind == disk.OpSync || op.Kind == disk.OpSyncDir {
			mu.Lock()
			defer mu.Unlock()
			synced = append(synced, strings.TrimPrefix(op.Name, crashed+"/"))
		}
		return nil
	})
	after, err := Open(t.Context(), crashed, Options{}, parts)
	if err != nil {
		t.Fatal(err)
	}
	defer after.Close()
	if mark, last := after.marks.Get().Durable, e.published.Load(); mark < last {
		t.Fatalf("the mark is at %d, the put at %d", mark, last)
	}
	blobs, err := filepath.Glob(filepath.Join(crashed, blobsName, "*", "*"))
	if err != nil || len(blobs) != 1 {
		t.Fatalf("blobs %q, %v", blobs, err)
	}
	mu.Lock()
	defer mu.Unlock()
	name := strings.TrimPrefix(blobs[0], crashed+"/")
	for _, want := range []string{name, filepath.Dir(name), blobsName} {
		if !slices.Contains(synced, want) {
			t.Errorf("%s was not synced, only %q", want, synced)
		}
	}
}
