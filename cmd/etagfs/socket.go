package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/etagfs/etagfs/mount"
	"github.com/etagfs/etagfs/objstore/s3server"
)

// socketName is where the owner of a store can be spoken to, in its directory.
const socketName = "etagfs.sock"

// socketGrace is how long requests of others may run on when the owner ends.
const socketGrace = 2 * time.Second

// socket lets other processes use a store that this one has open. It speaks S3, with this program's extensions.
type socket struct {
	handler *s3server.Server
	keeper  *keeper // nil: the store takes no jobs
	http    *http.Server
	path    string
	ended   chan error
}

// listenBeside opens the socket of the store in dir, which this process owns. The kernel's caches of what this process shows are told of
// changes through shown, if that is not nil.
func listenBeside(dir string, o *offer, shown *mount.Mount, logger *slog.Logger) (*socket, error) {
	everything := s3server.Users{Anonymous: &s3server.User{Admin: []string{"*"}}}
	options := s3server.Options{Buckets: o.buckets, Locks: o.tables, Clients: o.clients(), Users: everything, Logger: quietRequests(logger), Refusing: o.refusing}
	if shown != nil {
		options.Settled, options.Moving = shown.Settle, shown.Moving
	}
	handler, err := s3server.New(options)
	if err != nil {
		return nil, err
	}
	listener, err := listenIn(dir)
	if err != nil {
		return nil, err
	}
	s := &socket{handler: handler, http: handler.HTTP(nil), path: filepath.Join(dir, socketName), ended: make(chan error, 1)}
	if o.engine != nil {
		s.keeper = keeping(o.engine, s.http.Handler)
		s.http.Handler = s.keeper
	}
	go func() { s.ended <- s.http.Serve(handler.Listener(peers{listener, logger})) }()
	return s, nil
}

// quietRequests leaves out the record of every request that went well.
func quietRequests(logger *slog.Logger) *slog.Logger {
	return slog.New(warnings{logger.Handler()})
}

type warnings struct{ slog.Handler }

// Enabled implements [slog.Handler].
func (w warnings) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && w.Handler.Enabled(ctx, level)
}

// Close ends connections and gives back what was held for others.
func (s *socket) Close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, socketGrace)
	defer cancel()
	err := os.Remove(s.path) // nobody new
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	if s.keeper != nil {
		s.keeper.stop()
	}
	err = errors.Join(err, s.handler.Shutdown(ctx, s.http))
	if end := <-s.ended; !errors.Is(end, http.ErrServerClosed) {
		err = errors.Join(err, end)
	}
	if s.keeper != nil {
		s.keeper.Close()
	}
	s.handler.Close()
	return err
}

// listenIn makes the socket under another name and gives it its own once nobody else can use it. What is there
// is of an owner that is gone: the store is ours.
func listenIn(dir string) (net.Listener, error) {
	fd, address, err := shortAddress(dir)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	const unready = socketName + ".new"
	if err := unix.Unlinkat(fd, unready, 0); err != nil && err != unix.ENOENT {
		return nil, &os.PathError{Op: "remove", Path: filepath.Join(dir, unready), Err: err}
	}
	begin := net.ListenConfig{Control: ownerOnly}
	listener, err := begin.Listen(context.Background(), "unix", address(unready))
	if err != nil {
		return nil, err
	}
	if l, ok := listener.(*net.UnixListener); ok {
		l.SetUnlinkOnClose(false)
	}
	if err := unix.Renameat(fd, unready, fd, socketName); err != nil {
		return nil, errors.Join(&os.PathError{Op: "listen", Path: filepath.Join(dir, socketName), Err: err}, listener.Close())
	}
	return listener, nil
}

// ownerOnly gives a socket the mode its name is made with: what has the name later may be something else.
func ownerOnly(_, _ string, raw syscall.RawConn) error {
	var failed error
	err := raw.Control(func(fd uintptr) { failed = unix.Fchmod(int(fd), 0o600) })
	return errors.Join(err, failed)
}

// shortAddress makes addresses of sockets in dir: an address has room for 107 bytes, a path may be longer.
func shortAddress(dir string) (fd int, address func(name string) string, err error) {
	fd, err = unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, nil, &os.PathError{Op: "open", Path: dir, Err: err}
	}
	return fd, func(name string) string { return "/proc/self/fd/" + strconv.Itoa(fd) + "/" + name }, nil
}

// dialBeside connects to the owner of the store in dir.
func dialBeside(ctx context.Context, dir string) (net.Conn, error) {
	fd, address, err := shortAddress(dir)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: "unix", Err: err}
	}
	defer unix.Close(fd)
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", address(socketName))
	if err != nil {
		return nil, err
	}
	if err := trusted(conn, fd); err != nil {
		return nil, &net.OpError{Op: "dial", Net: "unix", Err: errors.Join(err, conn.Close())}
	}
	return conn, nil
}

// trusted refuses who listens in a directory, fd, if that is neither root, nor this user, nor the one whose directory it is: whoever can
// make names there would be given what is written.
func trusted(conn net.Conn, fd int) error {
	peer, err := peerOf(conn)
	if err != nil {
		return err
	}
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		return err
	}
	if peer.Uid != 0 && peer.Uid != uint32(os.Geteuid()) && peer.Uid != stat.Uid {
		return fmt.Errorf("user %d listens in a directory of user %d's", peer.Uid, stat.Uid)
	}
	return nil
}

// peers lets in root, and whoever runs this process: the store is theirs as it is.
type peers struct {
	net.Listener
	logger *slog.Logger
}

// Accept implements [net.Listener].
func (p peers) Accept() (net.Conn, error) {
	for {
		conn, err := p.Listener.Accept()
		if err != nil {
			return nil, err
		}
		peer, err := peerOf(conn)
		if err == nil && (peer.Uid == 0 || peer.Uid == uint32(os.Geteuid())) {
			return conn, nil
		}
		p.logger.Warn("refused a connection", "uid", peer.Uid, "error", err)
		if err := conn.Close(); err != nil {
			p.logger.Warn("close", "error", err)
		}
	}
}

// peerOf is the process at the other end of a socket, and its user, as the kernel knows it: of one that was dialled, who began to listen.
func peerOf(conn net.Conn) (peer unix.Ucred, err error) {
	c, ok := conn.(*net.UnixConn)
	if !ok {
		return peer, fmt.Errorf("%T is no socket", conn)
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return peer, err
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		var cred *unix.Ucred
		if cred, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); failed == nil {
			peer = *cred
		}
	})
	return peer, errors.Join(err, failed)
}
