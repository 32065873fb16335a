package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/etagfs/etagfs/mount"
	"github.com/etagfs/etagfs/objstore/badgerstore"
)

// releaseTimeout is how long an unmount waits unless told. A daemon may have as much left to write as the
// machine has memory.
const releaseTimeout = 2 * time.Minute

// waitPatience is how long it waits for a daemon before it says so.
const waitPatience = time.Second

func unmountCommand(t *terminal) *cobra.Command {
	var timeout time.Duration
	c := &cobra.Command{
		Use:   "unmount DIR",
		Short: "Unmount DIR and wait until everything is committed and the store released",
		Long: `Unmount DIR and wait until everything is committed and the store released. A
mount in which files are open stays mounted; the message names who has them open.
One whose daemon was killed is taken away. If the wait takes longer than --timeout,
DIR is unmounted, the exit code is 1, and the message says what is still waited for.
If the store could not be closed as it should, because its disk failed, say, DIR is
unmounted, the exit code is 1, and the message says why and what becomes of what was
not committed.`,
		Args: arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			if timeout <= 0 {
				return usageErrorf("--timeout %s: there is no such wait", timeout)
			}
			return t.unmount(c.Context(), args[0], timeout)
		},
	}
	c.Flags().DurationVar(&timeout, "timeout", releaseTimeout, "how long to wait for the daemon")
	return c
}

// unmount unmounts dir, and waits.
func (t *terminal) unmount(ctx context.Context, dir string, timeout time.Duration) error {
	if dir == "" {
		return noMountPoint()
	}
	m, err := mount.Unmount(dir, daemonFate)
	if err != nil {
		return err
	}
	if err := t.awaitRelease(ctx, m, timeout); err != nil || !t.json {
		return err
	}
	return t.printJSON(struct {
		Store string `json:"store"`
		Dir   string `json:"dir"`
	}{m.Source, m.Dir})
}

// awaitRelease waits for the daemon of what was unmounted to end, and says what it had to say.
func (t *terminal) awaitRelease(ctx context.Context, m mount.Unmounted, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if m.Daemon != nil {
		defer m.Daemon.Close()
	}
	if isRemote(m.Source) || strings.HasPrefix(m.Source, attachedPrefix) {
		return t.awaitDaemon(ctx, m) // the store is another's
	}
	if owner, held, err := badgerstore.Owner(m.Source); err == nil && held && owner.MountPoint != "" && owner.MountPoint != m.Dir {
		return t.awaitDaemon(ctx, m) // another mount took over already
	}
	err := badgerstore.Released(ctx, m.Source, func(owner badgerstore.LockOwner) {
		fmt.Fprintf(t.err, "waiting for %s to commit and to release %s%s\n", owner, m.Source, obstacles(owner, m))
	})
	switch {
	case err == nil:
		return t.awaitDaemon(ctx, m)
	case ctx.Err() == nil: // the disk does not tell; its daemon may
		return cmp.Or(t.awaitDaemon(ctx, m), err)
	}
	owner, held, err := badgerstore.Owner(m.Source)
	if err != nil || !held {
		return err
	}
	return fmt.Errorf("%s is unmounted, but %s has yet to commit and to release %s%s", m.Dir, owner, m.Source, obstacles(owner, m))
}

// awaitDaemon waits for a daemon to end. What went wrong then is an error.
func (t *terminal) awaitDaemon(ctx context.Context, m mount.Unmounted) error {
	if m.Daemon == nil {
		return nil
	}
	patient, cancel := context.WithTimeout(ctx, waitPatience)
	defer cancel()
	words, err := m.Daemon.Ended(patient)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		fmt.Fprintf(t.err, "waiting for process %d to commit to %s\n", m.Daemon.PID(), m.Source)
		words, err = m.Daemon.Ended(ctx)
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%s is unmounted, but process %d has yet to commit to %s", m.Dir, m.Daemon.PID(), m.Source)
	case err == nil && words != "":
		return fmt.Errorf("%s is unmounted, but did not end well: %s", m.Dir, readable(words))
	}
	return err
}

// obstacles says, as far as can be found out, what keeps the daemon of what was unmounted from ending.
func obstacles(owner badgerstore.LockOwner, m mount.Unmounted) string {
	if isHere(owner) && mount.Stopped(owner.PID) {
		return "; " + stoppedError(owner).Error()
	}
	copies, err := m.Copies()
	if err != nil {
		return ""
	}
	text := ""
	for _, holder := range copies {
		text += "; still mounted in " + holder.String()
	}
	return text
}

// isHere reports whether an owner is a process of this machine.
func isHere(owner badgerstore.LockOwner) bool {
	host, err := os.Hostname()
	return err == nil && owner.Host == host
}
