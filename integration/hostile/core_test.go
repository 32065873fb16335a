package hostile

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/etagfs/etagfs/integration/mounttest"
)

// keys are secrets in the environment of a program.
func keys() []string { return []string{"ETAGFS_ACCESS_KEY=ana", "ETAGFS_SECRET_KEY=canary-in-memory"} }

// A process that has secrets leaves no core file, whoever crashes it: not by SIGABRT, nor by SIGQUIT where Go is told to crash, with
// limits that allow one.
func TestCrashesLeaveNoCoreFile(t *testing.T) {
	mounttest.Need(t, "root", "binary")
	if !leavesCore(start(t, 0, nil, "sh", "-c", "kill -SEGV $$").await()) {
		t.Skip("needs core files: /proc/sys/kernel/core_pattern has none made here")
	}
	for _, end := range []syscall.Signal{syscall.SIGABRT, syscall.SIGQUIT, syscall.SIGSEGV} {
		s := serve(t, 0, append(keys(), "GOTRACEBACK=crash"), filepath.Join(t.TempDir(), "store"))
		state := s.end(end)
		if state.Exited() {
			t.Fatalf("%v: it ended with %v instead of by a signal", end, state)
		}
		if leavesCore(state) {
			t.Errorf("%v: a core file is left", end)
		}
	}
}

// leavesCore reports whether a process that has ended left a core file.
func leavesCore(state *os.ProcessState) bool {
	status, ok := state.Sys().(syscall.WaitStatus)
	return ok && status.CoreDump()
}

// What a process of the program has in memory and in its environment is not to be read by others of the same user.
func TestMemoryIsHiddenFromOtherProcessesOfTheUser(t *testing.T) {
	mounttest.Need(t, "root", "binary")
	s := serve(t, nobody, keys(), "store")
	for _, name := range []string{"environ", "mem", "maps"} {
		cmd := exec.Command("head", "-c", "1", filepath.Join("/proc", strconv.Itoa(s.cmd.Process.Pid), name))
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "Permission denied") {
			t.Errorf("%s can be read: %v, %q", name, err, out)
		}
	}
	if state := s.end(syscall.SIGTERM); !state.Success() {
		t.Errorf("it ended with %v\n%s", state, s.text("log"))
	}
}
