package mounts

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestRedirections(t *testing.T) {
	shortIsParallel(t)
	m := start(t)
	shell(t, m, `for i in $(seq 100); do /bin/echo "line $i of one hundred"; done > f; test $(wc -l < f) = 100
for i in $(seq 100); do /bin/echo "line $i of one hundred" >> g; done; cmp f g
{ /bin/echo one; /bin/echo two >&2; } > both 2>&1; test "$(cat both)" = $'one\ntwo'
echo x > e; sh -c 'echo y >> /dev/stderr' 2>> e; test "$(cat e)" = $'x\ny'`)
	checkKept(t, m)
}

// A hundred commands that write to one redirection, each of which commits, cost what
// they write, not a hundred times the file.
func TestManyCommandsIntoOneRedirectionCostTheirBytes(t *testing.T) {
	shortIsParallel(t)
	m := onDisk(t)
	const fileBytes = 8 << 20
	put(t, m.Path("f"), strings.Repeat("0123456789abcde\n", fileBytes/16))
	before := bytesBelow(t, m.Store)
	shell(t, m, `for i in $(seq 100); do /bin/echo "line $i of one hundred"; done >> f`)
	if grown := bytesBelow(t, m.Store) - before; grown > 3*fileBytes {
		t.Errorf("the store grew by %d bytes", grown)
	}
	if info, err := os.Stat(m.Path("f")); err != nil || info.Size() != fileBytes+2292 {
		t.Errorf("the file has %d bytes (%v)", info.Size(), err)
	}
}

// bytesBelow is the space the files below a directory take.
func bytesBelow(t *testing.T, dir string) int64 {
	t.Helper()
	var total int64
	err := filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			total += info.Sys().(*syscall.Stat_t).Blocks * 512
		}
		return nil // a file that went meanwhile takes no space
	})
	if err != nil {
		t.Fatal(err)
	}
	return total
}
