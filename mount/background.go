package mount

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// readyVariable names the descriptor on which a background process says that it
// is ready, or why it is not.
const readyVariable = "ETAGFS_READY_FD"

// readyWord is the line that says it is.
const readyWord = "ready"

// StartError is why a background process did not become ready.
type StartError struct {
	ExitCode int
	Sentence string
}

// Error is the sentence the process gave.
func (e *StartError) Error() string { return e.Sentence }

// StartBackground runs this program with args in the background, detached from the terminal, and returns
// when it says through [Readiness] that it is ready; a [*StartError] tells why it ended before.
// Its output goes to log, which may be nil.
func StartBackground(ctx context.Context, args []string, log *os.File) (pid int, err error) {
	program, err := os.Executable()
	if err != nil {
		return 0, err
	}
	read, write, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	defer read.Close()
	cmd := exec.Command(program, args...)
	cmd.Dir = "/" // keep no other directory busy
	cmd.Env = append(os.Environ(), readyVariable+"=3")
	cmd.ExtraFiles = []*os.File{write}
	if log != nil {
		cmd.Stdout, cmd.Stderr = log, log
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	// What this process inherited is nothing to the daemon: a lock or a pipe would
	// be held for as long as it lives.
	if err := unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return 0, errors.Join(fmt.Errorf("close_range: %w", err), write.Close())
	}
	err = cmd.Start()
	write.Close()
	if err != nil {
		return 0, err
	}
	stop := context.AfterFunc(ctx, func() { cmd.Process.Kill() })
	defer stop()
	line, err := bufio.NewReader(read).ReadString('\n')
	if strings.TrimSpace(line) == readyWord {
		pid = cmd.Process.Pid // Release forgets it
		return pid, cmd.Process.Release()
	}
	return 0, endedEarly(ctx, cmd, strings.TrimSpace(line), err)
}

func endedEarly(ctx context.Context, cmd *exec.Cmd, sentence string, read error) error {
	err := cmd.Wait()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if sentence == "" {
		sentence = "the background process ended without a word"
		if err != nil {
			sentence = fmt.Sprintf("%s: %v", sentence, err)
		} else if read != nil && !errors.Is(read, io.EOF) {
			sentence = fmt.Sprintf("%s: %v", sentence, read)
		}
	}
	return &StartError{ExitCode: max(cmd.ProcessState.ExitCode(), 1), Sentence: sentence}
}

// Readiness is a background process's line to who started it. The zero value
// tells nobody: the process was started in the foreground.
type Readiness struct {
	to *os.File
}

// InheritReadiness finds the line, if this process was started by [StartBackground].
// Programs it starts do not inherit it.
func InheritReadiness() (Readiness, error) {
	value, ok := os.LookupEnv(readyVariable)
	if !ok {
		return Readiness{}, nil
	}
	fd, err := strconv.ParseUint(value, 10, 31)
	if err != nil {
		return Readiness{}, fmt.Errorf("%s=%s is no descriptor", readyVariable, value)
	}
	if err := os.Unsetenv(readyVariable); err != nil {
		return Readiness{}, err
	}
	syscall.CloseOnExec(int(fd))
	return Readiness{os.NewFile(uintptr(fd), readyVariable)}, nil
}

// Ready says that the mount can be used.
func (r Readiness) Ready() error { return r.say(readyWord) }

// Failed says in one sentence why it cannot. The exit code says it to programs.
func (r Readiness) Failed(sentence error) error { return r.say(firstLine(sentence.Error())) }

func (r Readiness) say(line string) error {
	if r.to == nil {
		return nil
	}
	_, err := r.to.WriteString(line + "\n")
	return errors.Join(err, r.to.Close())
}
