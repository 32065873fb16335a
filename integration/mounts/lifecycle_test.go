package mounts

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/etagfs/etagfs/integration/mounttest"
	"github.com/etagfs/etagfs/mount"
)

// Whoever unmounts and however, the daemon ends with exit code 0.
func TestEndIsClean(t *testing.T) {
	ends := map[string]func(m *mounttest.Mount){
		"SIGTERM":        func(m *mounttest.Mount) { m.Signal(syscall.SIGTERM) },
		"SIGINT":         func(m *mounttest.Mount) { m.Signal(os.Interrupt) },
		"fusermount3 -u": func(m *mounttest.Mount) { m.Unmount() },
		"umount": func(m *mounttest.Mount) {
			if _, err := mount.Unmount(m.Dir, mounttest.NobodyKnows); err != nil {
				t.Error(err)
			}
		},
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			m := start(t)
			put(t, m.Path("f"), "content")
			end(m)
			if code := m.Wait(); code != 0 {
				t.Errorf("exit code %d", code)
			}
		})
	}
}

// C1, C4: SIGTERM while files are open keeps what was being written, which nobody has said is whole, commits
// what was appended, and ends.
func TestTermKeepsWhatIsOpen(t *testing.T) {
	m := onDisk(t)
	put(t, m.Path("lost"), "base")
	put(t, m.Path("rewritten"), "whole")
	put(t, m.Path("log"), "one\n")
	half := open(t, m.Path("rewritten"), os.O_WRONLY|os.O_TRUNC)
	write(t, half, "half")
	log := open(t, m.Path("log"), os.O_WRONLY|os.O_APPEND)
	write(t, log, "two\n")
	changed := open(t, m.Path("changed"), os.O_RDWR|os.O_CREATE)
	write(t, changed, "not closed")
	loser := open(t, m.Path("lost"), os.O_WRONLY)
	write(t, loser, "LOSER")
	put(t, m.Path("lost"), "winner")
	m.Signal(syscall.SIGTERM)
	m.Wait()
	if _, err := changed.Write([]byte("late")); err == nil {
		t.Error("a write after the end succeeded")
	}
	m.Restart()
	if _, err := os.Stat(m.Path("changed")); !os.IsNotExist(err) {
		t.Errorf("a file that was never closed: %v", err)
	}
	check(t, m.Path("rewritten"), "whole")
	check(t, m.Path("log"), "one\ntwo\n")
	check(t, m.Path("lost"), "winner")
	checkKept(t, m, "LOSER", "half", "not closed")
}

// onDisk is a mount of a store that outlives its daemon.
func onDisk(t *testing.T) *mounttest.Mount {
	t.Helper()
	mounttest.Need(t, "binary")
	return start(t)
}

// A mount point whose daemon was killed is detached and mounted again by the same command.
func TestDeadMountPointIsMountedAgain(t *testing.T) {
	m := start(t)
	put(t, m.Path("f"), "content")
	m.Signal(syscall.SIGKILL)
	m.Wait()
	_, err := os.Stat(m.Dir)
	wants(t, "stat of the dead mount", err, syscall.ENOTCONN)
	m.Restart()
	put(t, m.Path("g"), "again")
	check(t, m.Path("g"), "again")
}

// C8: a close that returned is there after the daemon was killed.
func TestClosedFilesSurviveAKilledDaemon(t *testing.T) {
	m := onDisk(t)
	put(t, m.Path("small"), "content")
	large := strings.Repeat("0123456789abcdef", 1<<16)
	put(t, m.Path("large"), large)
	if err := os.Rename(m.Path("small"), m.Path("renamed")); err != nil {
		t.Fatal(err)
	}
	m.Signal(syscall.SIGKILL)
	m.Wait()
	m.Restart()
	check(t, m.Path("renamed"), "content")
	if got, err := os.ReadFile(m.Path("large")); err != nil || string(got) != large {
		t.Errorf("the large file has %d bytes (%v)", len(got), err)
	}
}

// The sentence names who has the store.
func TestSecondMountOfAStoreWithoutItsSocketIsRefused(t *testing.T) {
	m := onDisk(t)
	if err := os.Remove(filepath.Join(m.Store, "etagfs.sock")); err != nil {
		t.Fatal(err)
	}
	other := t.TempDir()
	out, err := exec.Command(mounttest.Binary(), "mount", m.Store, other, "--foreground").CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 5 {
		t.Errorf("%v\n%s", err, out)
	}
	if !strings.Contains(string(out), m.Dir) {
		t.Errorf("the owner %s is not named: %s", m.Dir, out)
	}
}

// It does not matter what the kernel remembers of it.
func TestDeadMountOfWhichTheKernelRemembersTheRoot(t *testing.T) {
	shortIsParallel(t)
	m := start(t)
	if _, err := os.Stat(m.Dir); err != nil {
		t.Fatal(err)
	}
	m.Signal(syscall.SIGKILL)
	m.Wait()
	if _, err := mount.Prepare(m.Dir, mounttest.NobodyKnows); err != nil {
		t.Error(err)
	}
	m.Restart()
}

func TestMountPointsThatAreRefused(t *testing.T) {
	shortIsParallel(t)
	mounttest.Need(t, "fuse")
	base := t.TempDir()
	put(t, filepath.Join(base, "file"), "")
	if err := os.MkdirAll(filepath.Join(base, "full", "sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	m := start(t)
	for _, c := range []struct{ dir, says string }{
		{filepath.Join(base, "missing"), "does not exist"},
		{filepath.Join(base, "file"), "is not a directory"},
		{filepath.Join(base, "file", "below"), "not a directory"},
		{filepath.Join(base, "full"), "is not empty"},
		{m.Dir, "already"},
	} {
		if _, err := mount.Prepare(c.dir, mounttest.NobodyKnows); err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), filepath.Base(c.dir)) {
			t.Errorf("Prepare(%s) = %v, want a sentence with %q", c.dir, err, c.says)
		}
	}
}
