package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore"
)

func checkCommand(t *terminal) *cobra.Command {
	var options badgerstore.CheckOptions
	c := &cobra.Command{
		Use:   "check STORE",
		Short: "Look for damage in a store that is not mounted",
		Long: `Check walks everything in a store and prints a line for each thing that is
wrong: whether it is damage (something is lost or may come to be) or garbage
(space that nothing uses and nothing will free), what kind of, and where. It
changes nothing and prints nothing for a clean store.

It exits 8 if there is damage, and 1 if there is garbage only. A store that was
not closed is not checked, but for damaged key-value files: opening it for
writing, as a mount does, repairs what a crash left.`,
		Args: arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			return t.check(c.Context(), args[0], options)
		},
	}
	c.Flags().BoolVar(&options.Payload, "payload", false, "read every byte and compare it with its checksums, too")
	return c
}

// check prints what is wrong with a store. The error counts it.
func (t *terminal) check(ctx context.Context, store string, options badgerstore.CheckOptions) (err error) {
	dir, err := storeDir(store)
	if err != nil {
		return err
	}
	engine, err := badgerstore.Open(ctx, dir, storeOptions(badgerstore.Options{ReadOnly: true}), badgerstore.Parts{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, engine.Close()) }()
	damage, garbage := 0, 0
	err = engine.Check(ctx, options, func(f badgerstore.Finding) error {
		if f.Kind.IsDamage() {
			damage++
		} else {
			garbage++
		}
		return t.printFinding(f)
	})
	switch {
	case err != nil:
		return err
	case damage > 0:
		return &objstore.Error{Op: "check", Key: dir, Kind: objstore.ErrCorrupt,
			Detail: fmt.Sprintf("%d findings are damage and %d garbage", damage, garbage)}
	case garbage > 0:
		return fmt.Errorf("check %s: %d findings are garbage and none is damage", dir, garbage)
	}
	return nil
}

func (t *terminal) printFinding(f badgerstore.Finding) error {
	if t.json {
		finding := struct {
			Severity string `json:"severity"`
			Kind     string `json:"kind"`
			Bucket   string `json:"bucket,omitempty"`
			*jsonKey
			Text string `json:"text"`
		}{Severity: f.Kind.Severity(), Kind: f.Kind.String(), Bucket: f.Bucket, Text: f.Text}
		if f.Bucket != "" {
			key := keyJSON(f.Key)
			finding.jsonKey = &key
		}
		return t.printJSON(finding)
	}
	where := ""
	if f.Bucket != "" {
		where = readable(f.Bucket+"/"+string(f.Key)) + ": "
	}
	_, err := fmt.Fprintf(t.out, "%-7s  %-12s  %s%s\n", f.Kind.Severity(), f.Kind, where, readable(f.Text))
	return err
}
