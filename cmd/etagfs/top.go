package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

// topper is what etagfs top is asked for.
type topper struct {
	control  string
	interval time.Duration
	once     bool
	count    int
}

func topCommand(t *terminal) *cobra.Command {
	var top topper
	c := &cobra.Command{
		Use:   "top DIR",
		Short: "Show what a mount is doing: requests, how long they take, bytes",
		Long: `Show what the mount at DIR is doing, every --interval: how many requests the
kernel made, how long they took, how many bytes were read and written, and
which requests are being answered right now. The first numbers are those since
it was mounted. A terminal shows the newest only; elsewhere they come one after
the other, until --count of them, or an interrupt. Only who runs the mount, and
root, is told what the running requests are about.`,
		Args: arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			switch {
			case top.interval <= 0:
				return usageErrorf("--interval %v: there is no such interval", top.interval)
			case top.count < 0:
				return usageErrorf("--count cannot be negative; without it there is no end")
			case top.once:
				top.count = 1
			}
			m, err := findMounted(args[0], top.control)
			if err != nil {
				return err
			}
			return t.top(c.Context(), m, top)
		},
	}
	c.Flags().DurationVar(&top.interval, "interval", time.Second, "time between two looks")
	c.Flags().BoolVar(&top.once, "once", false, "look once: --count 1")
	c.Flags().IntVar(&top.count, "count", 0, "end after so many looks; 0: with an interrupt")
	c.Flags().StringVar(&top.control, "control", controlDefault, "name of the mount's control directory")
	return c
}

// look is what --json prints of one.
type look struct {
	Time         time.Time        `json:"time"`
	Seconds      float64          `json:"seconds"` // that the rates are of
	Requests     float64          `json:"requests_per_second"`
	ReadBytes    float64          `json:"read_bytes_per_second"`
	WrittenBytes float64          `json:"written_bytes_per_second"`
	Commits      float64          `json:"commits_per_second"`
	Conflicts    float64          `json:"conflicts"` // in that time
	Changed      float64          `json:"changed"`   // files
	StagingBytes float64          `json:"staging_bytes"`
	Operations   []operationRate  `json:"operations"`
	Running      []runningRequest `json:"running"` // null: only who runs the mount is told

	first bool
}

// operationRate is how often one operation was asked for, and how long it took.
type operationRate struct {
	Operation string  `json:"op"`
	PerSecond float64 `json:"per_second"`
	Mean      float64 `json:"mean_seconds"`
	P99       float64 `json:"p99_seconds"` // at most
	Failed    float64 `json:"failed"`
}

// top looks again and again.
func (t *terminal) top(ctx context.Context, m mountedTree, asked topper) error {
	config, err := m.config()
	if err != nil {
		return err
	}
	clear := isTerminal(os.Stdout) && !t.json
	ticks := time.NewTicker(asked.interval)
	defer ticks.Stop()
	before, last := samples{}, config.Began
	for n := 1; ; n++ {
		stats, err := m.stats()
		if err != nil {
			return err
		}
		now := time.Now()
		l := lookAt(stats, stats.minus(before), now, now.Sub(last))
		if l.Running, _, err = m.running(); err != nil {
			return err
		}
		l.first = n == 1
		if err := t.printLook(l, clear); err != nil || n == asked.count {
			return err
		}
		before, last = stats, now
		select {
		case <-ctx.Done():
			return nil // that is how it ends
		case <-ticks.C:
		}
	}
}

// lookAt makes rates of what was added in a time.
func lookAt(now, added samples, at time.Time, in time.Duration) look {
	seconds := max(in.Seconds(), 1e-9)
	l := look{
		Time: at.UTC(), Seconds: seconds,
		ReadBytes:    added["etagfs_fuse_read_bytes_total"] / seconds,
		WrittenBytes: added["etagfs_fuse_written_bytes_total"] / seconds,
		Commits:      (added[`etagfs_commits_total{outcome="committed"}`] + added[`etagfs_commits_total{outcome="rebased"}`]) / seconds,
		Conflicts:    added[`etagfs_commits_total{outcome="conflict"}`],
		Changed:      now[`etagfs_transactions{state="changed"}`],
		StagingBytes: now["etagfs_staging_bytes"],
		Operations:   []operationRate{},
	}
	sums := added.labelled("etagfs_fuse_request_seconds_sum", "operation")
	for operation, n := range added.labelled("etagfs_fuse_request_seconds_count", "operation") {
		if n == 0 {
			continue
		}
		l.Requests += n / seconds
		l.Operations = append(l.Operations, operationRate{
			Operation: operation, PerSecond: n / seconds, Mean: sums[operation] / n, P99: added.quantile(operation, 0.99).Seconds(),
			Failed: added[`etagfs_fuse_failures_total{operation="`+operation+`"}`],
		})
	}
	slices.SortFunc(l.Operations, func(a, b operationRate) int {
		return cmp.Or(cmp.Compare(b.PerSecond, a.PerSecond), strings.Compare(a.Operation, b.Operation))
	})
	return l
}

func (t *terminal) printLook(l look, clear bool) error {
	if t.json {
		return t.printJSON(l)
	}
	var text strings.Builder
	if clear {
		text.WriteString("\x1b[H\x1b[2J")
	}
	since := ""
	if l.first {
		since = " since it was mounted"
	}
	fmt.Fprintf(&text, "%s  %.1f requests/s%s, %s/s read, %s/s written, %.1f commits/s, %.0f conflicts, %.0f files changed (%s)\n",
		l.Time.Format(time.TimeOnly), l.Requests, since, binaryBytes(l.ReadBytes), binaryBytes(l.WrittenBytes), l.Commits, l.Conflicts, l.Changed, binaryBytes(l.StagingBytes))
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "  OPERATION\tPER SECOND\tMEAN\t99 % BELOW\tFAILED")
	for _, o := range l.Operations {
		fmt.Fprintf(table, "  %s\t%.1f\t%s\t%s\t%.0f\n", o.Operation, o.PerSecond, secondsOf(o.Mean).Round(100*time.Nanosecond), secondsOf(o.P99), o.Failed)
	}
	for _, r := range l.Running {
		fmt.Fprintf(table, "  %s\trunning\tfor %s\t%s\t%s\n", r.Operation, secondsOf(r.Seconds).Round(time.Microsecond), programAndPID(r.Program, r.Thread), readable(r.Path))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprint(t.out, text.String())
	return err
}
