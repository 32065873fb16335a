package badgerstore

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
)

// logDir is a directory like Badger's, and what is synced in it.
type logDir struct {
	dir    string
	logs   *badgerLogs
	synced []string // base names, of files and of the directory, since they were last asked for

	published uint64 // commit
	steps     uint64 // logs made or begun
}

func newLogDir(t *testing.T) *logDir {
	l := &logDir{dir: t.TempDir()}
	l.logs = newBadgerLogs(disk.Hooked(disk.OS{}, func(op disk.Op) error {
		if op.Kind == disk.OpSync || op.Kind == disk.OpSyncDir {
			l.synced = append(l.synced, filepath.Base(op.Name))
		}
		return nil
	}), l.dir, 1, 0, func() uint64 { return l.steps })
	t.Cleanup(func() {
		if err := l.logs.close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func (l *logDir) make(t *testing.T, names ...string) {
	for _, name := range names {
		if err := os.WriteFile(filepath.Join(l.dir, name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// round syncs and returns what was synced.
func (l *logDir) round(t *testing.T) string {
	l.synced = nil
	if err := l.logs.sync(l.published); err != nil {
		t.Fatal(err)
	}
	for i, name := range l.synced {
		if name == filepath.Base(l.dir) {
			l.synced[i] = "directory"
		}
	}
	slices.Sort(l.synced)
	return strings.Join(l.synced, " ")
}

// TestSyncCoversEveryLogWrittenSinceTheLast: (1) the current log is synced in every round; (2) so is
// every one Badger went on from since the last round; (3) the directory is, whenever a name
// came or went; (4) a log that was flushed and removed is no error. C8
func TestSyncCoversEveryLogWrittenSinceTheLast(t *testing.T) {
	l := newLogDir(t)
	l.make(t, "00001.mem", "MANIFEST")
	expect := func(what, want string) {
		t.Helper()
		if got := l.round(t); got != want {
			t.Errorf("%s: synced %q instead of %q", what, got, want)
		}
	}
	expect("first round", "00001.mem directory")
	expect("nothing new", "00001.mem")
	l.make(t, "00002.mem", "00003.mem")
	expect("two rotations", "00001.mem 00002.mem 00003.mem directory")
	expect("the old ones are not written any more", "00003.mem")
	l.make(t, "00004.mem", "000001.sst")
	for _, gone := range []string{"00001.mem", "00002.mem", "00003.mem"} {
		if err := os.Remove(filepath.Join(l.dir, gone)); err != nil {
			t.Fatal(err)
		}
	}
	expect("flushed since", "00004.mem directory")
}

// listedFS counts how often directories are listed.
type listedFS struct {
	disk.FS
	lists int
}

func (f *listedFS) ReadDir(name string) ([]string, error) {
	f.lists++
	return f.FS.ReadDir(name)
}

// TestDirectoryOfLogsIsListedIfItMayHaveChanged: (1) while a change may have the time of the one before, a round
// lists if a log was made or begun since, (2) or the last list is old; (3) none does later, (4) until there is a change. C8
func TestDirectoryOfLogsIsListedIfItMayHaveChanged(t *testing.T) {
	l := newLogDir(t)
	fs := &listedFS{FS: l.logs.fs}
	l.logs.fs = fs
	now := time.Now()
	l.logs.listing.now = func() time.Time { return now }
	stamp := func(at time.Time) {
		t.Helper()
		if err := os.Chtimes(l.dir, at, at); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(what, want string, lists int) {
		t.Helper()
		fs.lists = 0
		if got := l.round(t); got != want || fs.lists != lists {
			t.Errorf("%s: synced %q after listing %d times, instead of %q after %d", what, got, fs.lists, want, lists)
		}
	}
	// The clock of the file system is far behind, and has one time for every two seconds.
	first := now.Add(-time.Hour).Truncate(2 * time.Second)
	l.make(t, "00001.mem")
	stamp(first)
	expect("first round", "00001.mem directory", 1)
	l.make(t, "00002.mem")
	stamp(first)
	l.steps++
	expect("a log was made at the same time", "00001.mem 00002.mem directory", 1)
	l.make(t, "000001.sst")
	stamp(first)
	now = now.Add(listedMax - 1)
	expect("a table was made at the same time", "00002.mem", 0)
	now = now.Add(1)
	expect("and is seen a moment later", "00002.mem directory", 1)
	now = now.Add(time.Second)
	expect("nothing changed, or it did at the same time", "00002.mem", 1)
	now = now.Add(time.Minute)
	expect("unchanged since, which nobody knows yet", "00002.mem", 1)
	now = now.Add(time.Minute)
	expect("unchanged", "00002.mem", 0)
	l.make(t, "00003.mem")
	stamp(first.Add(2 * time.Minute))
	expect("changed", "00002.mem 00003.mem directory", 1)
	expect("changed just now", "00003.mem", 0)
	l.steps++
	expect("changed just now, and a log was begun", "00003.mem", 1)
}

// TestVersionsThatALogMayHoldOlderOnesOfAreNotDropped: (1) what was committed since a log began may
// be in it, however much is durable; (2) it is free to go once the log has; (3) a log that has no
// length yet holds nothing; (4) one that was found may hold anything.
func TestVersionsThatALogMayHoldOlderOnesOfAreNotDropped(t *testing.T) {
	l := newLogDir(t)
	l.make(t, "00001.mem")
	expect := func(what string, published, want uint64) {
		t.Helper()
		l.published = published
		l.round(t)
		if got := l.logs.flushed(); got != want {
			t.Errorf("%s: no log holds anything up to %d, instead of %d", what, got, want)
		}
	}
	remove := func(name string) {
		if err := os.Remove(filepath.Join(l.dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	expect("the log in use", 10, 0)
	if err := os.WriteFile(filepath.Join(l.dir, "00002.mem"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	expect("a log made ahead", 20, 0)
	l.make(t, "00002.mem")
	expect("Badger went on to it", 30, 0)
	remove("00001.mem")
	expect("the first was flushed", 40, 20)
	l.make(t, "00000.mem")
	expect("one that was found", 50, 0)
	remove("00000.mem")
	l.make(t, "00003.mem")
	remove("00002.mem")
	expect("flushed, both", 60, 50)
}

// TestLogThatOutlivesItsTableBringsNothingBack: a log stays while somebody reads from it, and is
// replayed if the process dies then. What was deleted since stays deleted, although its
// table was merged with later ones meanwhile. C8
func TestLogThatOutlivesItsTableBringsNothingBack(t *testing.T) {
	parts := testParts(t)
	parts.sizes = smallSizes()
	dir := testDir(t)
	e, err := Open(t.Context(), filepath.Join(dir, "store"), Options{Create: true}, parts)
	if err != nil {
		t.Fatal(err)
	}
	b := mainBucket(t, e)
	put := func(key objstore.Key) {
		t.Helper()
		if _, err := b.Put(t.Context(), key, bytes.NewReader(make([]byte, 1500)), objstore.Unconditional(), objstore.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	put("deleted")
	reading := e.db.NewTransactionAt(e.published.Load(), false)
	it := reading.NewIterator(badger.IteratorOptions{})
	if err := b.Delete(t.Context(), "deleted", objstore.Unconditional(), objstore.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	deleted := e.published.Load()
	for first := e.logBlocks.active.number; e.logBlocks.active.number < first+3; {
		put("other")
	}
	for range 2 { // the second mark after that was set once the first had all its effects
		for mark := max(e.syncer.marked.Load(), deleted+1); e.syncer.marked.Load() <= mark; {
			put("other")
		}
	}
	flatten(t, e)
	if err := copyStore(filepath.Join(dir, "store"), filepath.Join(dir, "killed")); err != nil {
		t.Fatal(err)
	}
	it.Close()
	reading.Discard()
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	killed, err := Open(t.Context(), filepath.Join(dir, "killed"), Options{}, parts)
	if err != nil {
		t.Fatal(err)
	}
	if err := killed.checkInvariants(); err != nil {
		t.Error(err)
	}
	if err := killed.Close(); err != nil {
		t.Error(err)
	}
}

// TestBadgerNamesItsLogsAsExpected guards what badgerLogs takes for granted: the
// current log is the one with the highest number, and there is always one.
func TestBadgerNamesItsLogsAsExpected(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	parts := testParts(t)
	parts.sizes = smallSizes()
	e, err := Open(t.Context(), dir, Options{Create: true}, parts)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	b := mainBucket(t, e)
	highest := 0
	for i := range 800 {
		if err := (step{kind: "put", key: "k", body: bodyOf(5*i + 2)}).run(t.Context(), b, 1); err != nil {
			t.Fatal(err)
		}
		names, err := disk.OS{}.ReadDir(filepath.Join(dir, badgerName))
		if err != nil {
			t.Fatal(err)
		}
		numbers := logNumbers(names)
		if len(numbers) == 0 || numbers[len(numbers)-1] < highest {
			t.Fatalf("logs %v after number %d", numbers, highest)
		}
		highest = numbers[len(numbers)-1]
	}
	if highest < 3 {
		t.Fatalf("logs did not rotate: %d", highest)
	}
}
