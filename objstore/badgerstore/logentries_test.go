package badgerstore

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/etagfs/etagfs/objstore"
)

// lengthsIn is where the entries of a log have the length of their value, and the value.
func lengthsIn(t *testing.T, name string) (offs []int) {
	p, err := os.ReadFile(name)
	must(t, err)
	for off := logHeaderBytes; ; {
		n, ok := logEntryLength(p[off:])
		if !ok {
			t.Fatal("a log is damaged that nobody touched")
		}
		if n == 0 {
			return offs
		}
		_, keyBytes := binary.Uvarint(p[off+2:])
		offs = append(offs, off+2+keyBytes)
		off += n
	}
}

// usedLog is the path of a log with commits in it.
func usedLog(t *testing.T, dir string) string {
	names, err := filepath.Glob(filepath.Join(dir, badgerName, "*"+logSuffix))
	must(t, err)
	for _, name := range names {
		if info, err := os.Stat(name); err == nil && info.Size() > 0 {
			if offs := lengthsIn(t, name); len(offs) > 0 {
				return name
			}
		}
	}
	t.Fatal("there is no log with commits")
	return ""
}

// C11: a length in a log that cannot be costs no memory; the store is refused by the name of the log, or, if nothing durable is behind it, opens.
func TestLengthInALogThatCannotBeTakesNoMemory(t *testing.T) {
	good := crashedStore(t, makeVariedStore(t))
	offs := lengthsIn(t, usedLog(t, good))
	if len(offs) < 40 {
		t.Fatalf("the log has %d entries", len(offs))
	}
	huge := binary.AppendUvarint(nil, 1<<32-1)
	for i := 0; i < len(offs); i += 7 {
		dir := filepath.Join(testDir(t), "store")
		must(t, copyStore(good, dir))
		name := usedLog(t, dir)
		f, err := os.OpenFile(name, os.O_WRONLY, 0)
		must(t, err)
		_, err = f.WriteAt(huge, int64(offs[i]))
		must(t, err)
		must(t, f.Close())
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if text := refused(t, dir, Options{ReadOnly: true}, objstore.ErrUnavailable); !strings.Contains(text, "not closed") {
			t.Error(text)
		}
		want := fmt.Sprintf("badger/%s is damaged at ", filepath.Base(name))
		if text := refused(t, dir, Options{}, objstore.ErrCorrupt); !strings.Contains(text, want) {
			t.Errorf("entry %d of %d: %s", i, len(offs), text)
		}
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > 1<<30 {
			t.Errorf("entry %d: %d bytes were allocated", i, n)
		}
	}
}

// The longest value a log may have is none that is refused; and what an entry says is read as Badger writes it.
func TestEveryEntryOfALogIsFound(t *testing.T) {
	dir := filepath.Join(testDir(t), "store")
	e, err := Open(t.Context(), dir, Options{Create: true, Profile: ProfileServer}, testParts(t))
	must(t, err)
	b := mainBucket(t, e)
	const n = 50
	for i := range n {
		mustPut(t, b, objstore.Key(fmt.Sprintf("k%d", i)), make([]byte, i*600))
	}
	commitRaw(t, e, []byte("largest"), make([]byte, e.sizes.valueBytesMax()-200))
	must(t, e.Sync(t.Context()))
	crashed := filepath.Join(testDir(t), "store")
	must(t, copyStore(dir, crashed))
	if offs := lengthsIn(t, usedLog(t, crashed)); len(offs) < 2*n {
		t.Errorf("%d entries", len(offs))
	}
	must(t, e.Close())
}
