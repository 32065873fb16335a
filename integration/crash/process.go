package crash

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// ordersVariable turns the test binary into a worker; eventsFD is where it tells of its work.
const (
	ordersVariable = "ETAGFS_CRASH_WORKER"
	eventsFD       = 3
)

// roundDeadline is when a worker that neither tells anything new nor ends is given up.
const roundDeadline = 2 * time.Minute

// process is a worker process as its parent sees it.
type process struct {
	cmd    *exec.Cmd
	events *json.Decoder
	pipe   *os.File
	stderr bytes.Buffer
	cancel context.CancelFunc
}

// startProcess runs executable as a worker. It must be ended by end.
func startProcess(executable string, o orders) (*process, error) {
	text, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer w.Close()
	ctx, cancel := context.WithTimeout(context.Background(), roundDeadline)
	p := &process{cmd: exec.CommandContext(ctx, executable), events: json.NewDecoder(r), pipe: r, cancel: cancel}
	p.cmd.Env = append(os.Environ(), ordersVariable+"="+string(text), "GOTRACEBACK=all")
	p.cmd.ExtraFiles = []*os.File{w}
	p.cmd.Stderr = &p.stderr
	p.cmd.Cancel = func() error { return p.cmd.Process.Signal(syscall.SIGQUIT) } // prints the stacks
	p.cmd.WaitDelay = 10 * time.Second
	if err := p.cmd.Start(); err != nil {
		cancel()
		return nil, errors.Join(err, r.Close())
	}
	return p, nil
}

// next is the next event; io.EOF after the last one.
func (p *process) next() (event, error) {
	var e event
	err := p.events.Decode(&e)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.EOF // killed within a line
	}
	return e, err
}

// kill ends the worker as kill -9 does. That it has ended before is no error.
func (p *process) kill() { p.cmd.Process.Kill() }

// stop stops the worker; when it returns no thread of it runs.
func (p *process) stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	for {
		var info unix.Siginfo
		err := unix.Waitid(unix.P_PID, p.cmd.Process.Pid, &info, unix.WSTOPPED|unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// end kills the process if it still runs and reaps it. A process that ended
// by anything but that kill, or failed, is an error with its last words.
func (p *process) end() error {
	defer p.cancel()
	p.kill()
	io.Copy(io.Discard, p.pipe)
	err := errors.Join(p.cmd.Wait(), p.pipe.Close())
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL {
		return nil
	}
	if err != nil {
		return fmt.Errorf("worker: %w\n%s", err, p.stderr.Bytes())
	}
	return nil
}
