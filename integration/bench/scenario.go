package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"regexp"
	"runtime"
	"sync"
	"time"
)

// scenario is a list of steps that build on each other.
type scenario struct {
	name  string
	about string // what the rows mean, in a sentence
	// begin prepares the directory, unmeasured; nil: nothing to prepare.
	begin func(context.Context, *site) error
	steps []step
}

// step is one row.
type step struct {
	row row
	// setup marks a step that later ones build on: it runs although its row was not asked for.
	setup bool
	// local marks a step that would take a filesystem of S3 hours.
	local bool
	run   func(context.Context, *site) (measurement, error)
}

// selected reports whether any row of s is asked for.
func (s scenario) selected(rows *regexp.Regexp) bool { return s.lastSelected(rows) >= 0 }

// lastSelected is the index of the last step asked for, or -1.
func (s scenario) lastSelected(rows *regexp.Regexp) int {
	last := -1
	for i, step := range s.steps {
		if rows.MatchString(step.row.name) {
			last = i
		}
	}
	return last
}

func (s scenario) rows() (rows []row) {
	for _, step := range s.steps {
		rows = append(rows, step.row)
	}
	return rows
}

// sizes say how much each step does.
type sizes struct {
	files       int // small files in a scenario
	entries     int // entries of the large directory
	few         int // entries of the small directory
	walked      int // files whose listing is followed by a look at the memory
	archive     int // files in the archive
	bigBytes    int64
	accesses    int           // at random offsets of the big file
	edits       int           // of the big file, each with its fsync
	editsTimed  int           // of the first and of the last edits
	closes      int           // whose 99th percentile is taken
	sources     int           // of the C program
	commits     int           // of SQLite
	pause       time.Duration // longer than loopback lets the kernel remember names and attributes
	putsDivisor int           // of the puts of a load
	idle        time.Duration // before memory is measured
}

func fullSizes() sizes {
	return sizes{
		files: 2000, entries: 10_000, few: 100, walked: 100_000, archive: 2000, bigBytes: 1 << 30,
		accesses: 10_000, edits: 10_000, editsTimed: 100, closes: 3000, sources: 40, commits: 200, pause: loopbackPause, putsDivisor: 1, idle: 35 * time.Second,
	}
}

func quickSizes() sizes {
	return sizes{
		files: 100, entries: 500, few: 20, walked: 1000, archive: 100, bigBytes: 64 << 20,
		accesses: 500, edits: 100, editsTimed: 20, closes: 200, sources: 4, commits: 20, pause: loopbackPause, putsDivisor: 40, idle: time.Second,
	}
}

// site is where one scenario runs in one round: a new directory of one subject.
type site struct {
	subject *subject
	dir     string
	shared  string // a native directory that outlives the round
	sizes   sizes
	rand    *rand.Rand // the same for all subjects of a round
	trace   *requestTrace
	settle  func(context.Context) error
}

func (s *site) path(elements ...string) string {
	return filepath.Join(append([]string{s.dir}, elements...)...)
}

// time runs f, which does n operations, and gives the time of one.
func (s *site) time(ctx context.Context, n int, f func() error) (measurement, error) {
	return s.timeAfter(ctx, n, func() error { return nil }, f)
}

// timeAfter is time with something to be done right before f, when all is at rest.
func (s *site) timeAfter(ctx context.Context, n int, prepare, f func() error) (measurement, error) {
	if n == 0 {
		return measurement{}, errors.New("no operation to time")
	}
	if err := errors.Join(s.settle(ctx), prepare()); err != nil {
		return measurement{}, err
	}
	runtime.GC() // ours, not the subject's
	if err := s.trace.begin(s.subject.device); err != nil {
		return measurement{}, err
	}
	start := time.Now()
	err := errors.Join(f(), s.subject.drain(ctx))
	took := time.Since(start)
	requests, traceErr := s.trace.end(n)
	if err := errors.Join(err, traceErr, ctx.Err()); err != nil {
		return measurement{}, err
	}
	return measurement{value: took.Seconds() / float64(n), requests: requests}, nil
}

// inParallel runs f for 0 to n-1 at the same time.
func inParallel(n int, f func(worker int) error) error {
	var wait sync.WaitGroup
	failed := make([]error, n)
	for worker := range n {
		wait.Go(func() { failed[worker] = f(worker) })
	}
	wait.Wait()
	return errors.Join(failed...)
}

// each runs f for 0 to n-1, one after the other, until ctx ends.
func each(ctx context.Context, n int, f func(i int) error) error {
	for i := range n {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := f(i); err != nil {
			return fmt.Errorf("operation %d of %d: %w", i+1, n, err)
		}
	}
	return nil
}
