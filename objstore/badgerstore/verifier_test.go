package badgerstore

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/marks"
)

// oneTable is the path of the table with the most bytes.
func oneTable(t *testing.T, dir string) (path string, size int64) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, badgerName, "*"+tableSuffix))
	must(t, err)
	for _, name := range names {
		info, err := os.Stat(name)
		must(t, err)
		if info.Size() > size {
			path, size = name, info.Size()
		}
	}
	return path, size
}

// A check of a store that is opened read-only sees what only Badger's checksums tell: C11.
func TestCheckVerifiesTheBlocksOfTables(t *testing.T) {
	dir := makeVariedStore(t)
	path, _ := oneTable(t, dir)
	p, err := os.ReadFile(path)
	must(t, err)
	found := 0
	for off := int64(0); off < 4096; off += 97 {
		flip(t, path, off)
		e, err := Open(t.Context(), dir, Options{ReadOnly: true}, Parts{})
		if err == nil {
			all, err := e.findings(CheckOptions{})
			must(t, errors.Join(err, e.Close()))
			if len(all) == 0 || all[0].Kind != FindingTable || !strings.Contains(all[0].Text, filepath.Base(path)) {
				t.Errorf("the bit at %d is flipped, found is %v", off, all)
			}
			found++
		}
		must(t, os.WriteFile(path, p, 0o600))
	}
	if found == 0 {
		t.Error("this shows nothing")
	}
}

// Tables that are verified in the background: Badger compacts only after that, and not at all if one is
// unusable. Then nothing is written any more, what can be read is, and the next open says which file it is.
func TestTableFoundUnusableInTheBackgroundStopsWrites(t *testing.T) {
	dir := makeVariedStore(t)
	e := openTest(t, dir, Options{})
	b := mainBucket(t, e)
	id := e.db.Tables()[0].ID
	v := &verifier{e: e, verified: map[uint64]time.Time{}, told: map[uint64]bool{}}
	if !v.verify([]uint64{id}) || e.compactions.areForbidden() {
		t.Fatal("a table that is whole is not")
	}
	path := filepath.Join(dir, tableName(id))
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	must(t, err)
	_, err = f.WriteAt(make([]byte, 2048), 0) // also what is mapped
	must(t, errors.Join(err, f.Close()))
	if v.verify([]uint64{id}) || !e.compactions.areForbidden() {
		t.Error("compactions go on")
	}
	<-e.verifier.done
	_, err = b.Put(t.Context(), "new", strings.NewReader("x"), objstore.Unconditional(), objstore.PutOptions{})
	if objstore.KindOf(err) != objstore.ErrUnavailable || !strings.Contains(err.Error(), filepath.Base(path)) {
		t.Errorf("put: %v", err)
	}
	e.cache.empty()
	if _, err := getAll(t.Context(), b, "small"); err != nil {
		wantCorrupt(t, err)
	}
	if err := e.Close(); err == nil || !strings.Contains(err.Error(), "It has all that was committed.") || !strings.Contains(err.Error(), filepath.Base(path)) {
		t.Errorf("close: %v", err)
	}
	m, err := marks.Open(disk.OS{}, filepath.Join(dir, marksName))
	must(t, err)
	if !m.Get().Suspect {
		t.Error("the next open does not know")
	}
	must(t, m.Close())
	if text := refused(t, dir, Options{}, objstore.ErrCorrupt); !strings.Contains(text, filepath.Base(path)) || !strings.Contains(text, "restore") {
		t.Error(text)
	}
}

// A store opens in a time that does not grow with it, after a crash too, unless a table of it could not be read.
func TestTablesVerifiedWhenAStoreIsOpenedAreBounded(t *testing.T) {
	for mark, want := range map[marks.Marks]int64{
		{Clean: true}:                verifiedBytesMax,
		{}:                           verifiedBytesMax,
		{Suspect: true}:              math.MaxInt64,
		{Suspect: true, Clean: true}: math.MaxInt64,
	} {
		if got := verifiedBytes(mark, false); got != want {
			t.Errorf("%+v: %d", mark, got)
		}
	}
	if got := verifiedBytes(marks.Marks{Clean: true}, true); got != 0 {
		t.Errorf("read-only: %d", got)
	}
	if got := verifiedBytes(marks.Marks{Suspect: true}, true); got != math.MaxInt64 {
		t.Errorf("read-only, though a table could not be read: %d", got)
	}
}

// No compaction begins while they are held, however many tables there are, and writes go on up to a bound; then
// they are made up for.
func TestHeldCompactionsAreMadeUpFor(t *testing.T) {
	parts := testParts(t)
	parts.sizes = smallSizes()
	e, err := Open(t.Context(), filepath.Join(testDir(t), "store"), Options{Create: true}, parts)
	must(t, err)
	b := mainBucket(t, e)
	endVerifier(e)
	e.compactions.hold()
	held, done := e.compactions.held, make(chan error, 1)
	go func() {
		for i := range 3000 {
			_, err := b.Put(t.Context(), objstore.Key(fmt.Sprintf("k%04d", i)), strings.NewReader(strings.Repeat("x", 1500)),
				objstore.Unconditional(), objstore.PutOptions{Durability: objstore.Visible})
			if err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	for tables := 0; tables < e.sizes.tablesL0Stall-e.sizes.memTables-1; {
		levels := e.db.Levels()
		tables = levels[0].NumTables
		runtime.Gosched()
		for _, l := range levels[1:] {
			if l.NumTables > 0 {
				t.Fatal("there was a compaction")
			}
		}
	}
	e.compactions.release()
	<-held.ended
	must(t, <-done)
	must(t, e.checkInvariants())
	must(t, e.Close())
}

// A table that is cut off while it is mapped is damage to who reads it, and no end of the process: C11.
func TestTableThatIsCutOffWhileMappedIsDamage(t *testing.T) {
	dir := makeVariedStore(t)
	e := openTest(t, dir, Options{})
	b := mainBucket(t, e)
	path, _ := oneTable(t, dir)
	must(t, os.Truncate(path, 0))
	e.cache.empty()
	if _, err := getAll(t.Context(), b, "dir/bare"); err != nil {
		wantCorrupt(t, err)
	} else {
		t.Error("it was read")
	}
	if !e.committer.hasFailed() {
		t.Error("the store takes writes")
	}
}

// What Badger says in a panic over a block becomes a sentence with the name of the file.
func TestDamagedBlockIsToldByTheNameOfItsTable(t *testing.T) {
	err := damagedTable("==== Recovered====\nTable ID: 7\nBlock ID: 3\nEntry Idx: 0\n")
	if want := "badger/000007.sst is damaged: its block 3 cannot be read"; !strings.Contains(err.Error(), want) {
		t.Errorf("%q does not say %q", err, want)
	}
}

// A length in the manifest that is damaged is no entry that a crash cut off: its tables stay, and the store is refused.
func TestDamagedManifestIsRefusedByName(t *testing.T) {
	dir := makeVariedStore(t)
	manifest := filepath.Join(dir, badgerName, "MANIFEST")
	p, err := os.ReadFile(manifest)
	must(t, err)
	table, _ := oneTable(t, dir)
	for off := range int64(len(p)) {
		flip(t, manifest, off)
		for _, opt := range []Options{{ReadOnly: true}, {}} {
			if text := refused(t, dir, opt, objstore.ErrCorrupt); !strings.Contains(text, "badger/MANIFEST is damaged: ") {
				t.Errorf("byte %d: %s", off, text)
			}
		}
		must(t, os.WriteFile(manifest, p, 0o600))
	}
	if _, err := os.Stat(table); err != nil {
		t.Error(err)
	}
	must(t, openTest(t, dir, Options{}).checkInvariants())
}

// A store that is damaged, and was not closed, has one way out: who repairs it and who checks it are told the same.
func TestDamagedStoreThatWasNotClosedHasOneWayOut(t *testing.T) {
	dir := crashedStore(t, makeVariedStore(t))
	path, _ := oneTable(t, dir)
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	must(t, err)
	_, err = f.WriteAt(make([]byte, 2048), 0)
	must(t, errors.Join(err, f.Close()))
	want := filepath.Join(badgerName, filepath.Base(path)) + " is damaged: "
	for _, opt := range []Options{{ReadOnly: true}, {}, {ReadOnly: true}} {
		text := refused(t, dir, opt, objstore.ErrCorrupt)
		if !strings.Contains(text, want) || !strings.HasSuffix(text, ": "+restoreOrRepair) {
			t.Error(text)
		}
	}
}
