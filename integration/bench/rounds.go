package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"

	"github.com/etagfs/etagfs/integration/internal/measure"
)

// plan is what to run.
type plan struct {
	rows   *regexp.Regexp
	rounds int
	sizes  sizes
}

func (p plan) memorySelected() bool {
	return slices.ContainsFunc(memoryRows(), func(r row) bool { return p.rows.MatchString(r.name) })
}

// table is scenarios and the subjects they run on.
type table struct {
	scenarios  []scenario
	subjects   []*subject
	references []string // subjects that the others are compared with
}

func (b *bench) tables() []table {
	return []table{
		{
			scenarios:  []scenario{smallFiles(), warmFiles(), directories(), trees(), repository(), programs(), bigFile(), closeLatency()},
			subjects:   b.filesystems,
			references: []string{nativeName, loopbackName},
		},
		{
			scenarios:  []scenario{puts(true), puts(false)},
			subjects:   b.engines,
			references: []string{badgerName},
		},
	}
}

// selected reports whether any row of t is asked for.
func (t table) selected(rows *regexp.Regexp) bool {
	return slices.ContainsFunc(t.scenarios, func(s scenario) bool { return s.selected(rows) })
}

// run measures one scenario on all subjects, round by round. Only the end of ctx
// stops it; what fails is noted in the results.
func (b *bench) run(ctx context.Context, p plan, s scenario, subjects []*subject, r *results) error {
	for round := range p.rounds + 1 {
		for i := range subjects {
			subject := subjects[(i+round)%len(subjects)]
			b.runOnce(ctx, p, s, subject, round, r)
			if err := ctx.Err(); err != nil {
				return err
			}
		}
	}
	return nil
}

// runOnce runs the steps of s up to the last one that was asked for.
func (b *bench) runOnce(ctx context.Context, p plan, s scenario, subject *subject, round int, r *results) {
	at := b.site(p, subject, round)
	if round == 0 {
		at.trace = b.trace
	}
	leave, err := at.enter(ctx, s)
	if err != nil {
		r.fail(measure.At(s.name, subject.name), round, err)
		return
	}
	for _, step := range s.steps[:s.lastSelected(p.rows)+1] {
		if !step.setup && !p.rows.MatchString(step.row.name) || step.local && subject.peer {
			continue
		}
		c := measure.At(step.row.name, subject.name)
		m, err := step.run(ctx, at)
		if err != nil {
			r.fail(c, round, err)
			break
		}
		r.add(c, round, m)
	}
	if err := leave(); err != nil {
		r.fail(measure.At("clean up "+s.name, subject.name), round, err)
	}
}

// site is where a subject works in a round.
func (b *bench) site(p plan, subject *subject, round int) *site {
	return &site{
		subject: subject, shared: b.dir, sizes: p.sizes, rand: newRand(round), settle: b.settle,
	}
}

// enter makes the directory of the site and prepares it. leave removes it.
func (s *site) enter(ctx context.Context, sc scenario) (leave func() error, err error) {
	parent := s.subject.dir
	if parent == "" {
		parent = s.shared
	}
	if s.dir, err = os.MkdirTemp(parent, "run-"); err != nil {
		return nil, fmt.Errorf("make a directory: %w", err)
	}
	leave = func() error { return os.RemoveAll(s.dir) }
	if sc.begin != nil {
		if err := sc.begin(ctx, s); err != nil {
			return nil, errors.Join(err, leave())
		}
	}
	return leave, nil
}
