package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore"
	"github.com/etagfs/etagfs/objstore/memstore"
)

// The path of a store may be longer than the address of a socket; what another owner left behind is no obstacle.
func TestSocketInADeepDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("deep/", 40))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	engine, logger := memstore.New(memstore.Options{}), slog.New(slog.DiscardHandler)
	for _, name := range []string{socketName, socketName + ".new"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	s, err := listenBeside(dir, &offer{buckets: engine}, nil, logger)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(dir, socketName))
	if err != nil || info.Mode() != os.ModeSocket|0o600 {
		t.Errorf("the socket is %v, %v", info.Mode(), err)
	}
	store, err := attach(t.Context(), memstore.MainBucket, objstore.ErrInUse, dialing(dir), logger)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.Put(t.Context(), "k", strings.NewReader("x"), objstore.IfAbsent(), objstore.PutOptions{}); err != nil {
		t.Error(err)
	}
	if err := errors.Join(store.Close(), s.Close(t.Context())); err != nil {
		t.Error(err)
	}
	if _, err := attach(t.Context(), memstore.MainBucket, objstore.ErrInUse, dialing(dir), logger); !errors.Is(err, objstore.ErrInUse) {
		t.Errorf("an owner that does not listen any more: %v", err)
	}
}

// Others than root and whoever owns the process are not answered. The socket's mode keeps them out; this is for
// a directory that is open to all on a file system without modes.
func TestPeerIsKnownByTheKernel(t *testing.T) {
	dir := t.TempDir()
	listener, err := listenIn(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	accepted := make(chan net.Conn, 1)
	go func() {
		if conn, err := (peers{listener, slog.New(slog.DiscardHandler)}).Accept(); err == nil {
			accepted <- conn
		}
	}()
	conn, err := dialBeside(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	at := <-accepted
	defer at.Close()
	if peer, err := peerOf(at); err != nil || peer.Uid != uint32(os.Geteuid()) || int(peer.Pid) != os.Getpid() {
		t.Errorf("the peer is %+v, %v", peer, err)
	}
	one, other := net.Pipe()
	defer other.Close()
	if _, err := peerOf(one); err == nil {
		t.Error("a pipe has a user")
	}
	if _, err := io.WriteString(conn, "x"); err != nil {
		t.Error(err)
	}
}

// Who is neither root nor the owner's user is sent away, though the directory and the socket are open to all.
func TestOtherUsersAreSentAway(t *testing.T) {
	const nobody = 65534
	if os.Geteuid() != 0 {
		t.Skip("needs root: nobody else can be another user")
	}
	dir, err := os.MkdirTemp("", "s") // no path of the test's, which others cannot pass
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	listener, err := listenIn(dir)
	if err != nil {
		t.Fatal(err)
	}
	for path, mode := range map[string]os.FileMode{dir: 0o777, filepath.Join(dir, socketName): 0o666} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	admitted := make(chan net.Conn, 1)
	go func() {
		if conn, err := (peers{listener, slog.New(slog.DiscardHandler)}).Accept(); err == nil {
			admitted <- conn
		}
		close(admitted)
	}()
	theirs, err := dialAs(nobody, filepath.Join(dir, socketName))
	if errors.Is(err, unix.EACCES) {
		t.Skip("needs a directory for temporary files that other users can pass")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	if n, err := theirs.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("another user's connection is open: %d bytes, %v", n, err)
	}
	ours, err := dialBeside(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	conn := <-admitted
	defer conn.Close()
	if peer, err := peerOf(conn); err != nil || peer.Uid != 0 {
		t.Errorf("who was let in is %d, %v", peer.Uid, err)
	}
	if err := listener.Close(); err != nil {
		t.Error(err)
	}
}

// dialAs connects to a socket as another user.
func dialAs(uid int, path string) (*os.File, error) {
	var fd int
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and the thread, which is another user's, ends with the goroutine
		_, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, ^uintptr(0), uintptr(uid), ^uintptr(0))
		if errno != 0 {
			done <- errno
			return
		}
		var err error
		if fd, err = unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err == nil {
			err = unix.Connect(fd, &unix.SockaddrUnix{Name: path})
		}
		done <- err
	}()
	if err := <-done; err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), path), nil
}

// An owner is asked, not only connected to: the kernel takes connections for one that does nothing.
func TestOwnerThatAcceptsNobodyDoesNotAnswer(t *testing.T) {
	dir := t.TempDir()
	listener, err := listenIn(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := answering(short, dir, badgerstore.LockOwner{}); err == nil || !strings.Contains(err.Error(), "no answer in time") {
		t.Errorf("it is said to answer: %v", err)
	}
}
