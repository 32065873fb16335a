package mounts

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/etagfs/etagfs/integration/mounttest"
)

// A directory that another mount removes is to who is in it what it is on a local disk: empty, and nothing can be made in it.
func TestDirectoryThatAnotherMountRemovedIsEmpty(t *testing.T) {
	mounttest.Need(t, "binary")
	here := mounttest.Start(t, mounttest.Options{})
	there := mounttest.Start(t, mounttest.Options{Source: here.Store})
	for _, way := range []struct{ in, other *mounttest.Mount }{{here, there}, {there, here}} {
		if err := os.Mkdir(way.in.Path("d"), 0o755); err != nil {
			t.Fatal(err)
		}
		dir, err := os.Open(way.in.Path("d"))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(way.other.Path("d")); err != nil {
			t.Fatal(err)
		}
		var stat unix.Stat_t
		if err := unix.Fstat(int(dir.Fd()), &stat); err != nil || stat.Nlink != 0 || stat.Mode&unix.S_IFMT != unix.S_IFDIR {
			t.Errorf("fstat: %v, %d links, mode %o", err, stat.Nlink, stat.Mode)
		}
		if names, err := dir.Readdirnames(-1); err != nil || len(names) > 0 {
			t.Errorf("it lists %q, %v", names, err)
		}
		if _, err := unix.Openat(int(dir.Fd()), "f", unix.O_CREAT|unix.O_WRONLY, 0o644); err != unix.ENOENT {
			t.Errorf("a file is made in it: %v, want ENOENT", err)
		}
		if err := unix.Mkdirat(int(dir.Fd()), "s", 0o755); err != unix.ENOENT {
			t.Errorf("a directory is made in it: %v, want ENOENT", err)
		}
		if _, err := unix.Openat(int(dir.Fd()), "f", unix.O_RDONLY, 0); err != unix.ENOENT {
			t.Errorf("a name is looked up: %v, want ENOENT", err)
		}
		if err := dir.Close(); err != nil {
			t.Error(err)
		}
	}
}
