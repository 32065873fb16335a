package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

// interruptGrace is how long a command may take to end by itself after a signal.
const interruptGrace = 10 * time.Second

// endings are the signals that tell a command to end. A terminal that is closed is one, unless nohup was asked to have it ignored.
func endings() []os.Signal {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		signals = append(signals, syscall.SIGHUP)
	}
	return signals
}

// errAbandoned ends a command that did not end by itself.
var errAbandoned = errors.New("interrupted, and not waited for any longer: what was under way may yet be done")

// takesItsTime marks a command that has something to finish after a signal, however long that takes: commits, a store to
// be closed, a child.
const takesItsTime = "takes its time to end"

// takingItsTime marks c.
func takingItsTime(c *cobra.Command) *cobra.Command {
	c.Annotations = map[string]string{takesItsTime: ""}
	return c
}

// init keeps the main thread for the goroutine that main runs in. Later than this that may be on another thread (package runtime,
// LockOSThread).
func init() { runtime.LockOSThread() }

// besideMainThread runs a program so that the process can be ended by a signal; main calls it. The kernel gives a signal to the main
// thread if it can, and a thread that waits for a filesystem which does not answer takes none: so the main thread does nothing else.
func besideMainThread(program func() int) int {
	code := make(chan int, 1)
	go func() { code <- program() }()
	return <-code
}

// execute runs root until it ends. ctx ends with a signal; what has not ended interruptGrace later, or at a second
// signal, is abandoned, as by a kill: it may wait for a filesystem that does not answer. From then on until the process
// has ended, which it is about to do with a code of its own, no signal ends it.
func execute(ctx context.Context, root *cobra.Command) error {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, endings()...)
	var takes atomic.Bool
	root.PersistentPreRun = func(c *cobra.Command, _ []string) {
		_, ok := c.Annotations[takesItsTime]
		takes.Store(ok)
	}
	ended := make(chan error, 1)
	go func() { ended <- root.ExecuteContext(ctx) }()
	select {
	case err := <-ended:
		return err
	case <-signals:
	}
	if takes.Load() {
		return <-ended
	}
	late := time.NewTimer(interruptGrace)
	defer late.Stop()
	select {
	case err := <-ended:
		return err
	case <-signals:
	case <-late.C:
	}
	return errAbandoned
}
