package mounts

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/etagfs/etagfs/integration/mounttest"
)

// fewDescriptors are what the daemon of these tests may have: many less than files are open in its mount.
const fewDescriptors = 256

// manyFiles is how many files are open at once.
func manyFiles(t *testing.T) int {
	t.Helper()
	files := 300
	if os.Getenv("ETAGFS_LONG") != "" {
		files = 5000
	}
	const others = 100 // that this process has open
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if limit.Cur < uint64(files+others) {
		t.Skipf("needs %d descriptors", files+others)
	}
	return files
}

// manyContent is what is written to one of many files: too much for a log, in two writes.
func manyContent(i int) (first, second []byte) {
	return bytes.Repeat([]byte{byte(i), byte(i >> 8)}, 10_000), bytes.Repeat([]byte{byte(i), 'x'}, 50)
}

// writeMany opens files, writes to all of them, and leaves them open.
func writeMany(t *testing.T, dir string, n int) (files []*os.File) {
	t.Helper()
	must(t, os.Mkdir(dir, 0o755))
	for i := range n {
		f, err := os.OpenFile(filepath.Join(dir, fmt.Sprint(i)), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
		must(t, err)
		files = append(files, f)
	}
	t.Cleanup(func() {
		for _, f := range files {
			f.Close() // it may have been
		}
	})
	for i, f := range files {
		first, _ := manyContent(i)
		_, err := f.Write(first)
		must(t, err)
	}
	for i, f := range files {
		_, second := manyContent(i)
		_, err := f.Write(second)
		must(t, err)
	}
	return files
}

// More files are open and changed than the daemon may have descriptors: all are written, read and committed.
func TestFilesOpenForWritingTakeNoDescriptorEach(t *testing.T) {
	n := manyFiles(t)
	m := mounttest.Start(t, mounttest.Options{Descriptors: fewDescriptors})
	dir := m.Path("d")
	files := writeMany(t, dir, n)
	for i, f := range files {
		first, second := manyContent(i)
		got := make([]byte, len(first)+len(second))
		if _, err := f.ReadAt(got, 0); err != nil || !bytes.Equal(got, append(first, second...)) {
			t.Fatalf("file %d, open: %v", i, err)
		}
	}
	for _, f := range files {
		must(t, f.Close())
	}
	m.Unmount()
	m.Restart()
	for i := range n {
		first, second := manyContent(i)
		if got, err := os.ReadFile(filepath.Join(dir, fmt.Sprint(i))); err != nil || !bytes.Equal(got, append(first, second...)) {
			t.Fatalf("file %d, committed: %v, %d bytes", i, err, len(got))
		}
	}
}

// The daemon dies while more files are changed than it may have descriptors: what had been written to each is kept.
func TestManyChangedFilesAreKeptWhenTheDaemonDies(t *testing.T) {
	n := manyFiles(t)
	m := mounttest.Start(t, mounttest.Options{Descriptors: fewDescriptors})
	files := writeMany(t, m.Path("d"), n)
	m.Kill()
	for _, f := range files {
		f.Close() // the mount is dead
	}
	must(t, exec.Command("fusermount3", "-uz", m.Dir).Run())
	m.Restart()
	kept, err := filepath.Glob(m.Path(".etagfs", "conflicts", "*", "mine"))
	must(t, err)
	if len(kept) != n {
		t.Fatalf("%d of %d files are kept", len(kept), n)
	}
	seen := make(map[int]bool)
	for _, mine := range kept {
		got, err := os.ReadFile(mine)
		must(t, err)
		i := int(got[0]) | int(got[1])<<8
		first, second := manyContent(i)
		if seen[i] || !bytes.Equal(got, append(first, second...)) {
			t.Fatalf("%s has %d bytes of file %d, seen before: %v", mine, len(got), i, seen[i])
		}
		seen[i] = true
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
