package mount

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// presencePatience is how long a daemon's socket may take to accept, which the kernel does for it.
const presencePatience = time.Second

// presenceName is the socket by which the daemon of a mount is found. Its name is no file's: it ends with the
// process. A question to the mount would wait for whatever its store waits for, and keep the mount busy.
func presenceName(device string) string { return "@etagfs/mount/" + device }

// Announce lets those who unmount wait for this process. It is to be closed last.
func (m *Mount) Announce() (io.Closer, error) { return net.Listen("unix", presenceName(m.device)) }

// Daemon is a process that serves a mount. Nil is one that cannot be found: it has ended, or has
// a network namespace of its own.
type Daemon struct {
	conn *net.UnixConn
	pid  int
}

// daemonOf finds who serves the mount of a device.
func daemonOf(device string) *Daemon {
	conn, err := net.DialTimeout("unix", presenceName(device), presencePatience)
	if err != nil {
		return nil
	}
	d := &Daemon{conn: conn.(*net.UnixConn)}
	raw, err := d.conn.SyscallConn()
	if err != nil {
		return d
	}
	_ = raw.Control(func(fd uintptr) { // without it the process has no name
		if peer, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			d.pid = int(peer.Pid)
		}
	})
	return d
}

// served reports whether somebody serves the mount of a device.
func served(device string) bool {
	d := daemonOf(device)
	if d == nil {
		return false
	}
	return d.Close() == nil && !Ending(d.pid)
}

// PID is its process id; 0 if it is in a process namespace that is not seen from here.
func (d *Daemon) PID() int { return d.pid }

// Ended returns when the process has ended or is about to, or with ctx's error.
func (d *Daemon) Ended(ctx context.Context) error {
	if err := d.conn.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = d.conn.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	if _, err := d.conn.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
		return ctx.Err()
	}
	return nil
}

// Close gives up waiting.
func (d *Daemon) Close() error { return d.conn.Close() }
