package mounttest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/etagfs/etagfs/mount"
)

// apartRole is the role [Main] has by itself: [Apart]'s.
const apartRole = "apart"

// Apart is a command in a mount namespace of its own, in which of the mounts of etagfs only that at keep is left; empty:
// none. It needs root.
func Apart(t testing.TB, keep, program string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := Command(t, apartRole, append([]string{keep, program}, args...)...)
	cmd.SysProcAttr = &unix.SysProcAttr{Unshareflags: unix.CLONE_NEWNS}
	return cmd
}

// becomeApart is what [Apart] begins with: args are keep and the command, which gets the environment without the role.
func becomeApart(args []string) error {
	if err := ForgetMounts(args[0]); err != nil {
		return err
	}
	program, err := exec.LookPath(args[1])
	if err != nil {
		return err
	}
	if err := os.Unsetenv(roleVariable); err != nil {
		return err
	}
	return unix.Exec(program, args[1:], os.Environ())
}

// ForgetMounts takes the mounts of etagfs that this process has inherited with its mount namespace, but not that at keep,
// out of that namespace. Mounts of other tests would not end while it has them. The process must have been started with
// CLONE_NEWNS: in the namespace of its parent it refuses.
func ForgetMounts(keep string) error {
	mine, err := os.Readlink("/proc/self/ns/mnt")
	if err != nil {
		return err
	}
	if parents, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/mnt", os.Getppid())); err != nil || parents == mine {
		return fmt.Errorf("the mount namespace is not this process's own (%v)", err)
	}
	points, err := mount.Points()
	if err != nil {
		return err
	}
	for _, point := range slices.Backward(points) { // one on top of another goes first
		if point == keep {
			continue
		}
		err := unix.Unmount(point, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
		if err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) { // those have ended, or are hidden by a mount
			return fmt.Errorf("detach %s: %w", point, err)
		}
	}
	return nil
}
