package mount

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Fate is what has become of the daemon of a mount.
type Fate int

// The fates.
const (
	FateUnknown Fate = iota
	FateAlive        // it has not ended, and is not being ended
	FateGone         // it has certainly ended, or cannot but end
)

// Fates tells the fate of the daemon that mounted source at point. A mount is aborted on its word.
type Fates func(source, point string) Fate

// Ending reports whether a process cannot but end: it was killed or is a zombie, but something of it, a
// thread that waits in the kernel, is still there. It is false for one that cannot be found, which may be
// hidden.
func Ending(process int) bool {
	status := filepath.Join("/proc", strconv.Itoa(process), "status")
	if state, _ := procField(status, "State:"); strings.HasPrefix(state, "Z") || strings.HasPrefix(state, "X") {
		return true
	}
	for _, name := range []string{"SigPnd:", "ShdPnd:"} {
		value, _ := procField(status, name)
		pending, err := strconv.ParseUint(value, 16, 64)
		if err == nil && pending&(1<<(syscall.SIGKILL-1)) != 0 {
			return true
		}
	}
	return false
}

// Stopped reports whether a process was told to stop, or a debugger stopped it.
func Stopped(process int) bool {
	state, _ := procField(filepath.Join("/proc", strconv.Itoa(process), "status"), "State:")
	return strings.HasPrefix(strings.ToUpper(state), "T")
}

// removeDead takes the mounts at point whose daemons are gone out of the tree.
//
// The connection of most has ended with the daemon. But a daemon that is killed while it tells the
// kernel to forget a name waits for the directory, which whoever looks that name up holds until the daemon
// answers: neither ends before the connection is aborted.
func removeDead(point string, fates Fates) error {
	for {
		m, found, err := mountedAt(point)
		if err != nil || !found {
			return err
		}
		fate := FateUnknown
		if m.fsType == fsType {
			fate = fates(m.source, point)
		}
		if fate == FateUnknown {
			if fate, err = fateOf(m); err != nil {
				return err
			}
		}
		switch fate {
		case FateAlive:
			return nil
		case FateGone:
			err = m.force()
		default:
			switch err = answer(point); {
			case errors.Is(err, errSilent):
				return fmt.Errorf("%s is a mount that %w: end its daemon first", point, err)
			case !ConnectionEnded(err):
				return nil
			}
			if err = detach(point); err != nil {
				err = fmt.Errorf("%s is a mount whose daemon is gone, and it cannot be detached: %w", point, err)
			}
		}
		if err != nil {
			return err
		}
	}
}

// force ends the connection of a mount and takes it out of the tree.
func (m mounted) force() error {
	if os.Geteuid() == 0 {
		if err := unix.Unmount(m.dir, unix.MNT_FORCE|unix.MNT_DETACH); !errors.Is(err, unix.EPERM) {
			return err
		}
	}
	if err := abortConnection(m.device); err != nil && !endsByItself(m.dir) {
		return fmt.Errorf("%s is a mount whose daemon was killed and waits in the kernel: umount -f %s, as root, ends it (%w)", m.dir, m.dir, cause(err))
	}
	return detach(m.dir)
}

// abortConnection ends a FUSE connection: whoever waits for its daemon gets an error. It belongs to whoever
// mounted it.
func abortConnection(device string) error {
	_, minor, _ := strings.Cut(device, ":")
	return os.WriteFile(filepath.Join("/sys/fs/fuse/connections", minor, "abort"), []byte("1"), 0)
}

// endsByItself reports whether the connection of a mount ends now that its daemon does, as nearly every one does.
func endsByItself(point string) bool {
	ticks := time.NewTicker(endingInterval)
	defer ticks.Stop()
	for deadline := time.Now().Add(answerPatience); time.Now().Before(deadline); <-ticks.C {
		if ConnectionEnded(answer(point)) {
			return true
		}
	}
	return false
}

// endingInterval is between looks at a connection that is about to end.
const endingInterval = 10 * time.Millisecond

// answerPatience is how long a mount may take to say what it is.
const answerPatience = 5 * time.Second

var errSilent = errors.New("does not answer")

// ConnectionEnded reports whether an error is the answer of a mount whose daemon is gone, or went while it was asked.
func ConnectionEnded(err error) bool {
	return errors.Is(err, syscall.ENOTCONN) || errors.Is(err, syscall.ECONNABORTED)
}

// answer is what a mount says that is asked for what the kernel does not remember: nil, an error of [ConnectionEnded], or
// errSilent if it takes too long. Who still waits for an answer keeps the mount busy.
func answer(point string) error {
	said := make(chan error, 1)
	go func() { // ends with the mount, or with us
		var s unix.Statfs_t
		said <- unix.Statfs(point, &s)
	}()
	timer := time.NewTimer(answerPatience)
	defer timer.Stop()
	select {
	case err := <-said:
		return err
	case <-timer.C:
		return errSilent
	}
}
