package badgerstore

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
)

// putSome puts a few objects and returns a check that they are in a store.
func putSome(t *testing.T, e *Engine) (check func(*Engine)) {
	t.Helper()
	b := mainBucket(t, e)
	key := func(i int) objstore.Key { return objstore.Key(fmt.Sprintf("f/%d", i)) }
	for i := range 20 {
		mustPut(t, b, key(i), bodyOf(i))
	}
	return func(e *Engine) {
		t.Helper()
		b := mainBucket(t, e)
		for i := range 20 {
			if p, err := getAll(t.Context(), b, key(i)); err != nil || string(p) != string(bodyOf(i)) {
				t.Errorf("put %d: %d bytes, %v", i, len(p), err)
			}
		}
		must(t, e.checkInvariants())
	}
}

// checkStuck makes sure that err is of a Close that had to give up, and that the store is still locked.
func checkStuck(t *testing.T, dir string, err error, why string) {
	t.Helper()
	if !errors.Is(err, objstore.ErrUnavailable) || !strings.Contains(err.Error(), why) {
		t.Errorf("close: %v", err)
	}
	if _, held, err := Owner(dir); err != nil || !held {
		t.Errorf("after that the lock is held: %v, %v", held, err)
	}
}

// reopened waits until the store is released and opens it again.
func reopened(t *testing.T, dir string) *Engine {
	t.Helper()
	must(t, Released(t.Context(), dir, func(LockOwner) {}))
	return openTest(t, dir, Options{})
}

// TestCloseEndsWhereBadgerCannotFlush: (1) the directory of Badger's files is gone: Close
// returns and says so; (2) nobody else gets the store meanwhile; (3) what was acknowledged is in the
// logs: a copy of them opens and has it; (4) once the directory is back the store is released, and has it too. C8
func TestCloseEndsWhereBadgerCannotFlush(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	e, err := Open(t.Context(), dir, Options{Create: true}, testParts(t))
	must(t, err)
	check := putSome(t, e)
	withoutSyncs(e) // one would find that the directory is gone before the close does
	files, away := filepath.Join(dir, badgerName), filepath.Join(dir, "away")
	must(t, os.Rename(files, away))
	checkStuck(t, dir, e.Close(), "flushing")
	saved := filepath.Join(t.TempDir(), "saved")
	must(t, os.CopyFS(saved, os.DirFS(dir)))
	must(t, os.Rename(filepath.Join(saved, "away"), filepath.Join(saved, badgerName)))
	check(openTest(t, saved, Options{}))
	must(t, os.Rename(away, files))
	check(reopened(t, dir))
}

// TestCloseEndsOnAFullDisk: (1) somebody filled the disk: Close does not let Badger
// flush, and returns; (2) with room again it ends, and the store has all that was acknowledged. C8
func TestCloseEndsOnAFullDisk(t *testing.T) {
	full := smallDisk(t, "96m")
	dir := filepath.Join(full, "store")
	e, err := Open(t.Context(), dir, Options{Create: true}, testParts(t))
	must(t, err)
	check := putSome(t, e)
	hog := filepath.Join(full, "hog")
	fillDisk(t, hog)
	_, err = mainBucket(t, e).Put(t.Context(), "more", strings.NewReader("x"), objstore.Unconditional(), objstore.PutOptions{})
	if !errors.Is(err, objstore.ErrNoSpace) {
		t.Errorf("put: %v", err)
	}
	must(t, e.guard.Room(1)) // a delete, say: it makes the ballast go
	fillDisk(t, filepath.Join(full, "second hog"))
	checkStuck(t, dir, e.Close(), "no space")
	must(t, os.Remove(hog))
	e = reopened(t, dir)
	check(e)
	must(t, e.Close())
}

// TestCloseEndsWhileADiskHangs: it waits so long and no longer.
func TestCloseEndsWhileADiskHangs(t *testing.T) {
	hang, waits := make(chan struct{}), make(chan struct{}, 1)
	var hangs atomic.Bool
	parts := testParts(t)
	parts.closeWithin = time.Millisecond
	parts.Disk = disk.Hooked(disk.OS{}, func(op disk.Op) error {
		if op.Kind == disk.OpSync && hangs.Load() && filepath.Ext(op.Name) == logSuffix {
			select {
			case waits <- struct{}{}:
			default:
			}
			<-hang
		}
		return nil
	})
	dir := filepath.Join(t.TempDir(), "store")
	e, err := Open(t.Context(), dir, Options{Create: true}, parts)
	must(t, err)
	check := putSome(t, e)
	hangs.Store(true)
	_, err = mainBucket(t, e).Put(t.Context(), "more", strings.NewReader("x"), objstore.Unconditional(), objstore.PutOptions{Durability: objstore.Visible})
	must(t, err)
	checkStuck(t, dir, e.Close(), "too long")
	<-waits
	close(hang)
	check(reopened(t, dir))
}
