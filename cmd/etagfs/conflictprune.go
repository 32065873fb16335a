package main

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

const day = 24 * time.Hour

// age is a duration that may be in days: "7d".
type age time.Duration

// String implements pflag.Value.
func (a *age) String() string {
	if d := time.Duration(*a); d%day == 0 {
		return strconv.Itoa(int(d/day)) + "d"
	}
	return time.Duration(*a).String()
}

// Type implements pflag.Value.
func (a *age) Type() string { return "AGE" }

// Set implements pflag.Value.
func (a *age) Set(value string) error {
	if days, found := strings.CutSuffix(value, "d"); found {
		n, err := strconv.ParseUint(days, 10, 16)
		*a = age(time.Duration(n) * day)
		return err
	}
	d, err := time.ParseDuration(value)
	if err == nil && d < 0 {
		return usageErrorf("it is negative")
	}
	*a = age(d)
	return err
}

func pruneConflicts(t *terminal, place *conflictPlace) *cobra.Command {
	olderThan, dryRun := age(7*day), false
	c := &cobra.Command{
		Use:   "prune DIR|STORE",
		Short: "Forget the kept bytes of conflicts older than --older-than, and list them",
		Args:  arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			before := time.Now().Add(-time.Duration(olderThan))
			return place.with(c.Context(), args[0], func(kept keptCopies) error {
				return t.prune(c.Context(), kept, before, dryRun)
			})
		},
	}
	c.Flags().Var(&olderThan, "older-than", "age like 12h or 30d")
	c.Flags().BoolVar(&dryRun, "dry-run", false, "only list them")
	return c
}

func (t *terminal) prune(ctx context.Context, kept keptCopies, before time.Time, dryRun bool) error {
	texts, err := kept.list(ctx)
	if err != nil {
		return err
	}
	for _, text := range texts {
		info, err := parseKept(text)
		if err != nil {
			return err
		}
		if !info.Time.Before(before) {
			continue
		}
		if !dryRun {
			if err := kept.drop(ctx, info.ID); err != nil {
				return err
			}
		}
		if err := t.printKeptLine(text); err != nil {
			return err
		}
	}
	return nil
}
