package main

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// The directory of local copies is the user's alone, or it is refused: whoever else could write there could change them.
func TestCopiesAreOnlyKeptInADirectoryOfTheUsers(t *testing.T) {
	const stranger = 65534
	dir := t.TempDir()
	for what, plant := range map[string]func(place string) error{
		"a link to another": func(place string) error {
			return os.Symlink(t.TempDir(), place)
		},
		"open to all": func(place string) error {
			if err := os.Mkdir(place, 0o700); err != nil {
				return err
			}
			return os.Chmod(place, 0o777)
		},
		"somebody else's": func(place string) error {
			if os.Geteuid() != 0 {
				return os.Symlink("/", place)
			}
			if err := os.Mkdir(place, 0o700); err != nil {
				return err
			}
			return os.Chown(place, stranger, stranger)
		},
	} {
		base := daemon{cache: filepath.Join(dir, strings.ReplaceAll(what, " ", "-"))}
		place, err := base.localDir("main", "identity")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(place); err != nil {
			t.Fatal(err)
		}
		if err := plant(place); err != nil {
			t.Fatal(err)
		}
		if _, err := base.localDir("main", "identity"); err == nil || exitCode(err) != exitUsage {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// A socket in a store's directory that is of neither root, nor the user, nor whose directory it is, is none to speak to: who could
// make a name there would be given what is written.
func TestASocketOfAStrangerIsNotSpokenTo(t *testing.T) {
	const stranger = 65534
	if os.Geteuid() != 0 {
		t.Skip("needs root: only root can be another user")
	}
	dir, err := os.MkdirTemp("", "s") // no path of the test's, which others cannot pass
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	listening, done := make(chan error, 1), make(chan struct{})
	defer close(done)
	go func() { // a thread of another user's, which ends with the goroutine
		runtime.LockOSThread()
		if _, _, errno := syscall.RawSyscall(unix.SYS_SETRESUID, ^uintptr(0), stranger, ^uintptr(0)); errno != 0 {
			listening <- errno
			return
		}
		fd, err := listenAs(filepath.Join(dir, socketName))
		listening <- err
		<-done
		unix.Close(fd)
	}()
	switch err := <-listening; {
	case errors.Is(err, unix.EACCES):
		t.Skip("needs a directory for temporary files that others can pass")
	case err != nil:
		t.Fatal(err)
	}
	if conn, err := dialBeside(t.Context(), dir); err == nil {
		t.Errorf("it is spoken to (%v)", conn.Close())
	} else if !strings.Contains(err.Error(), "user 65534 listens") {
		t.Error(err)
	}
}

func listenAs(path string) (fd int, err error) {
	if fd, err = unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err != nil {
		return -1, err
	}
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		return fd, err
	}
	return fd, unix.Listen(fd, 1)
}
