package mounttest

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// deadline is how long a test may take unless it says otherwise.
	deadline = 4 * time.Minute
	// startTime is how long a daemon may take to be ready.
	startTime = 3 * time.Minute
	// busyTime is how long a mount may be busy when it is unmounted, and busyInterval how often it is tried.
	busyTime     = 3 * time.Minute
	busyInterval = 250 * time.Millisecond
	// endTime is how long a daemon may take to end once it has been asked to.
	endTime = 3 * time.Minute
	// logLines is how much of a daemon's log a failed test shows.
	logLines = 40
	// stacksTime is how long a daemon may take to write its stacks.
	stacksTime = 30 * time.Second
)

// Options say how to mount. The zero value is the default.
type Options struct {
	Mount    string        // the list of -o
	Deadline time.Duration // of the test; 0: four minutes
	User     uint32        // mount as this user through fusermount3; 0: as who runs the test
	Source   string        // the store; empty: one of its own. Another's takes the built program
	Args     []string      // more arguments of the built program
	Env      []string      // more environment of the built program
	// Descriptors is how many the built program may have; 0: as many as who runs the test.
	Descriptors int
}

// Mount is a mount that lives as long as a test.
type Mount struct {
	Dir   string // the mount point
	Store string // the store's directory; nothing is there if it is in memory

	t       testing.TB
	options Options
	// connection is the number of the FUSE connection, which another mount has once this one is gone. control
	// ends this connection and no other; nil if there is no such file.
	connection string
	control    *os.File
	cmd        *exec.Cmd
	log        *Output
	exited     chan struct{} // closed once the daemon has ended

	mu      sync.Mutex
	expired bool // the deadline passed; guarded by mu
}

// Start mounts an empty store, or the one of the options, at an empty directory.
func Start(t testing.TB, options Options) *Mount {
	t.Helper()
	Need(t, "fuse")
	base := t.TempDir()
	if options.User != 0 {
		Need(t, "root")
		share(t, base, options.User)
	}
	m := &Mount{Dir: filepath.Join(base, "mnt"), Store: filepath.Join(base, "store"), t: t, options: options}
	if options.Descriptors != 0 {
		Need(t, "binary", "prlimit")
	}
	if options.Source != "" {
		Need(t, "binary")
		m.Store = options.Source
	}
	if err := os.Mkdir(m.Dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if options.User != 0 {
		share(t, m.Dir, options.User)
		ShareDevice(t)
	}
	m.Restart()
	watch := time.AfterFunc(orDefault(options.Deadline, deadline), m.expire)
	t.Cleanup(func() {
		watch.Stop()
		m.end()
	})
	return m
}

func orDefault(d, otherwise time.Duration) time.Duration {
	if d == 0 {
		return otherwise
	}
	return d
}

// share lets a user reach dir: the parents of a test's directory are root's own.
func share(t testing.TB, dir string, user uint32) {
	t.Helper()
	if err := os.Chown(dir, int(user), -1); err != nil {
		t.Fatal(err)
	}
	for parent := filepath.Dir(dir); len(parent) > len(os.TempDir()); parent = filepath.Dir(parent) {
		if err := os.Chmod(parent, 0o711); err != nil {
			t.Fatal(err)
		}
	}
}

// ShareDevice lets users mount, as most systems do, for the time of the test.
func ShareDevice(t testing.TB) {
	t.Helper()
	const device = "/dev/fuse"
	info, err := os.Stat(device)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() == 0o666 {
		return
	}
	if err := os.Chmod(device, 0o666); err != nil {
		t.Skipf("needs fuse: %v", err)
	}
	t.Cleanup(func() { os.Chmod(device, info.Mode().Perm()) })
}

// As is a command run by a user of this number.
func (m *Mount) As(user uint32, name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: user, Gid: user}}
	return cmd
}

// RestartWith mounts the same store again, otherwise.
func (m *Mount) RestartWith(mountOptions string) {
	m.t.Helper()
	m.options.Mount = mountOptions
	m.Restart()
}

// Restart mounts again after the daemon has ended.
func (m *Mount) Restart() {
	m.t.Helper()
	if err := m.start(); err != nil {
		m.t.Fatal(err)
	}
}

// start starts a daemon and waits until it is ready.
func (m *Mount) start() error {
	read, write, err := os.Pipe()
	if err != nil {
		return err
	}
	defer read.Close()
	m.log = &Output{}
	m.exited = make(chan struct{})
	m.cmd = daemon(m)
	m.cmd.Stdout, m.cmd.Stderr = m.log, m.log
	m.cmd.ExtraFiles = []*os.File{write}
	m.cmd.Env = append(m.cmd.Environ(), "ETAGFS_READY_FD=3", "GOTRACEBACK=all")
	m.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if m.options.User != 0 {
		m.cmd.SysProcAttr.Credential = &syscall.Credential{Uid: m.options.User, Gid: m.options.User}
	}
	err = m.cmd.Start()
	write.Close()
	if err != nil {
		return err
	}
	go func(cmd *exec.Cmd, exited chan<- struct{}) {
		cmd.Wait() // how it ended is in cmd.ProcessState
		close(exited)
	}(m.cmd, m.exited)
	return m.await(read)
}

// await returns when the daemon says that the mount can be used.
func (m *Mount) await(from *os.File) error {
	said := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(from).ReadString('\n') // nothing if the daemon ends
		said <- strings.TrimSpace(line)
	}()
	select {
	case line := <-said:
		if line == "ready" {
			return m.findDevice()
		}
		<-m.exited
		return fmt.Errorf("daemon: %s\n%s", line, m.log)
	case <-time.After(startTime):
		m.stacks()
		m.kill()
		return fmt.Errorf("not mounted after %v\n%s", startTime, m.log)
	}
}

// findDevice finds the mount without touching it.
func (m *Mount) findDevice() error {
	fields := strings.Fields(m.mountLine())
	if len(fields) < 3 {
		return fmt.Errorf("%s is not mounted\n%s", m.Dir, m.log)
	}
	_, m.connection, _ = strings.Cut(fields[2], ":")
	if control, err := os.OpenFile(filepath.Join(connections, m.connection, "abort"), os.O_WRONLY, 0); err == nil { // it may not be there
		m.control = control
		m.t.Cleanup(func() { control.Close() })
	}
	return nil
}

// Path is a path in the mount.
func (m *Mount) Path(names ...string) string {
	return filepath.Join(append([]string{m.Dir}, names...)...)
}

// Log is what the daemon has written.
func (m *Mount) Log() string { return m.log.String() }

// PID is the daemon's.
func (m *Mount) PID() int { return m.cmd.Process.Pid }

// Signal sends the daemon a signal. If that is SIGSTOP, it has stopped when Signal returns.
func (m *Mount) Signal(s os.Signal) {
	m.t.Helper()
	if s == syscall.SIGSTOP {
		if err := Stop(m.cmd.Process.Pid); err != nil {
			m.t.Fatal(err)
		}
		return
	}
	if err := m.cmd.Process.Signal(s); err != nil {
		m.t.Fatal(err)
	}
}

// Kill ends the daemon and its connection, as a crash does: the two end together, also if daemon and kernel wait for each other. The
// dead mount stays.
func (m *Mount) Kill() {
	m.t.Helper()
	m.cmd.Process.Kill()
	m.abort()
	m.Wait()
}

// Wait returns the exit code of the daemon once it has ended; it is -1 if a
// signal ended it.
func (m *Mount) Wait() int {
	m.t.Helper()
	select {
	case <-m.exited:
	case <-time.After(endTime):
		m.stacks()
		m.t.Fatalf("the daemon did not end\n%s", m.log)
	}
	return m.cmd.ProcessState.ExitCode()
}

// Goroutines makes the daemon write its stacks, which ends it and the mount, and returns how many there were.
func (m *Mount) Goroutines() int {
	m.t.Helper()
	m.stacks()
	m.abort()
	m.Wait()
	if m.mountLine() != "" {
		if err := unix.Unmount(m.Dir, unix.MNT_DETACH); err != nil {
			m.t.Errorf("unmount: %v", err)
		}
	}
	return strings.Count(m.log.String(), "\ngoroutine ")
}

// Unmount unmounts and waits for the daemon to end.
func (m *Mount) Unmount() {
	m.t.Helper()
	if err := m.unmount(); err != nil {
		m.t.Fatal(err)
	}
	if code := m.Wait(); code != 0 {
		m.t.Fatalf("the daemon ended with exit code %d\n%s", code, m.log)
	}
}

// unmount asks again for a moment if the mount is busy: programs of other tests, like df, look at every mount of the machine.
func (m *Mount) unmount() error {
	for patience := time.After(busyTime); ; {
		out, err := exec.Command("fusermount3", "-u", m.Dir).CombinedOutput()
		if err == nil {
			return nil
		}
		err = fmt.Errorf("unmount: %w: %s", err, bytes.TrimSpace(out))
		if !bytes.Contains(out, []byte("busy")) {
			return err
		}
		select {
		case <-patience:
			return err
		case <-time.After(busyInterval):
		}
	}
}

// end is what every test ends with: nothing may be left.
func (m *Mount) end() {
	m.mu.Lock()
	expired := m.expired
	m.mu.Unlock()
	select {
	case <-m.exited:
	default:
		if !expired {
			m.finish()
		}
	}
	if m.mountLine() != "" {
		m.t.Errorf("%s is still mounted", m.Dir)
		unix.Unmount(m.Dir, unix.MNT_DETACH)
	}
	if m.t.Failed() {
		m.t.Logf("the end of the daemon's log:\n%s", m.log.end(logLines))
	}
}

// finish unmounts and expects a clean end.
func (m *Mount) finish() {
	if err := m.unmount(); err != nil {
		m.t.Error(err)
		m.kill()
		return
	}
	select {
	case <-m.exited:
		if code := m.cmd.ProcessState.ExitCode(); code != 0 {
			m.t.Errorf("the daemon ended with exit code %d", code)
		}
	case <-time.After(endTime):
		m.stacks()
		m.t.Error("the daemon did not end after its mount was unmounted")
		m.kill()
	}
}

// expire ends a test that hangs.
func (m *Mount) expire() {
	m.mu.Lock()
	m.expired = true
	m.mu.Unlock()
	m.t.Errorf("not done after %v: aborting the mount", orDefault(m.options.Deadline, deadline))
	m.stacks()
	m.kill()
}

// stacks makes the daemon write its stacks, which ends it.
func (m *Mount) stacks() {
	m.cmd.Process.Signal(syscall.SIGQUIT) // an error means that it is gone
	select {
	case <-m.exited:
	case <-time.After(stacksTime):
	}
}

// kill leaves nothing behind: whoever waits for an answer gets an error.
func (m *Mount) kill() {
	m.abort()
	m.cmd.Process.Kill()
	unix.Unmount(m.Dir, unix.MNT_FORCE|unix.MNT_DETACH) // aborts, too, where that directory is not mounted
	<-m.exited
}

// abort ends the connection: through the control file, which may not be there, or as root.
func (m *Mount) abort() {
	if m.control != nil {
		m.control.WriteString("1")
	}
	unix.Unmount(m.Dir, unix.MNT_FORCE) // aborts, and leaves what is in use
}

// mountLine is what the kernel's mount table says about the topmost mount at Dir, empty
// if there is none. It does not touch it.
func (m *Mount) mountLine() string {
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return ""
	}
	lines := strings.Split(string(table), "\n")
	for _, line := range slices.Backward(lines) {
		if strings.Contains(line, " "+m.Dir+" ") {
			return line
		}
	}
	return ""
}

// Output is what a program writes, safe for concurrent use. The zero value is empty.
type Output struct {
	mu   sync.Mutex
	text bytes.Buffer // guarded by mu
}

// Write implements io.Writer.
func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

// String is everything so far.
func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// end is the last lines, and all from where the daemon was made to write its stacks.
func (o *Output) end(lines int) string {
	all := strings.SplitAfter(o.String(), "\n")
	from := max(len(all)-lines, 0)
	if stacks := slices.IndexFunc(all, func(line string) bool { return strings.HasPrefix(line, "SIGQUIT") }); stacks >= 0 {
		from = min(from, stacks)
	}
	return strings.Join(all[from:], "")
}
