package mount

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// daemonXattr of the root of a mount says which process serves it, to those who share its process ids:
// its id and when it began.
const daemonXattr = "user.etagfs.daemon"

// daemonInterval is how often it is looked whether whoever waits for a daemon has given up.
const daemonInterval = 50 * time.Millisecond

// Daemon is a process that serves a mount. The zero value is one that cannot be seen from here.
type Daemon struct {
	process int
	began   uint64 // as /proc has it: an id may be another's by now
}

// self is the process that runs this.
func self() Daemon {
	d := Daemon{process: os.Getpid()}
	d.began, _ = beganAt(d.process) // without /proc it is not found again, and not waited for
	return d
}

// beganAt is when a process began, in ticks since the machine did.
func beganAt(process int) (uint64, error) {
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(process), "stat"))
	if err != nil {
		return 0, err
	}
	_, rest, _ := bytes.Cut(stat, []byte(") ")) // what precedes is the program's own name
	fields := bytes.Fields(rest)
	if len(fields) < 20 {
		return 0, fmt.Errorf("%q is no state of a process", stat)
	}
	return strconv.ParseUint(string(fields[19]), 10, 64)
}

func (d Daemon) text() []byte { return fmt.Appendf(nil, "%d %d", d.process, d.began) }

// daemonOf asks a mount who serves it.
func daemonOf(point string) Daemon {
	value := make([]byte, 64)
	n, err := unix.Getxattr(point, daemonXattr, value)
	if err != nil {
		return Daemon{}
	}
	var d Daemon
	if _, err := fmt.Sscanf(string(value[:n]), "%d %d", &d.process, &d.began); err != nil {
		return Daemon{}
	}
	return d
}

// PID is its process id; 0 if it cannot be seen from here.
func (d Daemon) PID() int { return d.process }

// Ended returns when the process has ended, or cannot be seen from here, or with ctx's error.
func (d Daemon) Ended(ctx context.Context) error {
	if d.process == 0 {
		return nil
	}
	fd, err := unix.PidfdOpen(d.process, 0)
	if err != nil {
		return nil // it has ended, or is in another namespace
	}
	defer unix.Close(fd)
	if began, err := beganAt(d.process); err != nil || began != d.began {
		return nil // another process
	}
	ready := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(ready, int(daemonInterval.Milliseconds()))
		switch {
		case err != nil && !errors.Is(err, unix.EINTR):
			return fmt.Errorf("waiting for process %d: %w", d.process, err)
		case n > 0:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		}
	}
}
