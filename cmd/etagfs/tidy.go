package main

import (
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
			err := t.upkeepOf(c.Context(), args[0], job{Verb: verbCollect}, badgerstore.Options{}, func(n news) error {
				if n.Collected != nil {
					collected = *n.Collected
				}
				return nil
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

func compactCommand(t *terminal) *cobra.Command {
	return &cobra.Command{
		Use:   "compact STORE",
		Short: "Merge the tables of a store's key-value engine",
		Long: `Compact verifies the tables that a store has its records in and merges them
into one level. What was replaced or deleted goes with that if it is old enough: what was committed
last, and what lies in one level already, stays as it is. A store that is in use compacts by
itself what has to be; this is for after many deletions, and before a store is
copied. It takes as much free space as the tables have, for a time.`,
		Args: arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			var done badgerstore.Compacted
			err := t.upkeepOf(c.Context(), args[0], job{Verb: verbCompact}, badgerstore.Options{}, func(n news) error {
				if n.Compacted != nil {
					done = *n.Compacted
				}
				return nil
			})
			if err != nil {
				return err
			}
			if t.json {
				return t.printJSON(done)
			}
			_, err = fmt.Fprintf(t.out, "%d tables, %s; before %d, %s\n", done.TablesAfter, bytesText(done.BytesAfter), done.TablesBefore, bytesText(done.BytesBefore))
			return err
		},
	}
}
