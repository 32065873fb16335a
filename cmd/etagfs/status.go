package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/etagfs/etagfs/fs"
)

func statusCommand(t *terminal) *cobra.Command {
	control := controlDefault
	c := &cobra.Command{
		Use:   "status DIR",
		Short: "Say how a mount fares: options, what is being written, commits, conflicts",
		Long: `Say how the mount at DIR, or the one DIR is in, fares: its store and what that
can do, whether it answers, whether it has stopped taking writes and why, the options in force,
commits and conflicts since it was mounted, and which files are open for writing. Only who runs the mount, and root, is told
which files those are. The exit code is 1 if the store does not answer.`,
		Args: arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			m, err := findMounted(args[0], control)
			if err != nil {
				return err
			}
			s, err := m.status(c.Context())
			if err != nil {
				return err
			}
			print := func() error { return t.printStatus(s, time.Now()) }
			if t.json {
				print = func() error { return t.printJSON(s) }
			}
			if err := print(); err != nil || s.Unanswering == "" {
				return err
			}
			return errors.New(s.Unanswering)
		},
	}
	c.Flags().StringVar(&control, "control", controlDefault, "name of the mount's control directory")
	return c
}

// mountStatus is what --json prints.
type mountStatus struct {
	mountConfig
	Unanswering  string             `json:"unanswering,omitempty"` // why nothing can be got from the store
	Refusing     string             `json:"refusing,omitempty"`    // why the store takes no more writes
	Requests     float64            `json:"requests"`
	Running      float64            `json:"running"`
	ReadBytes    float64            `json:"read_bytes"`
	WrittenBytes float64            `json:"written_bytes"`
	Commits      map[string]float64 `json:"commits"`               // by outcome
	KeptCopies   *float64           `json:"kept_copies,omitempty"` // not there if the store that has them does not answer
	KeptBytes    float64            `json:"kept_bytes"`
	Writing      map[string]float64 `json:"writing"` // files open, changed, committing
	StagingBytes float64            `json:"staging_bytes"`
	Transactions []fs.Transaction   `json:"transactions"` // null: only who runs the mount is told
}

// status asks the daemon, and its store by way of it.
func (m mountedTree) status(ctx context.Context) (s mountStatus, err error) {
	answer := make(chan error, 1)
	go func() { answer <- m.storeAnswers(ctx) }()
	if s.mountConfig, err = m.config(); err != nil {
		return s, err
	}
	stats, err := m.stats()
	if err != nil {
		return s, err
	}
	if err := <-answer; err != nil {
		s.Unanswering = err.Error()
	} else if s.Refusing, err = m.refusing(); err != nil {
		return s, err
	}
	for _, n := range stats.labelled("etagfs_fuse_request_seconds_count", "operation") {
		s.Requests += n
	}
	s.Running, s.ReadBytes, s.WrittenBytes = stats["etagfs_fuse_running_requests"], stats["etagfs_fuse_read_bytes_total"], stats["etagfs_fuse_written_bytes_total"]
	s.Commits = stats.labelled("etagfs_commits_total", "outcome")
	if copies, counted := stats["etagfs_kept_copies"]; counted {
		s.KeptCopies, s.KeptBytes = &copies, stats["etagfs_kept_bytes"]
	}
	s.Writing, s.StagingBytes = stats.labelled("etagfs_transactions", "state"), stats["etagfs_staging_bytes"]
	all, allowed, err := m.transactions()
	if allowed && all == nil {
		all = []fs.Transaction{}
	}
	s.Transactions = all
	return s, err
}

// kept is how much waits for a decision.
func (s mountStatus) kept() string {
	if s.KeptCopies == nil {
		return "the store that has the kept copies does not answer"
	}
	return fmt.Sprintf("%.0f kept, %s; see etagfs conflicts list", *s.KeptCopies, binaryBytes(s.KeptBytes))
}

func (t *terminal) printStatus(s mountStatus, now time.Time) error {
	table := tabwriter.NewWriter(t.out, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) { fmt.Fprintf(table, name+"\t"+format+"\n", args...) }
	row("mounted at", "%s", readable(s.Dir))
	row("store", "%s (%s)", readable(s.Source), s.Store)
	if s.Unanswering != "" {
		row("NO ANSWER", "%s", readable(s.Unanswering))
	}
	if s.Refusing != "" {
		row("NO WRITES", "the store takes none until it is unmounted and opened again: %s", readable(s.Refusing))
	}
	row("daemon", "etagfs %s, pid %d on %s, for %s", s.Version, s.PID, s.Host, now.Sub(s.Began).Round(time.Second))
	row("options", "%s", strings.Join(optionWords(s.Options), ","))
	row("the store has", "%s", strings.Join(capabilityWords(s.Capabilities, true), ", "))
	if lacks := capabilityWords(s.Capabilities, false); len(lacks) > 0 {
		row("it lacks", "%s", strings.Join(lacks, ", "))
	}
	row("requests", "%.0f answered, %.0f running; %s read, %s written", s.Requests, s.Running, binaryBytes(s.ReadBytes), binaryBytes(s.WrittenBytes))
	row("commits", "%.0f, and %.0f rebased appends; %.0f lost (EBUSY), %.0f failed, %.0f unknown; %.0f pending",
		s.Commits["committed"], s.Commits["rebased"], s.Commits["conflict"], s.Commits["failed"], s.Commits["unknown"], s.Writing["committing"])
	row("conflicts", "%s", s.kept())
	row("writing", "%.0f open for writing, %.0f changed, %s", s.Writing["open"], s.Writing["changed"], binaryBytes(s.StagingBytes))
	for _, address := range []string{s.Metrics, s.Pprof, s.Log} {
		if address != "" {
			row("see also", "%s", address)
		}
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if s.Transactions == nil {
		_, err := fmt.Fprintln(t.out, "Which files those are is told to who runs the mount, and to root.")
		return err
	}
	return t.printTransactions(s.Transactions, now)
}

func (t *terminal) printTransactions(all []fs.Transaction, now time.Time) error {
	table := tabwriter.NewWriter(t.out, 0, 0, 2, ' ', 0)
	for _, one := range all {
		state := one.State
		switch {
		case one.Committing:
			state = "committing"
		case one.State == "open" && one.Changed:
			state = "changed"
		case one.State == "open":
			state = "unchanged"
		}
		fmt.Fprintf(table, "  %s\t%s\tfor %s\t%s\tuid %d\t%s\tbase %s\n", readable(one.Path), state,
			now.Sub(one.Opened).Round(time.Second), programAndPID(one.Program, one.PID), one.UID, binaryBytes(float64(max(one.Bytes, 0))), orNone(one.Base))
	}
	return table.Flush()
}

// optionWords are the options as -o takes them; what is off or was not given is left out.
func optionWords(options map[string]string) (words []string) {
	for _, name := range slices.Sorted(maps.Keys(options)) {
		switch value := options[name]; value {
		case "", "false":
		case "true":
			words = append(words, name)
		default:
			words = append(words, name+"="+value)
		}
	}
	return words
}

func capabilityWords(all map[string]bool, has bool) (words []string) {
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if all[name] == has {
			words = append(words, strings.ReplaceAll(name, "_", " "))
		}
	}
	return words
}
