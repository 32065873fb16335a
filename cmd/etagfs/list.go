package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/etagfs/etagfs/objstore"
)

func lsCommand(t *terminal) *cobra.Command {
	at := location{reads: true}
	var recursive, long bool
	c := &cobra.Command{
		Use:   "ls STORE [PREFIX]",
		Short: "List keys in byte order, one level below PREFIX",
		Args:  arguments(1, 2),
		RunE: func(c *cobra.Command, args []string) error {
			var options objstore.ListOptions
			if len(args) == 2 {
				options.Prefix = objstore.Key(args[1])
			}
			if !recursive {
				options.Delimiter = "/"
			}
			return at.with(c.Context(), args[0], func(bucket objstore.Store) error {
				return t.list(c.Context(), bucket, options, long)
			})
		},
	}
	at.flags(c)
	c.Flags().BoolVarP(&recursive, "recursive", "r", false, "list all levels")
	c.Flags().BoolVarP(&long, "long", "l", false, "size, time of the last commit, ETag and key")
	return c
}

// list prints every page of a listing.
func (t *terminal) list(ctx context.Context, bucket objstore.Store, options objstore.ListOptions, long bool) error {
	for {
		page, err := bucket.List(ctx, options)
		if err != nil {
			return err
		}
		for _, entry := range page.Entries {
			if err := t.printEntry(entry, long); err != nil {
				return err
			}
			options.StartAfter = entry.Key
		}
		if !page.More {
			return nil
		}
	}
}

func (t *terminal) printEntry(entry objstore.ListEntry, long bool) error {
	key := readable(string(entry.Key))
	var err error
	switch {
	case t.json && entry.Prefix:
		err = t.printJSON(struct {
			jsonKey
			Prefix bool `json:"prefix"`
		}{keyJSON(entry.Key), true})
	case t.json:
		err = t.printJSON(objectJSON(entry.Key, entry.Info))
	case long && entry.Prefix:
		_, err = fmt.Fprintf(t.out, "%12s  %-20s  %-40s  %s\n", "-", "-", "-", key)
	case long:
		i := entry.Info
		_, err = fmt.Fprintf(t.out, "%12d  %-20s  %-40s  %s\n", i.Size, i.Modified.UTC().Format(time.RFC3339), i.ETag, key)
	default:
		_, err = fmt.Fprintln(t.out, key)
	}
	return err
}

func statCommand(t *terminal) *cobra.Command {
	at := location{reads: true}
	var cond condition
	c := &cobra.Command{
		Use:   "stat STORE KEY...",
		Short: "Describe objects",
		Args:  keyed(2, -1, -1),
		RunE: func(c *cobra.Command, args []string) error {
			return at.with(c.Context(), args[0], func(bucket objstore.Store) error {
				for _, key := range args[1:] {
					info, err := cond.head(c.Context(), bucket, objstore.Key(key))
					if err != nil {
						return err
					}
					if err := t.printInfo(objstore.Key(key), info); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
	at.flags(c)
	cond.readFlags(c)
	return c
}

func (t *terminal) printInfo(key objstore.Key, info objstore.Info) error {
	if t.json {
		return t.printJSON(objectJSON(key, info))
	}
	_, err := fmt.Fprintf(t.out, "key       %s\ntype      %s\nsize      %d\netag      %s\nmodified  %s\nmode      %04o\nowner     %d:%d\n",
		readable(string(key)), typeName(info.Type), info.Size, info.ETag,
		info.Modified.UTC().Format(time.RFC3339Nano), info.Attr.Mode, info.Attr.UID, info.Attr.GID)
	if err == nil && info.ContentType != "" {
		_, err = fmt.Fprintf(t.out, "content   %s\n", readable(info.ContentType))
	}
	for _, name := range slices.Sorted(maps.Keys(info.UserMeta)) {
		if err == nil {
			_, err = fmt.Fprintf(t.out, "meta      %s=%s\n", readable(name), readable(info.UserMeta[name]))
		}
	}
	return err
}
