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
	wantKept(t, m, body[:n], from, to)
}

// wantKept kills the daemon while files are open, and fails unless the next one has kept one copy, of these bytes.
func wantKept(t *testing.T, m *mounttest.Mount, want []byte, files ...*os.File) {
	t.Helper()
	m.Kill()
	for _, f := range files {
		f.Close() // of a mount that is dead
	}
	if err := unix.Unmount(m.Dir, unix.MNT_DETACH); err != nil {
		t.Fatal(err)
	}
	m.Restart()
	kept, err := filepath.Glob(m.Path(".etagfs", "conflicts", "*", "mine"))
	if err != nil || len(kept) != 1 {
		t.Fatalf("%d copies are kept, %v", len(kept), err)
	}
	if got, err := os.ReadFile(kept[0]); err != nil || !bytes.Equal(got, want) {
		t.Errorf("kept: %d bytes of %d, %v", len(got), len(want), err)
	}
}

// Programs that move parts of files ask the kernel too. What is committed is shared, wherever it goes, and so is what stays as it was; little
// pieces and what is being written are copied by the daemon. Counted is what the store's files take.
func TestCopyInsideFilesMovesNoBytes(t *testing.T) {
	shortIsParallel(t)
	m, body := copied(t)
	want := bytes.Repeat([]byte("old."), 3<<20)
	if err := os.WriteFile(m.Path("target"), want, 0o644); err != nil {
		t.Fatal(err)
	}
	before := blobBytes(t, m)
	from, to := open(t, m.Path("source"), os.O_RDONLY), open(t, m.Path("target"), os.O_RDWR)
	for _, at := range []struct{ from, n, to int64 }{
		{4 << 20, 8 << 20, 0},           // block on block
		{1 << 20, 5<<20 + 17, 10 << 20}, // beyond the end
		{12345, 3 << 20, 4<<20 + 99},    // at no block
	} {
		want = append(want, make([]byte, max(0, at.to+at.n-int64(len(want))))...)
		copy(want[at.to:], body[at.from:at.from+at.n])
		for at.n > 0 {
			n, err := unix.CopyFileRange(int(from.Fd()), &at.from, int(to.Fd()), &at.to, int(at.n), 0)
			if err != nil || n <= 0 {
				t.Fatalf("%+v: %d, %v", at, n, err)
			}
			at.n -= int64(n)
		}
	}
	if err := to.Close(); err != nil {
		t.Fatal(err)
	}
	within := open(t, m.Path("source"), os.O_RDWR) // within one file
	off, end := int64(0), int64(len(body))
	if n, err := unix.CopyFileRange(int(within.Fd()), &off, int(within.Fd()), &end, len(body), 0); err != nil || n != len(body) {
		t.Fatalf("%d bytes, %v", n, err)
	}
	if err := within.Close(); err != nil {
		t.Fatal(err)
	}
	from.Close()
	if grown := blobBytes(t, m) - before; grown > 1<<20 {
		t.Errorf("copies of %d bytes take %d", 16<<20+len(body), grown)
	}
	for name, content := range map[string][]byte{"target": want, "source": append(bytes.Clone(body), body...)} {
		if got, err := os.ReadFile(m.Path(name)); err != nil || !bytes.Equal(got, content) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
}

// A copy takes what was stored through a mapping, of the source and of the target, as any read does.
func TestCopySeesWhatWasMapped(t *testing.T) {
	shortIsParallel(t)
	m := start(t)
	paths := []string{m.Path("source"), m.Path("target")}
	var files []*os.File
	var maps [][]byte
	for _, path := range paths {
		if err := os.WriteFile(path, bytes.Repeat([]byte{'-'}, 16384), 0o644); err != nil {
			t.Fatal(err)
		}
		f := open(t, path, os.O_RDWR)
		p, err := unix.Mmap(int(f.Fd()), 0, 16384, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		if err != nil {
			t.Fatal(err)
		}
		files, maps = append(files, f), append(maps, p)
	}
	copy(maps[0], "from the mapping")
	copy(maps[1][8192:], "of the target")
	n, err := unix.CopyFileRange(int(files[0].Fd()), new(int64), int(files[1].Fd()), new(int64), 4096, 0)
	if err != nil || n != 4096 {
		t.Fatalf("%d bytes, %v", n, err)
	}
	want := bytes.Repeat([]byte{'-'}, 16384)
	copy(want, "from the mapping")
	copy(want[8192:], "of the target")
	if !bytes.Equal(maps[1], want) {
		t.Errorf("mapped: %.20q, %.20q", maps[1], maps[1][8192:])
	}
	for i, f := range files {
		if err := unix.Munmap(maps[i]); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(paths[1]); err != nil || !bytes.Equal(got, want) {
		t.Errorf("committed: %d bytes, %v", len(got), err)
	}
}

// C4: parts that were shared are kept with what was written beside them, although what they are of is gone.
func TestC4PartsThatWereSharedAreKept(t *testing.T) {
	shortIsParallel(t)
	m, body := copied(t)
	from, to := open(t, m.Path("source"), os.O_RDONLY), open(t, m.Path("copy"), os.O_CREATE|os.O_WRONLY)
	want := append(bytes.Repeat([]byte{'a'}, 200<<10), body[4<<20:9<<20]...)
	if _, err := to.Write(want[:300<<10]); err != nil { // the copy covers its end
		t.Fatal(err)
	}
	in, out := int64(4<<20), int64(200<<10)
	if n, err := unix.CopyFileRange(int(from.Fd()), &in, int(to.Fd()), &out, 5<<20, 0); err != nil || n != 5<<20 {
		t.Fatalf("%d bytes, %v", n, err)
	}
	if _, err := to.WriteAt([]byte("over it"), 1<<20); err != nil {
		t.Fatal(err)
	}
	copy(want[1<<20:], "over it")
	if err := os.WriteFile(m.Path("source"), []byte("other"), 0o644); err != nil {
		t.Fatal(err)
	}
	wantKept(t, m, want, from, to)
}
