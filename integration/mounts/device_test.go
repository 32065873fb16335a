package mounts

import (
	"os"
	"os/exec"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/etagfs/etagfs/integration/mounttest"
)

// deviceAttempts bounds how often a mount gets another number than the one that has just become free.
const deviceAttempts = 20

// The number of a device is free once its mount is gone, though the daemon may be stopped and know nothing of it. The
// next mount has that number and a daemon of its own: when that is killed, the mount is taken away at once.
func TestStoppedDaemonIsNotTakenForTheOneOfTheNextMount(t *testing.T) {
	mounttest.Need(t, "root")
	owner, _, _ := ownerAndOther(t)
	needMountIDs(t, owner.Dir)
	for range deviceAttempts {
		if unmountAfterAnother(t, owner.Store) {
			return
		}
	}
	t.Skipf("needs others that do not mount meanwhile: one did, %d times", deviceAttempts)
}

// unmountAfterAnother detaches a mount of store whose daemon is stopped, mounts it elsewhere, kills that daemon and unmounts. It
// reports whether both mounts had one device's number.
func unmountAfterAnother(t *testing.T, store string) (same bool) {
	t.Helper()
	attached := mounttest.Options{Source: store, Args: []string{"--takeover=false"}}
	stopped := mounttest.Start(t, attached)
	device := deviceOf(t, stopped)
	stopped.Signal(syscall.SIGSTOP)
	defer func() {
		stopped.Signal(syscall.SIGCONT)
		if code := stopped.Wait(); code != 0 {
			t.Errorf("the daemon of the mount that was detached ended with exit code %d", code)
		}
	}()
	if err := unix.Unmount(stopped.Dir, unix.MNT_DETACH); err != nil {
		t.Fatal(err)
	}
	next := mounttest.Start(t, attached)
	same = deviceOf(t, next) == device
	kill(next)
	if said, err := exec.Command(mounttest.Binary(), "unmount", next.Dir).CombinedOutput(); err != nil {
		t.Fatalf("unmount: %v\n%s", err, said)
	}
	return same
}

// deviceOf is the number of the device that a mount is.
func deviceOf(t *testing.T, m *mounttest.Mount) uint64 {
	t.Helper()
	info, err := os.Stat(m.Dir)
	if err != nil {
		t.Fatal(err)
	}
	return info.Sys().(*syscall.Stat_t).Dev
}

// needMountIDs skips the test unless the kernel has ids of mounts that it does not give again, as every one since 6.8.
func needMountIDs(t *testing.T, dir string) {
	t.Helper()
	var has unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, dir, 0, unix.STATX_MNT_ID_UNIQUE, &has); err != nil {
		t.Fatal(err)
	}
	if has.Mask&unix.STATX_MNT_ID_UNIQUE == 0 {
		t.Skip("needs a kernel that gives no id of a mount again")
	}
}
