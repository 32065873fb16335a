package badgerstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
)

// backUp adds a backup of an open store to dir.
func backUp(t testing.TB, e *Engine, dir string) Backup {
	t.Helper()
	b, err := e.Backup(context.Background(), dir, nil)
	must(t, err)
	return b
}

// restored is the newest backup in src as a store that was checked to its last byte.
func restored(t testing.TB, src string) (dir string) {
	t.Helper()
	dir = filepath.Join(testDir(t), "restored")
	_, err := Restore(context.Background(), src, "", dir, nil, testParts(t))
	must(t, err)
	wantWhole(t, dir)
	return dir
}

// wantWhole wants nothing to be found in a store.
func wantWhole(t testing.TB, dir string) {
	t.Helper()
	e, err := Open(context.Background(), dir, Options{}, testParts(t))
	must(t, err)
	all, err := e.findings(CheckOptions{Payload: true})
	if must(t, errors.Join(err, e.Close())); len(all) > 0 {
		t.Fatalf("%d findings, the first: %v", len(all), all[0])
	}
}

// A restored store has all that the store had: objects, names, kept copies, uploads, documents, outcomes.
func TestRestoredStoreHasWhatTheStoreHad(t *testing.T) {
	dir, backups := makeVariedStore(t), filepath.Join(testDir(t), "backups")
	want := heldBy(t, dir)
	e := openTest(t, dir, Options{})
	uuid := e.UUID()
	made := backUp(t, e, backups)
	store := restored(t, backups)
	if got := heldBy(t, store); !maps.Equal(got, want) {
		t.Errorf("%d objects and copies, not %d", len(got), len(want))
	}
	again := openTest(t, store, Options{})
	if again.UUID() == uuid {
		t.Error("two stores have one UUID")
	}
	b := mainBucket(t, again)
	if answer, err := b.Answer(t.Context(), "write-1"); err != nil || answer.Err != nil {
		t.Errorf("the outcome of a write: %v, %v", answer, err)
	}
	other, err := again.bucket(t.Context(), "uploads")
	must(t, err)
	if text, err := other.Document(t.Context(), "policy"); err != nil || string(text) != "text" {
		t.Errorf("document: %q, %v", text, err)
	}
	list, err := Backups(backups, Parts{})
	must(t, err)
	if len(list) != 1 || list[0].ID != made.ID || list[0].Objects != made.Objects || list[0].Blobs != made.Blobs {
		t.Errorf("%+v is not %+v", list, made)
	}
	if _, err := VerifyBackup(t.Context(), backups, "", nil, Parts{}); err != nil {
		t.Error(err)
	}
}

// orderly writes one file after the other, over and over: the second never has a higher number than the first.
func orderly(t *testing.T, b *Bucket, n int, done <-chan struct{}, begun *sync.WaitGroup) {
	sizes := []int{100, 40 << 10}
	for i := 1; ; i++ {
		for k, name := range []string{"first", "second"} {
			body := fmt.Appendf(nil, "%d ", i)
			body = append(body, bytes.Repeat([]byte{'.'}, sizes[(i+k)%2])...)
			key := objstore.Key(fmt.Sprintf("dir%d/%s", n, name))
			_, err := b.Put(context.Background(), key, bytes.NewReader(body), objstore.Unconditional(), objstore.PutOptions{})
			if err != nil {
				t.Error(err)
				return
			}
		}
		if i == 1 {
			begun.Done()
		}
		select {
		case <-done:
			return
		default:
		}
	}
}

// A backup that is made while files are written has the state after one commit: of two files that are
// written in turn, the second is never ahead, and the first never more than one.
func TestBackupUnderLoadIsOfOneCommit(t *testing.T) {
	parts := testParts(t)
	parts.sizes = smallSizes()
	e, err := Open(t.Context(), filepath.Join(testDir(t), "store"), Options{Create: true}, parts)
	must(t, err)
	defer func() { must(t, e.Close()) }()
	backups := filepath.Join(testDir(t), "backups")
	b := mainBucket(t, e)
	const writers, rounds = 3, 4
	var working, begun sync.WaitGroup
	begun.Add(writers)
	done := make(chan struct{})
	for n := range writers {
		working.Go(func() { orderly(t, b, n, done, &begun) })
	}
	begun.Wait()
	for range rounds {
		backUp(t, e, backups)
		all := heldBy(t, restored(t, backups))
		for n := range writers {
			var first, second int
			fmt.Sscan(all[objstore.Key(fmt.Sprintf("dir%d/first", n))], &first)
			fmt.Sscan(all[objstore.Key(fmt.Sprintf("dir%d/second", n))], &second)
			if first == 0 || second == 0 || first < second || first > second+1 {
				t.Errorf("writer %d: first is %d and second %d", n, first, second)
			}
		}
	}
	close(done)
	working.Wait()
	must(t, e.checkInvariants())
}

// A second backup copies what changed and no more, also if it is one of the store that was restored from the first.
func TestSecondBackupCopiesWhatChanged(t *testing.T) {
	e := openTest(t, filepath.Join(testDir(t), "store"), Options{Create: true})
	b, backups := mainBucket(t, e), filepath.Join(testDir(t), "backups")
	const blobs, blobBytes = 20, 100 << 10
	for i := range blobs {
		mustPut(t, b, objstore.Key(fmt.Sprint("blob ", i)), bytes.Repeat([]byte{byte(i)}, blobBytes))
	}
	for i := range 2000 {
		_, err := b.Put(t.Context(), objstore.Key(fmt.Sprint("small ", i)), bytes.NewReader(make([]byte, 4000)), objstore.Unconditional(), objstore.PutOptions{Durability: objstore.Visible})
		must(t, err)
	}
	first := backUp(t, e, backups)
	if first.BlobsAdded != blobs || first.Blobs != blobs || first.BytesAdded < blobs*blobBytes+2000*4000 {
		t.Errorf("first: %+v", first)
	}
	same := backUp(t, e, backups)
	if same.BlobsAdded != 0 || same.BytesAdded > 1<<16 { // nothing changed; the end of the records is free to
		t.Errorf("nothing changed: %+v", same)
	}
	mustPut(t, b, "blob 3", bytes.Repeat([]byte("new"), blobBytes))
	mustPut(t, b, "small 7", []byte("new"))
	drain(t, e)
	second := backUp(t, e, backups)
	if second.BlobsAdded != 1 || second.Blobs != blobs || second.BytesAdded > 3*blobBytes+first.RecordBytes/2 {
		t.Errorf("one blob and one small file changed: %+v", second)
	}
	r := openTest(t, restored(t, backups), Options{})
	mustPut(t, mainBucket(t, r), "blob 4", bytes.Repeat([]byte("other"), blobBytes))
	after := backUp(t, r, backups)
	if after.BlobsAdded != 1 {
		t.Errorf("of the restored store: %+v", after)
	}
}

// Two copies of a store that went different ways have blobs of one number with different bytes: each backup has its own.
func TestBackupOfACopyOfAStoreHasItsOwnBytes(t *testing.T) {
	one := filepath.Join(testDir(t), "store")
	e, err := Open(t.Context(), one, Options{Create: true}, testParts(t))
	must(t, err)
	must(t, e.Close())
	two := filepath.Join(testDir(t), "copy")
	must(t, copyStore(one, two))
	backups := filepath.Join(testDir(t), "backups")
	for i, dir := range []string{one, two} {
		e := openTest(t, dir, Options{})
		mustPut(t, mainBucket(t, e), "blob", bytes.Repeat([]byte{byte(i)}, 100<<10))
		if b := backUp(t, e, backups); b.BlobsAdded != 1 {
			t.Errorf("%+v", b)
		}
		if got := heldBy(t, restored(t, backups))["blob"]; !bytes.Equal([]byte(got), bytes.Repeat([]byte{byte(i)}, 100<<10)) {
			t.Errorf("store %d has the bytes of the other", i)
		}
	}
}

// No version is given out by a restored store that was by the store it is of, which went on after the
// backup, nor by one that was restored from the same backup before.
func TestRestoredStoreNeverGivesOutAVersionAgain(t *testing.T) {
	e := openTest(t, filepath.Join(testDir(t), "store"), Options{Create: true})
	b, backups := mainBucket(t, e), filepath.Join(testDir(t), "backups")
	before := mustPut(t, b, "file", []byte("before"))
	backUp(t, e, backups)
	last := number(t, mustPut(t, b, "file", []byte("after")).Version)
	if last <= number(t, before.Version) {
		t.Fatal("versions do not rise")
	}
	clock := time.Now()
	for i := range 3 {
		clock = clock.Add(time.Second)
		dir := filepath.Join(testDir(t), "restored")
		parts := testParts(t)
		parts.Clock = func() time.Time { return clock }
		_, err := Restore(t.Context(), backups, "", dir, nil, parts)
		must(t, err)
		r := openTest(t, dir, Options{})
		for _, key := range []objstore.Key{"file", "other", "again"} {
			info := mustPut(t, mainBucket(t, r), key, []byte("restored"))
			if n := number(t, info.Version); n <= last {
				t.Errorf("restore %d: version %x is not after %x", i, n, last)
			} else {
				last = n
			}
		}
	}
	parts := testParts(t)
	parts.Clock = func() time.Time { return clock.Add(-time.Hour) }
	_, err := Restore(t.Context(), backups, "", filepath.Join(testDir(t), "early"), nil, parts)
	if objstore.KindOf(err) != objstore.ErrInvalid || !strings.Contains(err.Error(), "clock") {
		t.Errorf("with a clock that is late: %v", err)
	}
}

func number(t *testing.T, v objstore.Version) (n uint64) {
	t.Helper()
	if _, err := fmt.Sscanf(string(v), "%x", &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// C11: whatever bit of whatever file of a backup is flipped, it is not restored, and the file is named.
func TestDamagedBackupIsRefusedAndTheFileNamed(t *testing.T) {
	e := openTest(t, makeVariedStore(t), Options{})
	backups := filepath.Join(testDir(t), "backups")
	backUp(t, e, backups)
	random := rand.New(rand.NewPCG(testSeed(t), 0))
	files := filesIn(t, backups)
	for _, path := range files {
		p, err := os.ReadFile(path)
		must(t, err)
		off := random.IntN(len(p))
		damagedBytes := bytes.Clone(p)
		damagedBytes[off] ^= 1 << random.IntN(8)
		cut := p[:random.IntN(len(p))]
		for _, bad := range [][]byte{damagedBytes, cut, nil} {
			must(t, os.WriteFile(path, bad, 0o600))
			dir := filepath.Join(testDir(t), "restored")
			_, err = Restore(t.Context(), backups, "", dir, nil, testParts(t))
			if kind := objstore.KindOf(err); kind != objstore.ErrCorrupt && kind != objstore.ErrNewerFormat {
				t.Fatalf("%s at %d of %d: %v", path, off, len(p), err)
			}
			if !strings.Contains(err.Error(), filepath.Base(path)) && objstore.KindOf(err) != objstore.ErrNewerFormat {
				t.Errorf("%s is not named: %v", path, err)
			}
			if _, err := VerifyBackup(t.Context(), backups, "", nil, Parts{}); err == nil {
				t.Errorf("%s at %d of %d: it is not found", path, off, len(p))
			}
			if _, err := os.Stat(dir); err == nil {
				refused(t, dir, Options{Create: true}, objstore.ErrInvalid)
			}
		}
		must(t, os.WriteFile(path, p, 0o600))
	}
	must(t, os.Remove(files[len(files)-1]))
	_, err := Restore(t.Context(), backups, "", filepath.Join(testDir(t), "restored"), nil, testParts(t))
	wantCorrupt(t, err)
}

// A damaged store is not backed up as if it were whole, and the backups before stay.
func TestBackupOfADamagedStoreIsRefused(t *testing.T) {
	e := openTest(t, filepath.Join(testDir(t), "store"), Options{Create: true})
	b, backups := mainBucket(t, e), filepath.Join(testDir(t), "backups")
	mustPut(t, b, "kept", bytes.Repeat([]byte("kept"), 20<<10))
	backUp(t, e, backups)
	info := mustPut(t, b, "blob", bytes.Repeat([]byte("blob"), 20<<10))
	ref := blobRef{ID: number(t, info.Version)}
	must(t, e.blobs.Orphans(0, func(r blobRef) error { ref = r; return nil })) // the last
	flip(t, e.blobs.Path(ref), 1000)
	_, err := e.Backup(t.Context(), backups, nil)
	wantCorrupt(t, err)
	if got := heldBy(t, restored(t, backups)); len(got) != 1 {
		t.Errorf("%d objects", len(got))
	}
}

// A process dies before any one of its operations on the disk while it makes a backup: what can be restored then is the backup before, or
// the one that was made, and the next backup goes through.
func TestBackupThatDiesLeavesTheOneBefore(t *testing.T) {
	backups := filepath.Join(testDir(t), "backups")
	var copies []string
	var armed atomic.Bool
	parts := testParts(t)
	parts.sizes = smallSizes()
	parts.Disk = disk.Hooked(disk.OS{}, func(op disk.Op) error {
		if armed.Load() && strings.HasPrefix(op.Name, backups) {
			to := fmt.Sprintf("%s-%d", backups, len(copies))
			copies = append(copies, to)
			return copyStore(backups, to)
		}
		return nil
	})
	e, err := Open(t.Context(), filepath.Join(testDir(t), "store"), Options{Create: true}, parts)
	must(t, err)
	defer func() { must(t, e.Close()) }()
	b := mainBucket(t, e)
	mustPut(t, b, "blob", bytes.Repeat([]byte("old"), 20<<10))
	backUp(t, e, backups)
	mustPut(t, b, "blob", bytes.Repeat([]byte("new"), 20<<10))
	mustPut(t, b, "other", bytes.Repeat([]byte("two"), 20<<10))
	armed.Store(true)
	backUp(t, e, backups)
	armed.Store(false)
	for i, dir := range copies {
		ids, err := Backups(dir, Parts{})
		must(t, err)
		all := heldBy(t, restored(t, dir))
		if want := map[int]string{1: "old", 2: "new"}[len(ids)]; !strings.HasPrefix(all["blob"], want) || len(all) != len(ids) {
			t.Errorf("crash %d: %d backups, and %d objects", i, len(ids), len(all))
		}
		backUp(t, e, dir)
		if all := heldBy(t, restored(t, dir)); len(all) != 2 {
			t.Errorf("after crash %d: %d objects", i, len(all))
		}
	}
	if t.Logf("%d crashes", len(copies)); len(copies) < 20 {
		t.Error("this shows nothing")
	}
}

// A restore dies before any one of its operations on the disk: there is no store then, or all of it, and it can be begun again.
func TestRestoreThatDiesLeavesNoHalfStore(t *testing.T) {
	e := openTest(t, filepath.Join(testDir(t), "store"), Options{Create: true})
	b, backups := mainBucket(t, e), filepath.Join(testDir(t), "backups")
	mustPut(t, b, "small", []byte("small"))
	mustPut(t, b, "bare", bytes.Repeat([]byte("bare"), 1<<20))
	backUp(t, e, backups)
	errDied := errors.New("died")
	for n, whole := 0, false; !whole; n++ {
		dir := filepath.Join(testDir(t), "restored")
		var left atomic.Int64 // operations; some are made at the same time
		left.Store(int64(n))
		parts := testParts(t)
		parts.Disk = disk.Hooked(disk.OS{}, func(disk.Op) error {
			if left.Add(-1) < 0 {
				return errDied
			}
			return nil
		})
		_, err := Restore(t.Context(), backups, "", dir, nil, parts)
		whole = err == nil
		if err != nil && !errors.Is(err, errDied) {
			t.Fatalf("after %d operations: %v", n, err)
		}
		if _, err := os.Stat(filepath.Join(dir, formatName)); err != nil {
			if _, err := Restore(t.Context(), backups, "", dir, nil, testParts(t)); err != nil {
				t.Fatalf("again, after %d operations: %v", n, err)
			}
		}
		if all := heldBy(t, dir); len(all) != 2 {
			t.Errorf("after %d operations: %d objects", n, len(all))
		}
		if whole && n < 20 {
			t.Error("this shows nothing")
		}
	}
}

// Who gives up in the middle leaves what a crash does.
func TestCancelledBackupAndRestoreLeaveNothing(t *testing.T) {
	e := openTest(t, makeVariedStore(t), Options{})
	backups := filepath.Join(testDir(t), "backups")
	for _, at := range []int{1, 5, 20, 40} {
		ctx, cancel := context.WithCancel(t.Context())
		n := 0
		_, err := e.Backup(ctx, backups, func(done, total int64) {
			if n++; n == at {
				cancel()
			}
			if done > total {
				t.Errorf("%d of %d", done, total)
			}
		})
		if cancel(); !errors.Is(err, context.Canceled) {
			t.Errorf("after %d: %v", at, err)
		}
		if _, err := Restore(t.Context(), backups, "", filepath.Join(testDir(t), "none"), nil, testParts(t)); objstore.KindOf(err) != objstore.ErrNotFound {
			t.Errorf("after %d: %v", at, err)
		}
	}
	backUp(t, e, backups)
	ctx, cancel := context.WithCancel(t.Context())
	dir := filepath.Join(testDir(t), "restored")
	_, err := Restore(ctx, backups, "", dir, func(int64, int64) { cancel() }, testParts(t))
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	refused(t, dir, Options{Create: true}, objstore.ErrInvalid)
}

// Directories that are something else are left alone.
func TestBackupAndRestoreRefuseOtherDirectories(t *testing.T) {
	base := testDir(t)
	store, backups := filepath.Join(base, "store"), filepath.Join(base, "backups")
	e := openTest(t, store, Options{Create: true})
	backUp(t, e, backups)
	full := filepath.Join(base, "full")
	must(t, os.Mkdir(full, 0o700))
	must(t, os.WriteFile(filepath.Join(full, "mine"), []byte("mine"), 0o600))
	for _, dir := range []string{full, store, filepath.Join(store, "backups"), base} {
		if _, err := e.Backup(t.Context(), dir, nil); objstore.KindOf(err) != objstore.ErrInvalid {
			t.Errorf("backup to %s: %v", dir, err)
		}
	}
	for _, dir := range []string{full, store, backups, filepath.Join(backups, "store")} {
		if _, err := Restore(t.Context(), backups, "", dir, nil, testParts(t)); objstore.KindOf(err) != objstore.ErrInvalid {
			t.Errorf("restore to %s: %v", dir, err)
		}
	}
	_, err := Restore(t.Context(), full, "", filepath.Join(base, "new"), nil, testParts(t))
	if objstore.KindOf(err) != objstore.ErrNotFound {
		t.Errorf("of no backups: %v", err)
	}
	_, err = Restore(t.Context(), backups, "20000101T000000.000Z", filepath.Join(base, "new"), nil, testParts(t))
	if objstore.KindOf(err) != objstore.ErrNotFound {
		t.Errorf("of no such backup: %v", err)
	}
}
