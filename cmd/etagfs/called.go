package main

import (
	"github.com/spf13/cobra"

	"github.com/etagfs/etagfs/mount"
)

// The exit codes of mount(8) and umount(8), which pass on those of the programs they call.
const (
	mount8Usage  = 1
	mount8Failed = 32
)

// calledAs is the program by the name it was called: mount(8) and umount(8) have an order of arguments of their own.
func calledAs(name string, args []string, t terminal) int {
	switch name {
	case "mount.etagfs", "mount.fuse.etagfs":
		return mount8Code(run(args, t, func(t *terminal) *cobra.Command { return takingItsTime(mount8Command(t)) }))
	case "umount.etagfs", "umount.fuse.etagfs":
		return mount8Code(run(args, t, umount8Command))
	default:
		return run(args, t, rootCommand)
	}
}

// mount8Code is an exit code in the words of mount(8).
func mount8Code(code int) int {
	switch code {
	case exitOK:
		return exitOK
	case exitUsage:
		return mount8Usage
	default:
		return mount8Failed
	}
}

// alone is a command that is a whole program.
func alone(c *cobra.Command) *cobra.Command {
	c.SilenceErrors, c.SilenceUsage, c.DisableFlagsInUseLine = true, true, true
	c.CompletionOptions.DisableDefaultCmd = true
	c.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usageErrorf("%v; see %s --help", err, c.CommandPath())
	})
	return c
}

func umount8Command(t *terminal) *cobra.Command {
	var lazy bool
	c := alone(&cobra.Command{
		Use:   "umount.etagfs DIR [-flnrv] [-N NAMESPACE] [-t TYPE]",
		Short: "Unmount DIR for umount(8), and wait until everything is committed",
		Long: `umount(8) calls this program for mounts of etagfs; by root, for a full path, only
if the mount has an option that mount(8) keeps, like x-etagfs.wait. It does what etagfs unmount
does: umount returns when everything is committed and the store is released, and
what is in use stays mounted and is named.`,
		Args: arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			if lazy {
				return mount.Detach(args[0])
			}
			return t.unmount(c.Context(), args[0], releaseTimeout)
		},
	})
	f := c.Flags()
	f.BoolVarP(&lazy, "lazy", "l", false, "take DIR out of the tree at once, and do not wait; it ends when nobody has anything of it open")
	f.BoolP("force", "f", false, "changes nothing: a mount whose daemon is gone is always taken away")
	f.BoolP("no-mtab", "n", false, "changes nothing")
	f.BoolP("read-only", "r", false, "changes nothing")
	f.BoolP("verbose", "v", false, "changes nothing")
	f.StringP("namespace", "N", "", "changes nothing: umount(8) has entered it")
	f.StringP("types", "t", "", "changes nothing")
	return c
}
