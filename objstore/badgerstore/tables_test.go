package badgerstore

import (
	"bytes"
	"errors"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/etagfs/etagfs/objstore"
)

// TestTableThatACrashLeftHalfWrittenIsNoDamage: no manifest names it; the store opens without it. C8
func TestTableThatACrashLeftHalfWrittenIsNoDamage(t *testing.T) {
	dir := makeStore(t)
	half := filepath.Join(dir, badgerName, "000999"+tableSuffix)
	must(t, os.WriteFile(half, make([]byte, 4096), 0o600))
	short := filepath.Join(dir, badgerName, "000998"+tableSuffix)
	must(t, os.WriteFile(short, bytes.Repeat([]byte{0xff}, 5), 0o600))
	b := mainBucket(t, openTest(t, dir, Options{}))
	if p, err := getAll(t.Context(), b, "dir/1"); err != nil || !bytes.Equal(p, bodyOf(1)) {
		t.Errorf("read: %q, %v", p, err)
	}
	for _, name := range []string{half, short} {
		if _, err := os.Stat(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// C11: whatever byte of a table is damaged, a store is not opened for writing, or all that it held is there.
func TestDamagedTableIsRefusedUnlessARecordTellsOfTheDamage(t *testing.T) {
	good := makeVariedStore(t)
	tables, err := filepath.Glob(filepath.Join(good, badgerName, "*"+tableSuffix))
	must(t, err)
	info, err := os.Stat(tables[0])
	must(t, err)
	want := heldBy(t, good)
	seed := testSeed(t)
	random := rand.New(rand.NewPCG(seed, 0))
	refused, told := 0, 0
	control := filepath.Join(testDir(t), "store")
	must(t, copyStore(good, control))
	must(t, openTest(t, control, Options{}).Close())
	for range 150 {
		off := random.Int64N(info.Size())
		dir := filepath.Join(testDir(t), "store")
		must(t, copyStore(good, dir))
		flip(t, filepath.Join(dir, badgerName, filepath.Base(tables[0])), off)
		e, err := Open(t.Context(), dir, Options{}, testParts(t))
		if err != nil {
			wantCorrupt(t, err)
			refused++
			continue
		}
		found, err := e.findings(CheckOptions{})
		must(t, err)
		must(t, e.Close())
		if len(found) > 0 {
			told++
			continue
		}
		if got := heldBy(t, dir); !maps.Equal(got, want) {
			t.Errorf("the bit at %d is flipped and what is held is different (seed %d)", off, seed)
		}
	}
	if t.Logf("%d refused and %d told of 150 in %d bytes", refused, told, info.Size()); refused == 0 || told == 0 {
		t.Error("this shows nothing")
	}
}

// C11: a cursor over a damaged block ends with an error, and the store closes.
func TestCursorThatMeetsDamageEndsWithAnError(t *testing.T) {
	e := openTest(t, makeStore(t), Options{})
	v := e.view()
	defer v.close()
	c := v.cursor(nil)
	c.seek(nil)
	it := c.it
	c.it = nil // what follows panics, as Badger does
	c.next()
	c.it = it
	c.close()
	wantCorrupt(t, c.err)
	if c.valid() {
		t.Error("it goes on")
	}
}

// C11: whatever byte of a log is damaged that a crash left, the store is refused, or all that was durable is there.
func TestDamagedLogLosesNothingThatWasDurable(t *testing.T) {
	dir := makeStore(t)
	e := openTest(t, dir, Options{})
	b := mainBucket(t, e)
	keys := []objstore.Key{"new/1", "new/2", "new/3"}
	for _, key := range keys {
		mustPut(t, b, key, []byte(key))
		must(t, e.Sync(t.Context()))
	}
	good := filepath.Join(testDir(t), "store")
	must(t, copyStore(dir, good))
	logs, err := filepath.Glob(filepath.Join(good, badgerName, "*"+logSuffix))
	must(t, err)
	log, end := "", int64(0)
	for _, name := range logs { // the last may be a spare
		p, err := os.ReadFile(name)
		must(t, err)
		if n := len(bytes.TrimRight(p, "\x00")); n > 0 {
			log, end = name, int64(n)
		}
	}
	seed := testSeed(t)
	random := rand.New(rand.NewPCG(seed, 0))
	refused := 0
	const n = 40
	for i := range n + 1 {
		off := random.Int64N(end)
		control := i == n
		damaged := filepath.Join(testDir(t), "store")
		must(t, copyStore(good, damaged))
		if !control {
			flip(t, filepath.Join(damaged, badgerName, filepath.Base(log)), off)
		}
		e, err := Open(t.Context(), damaged, Options{}, testParts(t))
		if err != nil && !control {
			wantCorrupt(t, err)
			refused++
			continue
		}
		must(t, err)
		for _, key := range keys {
			if got, err := getAll(t.Context(), mainBucket(t, e), key); err != nil || string(got) != string(key) {
				t.Errorf("the bit at %d of %d is flipped: %s is %q, %v (seed %d)", off, end, key, got, err, seed)
			}
		}
		must(t, e.Close())
		must(t, os.RemoveAll(damaged))
	}
	if t.Logf("%d refused of %d in %d bytes", refused, n, end); refused == 0 {
		t.Error("this shows nothing")
	}
}
