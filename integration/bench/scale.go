package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"text/tabwriter"
	"time"

	"golang.org/x/sys/unix"

	"github.com/etagfs/etagfs/integration/internal/measure"
	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore"
)

// The shape of a store of many files: one in ten is in one large directory, the others are a thousand to a
// directory.
const (
	scaleFirst        = 10_000 // files of the first stage; each has ten times as many
	scaleLargeShare   = 10
	scalePerDirectory = 1000
	scaleWriters      = 64
	scaleRounds       = 7
	scaleSamples      = 300 // of a round
	scaleFileBytes    = 128
	scaleReference    = 2 * scaleRounds * scaleSamples // files of the store that is compared with
)

// scale measures mounts of a store that grows to a number of files beside one of a stage without any.
type scale struct {
	*bench
	program string
	files   int // in the store now
	random  *rand.Rand
}

// stage is one point of the curve.
type stage struct {
	files            int
	filled           time.Duration // for the files that came with it
	added            int
	bytes            int64
	mounted          time.Duration
	idleBytes        float64 // anonymous, just mounted
	usedBytes        float64 // after all this
	lookup, create   measure.Summary
	lookups, creates measure.Summary // against a store that is nearly empty
	first            time.Duration   // until the first entries of the large directory
	entries          int
}

// scaleFile is the key of the i-th file of those that are, or are not, in the large directory.
func scaleFile(i int, large bool) string {
	if large {
		return fmt.Sprintf("large/entry-%08d", i)
	}
	return fmt.Sprintf("many/%05d/file-%03d", i/scalePerDirectory, i%scalePerDirectory)
}

// measureScale prints the curve up to as many files as are asked for.
func (b *bench) measureScale(ctx context.Context, set settings, out, stderr io.Writer) error {
	files := max(set.scale, scaleFirst)
	s := &scale{bench: b, program: set.etagfs, random: newRand(0)}
	if err := s.fill(ctx, "empty", 0, scaleReference); err != nil {
		return err
	}
	var stages []stage
	for n := min(scaleFirst, files); ; n = min(10*n, files) {
		fmt.Fprintf(stderr, "bench: scale, %d files\n", n)
		st, err := s.measure(ctx, n)
		if err != nil {
			return err
		}
		stages = append(stages, st)
		if n == files {
			break
		}
	}
	if set.plot != "" {
		if err := drawScale(set.plot, stages, b.machine()); err != nil {
			return err
		}
	}
	return printScale(out, set.json, stages)
}

// measure fills the store up to n files and measures it.
func (s *scale) measure(ctx context.Context, n int) (st stage, err error) {
	st.files, st.added = n, n-s.files
	start := time.Now()
	if err := s.fill(ctx, "store", s.files, n); err != nil {
		return st, err
	}
	s.files, st.filled = n, time.Since(start)
	if st.bytes, err = allocatedBytes(s.path("store")); err != nil {
		return st, err
	}
	mounted, took, err := s.mount(ctx, "store")
	if err != nil {
		return st, err
	}
	defer func() { err = errors.Join(err, mounted.daemon.stop()) }()
	reference, _, err := s.mount(ctx, "empty")
	if err != nil {
		return st, err
	}
	defer func() { err = errors.Join(err, reference.daemon.stop()) }()
	st.mounted = took
	if st.idleBytes, err = mounted.daemon.process().AnonymousBytes(); err != nil {
		return st, err
	}
	if st.first, err = firstEntries(filepath.Join(mounted.dir, "large")); err != nil {
		return st, err
	}
	st.entries = n / scaleLargeShare
	if err := s.compare(ctx, &st, mounted, reference); err != nil {
		return st, err
	}
	st.usedBytes, err = mounted.daemon.process().AnonymousBytes()
	return st, err
}

// compared is a mount whose lookups and creates are measured.
type compared struct {
	subject          *subject
	files            int          // in its store
	known            map[int]bool // files that the kernel knows
	lookups, creates []float64    // seconds
}

// compare looks up and creates files in turns with the reference.
func (s *scale) compare(ctx context.Context, st *stage, grown, reference *subject) error {
	of := &compared{subject: grown, files: st.files, known: make(map[int]bool)}
	to := &compared{subject: reference, files: scaleReference, known: make(map[int]bool)}
	for round := range scaleRounds + 1 {
		for _, c := range []*compared{of, to} {
			if err := s.measureRound(ctx, c); err != nil {
				return err
			}
			if round == 0 { // it warms up
				c.lookups, c.creates = nil, nil
			}
		}
	}
	st.lookup, st.create = measure.Summarize(of.lookups), measure.Summarize(of.creates)
	st.lookups = measure.Summarize(measure.Pairwise(of.lookups, to.lookups))
	st.creates = measure.Summarize(measure.Pairwise(of.creates, to.creates))
	return nil
}

func (s *scale) measureRound(ctx context.Context, c *compared) error {
	looked, err := s.lookUp(ctx, c)
	if err != nil {
		return err
	}
	made, err := s.create(ctx, c.subject)
	c.lookups, c.creates = append(c.lookups, looked), append(c.creates, made)
	return err
}

// lookUp is the time of lstat(2) of a file that the kernel does not know in a directory that it knows.
func (s *scale) lookUp(ctx context.Context, c *compared) (seconds float64, err error) {
	paths := make([]string, scaleSamples)
	for i := range paths {
		number := s.random.IntN(c.files - c.files/scaleLargeShare)
		for c.known[number] {
			number = s.random.IntN(c.files - c.files/scaleLargeShare)
		}
		c.known[number] = true
		paths[i] = filepath.Join(c.subject.dir, scaleFile(number, false))
		if _, err := os.Stat(filepath.Dir(paths[i])); err != nil {
			return 0, err
		}
	}
	var st unix.Stat_t
	start := time.Now()
	err = each(ctx, len(paths), func(i int) error { return unix.Lstat(paths[i], &st) })
	return time.Since(start).Seconds() / scaleSamples, err
}

// create is the time of create, write and close of a file in a new directory.
func (s *scale) create(ctx context.Context, subject *subject) (seconds float64, err error) {
	dir, err := os.MkdirTemp(subject.dir, "run-")
	if err != nil {
		return 0, err
	}
	c := newContent(s.random, smallBytes)
	start := time.Now()
	err = each(ctx, scaleSamples, func(i int) error { return writeWhole(filepath.Join(dir, strconv.Itoa(i)), c.next()) })
	return time.Since(start).Seconds() / scaleSamples, err
}

// firstEntries is how long it takes to open a directory and get its first entries.
func firstEntries(dir string) (time.Duration, error) {
	start := time.Now()
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("open %s: %w", dir, err)
	}
	n, err := unix.Getdents(fd, make([]byte, 32<<10))
	took := time.Since(start)
	if err == nil && n == 0 {
		err = errors.New("no entries")
	}
	return took, errors.Join(err, unix.Close(fd))
}

// mount mounts the store of that name and says how long it took until the mount could be used.
func (s *scale) mount(ctx context.Context, name string) (*subject, time.Duration, error) {
	at := s.path(name + "-mount")
	start := time.Now()
	d, err := startDaemon(ctx, name, at, s.program, "mount", s.path(name), at, "--foreground")
	if err != nil {
		return nil, 0, err
	}
	s.onClose(d.stop)
	took := time.Since(start)
	return &subject{name: name, dir: at, daemon: d}, took, nil
}

// fill adds files through the engine: those from one number up to another.
func (s *scale) fill(ctx context.Context, name string, from, to int) error {
	engine, err := badgerstore.Open(ctx, s.path(name), badgerstore.Options{Profile: badgerstore.ProfileServer, Create: true}, badgerstore.Parts{})
	if err != nil {
		return err
	}
	store, err := engine.Bucket(ctx, badgerstore.MainBucket)
	if err == nil {
		err = putAll(ctx, store, from, to)
	}
	return errors.Join(err, engine.Close())
}

// putAll puts the files of a range: a tenth of all below each number is in the large directory.
func putAll(ctx context.Context, store objstore.Store, from, to int) error {
	var next atomic.Int64
	next.Store(int64(from))
	return inParallel(scaleWriters, func(worker int) error {
		c := newContent(newRand(worker), scaleFileBytes)
		for {
			i := int(next.Add(1) - 1)
			if i >= to || ctx.Err() != nil {
				return ctx.Err()
			}
			large := i%scaleLargeShare == scaleLargeShare-1
			number := i - i/scaleLargeShare
			if large {
				number = i / scaleLargeShare
			}
			opt := objstore.PutOptions{Durability: objstore.Visible, Length: scaleFileBytes, LengthKnown: true}
			if _, err := store.Put(ctx, objstore.Key(scaleFile(number, large)), bytes.NewReader(c.next()), objstore.IfAbsent(), opt); err != nil {
				return err
			}
		}
	})
}

// allocatedBytes is what the files below dir take.
func allocatedBytes(dir string) (total int64, err error) {
	err = filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		var st unix.Stat_t
		if err == nil && unix.Lstat(path, &st) == nil { // what is gone takes nothing
			total += st.Blocks * 512
		}
		return err
	})
	return total, err
}

func printScale(out io.Writer, asJSON bool, stages []stage) error {
	if asJSON {
		encoder := json.NewEncoder(out)
		for _, s := range stages {
			err := encoder.Encode(map[string]any{
				"files": s.files, "puts_per_second": float64(s.added) / s.filled.Seconds(), "store_bytes": s.bytes,
				"mount_seconds": s.mounted.Seconds(), "idle_bytes": s.idleBytes, "used_bytes": s.usedBytes,
				"lookup_seconds": s.lookup.Median, "lookup_ratio": s.lookups.Median,
				"create_seconds": s.create.Median, "create_ratio": s.creates.Median,
				"first_entries_seconds": s.first.Seconds(), "entries": s.entries,
			})
			if err != nil {
				return err
			}
		}
		return nil
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "files\tputs\tstore\tmount\tanonymous memory, idle..used\tlookup\tvs empty\tcreate\tvs empty\tfirst entries of a directory")
	for _, s := range stages {
		fmt.Fprintf(table, "%d\t%.0f /s\t%s\t%s\t%s..%s\t%s\t%s\t%s\t%s\t%s of %d\n",
			s.files, float64(s.added)/s.filled.Seconds(), measure.Bytes.Format(float64(s.bytes)), measure.Seconds.Format(s.mounted.Seconds()),
			measure.Bytes.Format(s.idleBytes), measure.Bytes.Format(s.usedBytes),
			measure.Seconds.Format(s.lookup.Median), measure.Ratio.FormatAll(s.lookups),
			measure.Seconds.Format(s.create.Median), measure.Ratio.FormatAll(s.creates),
			measure.Seconds.Format(s.first.Seconds()), s.entries)
	}
	return table.Flush()
}
