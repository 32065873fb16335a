package mounts

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"

	"github.com/etagfs/etagfs/integration/mounttest"
	"github.com/etagfs/etagfs/mount"
	"github.com/etagfs/etagfs/objstore/badgerstore"
)

// stick owns the store STORE and serves a mount at DIR. As soon as a name is looked up there the kernel waits
// for this process to answer, and this process for the kernel to forget that name.
func stick(args []string) error {
	ready, err := mount.InheritReadiness()
	if err != nil {
		return err
	}
	_, err = badgerstore.Open(context.Background(), args[0],
		badgerstore.Options{Create: true, MountPoint: args[1], Program: "stick"}, badgerstore.Parts{})
	if err != nil {
		return err
	}
	server, err := fuse.NewServer(&stuck{RawFileSystem: fuse.NewDefaultRawFileSystem()}, args[1],
		&fuse.MountOptions{FsName: args[0], Name: "etagfs", DirectMountStrict: os.Geteuid() == 0})
	if err != nil {
		return err
	}
	if err := ready.Ready(); err != nil {
		return err
	}
	server.Serve()
	return nil
}

// stuck is a filesystem that never finds anything.
type stuck struct {
	fuse.RawFileSystem
	server *fuse.Server
}

// Init implements fuse.RawFileSystem.
func (s *stuck) Init(server *fuse.Server) { s.server = server }

// GetAttr implements fuse.RawFileSystem: there is a root.
func (s *stuck) GetAttr(_ <-chan struct{}, _ *fuse.GetAttrIn, out *fuse.AttrOut) fuse.Status {
	out.Attr = fuse.Attr{Ino: fuse.FUSE_ROOT_ID, Mode: syscall.S_IFDIR | 0o755, Nlink: 2}
	return fuse.OK
}

// Lookup implements fuse.RawFileSystem.
func (s *stuck) Lookup(_ <-chan struct{}, in *fuse.InHeader, name string, _ *fuse.EntryOut) fuse.Status {
	return s.server.EntryNotify(in.NodeId, name)
}

// stuckMount is a mount whose daemon has been killed and cannot end.
type stuckMount struct {
	store, dir string
	daemon     *exec.Cmd
	waiter     *exec.Cmd // waits for an answer
}

// newStuckMount makes one that belongs to a user.
func newStuckMount(t *testing.T, user uint32) *stuckMount {
	t.Helper()
	mounttest.Need(t, "fuse", "root", "binary", "stat")
	base := t.TempDir()
	program := share(t, base, mounttest.Command(t, "stick").Path)
	if err := os.Chown(base, int(user), -1); err != nil { // a store makes itself a file beside it
		t.Fatal(err)
	}
	s := &stuckMount{store: filepath.Join(base, "store"), dir: filepath.Join(base, "mnt")}
	for _, dir := range []string{s.dir, s.store} {
		if err := errors.Join(os.Mkdir(dir, 0o700), os.Chown(dir, int(user), -1)); err != nil {
			t.Fatal(err)
		}
	}
	s.daemon = mounttest.Command(t, "stick", s.store, s.dir)
	s.daemon.Path = program
	s.waiter = exec.Command("stat", filepath.Join(s.dir, "name"))
	for _, cmd := range []*exec.Cmd{s.daemon, s.waiter} {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: user, Gid: user}}
	}
	t.Cleanup(s.end)
	s.startDaemon(t)
	if err := s.waiter.Start(); err != nil {
		t.Fatal(err)
	}
	s.awaitWaitingThread(t)
	if err := s.daemon.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *stuckMount) startDaemon(t *testing.T) {
	t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	s.daemon.ExtraFiles = []*os.File{write}
	s.daemon.Env = append(s.daemon.Env, "ETAGFS_READY_FD=3")
	err = s.daemon.Start()
	write.Close()
	if err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(read).ReadString('\n'); line != "ready\n" {
		t.Fatalf("the daemon says %q (%v)", line, err)
	}
}

// awaitWaitingThread waits until a thread of the daemon waits for the directory.
func (s *stuckMount) awaitWaitingThread(t *testing.T) {
	t.Helper()
	ticks := time.NewTicker(time.Millisecond)
	defer ticks.Stop()
	for {
		channels, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", s.daemon.Process.Pid))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range channels {
			text, _ := os.ReadFile(name) // nothing if the thread has ended
			if _, after, _ := strings.Cut(string(text), ") "); strings.HasPrefix(after, "D") {
				return
			}
		}
		select {
		case <-ticks.C:
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		}
	}
}

func (s *stuckMount) end() {
	unix.Unmount(s.dir, unix.MNT_FORCE|unix.MNT_DETACH)
	for _, cmd := range []*exec.Cmd{s.daemon, s.waiter} {
		if cmd != nil && cmd.Process != nil {
			cmd.Process.Kill() // an error means that it has ended
			cmd.Wait()
		}
	}
}

// A daemon that was killed while the kernel and it wait for each other is got rid of by the next mount.
func TestMountOverADaemonThatCannotEnd(t *testing.T) {
	shortIsParallel(t)
	s := newStuckMount(t, 0)
	for _, args := range [][]string{{"mount", s.store, s.dir}, {"unmount", s.dir}} {
		if out, err := exec.CommandContext(t.Context(), mounttest.Binary(), args...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", args[0], err, out)
		}
	}
	s.checkGone(t)
}

// Unmounting it ends it.
func TestUnmountOfADaemonThatCannotEnd(t *testing.T) {
	shortIsParallel(t)
	s := newStuckMount(t, 0)
	out, err := exec.CommandContext(t.Context(), mounttest.Binary(), "unmount", s.dir).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	s.checkGone(t)
	if _, held, err := badgerstore.Owner(s.store); held || err != nil {
		t.Errorf("the store is held: %v (%v)", held, err)
	}
}

// A user can end a connection that is that user's own, through the control file the kernel offers for it.
func TestUserUnmountsADaemonThatCannotEnd(t *testing.T) {
	shortIsParallel(t)
	mounttest.Need(t, "fuse", "root", "binary")
	mounttest.Connections(t)
	binary := share(t, t.TempDir(), mounttest.Binary())
	mounttest.ShareDevice(t)
	s := newStuckMount(t, nobody)
	if out, err := asUser(binary, "unmount", s.dir).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	s.checkGone(t)
}

// checkGone expects that daemon and waiter have ended, and that nothing is mounted.
func (s *stuckMount) checkGone(t *testing.T) {
	t.Helper()
	s.waiter.Wait() // it got an error
	s.daemon.Wait() // it was killed
	if entries, err := os.ReadDir(s.dir); err != nil || len(entries) != 0 {
		t.Errorf("%v (%v)", entries, err)
	}
}

// The mount of a living daemon is not taken for dead, however long it does not answer.
func TestMountOfAStoppedDaemonStays(t *testing.T) {
	shortIsParallel(t)
	m := onDisk(t)
	put(t, m.Path("f"), "content")
	m.Signal(syscall.SIGSTOP)
	defer m.Signal(syscall.SIGCONT)
	out, err := exec.CommandContext(t.Context(), mounttest.Binary(), "mount", m.Store, m.Dir).CombinedOutput()
	if err == nil || !strings.Contains(string(out), m.Dir) {
		t.Errorf("%v\n%s", err, out)
	}
	m.Signal(syscall.SIGCONT)
	check(t, m.Path("f"), "content")
}

// Who waits for a daemon that does not answer can be interrupted: by a second signal, as the first lets it end by itself.
func TestVerbThatWaitsForAStoppedDaemonCanBeInterrupted(t *testing.T) {
	shortIsParallel(t)
	mounttest.Need(t, "root") // to see that it waits
	mounttest.Connections(t)
	m := onDisk(t)
	m.Signal(syscall.SIGSTOP)
	defer m.Signal(syscall.SIGCONT)
	var said mounttest.Output
	cmd := exec.Command(mounttest.Binary(), "conflicts", "list", m.Dir)
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	m.AwaitRequest()
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	cmd.Process.Signal(syscall.SIGTERM)
	for {
		select {
		case err := <-ended:
			if cmd.ProcessState.ExitCode() != 1 || !strings.Contains(said.String(), "interrupted") {
				t.Errorf("%v\n%s", err, said.String())
			}
			return
		default:
			cmd.Process.Signal(syscall.SIGTERM) // one that comes before the last was handled is lost
			runtime.Gosched()
		}
	}
}

// Others than who mounted it are told whose it is.
func TestOthersCannotUnmount(t *testing.T) {
	shortIsParallel(t)
	mounttest.Need(t, "root")
	m := onDisk(t)
	put(t, m.Path("f"), "content")
	binary := share(t, filepath.Dir(m.Dir), mounttest.Binary())
	out, err := asUser(binary, "unmount", m.Dir).CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 6 || !strings.Contains(string(out), "mounted by user 0") {
		t.Errorf("%v\n%s", err, out)
	}
	check(t, m.Path("f"), "content")
}

// share is a copy of a program, below base, that any user can run.
func share(t *testing.T, base, program string) string {
	t.Helper()
	for _, dir := range []string{base, filepath.Dir(base)} {
		if err := os.Chmod(dir, 0o711); err != nil {
			t.Fatal(err)
		}
	}
	shared := filepath.Join(base, filepath.Base(program))
	if out, err := exec.Command("install", "-m", "755", program, shared).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return shared
}

func asUser(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	return cmd
}
