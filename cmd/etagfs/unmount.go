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
			m, err := mount.Unmount(args[0], daemonFate)
			if err != nil {
				return err
			}
			err = badgerstore.Released(c.Context(), m.Source, func(owner badgerstore.LockOwner) {
				fmt.Fprintln(t.err, waitingFor(owner, m))
			})
			if err != nil || !t.json {
				return err
			}
			return t.printJSON(struct {
				Store string `json:"store"`
				Dir   string `json:"dir"`
			}{m.Source, m.Dir})
		},
	}
}

// waitingFor says what an unmount waits for.
func waitingFor(owner badgerstore.LockOwner, m mount.Unmounted) string {
	text := fmt.Sprintf("waiting for %s to commit and to release %s", owner, m.Source)
	copies, err := m.Copies()
	if err != nil {
		return text // it waits whatever can be found out about it
	}
	for _, holder := range copies {
		text += "; still mounted in " + holder.String()
	}
	return text
}
