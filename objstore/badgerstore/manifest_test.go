package badgerstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dgraph-io/badger/v4"

	"github.com/etagfs/etagfs/objstore"
)

// tabledStore is a copy of a store that runs, with tables that were made since it was opened, and with
// commits that are in no table; and how much of its manifest is known to be synced.
func tabledStore(t *testing.T) (dir string, synced int) {
	parts := testParts(t)
	parts.sizes = smallSizes()
	running := filepath.Join(testDir(t), "store")
	e, err := Open(t.Context(), running, Options{Create: true}, parts)
	must(t, err)
	t.Cleanup(func() { must(t, e.Close()) })
	b := mainBucket(t, e)
	for i := 0; e.db.Levels()[0].NumTables < 3; i++ {
		mustPut(t, b, objstore.Key(fmt.Sprintf("d%d/%d", i%3, i)), []byte(strings.Repeat("x", 1500)))
	}
	mustPut(t, b, "last", []byte("in a log"))
	must(t, e.Sync(t.Context()))
	for { // no timer: it is noted within a second, and may have grown again since
		synced = int(e.marks.Get().ManifestBytes)
		dir = filepath.Join(testDir(t), "store")
		must(t, copyStore(running, dir))
		info, err := os.Stat(filepath.Join(dir, badgerName, badger.ManifestFilename))
		must(t, err)
		if int(info.Size()) == synced {
			return dir, synced
		}
		must(t, os.RemoveAll(dir))
	}
}

// C11: a manifest that is cut off, or whose end is zeros, after a crash as after a close, refuses the store by its name and
// leaves the tables: it never opens as a smaller one.
func TestManifestThatIsCutOffIsRefusedAfterACrash(t *testing.T) {
	dir, synced := tabledStore(t)
	manifest := filepath.Join(dir, badgerName, badger.ManifestFilename)
	p, err := os.ReadFile(manifest)
	must(t, err)
	if len(p) != synced {
		t.Fatalf("the manifest is %d bytes long and %d are synced", len(p), synced)
	}
	tables, err := filepath.Glob(filepath.Join(dir, badgerName, "*"+tableSuffix))
	must(t, err)
	for n := range p {
		zeroed := append(p[:n:n], make([]byte, len(p)-n)...)
		for what, damaged := range map[string][]byte{"cut off": p[:n], "zeros": zeroed} {
			must(t, os.WriteFile(manifest, damaged, 0o600))
			for _, opt := range []Options{{ReadOnly: true}, {}} {
				if text := refused(t, dir, opt, objstore.ErrCorrupt); !strings.Contains(text, "badger/MANIFEST is damaged: ") {
					t.Errorf("%s at %d: %s", what, n, text)
				}
			}
		}
	}
	for _, name := range tables {
		if _, err := os.Stat(name); err != nil {
			t.Error(err)
		}
	}
	must(t, os.WriteFile(manifest, p, 0o600))
	wantHeld(t, dir)
}

// wantHeld opens a copy of a tabledStore, which has all that was put, and damages nothing when it goes on.
func wantHeld(t *testing.T, dir string) {
	t.Helper()
	for range 2 {
		e, err := Open(t.Context(), dir, Options{}, testParts(t))
		must(t, err)
		if got, err := getAll(t.Context(), mainBucket(t, e), "last"); err != nil || string(got) != "in a log" {
			t.Errorf("the last that was put: %q, %v", got, err)
		}
		must(t, errors.Join(e.checkInvariants(), e.Close()))
	}
}

// C8: an entry of the manifest that a loss of power left half written is none, whatever is there of it.
func TestManifestEntryThatWasNotSyncedIsIgnored(t *testing.T) {
	good, synced := tabledStore(t)
	p, err := os.ReadFile(filepath.Join(good, badgerName, badger.ManifestFilename))
	must(t, err)
	entry := p[lastEntry(p):]
	for n := range len(entry) {
		for what, torn := range map[string][]byte{"cut off": entry[:n], "zeros": append(entry[:n:n], make([]byte, len(entry)-n)...)} {
			dir := filepath.Join(testDir(t), "store")
			must(t, copyStore(good, dir))
			must(t, os.WriteFile(filepath.Join(dir, badgerName, badger.ManifestFilename), append(p[:synced:synced], torn...), 0o600))
			wantHeld(t, dir)
			if t.Failed() {
				t.Fatalf("%s at %d of %d", what, n, len(entry))
			}
			must(t, os.RemoveAll(filepath.Dir(dir)))
		}
	}
}

// lastEntry is where the last entry of a manifest begins.
func lastEntry(p []byte) (last int) {
	for off := manifestHeadBytes; off < len(p); off = nextInManifest(p, off) {
		last = off
	}
	return last
}

// A manifest that Badger rewrote after it was last noted is shorter, and begins with something else: no damage.
func TestManifestThatWasRewrittenIsWhole(t *testing.T) {
	dir, _ := tabledStore(t)
	name := filepath.Join(dir, badgerName, badger.ManifestFilename)
	p, err := os.ReadFile(name)
	must(t, err)
	for _, sumIsZero := range []bool{false, true} {
		copied := filepath.Join(testDir(t), "store")
		must(t, copyStore(dir, copied))
		must(t, os.WriteFile(filepath.Join(copied, badgerName, badger.ManifestFilename), rewrittenManifest(p, sumIsZero), 0o600))
		wantHeld(t, copied)
	}
	must(t, os.WriteFile(name, p[:manifestHeadBytes], 0o600))
	if text := refused(t, dir, Options{}, objstore.ErrCorrupt); !strings.Contains(text, "badger/MANIFEST is damaged: its first entry") {
		t.Error(text)
	}
}

// rewrittenManifest has all changes of a manifest in its first entry, if it is asked with a checksum of 0.
func rewrittenManifest(p []byte, sumIsZero bool) []byte {
	var changes []byte
	for off := manifestHeadBytes; off < len(p); off = nextInManifest(p, off) {
		changes = append(changes, p[off+manifestEntryBytes:nextInManifest(p, off)]...) // the fields of a message add up
	}
	if sumIsZero {
		changes = append(changes, 15<<3|5) // four bytes of a field nobody knows
		changes = binary.LittleEndian.AppendUint32(changes, ^checksum(changes)^beforeFourZeros(^uint32(0)))
	}
	p = append([]byte(nil), p[:manifestHeadBytes]...)
	p = binary.BigEndian.AppendUint32(p, uint32(len(changes)))
	p = binary.BigEndian.AppendUint32(p, checksum(changes))
	return append(p, changes...)
}

// beforeFourZeros is the state of a checksum that becomes this one over four bytes of zeros.
func beforeFourZeros(state uint32) uint32 {
	table := crc32.MakeTable(crc32.Castagnoli)
	for range 4 {
		for low, entry := range table {
			if entry>>24 == state>>24 {
				state = (state^entry)<<8 | uint32(low)
				break
			}
		}
	}
	return state
}
