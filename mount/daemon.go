package mount

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// presencePatience is how long a daemon's socket may take to accept, which the kernel does for it.
const presencePatience = time.Second

// presenceNames are the sockets by which the daemon of a mount may be found; it has the first. They are no files' names: they
// end with the process. A question to the mount would wait for whatever its store waits for, and keep the mount busy.
//
// A device's number is given to the next mount as soon as a mount is taken away, whose process may go on for long, as one that
// is stopped does: so the name is made of what the kernel gives no other mount. It is made of the device where the kernel has
// nothing better; such a daemon is found by that.
func (m mounted) presenceNames() (names []string) {
	if id, ok := uniqueID(m.id); ok {
		names = append(names, presencePrefix+"id/"+strconv.FormatUint(id, 10))
	}
	return append(names, presencePrefix+m.device)
}

const presencePrefix = "@etagfs/mount/"

// Announce lets those who unmount wait for this process. It is to be closed last. Where the name is made of the device, the
// process of a mount that was taken away may still have it: then the name is ours once that has ended.
func (m *Mount) Announce() (*Presence, error) {
	if m.presence == "" {
		return nil, errors.New("the mount is not in the mount table")
	}
	p := &Presence{name: m.presence, stop: make(chan struct{}), done: make(chan struct{})}
	listener, err := net.Listen("unix", m.presence)
	switch {
	case err == nil:
		p.listener = listener
		close(p.done)
	case errors.Is(err, unix.EADDRINUSE):
		go p.await()
	default:
		return nil, err
	}
	return p, nil
}

// presenceInterval is between attempts to get a name that another process has.
const presenceInterval = 20 * time.Millisecond

// Presence is the socket by which the process of a mount can be found. Another process may still have its name.
type Presence struct {
	// Constant.
	name string
	stop chan struct{} // closed by Close
	done chan struct{} // closed once it is settled whether there is a listener

	listener net.Listener // nil: the name could not be had; set before done is closed
}

// await is the goroutine.
func (p *Presence) await() {
	defer close(p.done)
	ticks := time.NewTicker(presenceInterval)
	defer ticks.Stop()
	for {
		select {
		case <-p.stop:
			return
		case <-ticks.C:
		}
		listener, err := net.Listen("unix", p.name)
		if err == nil {
			p.listener = listener
		}
		if !errors.Is(err, unix.EADDRINUSE) {
			return
		}
	}
}

// Close gives the name back. Who waits for the process is told its last words, if there are any: what went wrong when it ended.
func (p *Presence) Close(words string) error {
	close(p.stop)
	<-p.done
	if p.listener == nil {
		return nil
	}
	return errors.Join(p.say(words), p.listener.Close())
}

// wordsBytesMax of last words are told.
const wordsBytesMax = 4 << 10

// say tells all who have connected.
func (p *Presence) say(words string) error {
	listener, ok := p.listener.(*net.UnixListener)
	if !ok || words == "" {
		return nil
	}
	raw, err := listener.SyscallConn()
	if err != nil {
		return err
	}
	return raw.Control(func(fd uintptr) {
		for {
			conn, _, err := unix.Accept4(int(fd), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
			if errors.Is(err, unix.EINTR) {
				continue
			}
			if err != nil {
				return // there is nobody else
			}
			_, _ = unix.Write(conn, []byte(words[:min(len(words), wordsBytesMax)])) // who is gone is not told
			_ = unix.Close(conn)
		}
	})
}

// Daemon is a process that serves a mount. Nil is one that cannot be found: it has ended, or has
// a network namespace of its own.
type Daemon struct {
	conn *net.UnixConn
	pid  int
}

// daemonOf finds who serves a mount.
func daemonOf(m mounted) *Daemon {
	for _, name := range m.presenceNames() {
		if d := daemonAt(name, m.user); d != nil {
			return d
		}
	}
	return nil
}

// daemonAt finds who has a name, for a mount of a user's. Anybody may listen under that name: what another user says is not
// believed.
func daemonAt(name, user string) *Daemon {
	conn, err := net.DialTimeout("unix", name, presencePatience)
	if err != nil {
		return nil
	}
	d := &Daemon{conn: conn.(*net.UnixConn)}
	raw, err := d.conn.SyscallConn()
	var peer *unix.Ucred
	if err == nil {
		_ = raw.Control(func(fd uintptr) { // without it the peer is nobody
			peer, _ = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
		})
	}
	if peer == nil || strconv.Itoa(int(peer.Uid)) != user {
		_ = d.Close() // nothing was written
		return nil
	}
	d.pid = int(peer.Pid)
	return d
}

// fateOf is what has become of the daemon of a mount, as far as its socket tells. One that was killed and
// cannot end, because a thread of it waits in the kernel, has it still.
func fateOf(m mounted) (fate Fate, err error) {
	d := daemonOf(m)
	switch {
	case d == nil:
		return FateUnknown, nil
	case Ending(d.pid):
		fate = FateGone
	default:
		fate = FateAlive
	}
	return fate, d.Close()
}

// PID is its process id; 0 if it is in a process namespace that is not seen from here.
func (d *Daemon) PID() int { return d.pid }

// Ended returns when the process has ended or is about to, with its last words, or with ctx's error.
func (d *Daemon) Ended(ctx context.Context) (words string, err error) {
	if err := d.conn.SetReadDeadline(time.Time{}); err != nil {
		return "", err
	}
	stop := context.AfterFunc(ctx, func() { _ = d.conn.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	said, err := io.ReadAll(io.LimitReader(d.conn, wordsBytesMax))
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return "", ctx.Err()
	}
	return string(said), nil
}

// Close gives up waiting.
func (d *Daemon) Close() error { return d.conn.Close() }
