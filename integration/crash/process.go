package crash

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// ordersVariable turns the test binary into a worker; eventsFD is where it tells of its work.
const (
	ordersVariable = "ETAGFS_CRASH_WORKER"
	eventsFD       = 3
)

// A worker that takes longer hangs: it is made to print its stacks, then killed.
const (
	roundDeadline = 3 * time.Minute
	stackDeadline = 30 * time.Second
)

// process is a worker process as its parent sees it.
type process struct {
	events   *json.Decoder
	pipe     *os.File
	stderr   *os.File
	pid      int
	wait     func() (syscall.WaitStatus, error)
	watchdog *time.Timer
}

// startProcess runs executable as a worker, traced if trace is not nil. It must be ended by end.
func startProcess(executable string, o orders, trace *tracer) (*process, error) {
	o.Traced = trace != nil
	text, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer w.Close()
	stderr, err := unnamedFile()
	if err != nil {
		return nil, errors.Join(err, r.Close())
	}
	p := &process{events: json.NewDecoder(r), pipe: r, stderr: stderr}
	attr := &os.ProcAttr{
		Env:   append(os.Environ(), ordersVariable+"="+string(text), "GOTRACEBACK=all"),
		Files: []*os.File{nil, nil, stderr, w},
	}
	if trace != nil {
		p.pid, p.wait, err = trace.start(executable, attr)
	} else {
		p.pid, p.wait, err = startUntraced(executable, attr)
	}
	if err != nil {
		return nil, errors.Join(err, r.Close(), stderr.Close())
	}
	p.watchdog = time.AfterFunc(roundDeadline, func() {
		unix.Kill(p.pid, unix.SIGQUIT)
		p.watchdog.Reset(stackDeadline)
	})
	return p, nil
}

func startUntraced(executable string, attr *os.ProcAttr) (pid int, wait func() (syscall.WaitStatus, error), err error) {
	started, err := os.StartProcess(executable, []string{executable}, attr)
	if err != nil {
		return 0, nil, err
	}
	return started.Pid, func() (syscall.WaitStatus, error) {
		state, err := started.Wait()
		if err != nil {
			return 0, err
		}
		return state.Sys().(syscall.WaitStatus), nil
	}, nil
}

// unnamedFile is an empty file that goes when it is closed.
func unnamedFile() (*os.File, error) {
	f, err := os.CreateTemp("", "crash-")
	if err != nil {
		return nil, err
	}
	return f, os.Remove(f.Name())
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
func (p *process) kill() { unix.Kill(p.pid, unix.SIGKILL) }

// stop stops the worker; when it returns no thread of it runs.
func (p *process) stop() error { return stopProcess(p.pid) }

// stopProcess stops a child of this process and waits until it has.
func stopProcess(pid int) error {
	if err := unix.Kill(pid, unix.SIGSTOP); err != nil {
		return err
	}
	for {
		var info unix.Siginfo
		err := unix.Waitid(unix.P_PID, pid, &info, unix.WSTOPPED|unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// words are what the process wrote on stderr.
func (p *process) words() []byte {
	words, err := io.ReadAll(io.NewSectionReader(p.stderr, 0, 1<<20))
	if err != nil {
		return []byte(err.Error())
	}
	return words
}

// end kills the process if it still runs and reaps it. A process that ended
// by anything but that kill, or failed, is an error with its last words.
func (p *process) end() error {
	p.kill()
	io.Copy(io.Discard, p.pipe)
	status, err := p.wait()
	p.watchdog.Stop()
	if err == nil && status.Signal() != syscall.SIGKILL && status != 0 {
		err = fmt.Errorf("worker: status %#x\n%s", int(status), p.words())
	}
	return errors.Join(err, p.pipe.Close(), p.stderr.Close())
}
