package mount

import (
	"os"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"
)

// Only what cannot but end is ending: not a process that runs, and not one that cannot be found.
func TestEndingIsCertain(t *testing.T) {
	child := exec.Command("true")
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	pid := child.Process.Pid
	if err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil); err != nil {
		t.Fatal(err)
	}
	if !Ending(pid) {
		t.Error("a zombie is not ending")
	}
	if err := child.Wait(); err != nil {
		t.Fatal(err)
	}
	if Ending(pid) {
		t.Error("a process that is not there is ending")
	}
	if Ending(os.Getpid()) {
		t.Error("this process is ending")
	}
}
