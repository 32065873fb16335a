package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore"
)

func checkCommand(t *terminal) *cobra.Command {
	var options badgerstore.CheckOptions
	var repair, dry bool
	c := &cobra.Command{
		Use:   "check STORE",
		Short: "Look for damage in a store, and repair it",
		Long: `Check walks everything in a store and prints a line for each thing that is
wrong: whether it is damage (something is lost or may come to be) or garbage
(space that nothing uses and nothing will free), what kind of, and where. It
changes nothing and prints nothing for a clean store. A store that is mounted or
served is checked by the process that has it open, as it is at one moment.

It exits 8 if there is damage, and 1 if there is garbage only. A store that was
not closed is not checked, but for damaged key-value files: opening it for
writing, as a mount does, repairs what a crash left.

--repair mends what can be mended without guessing, in a store that nobody has
open, and prints a line for each thing it has repaired and for each that is left;
the exit code is then about what is left. No bytes of users are removed: what
belongs to nothing any more becomes a kept copy (etagfs conflicts) or moves to
lost+found, records that say nothing any more to STORE/repair/. Bytes that are
lost stay lost: reading them is an error, and the rest goes on. It can be
interrupted, and run again. --dry-run prints what it would do, and changes nothing.`,
		Args: arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			switch {
			case dry && !repair:
				return usageErrorf("--dry-run says what --repair would do: give both")
			case repair && !dry:
				return t.repair(c.Context(), args[0], options)
			}
			return t.check(c.Context(), args[0], options, dry)
		},
	}
	c.Flags().BoolVar(&options.Payload, "payload", false, "read every byte and compare it with its checksums, too")
	c.Flags().BoolVar(&repair, "repair", false, "mend what can be mended")
	c.Flags().BoolVar(&dry, "dry-run", false, "with --repair: say what it would do, and change nothing")
	return c
}

// check prints what is wrong with a store. The error counts it.
func (t *terminal) check(ctx context.Context, store string, options badgerstore.CheckOptions, remedies bool) error {
	var count findings
	meter := t.newMeter(verbCheck)
	err := t.upkeepOf(ctx, store, job{Verb: verbCheck, Check: options, Shown: meter != nil}, badgerstore.Options{ReadOnly: true}, func(n news) error {
		if n.Finding == nil {
			meter.show(*n.Progress)
			return nil
		}
		meter.end()
		f := n.Finding.whole()
		if !remedies {
			f.Remedy = ""
		}
		count.add(f)
		return t.printFinding(f, "")
	})
	if meter.end(); err != nil {
		return err
	}
	return count.failure("check", store)
}

// findings counts them.
type findings struct{ damage, garbage int }

func (n *findings) add(f badgerstore.Finding) {
	if f.Kind.IsDamage() {
		n.damage++
	} else {
		n.garbage++
	}
}

// failure is the error of a store with so many findings, or nil.
func (n findings) failure(op, store string) error {
	switch {
	case n.damage > 0:
		return &objstore.Error{Op: op, Key: store, Kind: objstore.ErrCorrupt,
			Detail: fmt.Sprintf("%d findings are damage and %d garbage", n.damage, n.garbage)}
	case n.garbage > 0:
		return fmt.Errorf("%s %s: %d findings are garbage and none is damage", op, store, n.garbage)
	}
	return nil
}

// printFinding prints a finding. became is what became of it, if anything has been tried.
func (t *terminal) printFinding(f badgerstore.Finding, became string) error {
	if t.json {
		finding := struct {
			Became   string `json:"became,omitempty"`
			Severity string `json:"severity"`
			Kind     string `json:"kind"`
			Bucket   string `json:"bucket,omitempty"`
			*jsonKey
			Text   string `json:"text"`
			Remedy string `json:"remedy,omitempty"`
		}{Became: became, Remedy: f.Remedy, Severity: f.Kind.Severity(), Kind: f.Kind.String(), Bucket: f.Bucket, Text: f.Text}
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
	if became != "" {
		became = fmt.Sprintf("%-8s  ", became)
	}
	if f.Remedy != "" {
		f.Text += ": " + f.Remedy
	}
	_, err := fmt.Fprintf(t.out, "%s%-7s  %-12s  %s%s\n", became, f.Kind.Severity(), f.Kind, where, readable(f.Text))
	return err
}
