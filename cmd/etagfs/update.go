package main

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/cas"
)

// updateGrace is how long a command has to end once this one was told to.
const updateGrace = 5 * time.Second

func updateCommand(t *terminal) *cobra.Command {
	var place swapPlace
	var opt cas.Options
	c := &cobra.Command{
		Use:   "update FILE|STORE KEY -- CMD...",
		Short: "Have CMD make the next content of a file or object from the current one",
		Long: `Have CMD, which gets the content on standard input, print the next content,
and put that in place if nobody was faster. Otherwise CMD runs again, on the content
that is there then, after a pause of random length. CMD should therefore do nothing
else. A FILE or KEY that does not exist is empty, and is made. If CMD fails nothing
changes, and its exit code is passed on; what it prints is not looked at.

FILE is in a mounted directory. It is opened, written and synced as by any program: a
kill -9 of etagfs update in the middle of its last writes can leave a part of the new
content. An object of a STORE changes in one step. --fence is for those who hold a
lease (etagfs lock) and pass its token on: an object that a later holder has updated is
left as it is, exit code 4.`,
		RunE: func(c *cobra.Command, args []string) error {
			where, words, err := splitCommand(c, args)
			if err != nil {
				return err
			}
			command := childCommand{words: words, grace: updateGrace}
			if err := command.findable(); err != nil {
				return err
			}
			switch {
			case opt.Tries.Most < 1:
				return usageErrorf("--tries %d: it is tried once at least", opt.Tries.Most)
			case opt.Fence != 0 && len(where) == 1:
				return usageErrorf("--fence needs STORE KEY: files have no place for the token")
			}
			return place.with(c.Context(), where, func(s cas.Store, key objstore.Key) error {
				info, err := cas.UpdateFile(c.Context(), s, key, "", command.filter, opt)
				if err != nil {
					return err
				}
				return t.printStored(key, info)
			})
		},
	}
	place.flags(c)
	c.Flags().IntVar(&opt.Tries.Most, "tries", 50, "how often it is tried")
	c.Flags().Uint64Var(&opt.Fence, "fence", 0, "the token of the lease that is held (ETAGFS_FENCE)")
	return c
}

// filter runs the command with the named file as its standard input, and makes that file what it printed.
func (c childCommand) filter(ctx context.Context, name string, _ objstore.Info) error {
	in, err := os.Open(name)
	if err != nil {
		return err
	}
	defer in.Close()
	next := name + ".next"
	out, err := os.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if err := errors.Join(c.run(ctx, in, out), out.Close()); err != nil {
		return err
	}
	return os.Rename(next, name)
}
