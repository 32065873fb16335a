package badgerstore

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
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
