package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/etagfs/etagfs/objstore/s3store"
)

func doctorCommand(t *terminal) *cobra.Command {
	var age time.Duration
	var control string
	c := &cobra.Command{
		Use:   "doctor DIR|STORE",
		Short: "Look for what is wrong with a mount, or try out what a store can do",
		Long: `Look for what is wrong with the mount at DIR or the store in a directory, and
print a table of what was found; nothing is changed. The exit code is 0 if files
can be written and nothing is wrong, else 1. What is in a store is checked by
etagfs check.

Of an S3 store try out what it can do, with keys that begin with .etagfs-probe- and
are removed again, and print a table. Commands that change a bucket do the same;
for a day others only confirm what was found. STORE is
s3://BUCKET/PREFIX?endpoint=URL&region=NAME or http://HOST:PORT/BUCKET. Keys come from where AWS's tools take them:
AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE and so on; for an
http:// or https:// URL from ETAGFS_ACCESS_KEY and ETAGFS_SECRET_KEY if they are set.

The exit code is 0 if files in the store can be written, and 1 if it can only
be read, because it does not decide about conditional writes.`,
		Args: arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			if !isRemote(args[0]) {
				if c.Flags().Changed("sweep-uploads") {
					return usageErrorf("--sweep-uploads is for s3://, http:// and https:// URLs, not for %s", args[0])
				}
				return t.examineHere(c.Context(), args[0], control)
			}
			if c.Flags().Changed("sweep-uploads") && age <= 0 {
				return usageErrorf("--sweep-uploads %v: give the least age of uploads to be aborted, as 24h", age)
			}
			store, err := openS3(c.Context(), args[0], false, true)
			if err != nil {
				return err
			}
			return t.examine(c.Context(), store, age)
		},
	}
	c.Flags().StringVar(&control, "control", controlDefault, "name of the mount's control directory")
	c.Flags().DurationVar(&age, "sweep-uploads", 0, "abort uploads this old that an etagfs that was killed left behind")
	return c
}

// examine prints what was found out. A store that cannot be written is an error, the last one.
func (t *terminal) examine(ctx context.Context, store *s3store.Store, age time.Duration) error {
	swept := 0
	if age > 0 {
		var err error
		if swept, err = store.SweepUploads(ctx, time.Now().Add(-age)); err != nil {
			return err
		}
	}
	verdict := store.Writable()
	print := t.printFindings
	if t.json {
		print = t.printFindingsJSON
	}
	return errors.Join(print(store, age > 0, swept, verdict), verdict)
}

func (t *terminal) printFindings(store *s3store.Store, sweep bool, swept int, verdict error) error {
	table := tabwriter.NewWriter(t.out, 0, 0, 2, ' ', 0)
	for _, f := range store.Findings() {
		answer := "yes"
		if !f.OK {
			answer = "no"
		}
		fmt.Fprintln(table, strings.TrimSuffix(f.Name+"\t"+answer+"\t"+f.Detail, "\t"))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if sweep {
		if _, err := fmt.Fprintf(t.out, "uploads aborted: %d\n", swept); err != nil {
			return err
		}
	}
	if verdict != nil {
		return nil
	}
	_, err := fmt.Fprintln(t.out, "Files in it can be written.")
	return err
}

func (t *terminal) printFindingsJSON(store *s3store.Store, sweep bool, swept int, verdict error) error {
	for _, f := range store.Findings() {
		row := struct {
			Name   string `json:"name"`
			OK     bool   `json:"ok"`
			Vital  bool   `json:"vital,omitempty"`
			Detail string `json:"detail,omitempty"`
		}{f.Name, f.OK, f.Vital, f.Detail}
		if err := t.printJSON(row); err != nil {
			return err
		}
	}
	caps := store.Capabilities()
	return t.printJSON(struct {
		Writable bool  `json:"writable"`
		Unique   bool  `json:"unique_versions"`
		Rename   bool  `json:"rename"`
		Swept    *int  `json:"uploads_aborted,omitempty"`
		Largest  int64 `json:"object_bytes_max"`
	}{verdict == nil, caps.UniqueVersions, caps.RenameFile, optionalCount(sweep, swept), caps.ObjectBytesMax})
}

func optionalCount(has bool, n int) *int {
	if !has {
		return nil
	}
	return &n
}
