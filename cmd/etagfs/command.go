package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"github.com/etagfs/etagfs/objstore/cas"
)

// childCommand is a command that this one runs.
type childCommand struct {
	words []string
	env   []string      // beside ours
	grace time.Duration // between SIGTERM and SIGKILL, if its context ends

	complaints io.Writer // its standard error; nil: ours
}

// commandEnded is that a command failed. It has said what there is to say, and its exit code is passed on.
type commandEnded struct{ code int }

// Error is the exit code in words.
func (c *commandEnded) Error() string {
	return fmt.Sprintf("the command ended with exit code %d", c.code)
}

// saidAll reports whether nothing needs to be said about err.
func saidAll(err error) bool {
	var ended *commandEnded
	return errors.As(err, &ended) && !errors.Is(err, cas.Lost)
}

// findable refuses a command that is not there before anything is done for it.
func (c childCommand) findable() error {
	if _, err := exec.LookPath(c.words[0]); err != nil {
		return usageErrorf("%v", err)
	}
	return nil
}

// run runs the command. It does not outlive this process.
func (c childCommand) run(ctx context.Context, in io.Reader, out io.Writer) error {
	// The kernel ends a child with the thread that started it, which the runtime could end earlier.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd := exec.CommandContext(ctx, c.words[0], c.words[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, out, os.Stderr
	if c.complaints != nil {
		cmd.Stderr = c.complaints
	}
	cmd.Env = append(os.Environ(), c.env...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = c.grace
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	err := cmd.Run()
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return err
	}
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return &commandEnded{128 + int(status.Signal())}
	}
	return &commandEnded{exit.ExitCode()}
}
