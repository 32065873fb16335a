package mounts

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/etagfs/etagfs/integration/mounttest"
)

// copied is a mount of a store on disk with a file of random bytes, which are returned.
func copied(t *testing.T) (*mounttest.Mount, []byte) {
	mounttest.Need(t, "binary")
	m := start(t)
	body := make([]byte, 16<<20+5)
	rand.NewChaCha8([32]byte{1}).Read(body) // never fails
	if err := os.WriteFile(m.Path("source"), body, 0o644); err != nil {
		t.Fatal(err)
	}
	return m, body
}

// blobBytes are the bytes of the payload files of a store, and of those that are staged, each counted once.
func blobBytes(t *testing.T, m *mounttest.Mount) (total int64) {
	t.Helper()
	seen := make(map[uint64]bool)
	for _, below := range []string{"blobs/*/*", "staging/*/*"} {
		files, err := filepath.Glob(filepath.Join(m.Store, below))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			var st unix.Stat_t
			if unix.Stat(file, &st) == nil && !seen[st.Ino] { // it may be gone
				seen[st.Ino] = true
				total += st.Blocks * 512
			}
		}
	}
	return total
}

// cp, mv to another directory's filesystem and the copies of languages' libraries ask the kernel to copy.
func TestCopyOfAFileMovesNoBytes(t *testing.T) {
	shortIsParallel(t)
	mounttest.Need(t, "cp")
	m, body := copied(t)
	before := blobBytes(t, m)
	shell(t, m, `cp source a; cp --reflink=auto source b; echo old > c; cp source c`)
	if grown := blobBytes(t, m) - before; grown > 1<<20 {
		t.Errorf("three copies of %d bytes take %d", len(body), grown)
	}
	for _, name := range []string{"a", "b", "c"} {
		if got, err := os.ReadFile(m.Path(name)); err != nil || !bytes.Equal(got, body) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
	shell(t, m, `printf x | dd of=a conv=notrunc status=none; rm source; cmp b c; printf x | cmp -n 1 - a; cmp -i 1 a b`)
}

// C4: a copy that nobody had closed when the daemon died is kept, with the bytes it referred to.
func TestC4CopyThatWasNotClosedIsKept(t *testing.T) {
	shortIsParallel(t)
	m, body := copied(t)
	from, to := open(t, m.Path("source"), os.O_RDONLY), open(t, m.Path("copy"), os.O_CREATE|os.O_WRONLY)
	const n = 9<<20 + 1
	if copied, err := unix.CopyFileRange(int(from.Fd()), nil, int(to.Fd()), nil, n, 0); err != nil || copied != n {
		t.Fatalf("%d bytes, %v", copied, err)
	}
	if err := os.WriteFile(m.Path("source"), []byte("other"), 0o644); err != nil {
		t.Fatal(err)
	}
	m.Kill()
	from.Close()
	to.Close() // of a mount that is dead
	if err := unix.Unmount(m.Dir, unix.MNT_DETACH); err != nil {
		t.Fatal(err)
	}
	m.Restart()
	kept, err := filepath.Glob(m.Path(".etagfs", "conflicts", "*", "mine"))
	if err != nil || len(kept) != 1 {
		t.Fatalf("%d copies are kept, %v", len(kept), err)
	}
	if got, err := os.ReadFile(kept[0]); err != nil || !bytes.Equal(got, body[:n]) {
		t.Errorf("kept: %d bytes, %v", len(got), err)
	}
}
