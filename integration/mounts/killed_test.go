package mounts

import (
	"io"
	"os/exec"
	"syscall"
	"testing"
)

// halfWritten is a shell command that writes half of what it wants to the file $1 and goes on until it is killed. It says
// when it has written.
const halfWritten = `exec 3>"$1"; printf half >&3; echo written; exec sleep 1000`

// killedWriter runs a command, and ends it by a signal in the middle of what it writes.
func killedWriter(t *testing.T, signal syscall.Signal, file string) {
	t.Helper()
	writer := exec.Command("sh", "-c", halfWritten, "sh", file)
	said, err := writer.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := writer.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(said, make([]byte, len("written\n"))); err != nil {
		t.Error(err)
	}
	if err := writer.Process.Signal(signal); err != nil {
		t.Error(err)
	}
	writer.Wait() // it was killed
}

// The kernel closes the files of a process that was killed, as it does those of one that exits: what was written is committed, on the
// base it began with. A rename into place that did not come leaves the old content.
func TestKilledProgramsFilesAreClosedLikeOthers(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		t.Run(signal.String(), func(t *testing.T) {
			m := start(t)
			for _, name := range []string{"rewritten", "replaced"} {
				put(t, m.Path(name), "whole")
			}
			killedWriter(t, signal, m.Path("rewritten"))
			check(t, m.Path("rewritten"), "half")
			killedWriter(t, signal, m.Path("replaced.new"))
			check(t, m.Path("replaced"), "whole")
			check(t, m.Path("replaced.new"), "half")
			checkKept(t, m)
		})
	}
}
