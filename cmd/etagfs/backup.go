package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore"
)

func backupCommand(t *terminal) *cobra.Command {
	return &cobra.Command{
		Use:   "backup STORE DEST",
		Short: "Add a backup of a store to a directory",
		Long: `Backup adds a backup of a store to those in the directory DEST, which it makes
if it is absent or empty. The store may be mounted or served meanwhile: the
backup has the state after one commit. What DEST has already is not written
again. All that is written is verified as it is read; a damaged store is not
backed up (see etagfs check). A backup that is interrupted leaves those before
as they were, and is gone.

The process that has the store open writes the backup: DEST is where that
process finds it.`,
		Args: arguments(2, 2),
		RunE: func(c *cobra.Command, args []string) error {
			return t.backup(c.Context(), args[0], args[1])
		},
	}
}

func (t *terminal) backup(ctx context.Context, store, dest string) error {
	dest, err := absolute(dest)
	if err != nil {
		return err
	}
	var made badgerstore.Backup
	meter := t.newMeter(verbBackup)
	err = t.upkeepOf(ctx, store, job{Verb: verbBackup, Dir: dest}, badgerstore.Options{}, func(n news) error {
		switch {
		case n.Progress != nil:
			meter.show(*n.Progress)
		case n.Backup != nil:
			made = *n.Backup
		}
		return nil
	})
	meter.end()
	if err != nil {
		return err
	}
	return t.printBackup(made)
}

// absolute is the name of a directory of backups as any process finds it.
func absolute(dir string) (string, error) {
	if dir == "" {
		return "", usageErrorf("the name of the directory of backups is empty")
	}
	return filepath.Abs(dir)
}

func (t *terminal) printBackup(b badgerstore.Backup) error {
	if t.json {
		return t.printJSON(b)
	}
	_, err := fmt.Fprintf(t.out, "%s  %d files and directories, %s; added %s\n", b.ID, b.Objects, backupBytes(b), bytesText(b.BytesAdded))
	return err
}

func backupBytes(b badgerstore.Backup) string { return bytesText(int64(b.BlobBytes) + b.RecordBytes) }

func restoreCommand(t *terminal) *cobra.Command {
	var id string
	var list, verify bool
	c := &cobra.Command{
		Use:   "restore SRC STORE",
		Short: "Make a store of a backup",
		Long: `Restore makes the directory STORE, which must be absent or empty, a store with
what was in the newest backup in SRC, or the one with --id. Every byte is
compared with its digest; a damaged backup is refused. A restore that was
interrupted is begun again by the same command.

Versions, of which ETags are made, rise above all that were given out since the
backup; that is by the clock, which must be right.

With --list the backups in SRC are printed, with --verify one is read and
compared and nothing is made; STORE is left out then.`,
		Args: arguments(1, 2),
		RunE: func(c *cobra.Command, args []string) error {
			if (list || verify) != (len(args) == 1) || list && verify {
				return usageErrorf("give SRC and STORE, or SRC and one of --list and --verify")
			}
			src, err := absolute(args[0])
			switch {
			case err != nil:
				return err
			case list:
				return t.listBackups(src)
			case verify:
				return t.verifyBackup(c.Context(), src, id)
			}
			return t.restore(c.Context(), src, id, args[1])
		},
	}
	c.Flags().StringVar(&id, "id", "", "the backup, as --list has it; empty: the newest")
	c.Flags().BoolVar(&list, "list", false, "print the backups there are, oldest first")
	c.Flags().BoolVar(&verify, "verify", false, "read a whole backup and compare it with its digests")
	return c
}

func (t *terminal) listBackups(src string) error {
	all, err := badgerstore.Backups(src, badgerstore.Parts{})
	for _, b := range all {
		if printed := t.printListed(b); printed != nil {
			return printed
		}
	}
	return err
}

func (t *terminal) printListed(b badgerstore.Backup) error {
	if t.json {
		return t.printJSON(b)
	}
	_, err := fmt.Fprintf(t.out, "%s  %s  %10d files and directories  %10s\n", b.ID, b.Taken.Local().Format(time.DateTime), b.Objects, backupBytes(b))
	return err
}

func (t *terminal) verifyBackup(ctx context.Context, src, id string) error {
	meter := t.newMeter("verify")
	b, err := badgerstore.VerifyBackup(ctx, src, id, paced(func(n news) { meter.show(*n.Progress) }, progress{}), badgerstore.Parts{})
	if meter.end(); err != nil {
		return err
	}
	return t.printListed(b)
}

func (t *terminal) restore(ctx context.Context, src, id, store string) error {
	if isRemote(store) {
		return usageErrorf("%s is a URL: restore to a directory of this machine", store)
	}
	dir, err := storeDir(store)
	if err != nil {
		return err
	}
	meter := t.newMeter("restore")
	parts := badgerstore.Parts{Logger: slog.New(errorsOnly{slog.NewTextHandler(t.err, nil)})}
	b, err := badgerstore.Restore(ctx, src, id, dir, paced(func(n news) { meter.show(*n.Progress) }, progress{}), parts)
	if meter.end(); err != nil {
		return err
	}
	if err := t.openOnce(ctx, dir); err != nil {
		return err
	}
	return t.printListed(b)
}

// openOnce opens a store that was just made, as whoever uses it will.
func (t *terminal) openOnce(ctx context.Context, dir string) error {
	e, err := badgerstore.Open(ctx, dir, storeOptions(badgerstore.Options{}), badgerstore.Parts{})
	if err != nil {
		return &objstore.Error{Op: "restore", Key: dir, Kind: objstore.KindOf(err), Detail: "the restored store cannot be opened", Err: err}
	}
	return errors.Join(err, e.Close())
}
