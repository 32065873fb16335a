package badgerstore

import (
	"bytes"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/blob"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
)

// putHooked puts a bare blob, durably, into a store whose disk has a hook from then on.
func putHooked(t *testing.T, hook disk.Hook) {
	t.Helper()
	var mu sync.RWMutex
	armed := false
	parts := testParts(t)
	parts.Disk = disk.Hooked(disk.OS{}, func(op disk.Op) error {
		mu.RLock()
		defer mu.RUnlock()
		if !armed {
			return nil
		}
		return hook(op)
	})
	e, err := Open(t.Context(), filepath.Join(testDir(t), "store"), Options{Profile: ProfileServer, Create: true}, parts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	mu.Lock()
	armed = true
	mu.Unlock()
	body := bytes.NewReader(make([]byte, blob.BareBytes+3*bodyBytes/2))
	if _, err := mainBucket(t, e).Put(t.Context(), "key", body, objstore.Unconditional(), objstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
}

// A put does not wait for the disk three times: its blob, the checksums beside it and the log are synced at the same
// time.
func TestFilesOfAPutAreSyncedAtTheSameTime(t *testing.T) {
	var sums, log sync.Once
	sumsSynced, logSynced := make(chan struct{}), make(chan struct{})
	putHooked(t, func(op disk.Op) error {
		if op.Kind != disk.OpSync {
			return nil
		}
		switch isBlob := strings.Contains(op.Name, "/"+blobsName+"/"); {
		case filepath.Ext(op.Name) == logSuffix:
			log.Do(func() { close(logSynced) })
		case isBlob && filepath.Ext(op.Name) != "":
			sums.Do(func() { close(sumsSynced) })
		case isBlob:
			await(t, "the log", logSynced)
			await(t, "the checksums", sumsSynced)
		}
		return nil
	})
}

func await(t *testing.T, what string, synced <-chan struct{}) {
	select {
	case <-synced:
	case <-time.After(time.Minute):
		t.Errorf("a blob waits to be synced before the sync of %s begins", what)
	}
}

// A body is written in whole units of checksum, of which none has to be put together.
func TestBodyIsWrittenInWholeUnits(t *testing.T) {
	var mu sync.Mutex
	var begins []int64
	putHooked(t, func(op disk.Op) error {
		if op.Kind == disk.OpWrite && strings.Contains(op.Name, "/"+stagingName+"/") && filepath.Ext(op.Name) == "" && op.Length >= blob.SumBytes {
			mu.Lock()
			defer mu.Unlock()
			begins = append(begins, op.Offset)
		}
		return nil
	})
	if len(begins) == 0 {
		t.Fatal("no write was seen")
	}
	for _, off := range begins[1:] { // the first goes on from what might have been a small object
		if off%blob.SumBytes != 0 {
			t.Errorf("a write begins at %d, which is in the middle of a unit", off)
		}
	}
}
