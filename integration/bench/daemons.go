package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/etagfs/etagfs/integration/internal/measure"
)

const (
	mountTime   = 30 * time.Second
	unmountTime = 60 * time.Second
	pollTime    = 10 * time.Millisecond
)

// daemon is a child process that serves a mount, or an address.
type daemon struct {
	name       string
	mountPoint string // empty: it listens
	address    string
	cmd        *exec.Cmd
	said       *tail
	exited     chan struct{} // closed once the process is gone
}

// startDaemon runs a program that stays in the foreground and returns once mountPoint is mounted.
func startDaemon(ctx context.Context, name, mountPoint, program string, args ...string) (*daemon, error) {
	if err := os.MkdirAll(mountPoint, 0o755); err != nil {
		return nil, err
	}
	return startProcess(ctx, &daemon{name: name, mountPoint: mountPoint}, nil, program, args...)
}

// startProcess starts d, with more in its environment, and returns once it is ready.
func startProcess(ctx context.Context, d *daemon, env []string, program string, args ...string) (*daemon, error) {
	d.said, d.exited = &tail{}, make(chan struct{})
	d.cmd = exec.Command(program, args...)
	d.cmd.Env = append(os.Environ(), env...)
	d.cmd.Stdout, d.cmd.Stderr = d.said, d.said
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // an interrupt from the terminal is ours to answer
	if err := d.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", d.name, err)
	}
	go func() {
		d.cmd.Wait() // how it ended shows in what it said
		close(d.exited)
	}()
	if err := d.waitReady(ctx); err != nil {
		return nil, errors.Join(err, d.stop())
	}
	return d, nil
}

func (d *daemon) waitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, mountTime)
	defer cancel()
	poll := time.NewTicker(pollTime)
	defer poll.Stop()
	for {
		if d.isReady() {
			return nil
		}
		select {
		case <-d.exited:
			return fmt.Errorf("%s ended before it was ready: %s", d.name, d.said)
		case <-ctx.Done():
			return fmt.Errorf("%s did not begin: %w", d.name, ctx.Err())
		case <-poll.C:
		}
	}
}

// isReady reports whether it serves what it was started for.
func (d *daemon) isReady() bool {
	if d.mountPoint != "" {
		return fuseDevice(d.mountPoint) != 0
	}
	conn, err := net.Dial("tcp", d.address)
	if err != nil {
		return false
	}
	return conn.Close() == nil
}

// fuseDevice is the number of the FUSE connection mounted at dir, or 0.
func fuseDevice(dir string) uint32 {
	const fuseMagic = 0x65735546
	var fs unix.Statfs_t
	var st unix.Stat_t
	if unix.Statfs(dir, &fs) != nil || fs.Type != fuseMagic || unix.Stat(dir, &st) != nil {
		return 0
	}
	return unix.Minor(st.Dev)
}

// stop unmounts by asking the daemon, and by force if it does not listen.
func (d *daemon) stop() error {
	d.cmd.Process.Signal(syscall.SIGTERM) // it may have ended already
	select {
	case <-d.exited:
	case <-time.After(unmountTime):
		d.abort()
		<-d.exited
		return errors.Join(fmt.Errorf("%s had to be killed: %s", d.name, d.said), d.detach())
	}
	return d.detach()
}

// abort ends the daemon at once; whoever waits for its answer gets an error.
func (d *daemon) abort() { d.cmd.Process.Kill() }

// detach removes what a daemon that died left mounted.
func (d *daemon) detach() error {
	if d.mountPoint == "" {
		return nil
	}
	err := unix.Unmount(d.mountPoint, unix.MNT_DETACH)
	if err == nil || err == unix.EINVAL || err == unix.ENOENT { // EINVAL: nothing is mounted there
		return nil
	}
	if fuseDevice(d.mountPoint) == 0 && err == unix.EPERM { // only root may ask
		return nil
	}
	return fmt.Errorf("unmount %s: %w", d.mountPoint, err)
}

// process is the daemon's.
func (d *daemon) process() measure.Process { return measure.Process(d.cmd.Process.Pid) }
