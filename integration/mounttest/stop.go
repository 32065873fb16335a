package mounttest

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Stop stops a process, until it is told to go on, and returns once no thread of it runs: what SIGSTOP does comes after a while, and
// a daemon may take a request until then that it does not answer.
func Stop(pid int) error {
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		return fmt.Errorf("stop process %d: %w", pid, err)
	}
	ticks := time.NewTicker(time.Millisecond)
	defer ticks.Stop()
	for deadline := time.Now().Add(time.Minute); ; <-ticks.C {
		threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
		switch {
		case err != nil || len(threads) == 0:
			return fmt.Errorf("stop process %d: it is gone", pid)
		case !slices.ContainsFunc(threads, runs):
			return nil
		case time.Now().After(deadline):
			return fmt.Errorf("stop process %d: it does not stop", pid)
		}
	}
}

// runs reports whether a thread is not stopped.
func runs(thread string) bool {
	status, err := os.ReadFile(filepath.Join(thread, "status"))
	return err == nil && !strings.Contains(string(status), "\nState:\tT")
}
