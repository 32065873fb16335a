package mounts

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/etagfs/etagfs/integration/mounttest"
	"github.com/etagfs/etagfs/mount"
)

// A mount in which something is open stays, and the sentence says what, and who has it open.
func TestUnmountOfABusyMountNamesTheHolder(t *testing.T) {
	shortIsParallel(t)
	for _, c := range []struct {
		name, script string
		use          string
	}{
		{"a file", `exec 3< f; cd /; exec cat`, "open file f"},
		{"a directory", `exec 3< d; cd /; exec cat`, "open file d"},
		{"the working directory", `cd d; exec cat`, "working directory"},
		{"a mapping", `f=$PWD/f; cd /; exec "$0" "$f"`, "mapped file f"},
		{"the program itself", `cp /bin/cat copy; cd /; exec "$OLDPWD/copy"`, "runs copy"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := start(t)
			shell(t, m, `echo content > f; mkdir d`)
			role := mounttest.Command(t, "map")
			holder := exec.Command("bash", "-euc", "cd "+m.Dir+"; "+c.script, role.Path)
			holder.Env = role.Env
			hold(t, holder)
			_, err := mount.Unmount(m.Dir, mounttest.NobodyKnows)
			var busy *mount.BusyError
			if !errors.As(err, &busy) || len(busy.Holders) != 1 {
				t.Fatalf("unmount: %v", err)
			}
			if got := busy.Holders[0]; got.Process != uint32(holder.Process.Pid) || got.Program == "" || got.Use != c.use {
				t.Errorf("the holder is %v, not process %d with %s", got, holder.Process.Pid, c.use)
			}
			check(t, m.Path("f"), "content\n") // never lazy
		})
	}
}

// A mount in which something else is mounted stays, and the sentence says what is to be unmounted first.
func TestUnmountOfAMountWithAnotherInItNamesThat(t *testing.T) {
	shortIsParallel(t)
	m, inner := start(t), start(t)
	mounttest.Need(t, "root")
	shell(t, m, `mkdir below`)
	if err := unix.Mount(inner.Dir, m.Path("below"), "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	_, err := mount.Unmount(m.Dir, mounttest.NobodyKnows)
	if err := unix.Unmount(m.Path("below"), 0); err != nil {
		t.Error(err)
	}
	want := fmt.Sprintf("%s is busy: %q is mounted in it: unmount that first", m.Dir, m.Path("below"))
	if err == nil || err.Error() != want {
		t.Errorf("it says %q, not %q", err, want)
	}
}

// mapAndEcho has a mapping of FILE, and nothing else, while it copies its input to its output.
func mapAndEcho(args []string) error {
	f, err := os.Open(args[0])
	if err != nil {
		return err
	}
	_, err = unix.Mmap(int(f.Fd()), 0, 4, unix.PROT_READ, unix.MAP_SHARED)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	_, err = io.Copy(os.Stdout, os.Stdin)
	return err
}

// hold runs a command that copies its input to its output until the test ends. It does when hold returns.
func hold(t *testing.T, cmd *exec.Cmd) *exec.Cmd {
	t.Helper()
	in, out := mounttest.StartPiped(t, cmd)
	t.Cleanup(func() {
		in.Close()
		cmd.Process.Kill()
		cmd.Wait() // it was killed
	})
	if _, err := io.WriteString(in, "ready\n"); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		t.Fatalf("it says %q (%v)", line, err)
	}
	return cmd
}

// elsewhere is a process whose mount namespace has a copy of m.
func elsewhere(t *testing.T, m *mounttest.Mount) *exec.Cmd {
	t.Helper()
	mounttest.Need(t, "root")
	return hold(t, mounttest.Apart(t, m.Dir, "sh", "-c", "cd /; exec cat"))
}

// unmounting starts etagfs unmount, and returns it with what it says while it waits.
func unmounting(t *testing.T, m *mounttest.Mount) (*exec.Cmd, string) {
	t.Helper()
	cmd := exec.Command(mounttest.Binary(), "unmount", m.Dir)
	said, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		io.Copy(io.Discard, said)
	})
	line, err := bufio.NewReader(said).ReadString('\n')
	if err != nil {
		t.Fatalf("it says %q (%v)", line, err)
	}
	return cmd, line
}

// Unmounting waits until the daemon has committed and released the store, and says so.
func TestUnmountSaysWhatItWaitsFor(t *testing.T) {
	m := onDisk(t)
	put(t, m.Path("f"), "content")
	m.Signal(syscall.SIGSTOP)
	cmd, line := unmounting(t, m)
	m.Signal(syscall.SIGCONT)
	want := fmt.Sprintf("process %d", m.PID())
	if !strings.HasPrefix(line, "waiting for ") || !strings.Contains(line, want) || !strings.Contains(line, m.Store) {
		t.Errorf("it says %q", line)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if code := m.Wait(); code != 0 {
		t.Errorf("the daemon ended with exit code %d", code)
	}
}

// A container that was started meanwhile keeps the mount. Unmounting names it, and waits for it.
func TestUnmountNamesOtherMountNamespaces(t *testing.T) {
	shortIsParallel(t)
	m := onDisk(t)
	put(t, m.Path("f"), "content")
	other := elsewhere(t, m)
	cmd, line := unmounting(t, m)
	if want := fmt.Sprintf("cat (pid %d): a mount namespace of its own", other.Process.Pid); !strings.Contains(line, want) {
		t.Errorf("it says %q, not %q", line, want)
	}
	other.Process.Kill()
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if code := m.Wait(); code != 0 { // it has let go of the store, but may not have ended
		t.Errorf("the daemon ended with exit code %d", code)
	}
}

// A daemon that is told to end does, though such a copy is left; what is asked of that fails.
func TestTermEndsDespiteOtherMountNamespaces(t *testing.T) {
	shortIsParallel(t)
	m := onDisk(t)
	put(t, m.Path("f"), "content")
	elsewhere(t, m)
	m.Signal(syscall.SIGTERM)
	if code := m.Wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	m.Restart()
	check(t, m.Path("f"), "content")
}
