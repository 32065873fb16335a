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

// StartBackground runs this program with args in the background, and returns when it says through [Readiness] that it is
// ready, and is detached from the terminal; a [*StartError] tells why it ended before. Until then it is in this process's group: of a
// directory that is mounted when it is used, autofs lets in only the group that systemd mounts it with, and all others wait for that.
// Nobody sees its output, except the reason if it crashes before.
func StartBackground(ctx context.Context, args []string) (pid int, err error) {
	program, err := os.Executable()
	if err != nil {
		return 0, err
	}
	read, write, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	defer read.Close()
	output, err := anonymousFile()
	if err != nil {
		return 0, errors.Join(err, write.Close())
	}
	defer output.Close()
	cmd := exec.Command(program, args...)
	cmd.Args[0] = "etagfs" // whatever this process was called as
	cmd.Dir = "/"          // keep no other directory busy
	cmd.Env = append(os.Environ(), readyVariable+"=3")
	cmd.ExtraFiles = []*os.File{write}
	cmd.Stdout, cmd.Stderr = output, output
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
	return 0, endedEarly(ctx, cmd, strings.TrimSpace(line), output)
}

// anonymousFile is a file in memory that goes with its last descriptor.
func anonymousFile() (*os.File, error) {
	fd, err := unix.MemfdCreate("etagfs-output", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("memfd_create: %w", err)
	}
	return os.NewFile(uintptr(fd), "output"), nil
}

func endedEarly(ctx context.Context, cmd *exec.Cmd, sentence string, output io.ReaderAt) error {
	err := cmd.Wait()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if sentence == "" { // it did not choose its exit code, either
		sentence = fmt.Sprintf("the background process crashed: %v: %s", err, firstWords(output))
		return &StartError{ExitCode: 1, Sentence: sentence}
	}
	return &StartError{ExitCode: max(cmd.ProcessState.ExitCode(), 1), Sentence: sentence}
}

// firstWords is the first line of what a process has said.
func firstWords(output io.ReaderAt) string {
	lines := bufio.NewScanner(io.NewSectionReader(output, 0, math.MaxInt64))
	for lines.Scan() {
		if words := strings.TrimSpace(lines.Text()); words != "" {
			return words
		}
	}
	return "it said nothing"
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

// Ready says that the mount can be used, and leaves the session and the process group of who started this process.
func (r Readiness) Ready() error {
	if r.to == nil {
		return nil
	}
	if _, err := unix.Setsid(); err != nil && !errors.Is(err, unix.EPERM) { // who leads a process group already has left that of the starter
		return errors.Join(fmt.Errorf("setsid: %w", err), r.to.Close())
	}
	return r.say(readyWord)
}

// Failed says in one sentence why it cannot. The exit code says it to programs.
func (r Readiness) Failed(sentence error) error { return r.say(firstLine(sentence.Error())) }

func (r Readiness) say(line string) error {
	if r.to == nil {
		return nil
	}
	_, err := r.to.WriteString(line + "\n")
	return errors.Join(err, r.to.Close())
}
