package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/etagfs/etagfs/objstore/badgerstore"
)

func gcCommand(t *terminal) *cobra.Command {
	return &cobra.Command{
		Use:   "gc STORE",
		Short: "Remove what replaced and deleted contents have left behind",
		Long: `Gc removes what replaced and deleted contents have left behind, and prints how
much there was. It does what a store that is in use does by itself moments after
nobody reads the old contents any more; contents that somebody still reads wait.`,
		Args: arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			var collected badgerstore.Collected
			err := t.tidy(c.Context(), args[0], verbCollect, func(n news) {
				if n.Collected != nil {
					collected = *n.Collected
				}
			})
			if err != nil {
				return err
			}
			if t.json {
				return t.printJSON(collected)
			}
			_, err = fmt.Fprintf(t.out, "%d removed, %d waiting for readers; %s freed\n", collected.Removed, collected.Waiting, bytesText(collected.BytesFreed))
			return err
		},
	}
}

// tidy does a job that makes a store smaller, and shows how far it is. hear is told of the rest.
func (t *terminal) tidy(ctx context.Context, store, verb string, hear func(news)) error {
	meter := t.newMeter(verb)
	defer meter.end()
	return t.upkeepOf(ctx, store, job{Verb: verb, Shown: meter != nil}, badgerstore.Options{}, func(n news) error {
		if n.Progress != nil {
			meter.show(*n.Progress)
		}
		hear(n)
		return nil
	})
}

func compactCommand(t *terminal) *cobra.Command {
	return &cobra.Command{
		Use:   "compact STORE",
		Short: "Make a store smaller: merge what edits have scattered, and the tables",
		Long: `Compact writes the bytes of files together that many small edits have scattered, 4
MiB at a time, which changes no version, ETag or time; a file that is damaged stays as it
is, and is counted as failed: etagfs check --payload tells more. A store that is in use does so
by itself to a file that nobody has open, half a minute after it was edited last. Of one
that is always open its commits keep each 4 MiB in 128 pieces at most.

Then it removes what was left behind, as etagfs gc does, verifies the tables that the
store has its records in and merges them into one level. What was replaced or deleted
goes with that if it is old enough: what was committed last, and what lies in one level
already, stays as it is. A store that is in use compacts by itself what has to be; this
is for after many deletions, and before a store is copied. It takes as much free space
as the tables have, for a time.`,
		Args: arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			var done compacted
			err := t.tidy(c.Context(), args[0], verbCompact, func(n news) {
				if n.Compacted != nil {
					done = *n.Compacted
				}
			})
			if err != nil {
				return err
			}
			if t.json {
				return t.printJSON(done)
			}
			if done.OneLevel {
				_, err = fmt.Fprintf(t.out, "%d tables, %s, which lie in one level and stay as they are until more is written; %d files merged, %d failed\n",
					done.TablesAfter, bytesText(done.BytesAfter), done.Files, done.Failed)
				return err
			}
			_, err = fmt.Fprintf(t.out, "%d tables, %s; before %d, %s; %d files merged, %d failed\n",
				done.TablesAfter, bytesText(done.BytesAfter), done.TablesBefore, bytesText(done.BytesBefore), done.Files, done.Failed)
			return err
		},
	}
}
