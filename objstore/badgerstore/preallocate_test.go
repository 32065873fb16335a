package badgerstore

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/dgraph-io/badger/v4"
	"golang.org/x/sys/unix"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
)

// writtenBytes is how far a log has been written: up to its last byte that is not zero.
func writtenBytes(t *testing.T, name string) int64 {
	t.Helper()
	p, err := os.ReadFile(name)
	must(t, err)
	return int64(len(bytes.TrimRight(p, "\x00")))
}

// TestLogsHaveBlocksBeforeTheyAreWritten: (1) wherever Badger has written, blocks had been
// allocated before; (2) what was counted is never less than what was written; (3) the log it
// goes on to has blocks and no length, and when it has gone on that is noticed; (4) all this across rotations and a reopen; (5) a closed store has no spare.
// Badger goes on to a log that is there: if a new version of it does not, this fails. C8
func TestLogsHaveBlocksBeforeTheyAreWritten(t *testing.T) {
	const checksumBytes = 4 // an entry ends with one, which may have zeros
	dir := filepath.Join(t.TempDir(), "store")
	parts := testParts(t)
	parts.sizes = smallSizes()
	for range 2 {
		e, err := Open(t.Context(), dir, Options{Create: true}, parts)
		must(t, err)
		b := mainBucket(t, e)
		first := e.logBlocks.active.number
		for i := range 400 {
			must(t, step{kind: "put", key: "k", body: bodyOf(5*i + 2)}.run(t.Context(), b, 1))
			blocks := e.logBlocks
			end := writtenBytes(t, blocks.path(blocks.active.number))
			if end > blocks.active.used || end > blocks.active.allocated {
				t.Fatalf("put %d: log written to %d, counted %d, allocated %d", i, end, blocks.active.used, blocks.active.allocated)
			}
			if next := blocks.active.next; blocks.active.isSought && blocks.active.mapping.IsZero() || end > next || end < next-checksumBytes {
				t.Fatalf("put %d: log written to %d, the next pages asked for are those of %d", i, end, next)
			}
			checkBlocks(t, blocks.active)
			if blocks.spare.file != nil {
				checkBlocks(t, blocks.spare)
				if end := writtenBytes(t, blocks.path(blocks.spare.number)); end > 0 {
					t.Fatalf("put %d: Badger went on to log %d, and nobody noticed", i, blocks.spare.number)
				}
			}
		}
		if rotations := e.logBlocks.active.number - first; rotations < 2 {
			t.Errorf("%d rotations: this shows nothing", rotations)
		}
		must(t, e.Close())
		names, err := disk.OS{}.ReadDir(filepath.Join(dir, badgerName))
		must(t, err)
		if logs := logNumbers(names); len(logs) > 0 {
			t.Errorf("closed with logs %v", logs)
		}
	}
}

func checkBlocks(t *testing.T, l blockedLog) {
	t.Helper()
	info, err := l.file.Stat()
	must(t, err)
	if info.BytesAllocated < l.allocated || l.allocated < l.used {
		t.Fatalf("log %d: %d used, %d allocated, the file has %d", l.number, l.used, l.allocated, info.BytesAllocated)
	}
}

// TestCommitWithoutBlocksIsRefused: (1) where a log finds no blocks the mutation is ErrNoSpace; (2) it is not applied,
// and those beside it in the batch are not lost either; (3) with room again the store goes on. C8
func TestCommitWithoutBlocksIsRefused(t *testing.T) {
	var full atomic.Bool
	parts := testParts(t)
	parts.sizes = smallSizes()
	parts.Disk = disk.Hooked(disk.OS{}, func(op disk.Op) error {
		if full.Load() && op.Kind == disk.OpAllocate && filepath.Ext(op.Name) == logSuffix {
			return &os.PathError{Op: "allocate", Path: op.Name, Err: unix.ENOSPC}
		}
		return nil
	})
	e, err := Open(t.Context(), filepath.Join(t.TempDir(), "store"), Options{Create: true}, parts)
	must(t, err)
	b := mainBucket(t, e)
	full.Store(true)
	refused := -1
	var want []byte
	for i := range 400 {
		body := bytes.Repeat([]byte{byte(i)}, 8<<10)
		_, err := b.Put(t.Context(), "k", bytes.NewReader(body), objstore.Unconditional(), objstore.PutOptions{})
		if err != nil {
			if !errors.Is(err, objstore.ErrNoSpace) {
				t.Fatalf("put %d: %v", i, err)
			}
			refused = i
			break
		}
		want = body
	}
	if refused < 1 {
		t.Fatalf("refused: put %d", refused)
	}
	if got, err := getAll(t.Context(), b, "k"); err != nil || !bytes.Equal(got, want) {
		t.Errorf("after a refusal: %d bytes, %v", len(got), err)
	}
	full.Store(false)
	must(t, step{kind: "put", key: "k", body: bodyOf(7)}.run(t.Context(), b, 1))
	must(t, errors.Join(e.checkInvariants(), e.Close()))
}

// TestStoreWorksWhereBlocksCannotBeAllocated: it then has the space that is left to rely on.
func TestStoreWorksWhereBlocksCannotBeAllocated(t *testing.T) {
	parts := testParts(t)
	parts.sizes = smallSizes()
	parts.Disk = disk.Hooked(disk.OS{}, func(op disk.Op) error {
		if op.Kind == disk.OpAllocate {
			return &os.PathError{Op: "allocate", Path: op.Name, Err: unix.EOPNOTSUPP}
		}
		return nil
	})
	e, err := Open(t.Context(), filepath.Join(t.TempDir(), "store"), Options{Create: true}, parts)
	must(t, err)
	b := mainBucket(t, e)
	for i := range 300 {
		must(t, step{kind: "put", key: "k", body: bodyOf(5*i + 2)}.run(t.Context(), b, 1))
	}
	must(t, e.Close())
}

// TestCompactionsAskForRoom: before a compaction makes a table the logger is asked, which knows by what
// Badger says then. If a new version of it says something else, this fails. C8
func TestCompactionsAskForRoom(t *testing.T) {
	asked := make(chan struct{}, 1)
	logger := &badgerLogger{log: slog.New(slog.DiscardHandler), beforeTable: func() {
		select {
		case asked <- struct{}{}:
		default:
		}
	}}
	db, err := badger.OpenManaged(badgerOptions(t.TempDir(), *smallSizes(), false, logger))
	must(t, err)
	for ts := uint64(1); len(asked) == 0; ts++ {
		txn := db.NewTransactionAt(ts, true)
		must(t, txn.Set([]byte("k"), make([]byte, 4<<10)))
		must(t, txn.CommitAt(ts, nil))
		if ts == 20_000 {
			t.Fatal("no compaction asked")
		}
	}
	must(t, db.Close())
}

// TestSpareIsNoLogYet: what the syncer takes for the newest log is the one Badger writes to. C8
func TestSpareIsNoLogYet(t *testing.T) {
	l := newLogDir(t)
	l.make(t, "00001.mem")
	must(t, os.WriteFile(filepath.Join(l.dir, "00002.mem"), nil, 0o600))
	if got := l.round(t); got != "00001.mem directory" {
		t.Errorf("with a spare: synced %q", got)
	}
	l.make(t, "00002.mem") // Badger goes on to it, after more was written to the first
	if got := l.round(t); got != "00001.mem 00002.mem" {
		t.Errorf("after the spare was taken: synced %q", got)
	}
	if len(l.logs.open) != 1 || l.logs.open[2] == nil {
		t.Errorf("open logs: %v", l.logs.open)
	}
}

// TestStoreThatWasNotClosedIsNotTakenForDamaged: with the spare a process leaves behind it opens for writing, and
// is told apart from a damaged one when it is opened for reading only. C8
func TestStoreThatWasNotClosedIsNotTakenForDamaged(t *testing.T) {
	dir := filepath.Join(testDir(t), "store")
	e := openTest(t, dir, Options{Create: true})
	mustPut(t, mainBucket(t, e), "k", []byte("x"))
	if e.logBlocks.spare.file == nil {
		t.Fatal("no spare: this shows nothing")
	}
	left := dir + "+"
	must(t, copyStore(dir, left))
	if _, err := Open(t.Context(), left, Options{ReadOnly: true}, testParts(t)); !errors.Is(err, objstore.ErrUnavailable) {
		t.Errorf("opened for reading: %v", err)
	}
	if p, err := getAll(t.Context(), mainBucket(t, openTest(t, left, Options{})), "k"); err != nil || string(p) != "x" {
		t.Errorf("opened for writing: %q, %v", p, err)
	}
}

// TestZerosGoAheadOfALogThatIsSynced: (1) while syncs are asked for, what the log takes next was written; (2) nothing that Badger
// wrote is overwritten by it: the store has all after a kill; (3) who asks for no sync pays nothing for it.
func TestZerosGoAheadOfALogThatIsSynced(t *testing.T) {
	var writes atomic.Int64
	parts := testParts(t)
	parts.sizes = smallSizes()
	parts.Disk = disk.Hooked(disk.OS{}, func(op disk.Op) error {
		if op.Kind == disk.OpWrite && filepath.Ext(op.Name) == logSuffix {
			writes.Add(1)
		}
		return nil
	})
	dir := filepath.Join(t.TempDir(), "store")
	e, err := Open(t.Context(), dir, Options{Create: true}, parts)
	must(t, err)
	b := mainBucket(t, e)
	put := func(key objstore.Key, body []byte, d objstore.Durability) {
		_, err := b.Put(t.Context(), key, bytes.NewReader(body), objstore.Unconditional(), objstore.PutOptions{Durability: d})
		must(t, err)
	}
	put("k", bodyOf(0), objstore.Visible) // after it nobody has asked since
	writes.Store(0)
	for i := range 20 {
		put("k", bodyOf(i), objstore.Visible)
	}
	if n := writes.Load(); n > 0 {
		t.Errorf("%d writes although nobody asked for a sync", n)
	}
	want := map[objstore.Key][]byte{}
	for i := range 100 {
		key, body := objstore.Key(strconv.Itoa(i)), bytes.Repeat([]byte{byte(i + 1)}, 300*i)
		put(key, body, objstore.Durable)
		want[key] = body
		must(t, e.commit(t.Context(), objstore.Visible, false, func(*tx) error { // as the leader
			if log := e.logBlocks.active; log.zeroed > 0 && log.zeroed < log.used {
				t.Errorf("put %d: the log is used to %d, and written ahead to %d", i, log.used, log.zeroed)
			}
			return nil
		}))
	}
	if writes.Load() == 0 {
		t.Error("nothing was written ahead")
	}
	again := filepath.Join(t.TempDir(), "again")
	must(t, copyStore(dir, again)) // as a kill leaves it
	must(t, e.Close())
	e, err = Open(t.Context(), again, Options{}, testParts(t))
	must(t, err)
	for key, body := range want {
		if got, err := getAll(t.Context(), mainBucket(t, e), key); err != nil || !bytes.Equal(got, body) {
			t.Errorf("%s: %d bytes of %d, %v", key, len(got), len(body), err)
		}
	}
	must(t, errors.Join(e.checkInvariants(), e.Close()))
}
