package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"syscall"
	"time"

	"github.com/etagfs/etagfs/integration/internal/measure"
)

// settings are the command line.
type settings struct {
	etagfs  string
	options string
	dir     string
	rows    string
	peers   string
	rounds  int
	quick   bool
	json    bool
	bars    bool
	scale   int
	debian  string
	plot    string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	s, err := parse(os.Args[1:], os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		os.Exit(2)
	}
	s.peers = os.Getenv("PEER_DIRS")
	if err := benchmark(ctx, s, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func parse(args []string, stderr io.Writer) (settings, error) {
	var s settings
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&s.etagfs, "etagfs", "bin/etagfs", "the program to measure; empty: none")
	flags.StringVar(&s.options, "o", "", "options of its mount")
	flags.StringVar(&s.dir, "dir", "/var/tmp", "a directory on the disk to measure")
	flags.StringVar(&s.rows, "rows", "", "measure only rows that match this regular expression")
	flags.IntVar(&s.rounds, "rounds", 5, "rounds to measure")
	flags.BoolVar(&s.quick, "quick", false, "small sizes, to see that everything runs")
	flags.BoolVar(&s.json, "json", false, "print one JSON object per measurement")
	flags.StringVar(&s.debian, "peers", "", "filesystems of S3 to mount over etagfs serve: s3fs, rclone or both, with a comma; their programs are those installed")
	flags.StringVar(&s.plot, "plot", "", "draw the ratios to native, or with -scale the curves, in this file (.svg or .png)")
	flags.IntVar(&s.scale, "scale", 0, "measure only mounts of a store that grows to so many files, 10,000 at least")
	flags.BoolVar(&s.bars, "bars", false, "print which bars are met, and fail if one is missed")
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	if flags.NArg() > 0 || s.rounds < 1 {
		err := errors.New("bench takes no arguments, and at least one round")
		fmt.Fprintln(stderr, err)
		return s, err
	}
	return s, nil
}

// plan is what the settings ask for.
func (s settings) plan() (plan, error) {
	rows, err := regexp.Compile(s.rows)
	if err != nil {
		return plan{}, fmt.Errorf("-rows: %w", err)
	}
	p := plan{rows: rows, rounds: s.rounds, sizes: fullSizes()}
	if s.quick {
		p.sizes = quickSizes()
	}
	return p, nil
}

// benchmark sets the subjects up, measures and cleans up.
func benchmark(ctx context.Context, s settings, stdout, stderr io.Writer) error {
	p, err := s.plan()
	if err != nil {
		return err
	}
	b, err := newBench(s.dir)
	if err != nil {
		return err
	}
	if s.scale > 0 {
		err = b.interruptible(ctx, func() error { return b.measureScale(ctx, s, stdout, stderr) })
		return errors.Join(err, b.close())
	}
	err = b.setUp(ctx, s, p, stderr)
	if err == nil {
		err = b.interruptible(ctx, func() error { return b.measure(ctx, s, p, report{stdout, s.json}, stderr) })
	}
	return errors.Join(err, b.close())
}

// interruptible runs f. When ctx ends while an operation hangs in a mount, the
// daemons are killed, which ends it.
func (b *bench) interruptible(ctx context.Context, f func() error) error {
	const patience = 10 * time.Second
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-done:
		return err
	case <-time.After(patience):
		b.abort()
		return <-done
	}
}

// setUp makes the subjects that the plan needs.
func (b *bench) setUp(ctx context.Context, s settings, p plan, stderr io.Writer) error {
	b.engines = engines()
	tables := b.tables()
	if !tables[0].selected(p.rows) && !p.memorySelected() {
		return nil
	}
	trace, err := openRequestTrace()
	if err != nil {
		fmt.Fprintln(stderr, "bench: requests are not counted:", err)
	} else {
		b.trace = trace
		b.onClose(trace.close)
	}
	if err := b.addNative(); err != nil {
		return err
	}
	if err := b.addLoopback(ctx); err != nil {
		return err
	}
	if s.etagfs != "" {
		if err := b.addEtagfs(ctx, s.etagfs, s.options); err != nil {
			return err
		}
	}
	if err := b.addS3Peers(ctx, s.etagfs, s.debian); err != nil {
		return err
	}
	return b.addPeers(s.peers)
}

// measure runs everything selected and reports each scenario as it ends.
func (b *bench) measure(ctx context.Context, s settings, p plan, out report, stderr io.Writer) error {
	r := newResults(p.rounds)
	if p.memorySelected() {
		fmt.Fprintln(stderr, "bench: memory")
		if err := b.measureSituations(ctx, p, r); err != nil {
			return err
		}
	}
	for _, t := range b.tables() {
		for _, scenario := range t.scenarios {
			if !scenario.selected(p.rows) {
				continue
			}
			fmt.Fprintf(stderr, "bench: %s, %d rounds\n", scenario.name, p.rounds)
			if err := b.run(ctx, p, scenario, t.subjects, r); err != nil {
				return err
			}
			if err := out.rows(scenario.name, scenario.about, asked(scenario.rows(), p, r), names(t.subjects), t.references, r); err != nil {
				return err
			}
		}
	}
	return b.finish(ctx, s, p, out, r, stderr)
}

// finish reports what is known only at the end.
func (b *bench) finish(ctx context.Context, s settings, p plan, out report, r *results, stderr io.Writer) (err error) {
	if p.memorySelected() {
		if p.rows.MatchString(rowMemoryUsed) {
			if err := b.measureMemory(ctx, rowMemoryUsed, p.sizes.idle, r); err != nil {
				return err
			}
		}
		rows := asked(memoryRows(), p, r)
		if err := out.rows("memory", "anonymous memory of the daemons", rows, names(b.filesystems), []string{loopbackName}, r); err != nil {
			return err
		}
	}
	if s.plot != "" {
		if err := drawRatios(s.plot, timedRows(b, r.values), r.values, b.machine()); err != nil {
			return err
		}
	}
	missed := 0
	if s.bars {
		if missed, err = measure.PrintBars(out.out, s.json, append(bars(), peerBars(r.values)...), r.values); err != nil {
			return err
		}
	}
	if !s.json {
		fmt.Fprintf(out.out, "\n%s, %d processors, %s\n", runtime.Version(), runtime.NumCPU(), b.machine())
	}
	if len(r.failures) > 0 {
		for _, f := range r.failures {
			fmt.Fprintln(stderr, "bench: failed:", f)
		}
		return fmt.Errorf("%d measurements failed", len(r.failures))
	}
	if missed > 0 {
		return fmt.Errorf("%d bars are missed", missed)
	}
	return nil
}
