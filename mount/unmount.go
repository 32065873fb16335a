package mount

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A mount can be busy without anybody having it open: while df(1) or sync(1) goes over all mounts. That is over in a moment.
const (
	busyAttempts = 20
	busyPause    = 50 * time.Millisecond
)

// BusyError says who keeps a mount from being unmounted.
type BusyError struct {
	Dir     string
	Holders []Holder // empty if nobody the caller may know of
	Within  []string // what is mounted below Dir
}

// Error is one sentence.
func (e *BusyError) Error() string {
	var why []string
	for _, dir := range e.Within {
		why = append(why, fmt.Sprintf("%q is mounted in it: unmount that first", dir))
	}
	for _, h := range e.Holders {
		why = append(why, h.String())
	}
	switch {
	case len(why) > 0:
	case os.Geteuid() != 0:
		why = append(why, "a process of another user has it open")
	default: // a loop device or swap, say, or a process that has ended for /proc, or is another machine's behind an NFS server
		why = append(why, "the kernel has something of it open, and no process that can be seen: see losetup -a, swapon --show")
	}
	return fmt.Sprintf("%s is busy: %s", e.Dir, strings.Join(why, "; "))
}

// Unmounted is a mount that was taken out of the tree.
type Unmounted struct {
	Dir    string  // its full path
	Source string  // the store
	Daemon *Daemon // who served it; nil if it cannot be found
	device string
}

// Unmount takes the mount at dir out of the tree if nothing is open in it, and a [*BusyError] says what is. Its
// daemon then ends on its own: it still has to release the store. A mount whose daemon is gone is
// taken away, open or not.
func Unmount(dir string, fates Fates) (Unmounted, error) {
	point, m, err := mountOfOurs(dir)
	if err != nil {
		return Unmounted{}, err
	}
	if err := removeDead(point, fates); err != nil {
		return Unmounted{}, err
	}
	unmounted := Unmounted{Dir: point, Source: m.source, device: m.device}
	if left, found, err := mountedAt(point); err != nil || !found || left.id != m.id {
		return unmounted, err // its daemon was gone
	}
	unmounted.Daemon = daemonOf(m)
	return unmounted, take(point)
}

// Detach takes the mount at dir out of the tree at once, whatever is open in it. It ends when the last of that is closed.
func Detach(dir string) error {
	point, _, err := mountOfOurs(dir)
	if err != nil {
		return err
	}
	if err := detach(point); err != nil {
		return fmt.Errorf("unmount %s: %w", point, err)
	}
	return nil
}

// mountOfOurs finds the mount at dir, which the caller may unmount.
func mountOfOurs(dir string) (point string, m mounted, err error) {
	if point, err = resolve(dir); err != nil {
		return "", mounted{}, err
	}
	m, found, err := mountedAt(point)
	switch {
	case err != nil:
	case !found && !exists(point):
		err = absentError(point + " does not exist: nothing is mounted there")
	case !found:
		err = fmt.Errorf("nothing is mounted at %s", point)
	case m.fsType != fsType:
		err = fmt.Errorf("%s is a mount of type %s, not one of etagfs", point, m.fsType)
	case os.Geteuid() != 0 && m.user != strconv.Itoa(os.Getuid()):
		err = fmt.Errorf("%s was mounted by user %s: only that user and root can unmount it: %w", point, m.user, syscall.EPERM)
	}
	return point, m, err
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, os.ErrNotExist)
}

// Copies lists a process of each mount namespace, but this one, in which the mount still is. It
// ends with the last of them.
func (u Unmounted) Copies() ([]Holder, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var holders []Holder
	seen := make(map[string]bool)
	for _, e := range entries {
		pid, err := strconv.ParseUint(e.Name(), 10, 32)
		if err != nil {
			continue
		}
		namespace, err := os.Readlink(filepath.Join("/proc", e.Name(), "ns", "mnt"))
		if err != nil || seen[namespace] {
			continue // it has ended, or is nobody's business
		}
		seen[namespace] = true
		table, err := mountTable(e.Name())
		if err == nil && slices.ContainsFunc(table, func(m mounted) bool { return m.device == u.device }) {
			process := uint32(pid)
			holders = append(holders, Holder{process, (&processes{}).Name(process), "a mount namespace of its own"})
		}
	}
	return holders, nil
}

// take unmounts point unless it is busy.
func take(point string) error {
	for attempt := 1; ; attempt++ {
		err := unmountIdle(point)
		if err == nil {
			return nil
		}
		holders, listErr := Holders(point)
		within, tableErr := pointsBelow(point)
		known := len(holders) > 0 || len(within) > 0
		listErr = cmp.Or(listErr, tableErr)
		busy := errors.Is(err, syscall.EBUSY)
		switch {
		case busy && !known && listErr == nil && attempt < busyAttempts:
			<-time.After(busyPause)
		case busy || known:
			return errors.Join(&BusyError{point, holders, within}, listErr)
		default:
			return fmt.Errorf("unmount %s: %w", point, err)
		}
	}
}

// unmountIdle fails if anything is open.
func unmountIdle(point string) error {
	if os.Geteuid() == 0 {
		return syscall.Unmount(point, 0)
	}
	return fusermount("-u", point)
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return line
}
