package badgerstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/marks"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/record"
)

// makeStore makes a store with some objects and closes it.
func makeStore(t *testing.T) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "store")
	e, err := Open(t.Context(), dir, Options{Create: true}, testParts(t))
	if err != nil {
		t.Fatal(err)
	}
	b := mainBucket(t, e)
	for i := range 5 {
		mustPut(t, b, objstore.Key(fmt.Sprintf("dir/%d", i)), bodyOf(i))
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

func mustPut(t testing.TB, b *Bucket, key objstore.Key, body []byte) objstore.Info {
	t.Helper()
	info, err := b.Put(t.Context(), key, bytes.NewReader(body), objstore.Unconditional(), objstore.PutOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return info
}

// refused opens a store that must be refused and returns the sentence.
func refused(t *testing.T, dir string, opt Options, kind objstore.Kind) string {
	t.Helper()
	e, err := Open(t.Context(), dir, opt, testParts(t))
	if err == nil {
		e.Close()
		t.Fatalf("%s was opened", dir)
	}
	if objstore.KindOf(err) != kind {
		t.Fatalf("%v is %v instead of %v", err, objstore.KindOf(err), kind)
	}
	return err.Error()
}

func TestOpenRefusesWithASentence(t *testing.T) {
	good := makeStore(t)
	for _, row := range []struct {
		name   string
		break_ func(t *testing.T, dir string)
		opt    Options
		kind   objstore.Kind
		says   string
	}{
		{"absent", func(t *testing.T, dir string) { must(t, os.RemoveAll(dir)) }, Options{}, objstore.ErrNotFound, "there is no store: name another directory"},
		{"no store", func(t *testing.T, dir string) {
			must(t, errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o700), os.WriteFile(filepath.Join(dir, "letter"), nil, 0o600)))
		}, Options{Create: true}, objstore.ErrInvalid, "not empty and not a store"},
		{"newer format", func(t *testing.T, dir string) {
			must(t, os.WriteFile(filepath.Join(dir, formatName), []byte("etagfs store\nformat 2\nuuid x\n"), 0o600))
		}, Options{}, objstore.ErrNewerFormat, "format 2"},
		{"damaged format", func(t *testing.T, dir string) {
			must(t, os.WriteFile(filepath.Join(dir, formatName), []byte("hello"), 0o600))
		}, Options{}, objstore.ErrCorrupt, "FORMAT is damaged: restore a copy"},
		{"damaged number of the format", func(t *testing.T, dir string) {
			must(t, os.WriteFile(filepath.Join(dir, formatName), []byte("etagfs store\nformat 99x\nuuid x\n"), 0o600))
		}, Options{}, objstore.ErrCorrupt, "FORMAT is damaged: restore a copy"},
		{"damaged number of the known format", func(t *testing.T, dir string) {
			must(t, os.WriteFile(filepath.Join(dir, formatName), []byte("etagfs store\nformat 1x\nuuid x\n"), 0o600))
		}, Options{}, objstore.ErrCorrupt, "FORMAT is damaged: restore a copy"},
		{"marks gone", func(t *testing.T, dir string) { must(t, os.Remove(filepath.Join(dir, marksName))) },
			Options{}, objstore.ErrCorrupt, "marks is missing: restore a copy"},
		{"marks damaged", func(t *testing.T, dir string) {
			must(t, os.WriteFile(filepath.Join(dir, marksName), make([]byte, 8192), 0o600))
		},
			Options{}, objstore.ErrCorrupt, "copies of the marks are damaged"},
		{"log ends before the mark", func(t *testing.T, dir string) {
			must(t, os.RemoveAll(filepath.Join(dir, badgerName)))
		}, Options{}, objstore.ErrCorrupt, "the log ends at commit 0, but commits up to 6 were durable: 6 are lost"},
		{"manifest damaged", func(t *testing.T, dir string) { flip(t, filepath.Join(dir, badgerName, "MANIFEST"), 12) },
			Options{}, objstore.ErrCorrupt, "badger/MANIFEST is damaged"},
	} {
		t.Run(row.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "store")
			must(t, copyStore(good, dir))
			row.break_(t, dir)
			if text := refused(t, dir, row.opt, row.kind); !strings.Contains(text, row.says) || !strings.Contains(text, dir) {
				t.Errorf("%q does not say %q of %s", text, row.says, dir)
			}
		})
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// flip changes one bit of a file.
func flip(t testing.TB, name string, off int64) {
	t.Helper()
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	must(t, err)
	defer f.Close()
	var p [1]byte
	_, err = f.ReadAt(p[:], off)
	must(t, err)
	p[0] ^= 4
	_, err = f.WriteAt(p[:], off)
	must(t, err)
}

func TestOpenNeedsHardLinks(t *testing.T) {
	parts := testParts(t)
	parts.Disk = disk.Hooked(disk.OS{}, func(op disk.Op) error {
		if op.Kind == disk.OpLink {
			return unix.EPERM
		}
		return nil
	})
	_, err := Open(t.Context(), filepath.Join(t.TempDir(), "store"), Options{Create: true}, parts)
	if objstore.KindOf(err) != objstore.ErrUnsupported || !strings.Contains(err.Error(), "hard links") {
		t.Error(err)
	}
}

func TestClosedStoreSaysSo(t *testing.T) {
	e, err := Open(t.Context(), makeStore(t), Options{}, testParts(t))
	must(t, err)
	b := mainBucket(t, e)
	must(t, errors.Join(e.Close(), e.Close()))
	_, err1 := b.Head(t.Context(), "dir/1")
	_, err2 := b.Put(t.Context(), "x", strings.NewReader("x"), objstore.IfAbsent(), objstore.PutOptions{})
	_, err3 := b.NewStage(t.Context(), objstore.StageSpec{})
	_, err4 := e.Bucket(t.Context(), MainBucket)
	for i, err := range []error{err1, err2, err3, err4, b.Sync(t.Context())} {
		if objstore.KindOf(err) != objstore.ErrClosed {
			t.Errorf("call %d: %v", i, err)
		}
	}
}

// TestOpenNamesWhoHasTheStore: the refusal names pid, host, program and mount point of the owner.
func TestOpenNamesWhoHasTheStore(t *testing.T) {
	dir := makeStore(t)
	openTest(t, dir, Options{Program: "etagfs-test", MountPoint: "/mnt/here"})
	text := refused(t, dir, Options{}, objstore.ErrInUse)
	host, _ := os.Hostname()
	for _, want := range []string{"etagfs-test", fmt.Sprintf("process %d", os.Getpid()), host, "mounted at /mnt/here", "since 20"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q does not name %q", text, want)
		}
	}
}

func TestReadOnlyTakesNoMutations(t *testing.T) {
	dir := makeStore(t)
	e := openTest(t, dir, Options{ReadOnly: true})
	b := mainBucket(t, e)
	if p, err := getAll(t.Context(), b, "dir/4"); err != nil || !bytes.Equal(p, bodyOf(4)) {
		t.Errorf("%d bytes, %v", len(p), err)
	}
	_, err := b.Put(t.Context(), "x", strings.NewReader(""), objstore.IfAbsent(), objstore.PutOptions{})
	if objstore.KindOf(err) != objstore.ErrReadOnly {
		t.Error(err)
	}
	if _, err := b.NewStage(t.Context(), objstore.StageSpec{}); objstore.KindOf(err) != objstore.ErrReadOnly {
		t.Error(err)
	}
	if err := b.Sync(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestCrashWhileTheStoreIsMade: creation can be interrupted before any operation and done again.
func TestCrashWhileTheStoreIsMade(t *testing.T) {
	const opsMax = 200
	for n := 1; n < opsMax; n++ {
		dir := filepath.Join(t.TempDir(), "store")
		var mu sync.Mutex
		ops, made, stopped := 0, false, errors.New("stop")
		parts := testParts(t)
		parts.Disk = disk.Hooked(disk.OS{}, func(disk.Op) error {
			mu.Lock()
			defer mu.Unlock()
			if ops++; ops >= n && !made {
				return stopped
			}
			return nil
		})
		e, err := Open(t.Context(), dir, Options{Create: true}, parts)
		if err == nil {
			mu.Lock()
			made = true
			mu.Unlock()
			if err := e.Close(); err != nil && !errors.Is(err, stopped) { // a sync behind may have met the stop
				t.Error(err)
			}
			t.Logf("%d operations", n)
			return
		}
		openTest(t, dir, Options{Create: true})
	}
	t.Fatal("the store was never made")
}

// TestNumbersAreNeverGivenOutTwice: neither after a clean close nor after a crash, whatever the
// power took. C1
func TestNumbersAreNeverGivenOutTwice(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	last := uint64(0)
	for round := range 3 {
		e, err := Open(t.Context(), dir, Options{Create: true}, testParts(t))
		must(t, err)
		info := mustPut(t, mainBucket(t, e), "k", []byte("x"))
		version, _ := info.Version.Number()
		if version <= last {
			t.Errorf("round %d: version %d after %d", round, version, last)
		}
		if round == 1 { // a crash: what is on the disk was written by then
			must(t, copyStore(dir, dir+"+"))
			must(t, e.Close())
			must(t, errors.Join(os.RemoveAll(dir), os.Rename(dir+"+", dir)))
		} else {
			must(t, e.Close())
		}
		last = version
	}
}

// TestFailedSyncStopsWritesNotReads: (1) of the mutation that waited for it nobody knows what becomes; (2) later ones are
// refused and told why; (3) the sync is not tried again; (4) reads go on. C8
func TestFailedSyncStopsWritesNotReads(t *testing.T) {
	dir := makeStore(t)
	var mu sync.Mutex
	failing, failures := false, 0
	parts := testParts(t)
	parts.Disk = disk.Hooked(disk.OS{}, func(op disk.Op) error {
		mu.Lock()
		defer mu.Unlock()
		if failing && op.Kind == disk.OpSync && strings.HasSuffix(op.Name, logSuffix) {
			failures++
			return unix.EIO
		}
		return nil
	})
	e, err := Open(t.Context(), dir, Options{}, parts)
	must(t, err)
	b := mainBucket(t, e)
	mu.Lock()
	failing = true
	mu.Unlock()
	_, err = b.Put(t.Context(), "lost", strings.NewReader("x"), objstore.IfAbsent(), objstore.PutOptions{})
	if objstore.KindOf(err) != objstore.ErrUnknown || !errors.Is(err, unix.EIO) {
		t.Errorf("the put that waited: %v", err)
	}
	_, err = b.Put(t.Context(), "later", strings.NewReader("x"), objstore.IfAbsent(), objstore.PutOptions{Durability: objstore.Visible})
	if objstore.KindOf(err) != objstore.ErrUnavailable || !errors.Is(err, unix.EIO) {
		t.Errorf("a later put: %v", err)
	}
	if err := b.Sync(t.Context()); !errors.Is(err, unix.EIO) {
		t.Errorf("sync: %v", err)
	}
	if p, err := getAll(t.Context(), b, "dir/1"); err != nil || !bytes.Equal(p, bodyOf(1)) {
		t.Errorf("a read: %v", err)
	}
	if err := e.Close(); err == nil {
		t.Error("close says that all is durable")
	}
	mu.Lock()
	defer mu.Unlock()
	if failures != 1 {
		t.Errorf("%d syncs were tried", failures)
	}
}

// TestDamageIsReportedNotServed flips bits and takes keys away. C11
func TestDamageIsReportedNotServed(t *testing.T) {
	t.Run("a name that vanished", func(t *testing.T) {
		e := openTest(t, makeStore(t), Options{})
		b := mainBucket(t, e)
		dir, err := b.Lookup(t.Context(), b.Root(), "dir")
		must(t, err)
		vanish(t, e, record.EntryKey(place{Parent: uint64(dir.ID), Stored: "3"}))
		_, err = b.Lookup(t.Context(), dir.ID, "3")
		wantCorrupt(t, err)
		_, _, err = b.ReadDir(t.Context(), dir.ID, "", 100)
		wantCorrupt(t, err)
		_, err = b.Head(t.Context(), "dir/3")
		wantCorrupt(t, err)
		_, err = b.Head(t.Context(), "elsewhere")
		if objstore.KindOf(err) != objstore.ErrNotFound {
			t.Error(err)
		}
	})
	t.Run("an inline payload that vanished", func(t *testing.T) {
		e := openTest(t, makeStore(t), Options{})
		b := mainBucket(t, e)
		must(t, e.view().scan([]byte{record.TagPayload}, func(key []byte, _ any) (bool, error) {
			vanish(t, e, bytes.Clone(key))
			return true, nil
		}))
		_, err := b.Get(t.Context(), "dir/1", objstore.Unconditional())
		wantCorrupt(t, err)
	})
	t.Run("a record with a flipped bit", func(t *testing.T) {
		e := openTest(t, makeStore(t), Options{})
		b := mainBucket(t, e)
		v := e.view()
		dir, err := v.entry(place{Parent: b.root, Stored: "dir/"})
		must(t, err)
		o, err := v.entry(place{Parent: dir.ID, Stored: "2"})
		must(t, err)
		v.close()
		key := record.EntryKey(o.Place)
		p := record.EncodeObject(key, o)
		p[len(p)/2] ^= 1
		commitRaw(t, e, key, p)
		_, err = b.Head(t.Context(), "dir/2")
		wantCorrupt(t, err)
		_, err = b.List(t.Context(), objstore.ListOptions{})
		wantCorrupt(t, err)
	})
}

// TestDamagedFilesAreReportedNotServed flips bits in files of a closed store. C11
func TestDamagedFilesAreReportedNotServed(t *testing.T) {
	t.Run("a blob with a flipped bit", func(t *testing.T) {
		dir := makeStore(t)
		blobs, err := filepath.Glob(filepath.Join(dir, blobsName, "*", "*"))
		if err != nil || len(blobs) == 0 {
			t.Fatal(blobs, err)
		}
		flip(t, blobs[0], 66000)
		e := openTest(t, dir, Options{})
		r, err := mainBucket(t, e).Get(t.Context(), "dir/4", objstore.Unconditional())
		must(t, err)
		defer r.Close()
		got, err := io.ReadAll(r.Stream(t.Context(), 0, -1))
		wantCorrupt(t, err)
		if !bytes.Equal(got, bodyOf(4)[:len(got)]) {
			t.Error("wrong bytes were served")
		}
	})
	for name, fromEnd := range map[string]int64{"index": 60, "end": 4} {
		t.Run("a table with a damaged "+name, func(t *testing.T) {
			dir := makeStore(t)
			tables, err := filepath.Glob(filepath.Join(dir, badgerName, "*.sst"))
			if err != nil || len(tables) == 0 {
				t.Fatal(tables, err)
			}
			info, err := os.Stat(tables[0])
			must(t, err)
			flip(t, tables[0], info.Size()-fromEnd)
			refused(t, dir, Options{}, objstore.ErrCorrupt)
		})
	}
}

// A table that a crash left half written is nothing to Badger, and no reason to refuse the store.
func TestOpenIgnoresTablesThatWereNeverFinished(t *testing.T) {
	for _, text := range []string{"", "x", strings.Repeat("\xff", 5000)} {
		dir := makeStore(t)
		must(t, os.WriteFile(filepath.Join(dir, badgerName, "000999"+tableSuffix), []byte(text), 0o600))
		b := mainBucket(t, openTest(t, dir, Options{}))
		if p, err := getAll(t.Context(), b, "dir/4"); err != nil || !bytes.Equal(p, bodyOf(4)) {
			t.Errorf("%d bytes, %v", len(p), err)
		}
	}
}

func wantCorrupt(t *testing.T, err error) {
	t.Helper()
	if objstore.KindOf(err) != objstore.ErrCorrupt {
		t.Errorf("%v instead of corrupt", err)
	}
}

// vanish takes a key away as damage would: nothing else changes.
func vanish(t *testing.T, e *Engine, key []byte) { commitRaw(t, e, key, nil) }

func commitRaw(t *testing.T, e *Engine, key, value []byte) {
	t.Helper()
	must(t, e.commit(context.Background(), objstore.Visible, true, func(tx *tx) error {
		if value == nil {
			tx.set(key, nil)
		} else {
			tx.set(key, raw(value))
		}
		return nil
	}))
	e.cache = newCache(64 << 10)
}

// TestMarksSurviveATornWrite: of two slots one is always good.
func TestMarksSurviveATornWrite(t *testing.T) {
	name := filepath.Join(t.TempDir(), "marks")
	f, err := marks.Create(disk.OS{}, name, marks.Marks{Lease: 5})
	must(t, err)
	must(t, f.Update(true, func(m *marks.Marks) { m.Durable = 1 }))
	must(t, f.Update(false, func(m *marks.Marks) { m.Durable = 2 }))
	must(t, f.Update(false, func(m *marks.Marks) { m.Durable = 3 }))
	for _, slot := range []int64{0, 4096} {
		torn := name + fmt.Sprint(slot)
		must(t, copyStore(name, torn))
		flip(t, torn, slot+30)
		g, err := marks.Open(disk.OS{}, torn)
		must(t, err)
		if d := g.Get().Durable; d != 1 && d != 3 {
			t.Errorf("slot at %d torn: durable mark %d", slot, d)
		}
		must(t, g.Close())
	}
	must(t, f.Close())
}

// A disk filled to the last byte is refused with a sentence before Badger maps anything, and
// the store opens once there is room.
func TestOpenRefusesAFullDisk(t *testing.T) {
	dir := t.TempDir()
	e, err := Open(t.Context(), dir, Options{Create: true}, Parts{})
	must(t, err)
	must(t, e.Close())
	_, err = Open(t.Context(), dir, Options{}, Parts{Disk: newRoomDisk(0)})
	if objstore.KindOf(err) != objstore.ErrNoSpace || !strings.Contains(err.Error(), "free some first") {
		t.Errorf("open on a full disk: %v", err)
	}
	e, err = Open(t.Context(), dir, Options{}, Parts{})
	must(t, err)
	must(t, e.Close())
}
