package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/etagfs/etagfs/mount"
	"github.com/etagfs/etagfs/objstore/badgerstore"
)

func unmountCommand(t *terminal) *cobra.Command {
	return &cobra.Command{
		Use:   "unmount DIR",
		Short: "Unmount DIR and wait until everything is committed and the store released",
		Long: `Unmount DIR and wait until everything is committed and the store released. A
mount in which files are open stays mounted; the message names who has them open.
One whose daemon was killed is taken away.`,
		Args: arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			store, err := mount.Unmount(args[0], daemonGone)
			if err != nil {
				return err
			}
			return badgerstore.Released(c.Context(), store, func(owner badgerstore.LockOwner) {
				fmt.Fprintf(t.err, "waiting for %s to commit and to release %s\n", owner, store)
			})
		},
	}
}
