package main

import (
	"errors"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"
)

// errInterrupted ends a wait that a signal ends.
var errInterrupted = errors.New("interrupted")

// input reads a file that may take as long as it likes, like a terminal. A signal ends the wait, and
// with it what the input is good for.
type input struct {
	from        io.Reader
	interrupted <-chan struct{}
	buffer      []byte // of a read that may outlast its caller
}

// Read reads from the file.
func (i *input) Read(p []byte) (int, error) {
	i.buffer = slices.Grow(i.buffer[:0], len(p))[:len(p)]
	n, err := unless(i.interrupted, func() (int, error) { return i.from.Read(i.buffer) })
	return copy(p, i.buffer[:n]), err
}

// output is input's other end: it writes to a pipe that may be full. Its first failure is its last word.
type output struct {
	to          io.Writer
	interrupted <-chan struct{}
	buffer      []byte // of a write that may outlast its caller
	failed      error
}

// Write writes to the file.
func (o *output) Write(p []byte) (int, error) {
	if o.failed != nil {
		return 0, o.failed
	}
	o.buffer = append(o.buffer[:0], p...)
	n, err := unless(o.interrupted, func() (int, error) { return o.to.Write(o.buffer) })
	if err != nil && !errors.Is(err, errInterrupted) {
		err = &outputError{err}
	}
	o.failed = err
	return n, err
}

// readerGone reports whether nobody reads what is written any more.
func (o *output) readerGone() bool {
	var e *outputError
	return errors.As(o.failed, &e) && errors.Is(e.cause, syscall.EPIPE)
}

// unless calls transfer and returns what it does, or earlier if it is interrupted.
func unless(interrupted <-chan struct{}, transfer func() (int, error)) (n int, err error) {
	done := make(chan struct{})
	var moved int
	var failed error
	go func() { // ends with the transfer, or with us
		defer close(done)
		moved, failed = transfer()
	}()
	select {
	case <-done:
		return moved, failed
	case <-interrupted:
		return 0, errInterrupted
	}
}

// outputError is that standard output takes no more. It hides its cause, so that the exit code is not that
// of a store without space.
type outputError struct{ cause error }

// Error is the sentence.
func (e *outputError) Error() string { return "standard output: " + cause(e.cause).Error() }

// cause is what went wrong without the name of the file.
func cause(err error) error {
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// outliveReaders makes a write to a pipe that nobody reads fail. By default it would end the process, and leave
// the store it has open to be repaired.
func outliveReaders() { signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) }

// endLikeOthers ends the process as other programs end whose reader has gone: by SIGPIPE.
func endLikeOthers() {
	signal.Reset(syscall.SIGPIPE)
	os.Stdout.Write([]byte("\n")) // nobody reads it
}
