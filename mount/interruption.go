package mount

import (
	"context"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// interruption is a context that ends when the caller is interrupted, by whatever signal: for waits for locks, and for the first
// try of a read. Everything else is carried through.
type interruption <-chan struct{}

// Deadline implements [context.Context].
func (i interruption) Deadline() (deadline time.Time, ok bool) { return time.Time{}, false }

// Done implements [context.Context].
func (i interruption) Done() <-chan struct{} { return i }

// Value implements [context.Context].
func (i interruption) Value(any) any { return nil }

// Err implements [context.Context].
func (i interruption) Err() error {
	select {
	case <-i:
		return context.Canceled
	default:
		return nil
	}
}

// dyingLook is how often it is looked whether the caller of an interrupted read is about to end. The kernel tells of its first
// signal only.
const dyingLook = 50 * time.Millisecond

// unlessDying runs a read for a thread, which no signal may end but one that ends the thread: the kernel tells of those that a program
// takes note of and goes on, too, and makes EIO of a read for its page cache that was given up. Whoever is killed
// waits for the answer, so that must not take as long as a read of a store that does not answer.
func unlessDying(cancel <-chan struct{}, thread uint32, read func(context.Context) (int, error)) (int, error) {
	first := interruption(cancel)
	n, err := read(first)
	if err == nil || first.Err() == nil {
		return n, err
	}
	ctx, stop := context.WithCancel(context.Background())
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		look := time.NewTicker(dyingLook)
		defer look.Stop()
		for !isDying(thread) {
			select {
			case <-ctx.Done():
				return
			case <-look.C:
			}
		}
		stop()
	}()
	n, err = read(ctx)
	stop()
	<-watched
	return n, err
}

// survived are the signals that end nobody who does nothing about them.
const survived = 1<<(syscall.SIGCHLD-1) | 1<<(syscall.SIGCONT-1) | 1<<(syscall.SIGURG-1) | 1<<(syscall.SIGWINCH-1) |
	1<<(syscall.SIGSTOP-1) | 1<<(syscall.SIGTSTP-1) | 1<<(syscall.SIGTTIN-1) | 1<<(syscall.SIGTTOU-1)

// isDying reports whether a thread has a signal before it that it will not survive. It is not known of threads that have no number here.
func isDying(thread uint32) bool {
	if thread == 0 {
		return false
	}
	status := filepath.Join("/proc", decimal(thread), "status")
	signals := func(field string) uint64 {
		text, _ := procField(status, field)
		set, err := strconv.ParseUint(text, 16, 64)
		if err != nil {
			return 0
		}
		return set
	}
	if pending := signals("SigPnd:") | signals("ShdPnd:"); pending&^survived != 0 {
		return pending&^survived&^signals("SigBlk:")&^signals("SigIgn:")&^signals("SigCgt:") != 0
	}
	return false
}
