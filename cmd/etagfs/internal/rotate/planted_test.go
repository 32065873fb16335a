package rotate

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// A log is no link, whose target is somebody's, nor a pipe, which would be waited for; not at first, nor after a rotation.
func TestALogIsARegularFile(t *testing.T) {
	dir := t.TempDir()
	target, path := filepath.Join(dir, "target"), filepath.Join(dir, "log")
	if err := os.WriteFile(target, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	for what, plant := range map[string]func() error{
		"a link":            func() error { return os.Symlink(target, path) },
		"a link to nothing": func() error { return os.Symlink(filepath.Join(dir, "new"), path) },
		"a pipe":            func() error { return syscall.Mkfifo(path, 0o600) },
		"a pipe somebody reads": func() error {
			if err := syscall.Mkfifo(path, 0o600); err != nil {
				return err
			}
			reader, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
			t.Cleanup(func() { reader.Close() })
			return err
		},
	} {
		if err := plant(); err != nil {
			t.Fatal(err)
		}
		if f, err := Open(path, 100, 1, nil); err == nil {
			t.Errorf("%s is taken for a log (%v)", what, f.Close())
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	wantFile(t, target, "precious")
	wantFile(t, filepath.Join(dir, "new"), "")
}
