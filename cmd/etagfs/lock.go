package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/cas"
)

// leaseTTL is how long a dead holder is waited for unless told.
const leaseTTL = 15 * time.Second

// leaseLock is what etagfs lock was asked for.
type leaseLock struct {
	place   swapPlace
	lease   cas.LeaseOptions
	wait    time.Duration // 0: as long as it takes
	command childCommand
}

func lockCommand(t *terminal) *cobra.Command {
	var l leaseLock
	c := &cobra.Command{
		Use:   "lock FILE|STORE KEY -- CMD...",
		Short: "Run CMD while holding a lease that one at a time holds, on any number of machines",
		Long: `Wait for the lease called KEY, or FILE in a mounted directory, run CMD, and
release the lease. CMD's exit code is passed on. The lease is renewed while CMD runs. If its
holder dies, or cannot reach the store, another takes over after --ttl; clocks need not agree.

CMD finds the lease's fencing token in ETAGFS_FENCE: a number that grows with each
holder (see etagfs update --fence). If the lease is lost CMD gets SIGTERM, and SIGKILL
a sixth of --ttl later, which is before another may hold it; the exit code is 10 then.
Processes that CMD has started and not waited for are its own business. CMD does not outlive this
command.

KEY stays behind, and has the last token: do not remove it. A STORE that is a directory and neither
mounted nor served is opened for every look: where many wait, mount it.`,
		RunE: func(c *cobra.Command, args []string) error {
			if t.json {
				return usageErrorf("--json describes objects, and lock prints nothing: leave it out")
			}
			where, words, err := splitCommand(c, args)
			if err != nil {
				return err
			}
			l.command = childCommand{words: words, grace: l.lease.TTL / 6}
			if err := l.command.findable(); err != nil {
				return err
			}
			if l.wait < 0 || l.lease.TTL < cas.TTLMin {
				return usageErrorf("--ttl is at least %s, and --wait is not negative", cas.TTLMin)
			}
			l.lease.Once = c.Flags().Changed("wait") && l.wait == 0
			return l.place.with(c.Context(), where, func(s cas.Store, key objstore.Key) error { return l.run(c.Context(), s, key) })
		},
	}
	l.place.flags(c)
	c.Flags().DurationVar(&l.lease.TTL, "ttl", leaseTTL, "how long a holder that says nothing is waited for")
	c.Flags().DurationVar(&l.wait, "wait", 0, "how long to wait for the lease; 0: not at all (default: as long as it takes)")
	c.Flags().StringVar(&l.lease.Name, "name", "", "who holds the lease, for people who look (default: this host and process)")
	return c
}

// holderName tells processes of several machines apart.
func holderName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown host"
	}
	return host + " pid " + strconv.Itoa(os.Getpid())
}

func (l leaseLock) run(ctx context.Context, s cas.Store, key objstore.Key) error {
	l.lease.Name = cmp.Or(l.lease.Name, holderName())
	lease, err := l.acquire(ctx, s, key)
	if err != nil {
		return err
	}
	return lease.While(ctx, func(ctx context.Context, fence uint64) error {
		l.command.env = []string{"ETAGFS_FENCE=" + strconv.FormatUint(fence, 10)}
		return l.command.run(ctx, os.Stdin, os.Stdout)
	})
}

func (l leaseLock) acquire(ctx context.Context, s cas.Store, key objstore.Key) (*cas.Lease, error) {
	waiting, until := ctx, time.Time{}
	if l.wait > 0 {
		until = time.Now().Add(l.wait)
		limited, cancel := context.WithDeadline(ctx, until)
		defer cancel()
		waiting = limited
	}
	lease, err := cas.Acquire(waiting, s, key, l.lease)
	// Not waiting.Err(): a connection that is given the time itself may see it come a moment earlier.
	ended := l.lease.Once || l.wait > 0 && !time.Now().Before(until)
	if err != nil && ctx.Err() == nil && ended {
		err = l.notHeld(key, err)
	}
	return lease, err
}

// notHeld says of a wait that was in vain who has the lease, and what can be done.
func (l leaseLock) notHeld(key objstore.Key, err error) error {
	vain := &objstore.Error{Op: "lock", Key: string(key), Kind: objstore.ErrPrecondition, Detail: fmt.Sprintf("not held after %s", l.wait)}
	var held *cas.HeldError
	cause := opened(err)
	switch {
	case errors.As(err, &held):
		vain.Detail += fmt.Sprintf(": held by %q with token %d: give --wait more time, or end that process; of a dead one the lease is free %s after its last renewal",
			held.Name, held.Fence, held.TTL)
	case l.lease.Once:
		return err
	case errors.Is(cause, context.DeadlineExceeded) || errors.Is(cause, os.ErrDeadlineExceeded):
		vain.Detail += ": the store did not answer in that time: look whether it can be reached, or give --wait more time"
	default:
		vain.Err = waited{err}
	}
	return vain
}

// waited is why a wait ended, in all its words, without what opening a store hides.
type waited struct{ error }

// Unwrap gives the cause.
func (w waited) Unwrap() error { return opened(w.error) }
