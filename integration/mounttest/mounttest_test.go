package mounttest

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/etagfs/etagfs/mount"
)

// hangVariable makes TestHang hang. It names a directory for what it uses.
const hangVariable = "MOUNTTEST_HANG"

func TestMain(m *testing.M) {
	Main(m, map[string]Role{"crash": func([]string) error { panic("out of order") }})
}

// A background process that crashes before it is ready is told of with its first words, and its exit code
// is none that means something else.
func TestCrashOfABackgroundProcessIsTold(t *testing.T) {
	t.Setenv(roleVariable, "crash")
	_, err := mount.StartBackground(t.Context(), nil)
	var start *mount.StartError
	if !errors.As(err, &start) || start.ExitCode != 1 || !strings.Contains(start.Sentence, "panic: out of order") {
		t.Errorf("%v", err)
	}
}

// TestHang waits for a lock it will not get.
func TestHang(t *testing.T) {
	dir := os.Getenv(hangVariable)
	if dir == "" {
		return // run by the test below only
	}
	t.Setenv("TMPDIR", dir)
	m := Start(t, Options{Deadline: 300 * time.Millisecond})
	for range 2 {
		f, err := os.OpenFile(m.Path("f"), os.O_RDWR|os.O_CREATE, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
			t.Logf("flock: %v", err)
		}
	}
}

// A test that hangs on its mount ends, fails, shows the daemon's stacks, and leaves neither mount nor daemon.
func TestHangingTestIsEnded(t *testing.T) {
	Need(t, "fuse")
	dir := t.TempDir()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, "-test.run=^TestHang$", "-test.v")
	cmd.Env = append(os.Environ(), hangVariable+"="+dir)
	out, err := cmd.CombinedOutput()
	if err == nil {
		t.Error("it passed")
	}
	for _, part := range []string{"not done after 300ms", "goroutine ", "SIGQUIT", "--- FAIL: TestHang"} {
		if !strings.Contains(string(out), part) {
			t.Errorf("it does not say %q", part)
		}
	}
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil || strings.Contains(string(table), dir) {
		t.Errorf("it is still mounted (%v)", err)
	}
	daemons, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range daemons {
		if line, _ := os.ReadFile(name); strings.Contains(string(line), dir) { // nothing if it has ended
			t.Errorf("still there: %q", line)
		}
	}
	if t.Failed() {
		t.Logf("%s", out)
	}
}

// A file that is open for writing is told as left over, and is not once it is closed.
func TestWhatIsLeftOpenIsTold(t *testing.T) {
	Need(t, "fuse", "binary")
	m := Start(t, Options{})
	if left := m.left(); left != "" {
		t.Errorf("before anything was opened: %s", left)
	}
	f, err := os.Create(m.Path("f"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("text"); err != nil {
		t.Error(err)
	}
	if left := m.left(); !strings.HasPrefix(left, "1 open for writing, ") {
		t.Errorf("while a file was being written: %q", left)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	m.ExpectNothingLeft()
}
