package posix

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/etagfs/etagfs/integration/mounttest"
)

func TestMain(m *testing.M) {
	mounttest.Main(m, map[string]mounttest.Role{lessee: holdLease})
}

// Filesystem types of statfs(2) whose errors are those of Linux.
const (
	ext4Magic  = 0xEF53
	xfsMagic   = 0x58465342
	tmpfsMagic = 0x01021994
)

// native is an empty directory on a filesystem of the kernel's own.
func native(t *testing.T) string {
	t.Helper()
	unmasked(t)
	for _, parent := range []string{t.TempDir(), "/dev/shm", "/var/tmp"} {
		var fs unix.Statfs_t
		if err := unix.Statfs(parent, &fs); err != nil {
			continue
		}
		if !slices.Contains([]int64{ext4Magic, xfsMagic, tmpfsMagic}, int64(fs.Type)) {
			continue
		}
		dir, err := os.MkdirTemp(parent, "native")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(dir) })
		return reachable(t, dir)
	}
	t.Skip("needs a native filesystem: ext4, xfs or tmpfs")
	return ""
}

// mounted is an empty directory on a mount, in which nothing may be open at the end of the test.
func mounted(t *testing.T) string {
	t.Helper()
	unmasked(t)
	m := mounttest.Start(t, mounttest.Options{})
	t.Cleanup(m.ExpectNothingLeft)
	dir := m.Path("w")
	if err := os.Mkdir(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	return reachable(t, dir)
}

// readOnly is a mount of which nothing can be changed, with a file d/f.
func readOnly(t *testing.T) string {
	t.Helper()
	mounttest.Need(t, "binary")
	m := mounttest.Start(t, mounttest.Options{})
	must(t, os.Mkdir(m.Path("d"), 0o777))
	must(t, os.WriteFile(m.Path("d", "f"), []byte("12345"), 0o777))
	put(t, m.Path("d", "mine"))
	m.Unmount()
	m.RestartWith("ro")
	return m.Dir
}

// unmasked takes the process's umask away for the time of the test.
func unmasked(t *testing.T) {
	old := syscall.Umask(0)
	t.Cleanup(func() { syscall.Umask(old) })
}

// reachable lets every user in.
func reachable(t *testing.T, dir string) string {
	t.Helper()
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	for parent := filepath.Dir(dir); len(parent) > len(os.TempDir()); parent = filepath.Dir(parent) {
		if info, err := os.Stat(parent); err == nil && info.Mode().Perm()&0o001 == 0 {
			if err := os.Chmod(parent, 0o711); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir
}

// lines are what came of trials, by name.
type lines map[string]string

// add notes what came of one.
func (l lines) add(t *testing.T, name, line string) {
	t.Helper()
	if _, taken := l[name]; taken {
		t.Fatalf("two trials are called %s", name)
	}
	l[name] = line
}

// compare runs trials on both filesystems.
func compare(t *testing.T, trials func(t *testing.T, dir string) lines) {
	t.Helper()
	want := trials(t, native(t))
	got := trials(t, mounted(t))
	judge(t, want, got)
}

// judge reports every difference that is not listed, and every listed one that is none.
func judge(t *testing.T, want, got lines) {
	t.Helper()
	if len(got) != len(want) || len(want) == 0 {
		t.Errorf("%d trials on the mount, %d on the native filesystem", len(got), len(want))
	}
	listed := deviations()
	differ := make(map[string]int)
	shown := 0
	for _, name := range slices.Sorted(maps.Keys(want)) {
		key, known := listedAs(listed, t.Name()+": "+name)
		if known {
			differ[key] += 0
		}
		if got[name] == want[name] {
			continue
		}
		if known {
			differ[key]++
			continue
		}
		if shown++; shown <= 60 {
			t.Errorf("%s\n  native: %s\n  mount:  %s", name, want[name], got[name])
		}
	}
	for key, n := range differ {
		if n == 0 {
			t.Errorf("%q is listed as a deviation and is none", key)
		}
	}
	t.Logf("%d trials, %d differ unlisted", len(want), shown)
}

// listedAs finds the row of the table that is about a trial.
func listedAs(listed map[string]string, trial string) (key string, known bool) {
	for key := range listed {
		if ok, err := path.Match(key, trial); ok && err == nil {
			return key, true
		}
	}
	return "", false
}

// outcome is the text of an error.
func outcome(err error) string {
	var errno syscall.Errno
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &errno):
		if name := unix.ErrnoName(errno); name != "" {
			return name
		}
	}
	return err.Error()
}

// must is for what prepares a trial.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// again repeats what a signal cut short.
func again(call func() error) error {
	for {
		if err := call(); err != unix.EINTR {
			return err
		}
	}
}

func long() bool { return os.Getenv("ETAGFS_LONG") != "" }

// sprint is fmt.Sprintf under a short name.
func sprint(format string, a ...any) string { return fmt.Sprintf(format, a...) }
