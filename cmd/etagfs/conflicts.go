package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/etagfs/etagfs/fs"
	"github.com/etagfs/etagfs/objstore"
)

// keptCopies is where conflicts are found: in a store, or through its mount.
type keptCopies interface {
	// list returns the info.json of every conflict, oldest first.
	list(ctx context.Context) ([][]byte, error)
	// info returns one info.json.
	info(ctx context.Context, id objstore.ConflictID) ([]byte, error)
	// copySide writes the bytes of mine, base or theirs.
	copySide(ctx context.Context, id objstore.ConflictID, side string, w io.Writer) error
	keepMine(ctx context.Context, id objstore.ConflictID) error
	drop(ctx context.Context, id objstore.ConflictID) error
	// current opens what the file of a conflict is now.
	current(ctx context.Context, info keptInfo) (objstore.Reader, error)
	// keepMerged makes what body reads the content of the file, which must have version want, and drops the conflict.
	keepMerged(ctx context.Context, info keptInfo, want objstore.Version, body io.Reader) error
}

// keptInfo is an info.json that was read.
type keptInfo struct{ fs.KeptInfo }

// conflictPlace says where the conflicts are that a command works on.
type conflictPlace struct {
	location
	control string
	cache   string // of mounts through other processes; empty: the default
}

func conflictsCommand(t *terminal) *cobra.Command {
	var place conflictPlace
	c := &cobra.Command{
		Use:   "conflicts",
		Short: "See and decide what lost against another commit",
		Long: `See and decide what lost against another commit. A mounted store is reached
through its mount point DIR, another one by its name.`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageErrorf("there is no command %q; see %s --help", args[0], c.CommandPath())
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.PersistentFlags().StringVar(&place.bucket, "bucket", bucketDefault, "bucket of the store")
	c.PersistentFlags().StringVar(&place.cache, "cache", "", "--cache of the mounts of a STORE that used it through another process")
	c.PersistentFlags().StringVar(&place.control, "control", controlDefault, "name of the mount's control directory")
	c.AddCommand(
		listConflicts(t, &place), showConflict(t, &place), diffConflict(t, &place), takingItsTime(mergeConflict(t, &place)), pruneConflicts(t, &place),
		decideConflicts(t, &place, "keep-mine", "Put the kept bytes in place of theirs, if those are still there", keptCopies.keepMine),
		decideConflicts(t, &place, "keep-theirs", "Leave what won in place and forget the kept bytes", keptCopies.drop),
		decideConflicts(t, &place, "drop", "Forget the kept bytes", keptCopies.drop),
	)
	return c
}

func listConflicts(t *terminal, place *conflictPlace) *cobra.Command {
	return &cobra.Command{
		Use:   "list DIR|STORE",
		Short: "List conflicts, oldest first: id, reason, size and path",
		Args:  arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			return place.with(c.Context(), args[0], func(kept keptCopies) error {
				infos, err := kept.list(c.Context())
				for _, info := range infos {
					if err == nil {
						err = t.printKeptLine(info)
					}
				}
				return err
			})
		},
	}
}

func showConflict(t *terminal, place *conflictPlace) *cobra.Command {
	return &cobra.Command{
		Use:   "show DIR|STORE ID [mine|base|theirs]",
		Short: "Describe a conflict and show what both changed, or print one of its contents",
		Args:  arguments(2, 3),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 3 {
				if err := t.bytesOnly(); err != nil {
					return err
				}
			}
			id := objstore.ConflictID(args[1])
			return place.with(c.Context(), args[0], func(kept keptCopies) error {
				if len(args) == 3 {
					return kept.copySide(c.Context(), id, args[2], t.out)
				}
				info, err := kept.info(c.Context(), id)
				if err != nil {
					return err
				}
				if err := t.printKept(info); err != nil || t.json {
					return err
				}
				parsed, err := parseKept(info)
				if err != nil {
					return err
				}
				return t.printDiffs(c.Context(), kept, parsed)
			})
		},
	}
}

// decideConflicts is the command that does decide to each of the conflicts named.
func decideConflicts(t *terminal, place *conflictPlace, verb, short string, decide func(keptCopies, context.Context, objstore.ConflictID) error) *cobra.Command {
	return &cobra.Command{
		Use:   verb + " DIR|STORE ID...",
		Short: short,
		Args:  arguments(2, -1),
		RunE: func(c *cobra.Command, args []string) error {
			return place.with(c.Context(), args[0], func(kept keptCopies) error {
				for _, id := range args[1:] {
					if err := decide(kept, c.Context(), objstore.ConflictID(id)); err != nil {
						return err
					}
					if err := t.printDecided(id, verb); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
}

func (t *terminal) printDecided(id, verb string) error {
	if !t.json {
		return nil
	}
	return t.printJSON(struct {
		ID   string `json:"id"`
		Done string `json:"done"`
	}{id, verb})
}

// parseKept reads an info.json. Its Path is the path, UTF-8 or not.
func parseKept(text []byte) (keptInfo, error) {
	var info keptInfo
	if err := json.Unmarshal(text, &info); err != nil {
		return info, &objstore.Error{Op: "read info.json", Kind: objstore.ErrCorrupt, Err: err}
	}
	info.Path = fs.PathOf(info.Path, info.PathBytes)
	return info, nil
}

func (t *terminal) printKeptLine(text []byte) error {
	if t.json {
		_, err := t.out.Write(text)
		return err
	}
	info, err := parseKept(text)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(t.out, "%s  %-7s  %12d  %s\n", info.ID, info.Reason, info.Bytes, readable(info.Path))
	return err
}

func (t *terminal) printKept(text []byte) error {
	if t.json {
		_, err := t.out.Write(text)
		return err
	}
	info, err := parseKept(text)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(t.out, `id         %s
path       %s
reason     %s
operation  %s
time       %s
by         uid %d, pid %d%s
bytes      %d
base       %s
theirs     %s
`, info.ID, readable(info.Path), info.Reason, info.Operation, info.Time.Format(time.RFC3339Nano),
		info.UID, info.PID, onHost(info.Host), info.Bytes, orNone(info.Base), orNone(info.Theirs))
	for _, missing := range info.NotAvailable {
		if err == nil {
			_, err = fmt.Fprintf(t.out, "missing    %s\n", missing)
		}
	}
	if err == nil && info.Detail != "" {
		_, err = fmt.Fprintf(t.out, "detail     %s\n", inLine(info.Detail))
	}
	return err
}

// onHost is where a process ran; empty: nobody noted it.
func onHost(name string) string {
	if name == "" {
		return ""
	}
	return " on " + name
}

func orNone(tag objstore.ETag) string {
	if tag == "" {
		return "none: there was no file"
	}
	return string(tag)
}
