package crash

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// daemon is the built program serving a mount in the foreground.
type daemon struct {
	cmd    *exec.Cmd
	dir    string // where it is mounted
	stderr *os.File
	ended  chan struct{} // closed when the process is reaped
	err    error         // how it ended; after ended

	control *os.File // ends the FUSE connection; nil if there is no such file
}

// startDaemon mounts store at dir and returns once the kernel has the mount.
func startDaemon(program, store, dir string) (*daemon, error) {
	stderr, err := unnamedFile()
	if err != nil {
		return nil, err
	}
	d := &daemon{
		cmd: exec.Command(program, "mount", store, dir, "--foreground"),
		dir: dir, stderr: stderr, ended: make(chan struct{}),
	}
	d.cmd.Stdout, d.cmd.Stderr = stderr, stderr
	if err := d.cmd.Start(); err != nil {
		return nil, errors.Join(err, stderr.Close())
	}
	go func() {
		d.err = d.cmd.Wait()
		close(d.ended)
	}()
	if err := d.awaitMount(); err != nil {
		err = errors.Join(err, d.kill())
		<-d.ended
		return nil, fmt.Errorf("mount %s: %w\n%s", store, errors.Join(err, d.err), d.words())
	}
	return d, nil
}

// awaitMount waits for the mount to be in the table of mounts, of whose
// changes the kernel tells.
func (d *daemon) awaitMount() error {
	table, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	defer table.Close()
	for deadline := time.Now().Add(roundDeadline); time.Now().Before(deadline); {
		text, err := io.ReadAll(io.NewSectionReader(table, 0, 1<<20))
		if err != nil {
			return err
		}
		if connection, ok := connectionOf(text, d.dir); ok {
			return d.openControl(connection)
		}
		select {
		case <-d.ended:
			return errors.New("the daemon ended")
		default:
		}
		const pollMilliseconds = 100 // then look again whether the daemon still runs
		poll := []unix.PollFd{{Fd: int32(table.Fd()), Events: unix.POLLPRI}}
		if _, err := unix.Poll(poll, pollMilliseconds); err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
	}
	return errors.New("it took too long")
}

// kill is kill -9. The connection is aborted as well: a thread that waits in the
// kernel for a directory somebody looks into would wait for ever, and the daemon not end.
func (d *daemon) kill() error {
	err := d.cmd.Process.Signal(syscall.SIGKILL)
	if errors.Is(err, os.ErrProcessDone) {
		err = nil
	}
	if d.control != nil {
		_, abortErr := d.control.WriteString("1")
		err = errors.Join(err, abortErr)
	}
	return err
}

// openControl opens what aborts the FUSE connection. A daemon that has ended by itself has left the number of its connection to whoever
// mounted next; what was opened before is of no other connection.
func (d *daemon) openControl(connection string) error {
	const control = "/sys/fs/fuse/connections"
	f, err := os.OpenFile(filepath.Join(control, connection, "abort"), os.O_WRONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	d.control = f
	return err
}

// connectionOf finds the FUSE connection mounted at dir: the minor number of its device.
func connectionOf(table []byte, dir string) (string, bool) {
	for line := range strings.Lines(string(table)) {
		fields := strings.Fields(line)
		if len(fields) > 4 && fields[4] == dir {
			_, minor, ok := strings.Cut(fields[2], ":")
			return minor, ok
		}
	}
	return "", false
}

// end makes sure that daemon and mount are gone. That it was killed is no error.
func (d *daemon) end() error {
	killErr := d.kill()
	<-d.ended
	err := d.err
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL {
		err = nil
	}
	if err != nil {
		err = fmt.Errorf("daemon: %w\n%s", err, d.words())
	}
	if unmountErr := unix.Unmount(d.dir, unix.MNT_DETACH); !errors.Is(unmountErr, unix.EINVAL) { // not mounted
		err = errors.Join(err, unmountErr)
	}
	if d.control != nil {
		err = errors.Join(err, d.control.Close())
	}
	return errors.Join(err, killErr, d.stderr.Close())
}

// words is what the daemon printed.
func (d *daemon) words() string {
	text, _ := io.ReadAll(io.NewSectionReader(d.stderr, 0, 1<<20))
	return strings.TrimSpace(string(text))
}
