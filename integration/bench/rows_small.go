package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

const threads = 8

// The rows other files refer to.
const (
	rowCreate        = "create+write+close"
	rowCreateThreads = "create+write+close, 8 threads"
	rowOverwrite     = "overwrite"
	rowLstat         = "lstat"
	rowRename        = "rename"
	rowUnlink        = "unlink"
)

func smallFiles() scenario {
	return scenario{
		name:  "small files",
		about: "4 KiB each, all in one directory; with 8 threads a directory for each",
		begin: func(_ context.Context, s *site) error {
			for worker := range threads {
				if err := os.Mkdir(s.path(strconv.Itoa(worker)), 0o755); err != nil {
					return err
				}
			}
			return os.Mkdir(s.path("all"), 0o755)
		},
		steps: []step{
			{row: row{name: rowCreate}, setup: true, run: createFiles},
			{row: row{name: rowCreateThreads}, run: createFilesInThreads},
			{row: row{name: rowLstat}, run: lstatFiles},
			{row: row{name: "open+read+close"}, run: readFiles},
			{row: row{name: rowOverwrite}, run: overwriteFiles},
			{row: row{name: rowRename}, setup: true, run: renameFiles},
			{row: row{name: rowUnlink}, run: unlinkFiles},
		},
	}
}

// smallFile is the path of the i-th file.
func (s *site) smallFile(i int) string { return s.path("all", "f"+strconv.Itoa(i)) }

// order visits the small files times over, shuffled each time.
func (s *site) order(times int) []int {
	var order []int
	for range times {
		order = append(order, s.rand.Perm(s.sizes.files)...)
	}
	return order
}

func createFiles(ctx context.Context, s *site) (measurement, error) {
	c := newContent(s.rand, smallBytes)
	return s.time(ctx, s.sizes.files, func() error {
		return each(ctx, s.sizes.files, func(i int) error { return writeWhole(s.smallFile(i), c.next()) })
	})
}

func createFilesInThreads(ctx context.Context, s *site) (measurement, error) {
	share := max(s.sizes.files/threads, 1)
	var contents [threads]*content
	for worker := range contents {
		contents[worker] = newContent(s.rand, smallBytes)
	}
	return s.time(ctx, share*threads, func() error {
		return inParallel(threads, func(worker int) error {
			return each(ctx, share, func(i int) error {
				return writeWhole(s.path(strconv.Itoa(worker), fmt.Sprint("f", i)), contents[worker].next())
			})
		})
	})
}

func lstatFiles(ctx context.Context, s *site) (measurement, error) {
	order := s.order(5)
	return s.time(ctx, len(order), func() error {
		return each(ctx, len(order), func(i int) error {
			var st unix.Stat_t
			return unix.Lstat(s.smallFile(order[i]), &st)
		})
	})
}

func readFiles(ctx context.Context, s *site) (measurement, error) {
	p := make([]byte, smallBytes)
	read := func(order []int) error {
		return each(ctx, len(order), func(i int) error {
			return with(s.smallFile(order[i]), unix.O_RDONLY, func(f file) error { return f.read(p) })
		})
	}
	if err := read(s.order(1)); err != nil {
		return measurement{}, err
	}
	order := s.order(3)
	return s.time(ctx, len(order), func() error { return read(order) })
}

func overwriteFiles(ctx context.Context, s *site) (measurement, error) {
	c, order := newContent(s.rand, smallBytes), s.order(1)
	return s.time(ctx, len(order), func() error {
		return each(ctx, len(order), func(i int) error {
			return with(s.smallFile(order[i]), unix.O_WRONLY|unix.O_TRUNC, func(f file) error { return f.write(c.next()) })
		})
	})
}

func renameFiles(ctx context.Context, s *site) (measurement, error) {
	order := s.order(1)
	return s.time(ctx, len(order), func() error {
		return each(ctx, len(order), func(i int) error {
			name := s.smallFile(order[i])
			return os.Rename(name, name+"-renamed")
		})
	})
}

func unlinkFiles(ctx context.Context, s *site) (measurement, error) {
	order := s.order(1)
	return s.time(ctx, len(order), func() error {
		return each(ctx, len(order), func(i int) error { return unix.Unlink(s.smallFile(order[i]) + "-renamed") })
	})
}

// newRand gives the same sequence for a round, whatever the subject.
func newRand(round int) *rand.Rand { return rand.New(rand.NewPCG(1, uint64(round))) }
