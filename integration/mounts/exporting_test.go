package mounts

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/etagfs/etagfs/integration/mounttest"
)

// openByHandle opens what a handle stands for, on the filesystem of dir.
func openByHandle(t *testing.T, dir string, h unix.FileHandle) (*os.File, error) {
	t.Helper()
	on, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer on.Close()
	fd, err := unix.OpenByHandleAt(int(on.Fd()), h, unix.O_RDONLY)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "by handle"), nil
}

// forget has the kernel forget every node that nobody uses, as lack of memory does.
func forget(t *testing.T) {
	t.Helper()
	if err := os.WriteFile("/proc/sys/vm/drop_caches", []byte("2"), 0); err != nil {
		t.Skipf("needs a kernel that can be told to forget: %v", err)
	}
}

func handleOf(t *testing.T, path string) unix.FileHandle {
	t.Helper()
	h, _, err := unix.NameToHandleAt(unix.AT_FDCWD, path, 0)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// wantByHandle opens a handle and compares what is read, or listed.
func wantByHandle(t *testing.T, when, dir string, h unix.FileHandle, want string) {
	t.Helper()
	f, err := openByHandle(t, dir, h)
	if err != nil {
		t.Errorf("%s: %v", when, err)
		return
	}
	defer f.Close()
	if names, err := f.Readdirnames(-1); err == nil && len(names) == 1 {
		if names[0] != want {
			t.Errorf("%s: it lists %q", when, names)
		}
		return
	}
	content := make([]byte, 100)
	n, err := f.ReadAt(content, 0)
	if string(content[:n]) != want {
		t.Errorf("%s: %q, %v; want %q", when, content[:n], err, want)
	}
}

// What NFS servers keep of a file finds it when the kernel has forgotten it, after it was renamed, overwritten, and mounted anew.
func TestHandlesOfFilesWithIsolationMount(t *testing.T) {
	mounttest.Need(t, "root", "binary")
	m := mounttest.Start(t, mounttest.Options{Mount: "isolation=mount"})
	if err := os.MkdirAll(m.Path("a", "b"), 0o755); err != nil {
		t.Fatal(err)
	}
	put(t, m.Path("a", "b", "f"), "content")
	file, dir := handleOf(t, m.Path("a", "b", "f")), handleOf(t, m.Path("a", "b"))
	wantByHandle(t, "at once", m.Dir, file, "content")
	forget(t)
	wantByHandle(t, "forgotten", m.Dir, file, "content")
	forget(t)
	wantByHandle(t, "the directory, forgotten", m.Dir, dir, "f")
	if err := os.Rename(m.Path("a", "b", "f"), m.Path("a", "g")); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(m.Path("a", "g"), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	write(t, f, "CONTENT")
	wantByHandle(t, "while it is written", m.Dir, file, "CONTENT")
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	forget(t)
	wantByHandle(t, "renamed and overwritten", m.Dir, file, "CONTENT")
	m.Unmount()
	m.Restart()
	wantByHandle(t, "mounted anew", m.Dir, file, "CONTENT")
	if linked, err := filepath.Glob(m.Path("a", "*")); err != nil || len(linked) != 2 {
		t.Errorf("in the directory are %q, %v", linked, err)
	}
	if err := os.Remove(m.Path("a", "g")); err != nil {
		t.Fatal(err)
	}
	forget(t)
	if f, err := openByHandle(t, m.Dir, file); err != unix.ESTALE {
		t.Errorf("what is removed: %v, %v, want ESTALE", f, err)
	}
}

// Where each version has a node of its own a handle would mean a version that nothing keeps.
func TestHandlesOfFilesAreRefusedWithIsolationHandle(t *testing.T) {
	m := mounttest.Start(t, mounttest.Options{})
	put(t, m.Path("f"), "content")
	if _, _, err := unix.NameToHandleAt(unix.AT_FDCWD, m.Path("f"), 0); err != unix.EOPNOTSUPP {
		t.Errorf("name_to_handle_at: %v, want EOPNOTSUPP", err)
	}
}
