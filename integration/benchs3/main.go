package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"syscall"
	"time"

	"github.com/etagfs/etagfs/integration/internal/foreign"
	"github.com/etagfs/etagfs/integration/internal/measure"
)

// settings are the command line.
type settings struct {
	etagfs    string
	minio     string
	versitygw string
	dir       string
	rows      string
	stepTime  time.Duration
	rounds    int
	upload    int64
	signed    bool
	quick     bool
	bars      bool

	serveFiles string
	listen     string
}

func main() {
	s, err := parse(os.Args[1:], os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		os.Exit(2)
	}
	if s.serveFiles != "" {
		err = serveFiles(s.serveFiles, s.listen)
	} else {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		err = benchmark(ctx, s, os.Stdout, os.Stderr)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "benchs3:", err)
		os.Exit(1)
	}
}

func parse(args []string, stderr io.Writer) (settings, error) {
	var s settings
	flags := flag.NewFlagSet("benchs3", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&s.etagfs, "etagfs", "bin/etagfs", "the program to measure")
	flags.StringVar(&s.minio, "minio", "", "a MinIO server to compare with; empty: built from its module; none: left out")
	flags.StringVar(&s.versitygw, "versitygw", "", "the same of versitygw")
	flags.StringVar(&s.dir, "dir", "/var/tmp", "a directory on the disk to measure")
	flags.StringVar(&s.rows, "rows", "", "measure only rows that match this regular expression")
	flags.DurationVar(&s.stepTime, "time", 500*time.Millisecond, "how long each row of gets, heads or lists takes in a round")
	flags.IntVar(&s.rounds, "rounds", 5, "rounds to measure")
	flags.Int64Var(&s.upload, "upload", 0, "MiB of each of the uploads whose memory is measured, which a file system can compress; 0: random bytes, as many as there is room for")
	flags.BoolVar(&s.signed, "signed", false, "sign what is put too; otherwise it is an UNSIGNED-PAYLOAD")
	flags.BoolVar(&s.quick, "quick", false, "small sizes, to see that everything runs")
	flags.BoolVar(&s.bars, "bars", false, "print which bars are met, and fail if one is missed")
	flags.StringVar(&s.serveFiles, "serve-files", "", "be the plain file server over this directory")
	flags.StringVar(&s.listen, "listen", "127.0.0.1:0", "where it listens")
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	if flags.NArg() > 0 || s.rounds < 1 {
		err := errors.New("benchs3 takes no arguments, and at least one round")
		fmt.Fprintln(stderr, err)
		return s, err
	}
	return s, nil
}

// benchmark starts the servers, measures and cleans up.
func benchmark(ctx context.Context, s settings, stdout, stderr io.Writer) (err error) {
	b, err := s.newBench()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	commands, err := s.commands(ctx, stderr)
	if err != nil {
		return err
	}
	for _, c := range commands {
		server, err := start(ctx, c, b.dir)
		if err != nil {
			return err
		}
		b.servers = append(b.servers, server)
	}
	if b.syncs, err = openSyncCounter(); err != nil {
		fmt.Fprintln(stderr, "benchs3: syncs are not counted:", err)
	}
	if err := b.run(ctx); err != nil {
		return err
	}
	if err := b.uploads(ctx, b.servers[0]); err != nil {
		return err
	}
	return b.finish(s, stdout, stderr)
}

func (s settings) newBench() (*bench, error) {
	rows, err := regexp.Compile(s.rows)
	if err != nil {
		return nil, fmt.Errorf("-rows: %w", err)
	}
	b := &bench{rows: rows, rounds: s.rounds, signPayloads: s.signed, values: make(measure.Values), sizes: fullSizes(s.stepTime)}
	if s.quick {
		b.sizes = quickSizes()
	}
	b.settle = b.comeToRest
	if b.sizes.upload, err = uploadBytes(s.dir, b.sizes.uploads, b.sizes.upload); err != nil {
		return nil, err
	}
	b.content = make([]byte, large)
	rand.NewChaCha8([32]byte{}).Read(b.content)
	b.uploaded = b.content
	if s.upload > 0 {
		const piece = 4 << 10
		b.sizes.upload, b.uploaded = s.upload<<20, bytes.Repeat(b.content[:piece], large/piece)
	}
	b.dir, err = os.MkdirTemp(s.dir, "etagfs-bench-s3-")
	return b, err
}

// commands are the servers to start, ours first.
func (s settings) commands(ctx context.Context, stderr io.Writer) ([]command, error) {
	if _, err := os.Stat(s.etagfs); err != nil {
		return nil, fmt.Errorf("%w: build it with make build", err)
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	commands := []command{etagfsCommand(s.etagfs)}
	for _, peer := range []struct {
		program, module string
		command         func(program string) command
	}{{s.minio, foreign.MinIO, minioCommand}, {s.versitygw, foreign.Versitygw, versitygwCommand}} {
		switch peer.program {
		case "none":
			continue
		case "":
			fmt.Fprintln(stderr, "benchs3: building", peer.module, "unless it was built before")
			if peer.program, err = foreign.Program(ctx, peer.module); err != nil {
				return nil, err
			}
		}
		commands = append(commands, peer.command(peer.program))
	}
	return append(commands, fileServerCommand(self)), nil
}

// finish reports, and counts what went wrong.
func (b *bench) finish(s settings, stdout, stderr io.Writer) error {
	if err := b.report(stdout); err != nil {
		return err
	}
	missed := 0
	if s.bars {
		var err error
		if missed, err = measure.PrintBars(stdout, false, b.bars(), b.values); err != nil {
			return err
		}
	}
	fmt.Fprintf(stdout, "\n%s, %d processors, %d rounds, payloads signed: %t\n", runtime.Version(), runtime.NumCPU(), b.rounds, b.signPayloads)
	for _, err := range b.failures {
		fmt.Fprintln(stderr, "benchs3: failed:", err)
	}
	switch {
	case len(b.failures) > 0:
		return fmt.Errorf("%d measurements failed", len(b.failures))
	case missed > 0:
		return fmt.Errorf("%d bars are missed", missed)
	default:
		return nil
	}
}

// close ends the servers and removes what they stored.
func (b *bench) close() error {
	failed := []error{b.syncs.close()}
	for _, s := range b.servers {
		failed = append(failed, s.stop())
	}
	return errors.Join(append(failed, os.RemoveAll(b.dir))...)
}
