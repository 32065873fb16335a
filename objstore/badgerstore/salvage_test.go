package badgerstore

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/dgraph-io/badger/v4"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
)

// makeFullStore makes and closes a store whose largest table has many blocks.
func makeFullStore(t *testing.T) (dir string) {
	t.Helper()
	dir = makeVariedStore(t)
	e, err := Open(t.Context(), dir, Options{}, testParts(t))
	must(t, err)
	for i := range 400 {
		mustPut(t, mainBucket(t, e), objstore.Key(fmt.Sprintf("many/%d/%03d", i%4, i)), bodyOf(i))
	}
	must(t, e.Close())
	return dir
}

// tableDamages are what can be the matter with a table.
var tableDamages = []struct {
	name     string
	inRecord bool // it may be in a record alone, which tells of it
	break_   func(path string, size int64, random *rand.Rand) error
}{
	{"it is missing", false, func(path string, _ int64, _ *rand.Rand) error { return os.Remove(path) }},
	{"it is empty", false, func(path string, _ int64, _ *rand.Rand) error { return os.Truncate(path, 0) }},
	{"its end is gone", false, func(path string, size int64, random *rand.Rand) error {
		return os.Truncate(path, size-1-random.Int64N(size/2))
	}},
	{"its index is zeros", false, func(path string, size int64, _ *rand.Rand) error { return zeros(path, size-2000, 2000) }},
	{"a bit", true, func(path string, size int64, random *rand.Rand) error {
		p, err := os.ReadFile(path)
		if err == nil {
			p[random.Int64N(size)] ^= 1 << random.IntN(8)
			err = os.WriteFile(path, p, 0o600)
		}
		return err
	}},
	{"a page is zeros", true, func(path string, size int64, random *rand.Rand) error {
		return zeros(path, random.Int64N(size-4096)&^4095, 4096)
	}},
	{"pages are zeros, and the index", false, func(path string, size int64, random *rand.Rand) error {
		return errors.Join(zeros(path, random.Int64N(size/2)&^4095, 8192), zeros(path, size-100, 100))
	}},
}

func zeros(path string, off, n int64) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err == nil {
		_, err = f.WriteAt(make([]byte, n), off)
	}
	return errors.Join(err, f.Close())
}

// C11: of a store with a table too damaged to be opened a repair keeps what can be read, and says of what it cannot between which records it
// was. Afterwards the store opens, can be written and compacted, and a check finds at most contents whose bytes are lost.
func TestRepairKeepsWhatCanBeReadOfADamagedTable(t *testing.T) {
	good := makeFullStore(t)
	before := everything(t, good)
	seed := testSeed(t)
	for n, row := range slices.Concat(tableDamages, tableDamages[2:], tableDamages[4:5], tableDamages[4:5], tableDamages[4:]) {
		t.Run(row.name, func(t *testing.T) {
			dir := filepath.Join(testDir(t), "store")
			must(t, copyStore(good, dir))
			t.Parallel()
			path, size := oneTable(t, dir)
			must(t, row.break_(path, size, rand.New(rand.NewPCG(seed, uint64(n)))))
			if !row.inRecord && !strings.Contains(refused(t, dir, Options{}, objstore.ErrCorrupt), restoreOrRepair) {
				t.Error("the way out is not told")
			}
			done, left := repaired(t, dir)
			wantTableTold(t, dir, filepath.Base(path), done, left)
			told := len(left) > 0 || slices.ContainsFunc(done, func(f Finding) bool { return f.Kind == FindingRecord || strings.Contains(f.Text, "lost") })
			same, after := 0, everything(t, dir)
			for key, text := range before {
				switch got, there := after[key]; {
				case got == text:
					same++
				case !told:
					t.Errorf("%s has changed, there: %v, and nothing is said to be lost (seed %d)", key, there, seed)
				}
			}
			if row.inRecord && same < len(before)*2/3 || row.name == "its index is zeros" && same < len(before) {
				t.Errorf("only %d of %d are as they were (seed %d)", same, len(before), seed)
			}
			sameAgain(t, dir, left)
			e := openTest(t, dir, Options{})
			mustPut(t, mainBucket(t, e), "after", []byte("the repair"))
			_, err := e.Compact(t.Context(), nil)
			must(t, err)
			must(t, e.Close())
		})
	}
}

// wantTableTold fails unless a table was told of and set aside, and only bytes are lost.
func wantTableTold(t *testing.T, dir, name string, done, left []Finding) {
	t.Helper()
	missing := false
	if !slices.ContainsFunc(done, func(f Finding) bool {
		missing = missing || strings.HasSuffix(f.Text, "is missing")
		return f.Kind == FindingTable && strings.Contains(f.Text, name)
	}) {
		t.Errorf("the table is not told of: %v", done)
	}
	for _, f := range left {
		if !isLost(f) {
			t.Errorf("left: %v", f)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, repairName, badgerName+"-"+name)); err != nil && !missing {
		t.Errorf("the damaged table is not set aside: %v", err)
	}
}

// A table is the old or the new one whenever a repair of it is interrupted, and the next repair goes on.
func TestRepairOfATableCanBeInterrupted(t *testing.T) {
	good := makeVariedStore(t)
	path, size := oneTable(t, good)
	must(t, zeros(path, size-100, 100))
	whole := ""
	for n := 0; ; n++ {
		dir := filepath.Join(testDir(t), "store")
		must(t, copyStore(good, dir))
		parts, calls := testParts(t), 0
		cut := errors.New("cut")
		parts.Disk = disk.Hooked(disk.OS{}, func(disk.Op) error {
			if calls++; calls > n {
				return cut
			}
			return nil
		})
		salvaged := 0
		parts.salvaged = func(Finding) error { salvaged++; return nil }
		_, err := Open(t.Context(), dir, Options{repairing: true}, parts)
		if err == nil {
			t.Fatal("it was not interrupted")
		}
		done, left := repaired(t, dir)
		if len(left) > 0 {
			t.Fatalf("cut at call %d, left %v", n, left)
		}
		if salvaged == 0 && len(done) == 0 {
			t.Fatalf("cut at call %d, nothing was said", n)
		}
		if all := fmt.Sprint(everything(t, dir)); whole == "" {
			whole = all
		} else if all != whole {
			t.Fatalf("cut at call %d, something is lost", n)
		}
		if len(done) == 0 {
			return // all was done before
		}
	}
}

// forgetTable writes what Badger would.
func TestTableIsTakenOutOfTheManifest(t *testing.T) {
	dir := makeFullStore(t)
	path, _ := oneTable(t, dir)
	e := &Engine{dir: dir, fs: disk.OS{}}
	var id uint64
	_, err := fmt.Sscanf(filepath.Base(path), "%d.sst", &id)
	must(t, errors.Join(err, e.forgetTable(id)))
	f, err := os.Open(filepath.Join(dir, badgerName, badger.ManifestFilename))
	must(t, err)
	defer f.Close()
	manifest, end, err := badger.ReplayManifestFile(f, 0, badgerOptions(dir, ProfileMount.sizes(), true, nil))
	must(t, err)
	info, err := f.Stat()
	must(t, err)
	if _, there := manifest.Tables[id]; there || end != info.Size() {
		t.Errorf("the table is there: %v; %d of %d bytes are understood", there, end, info.Size())
	}
}
