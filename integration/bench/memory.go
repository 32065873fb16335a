package main

import (
	"context"
	"errors"
	"os"
	"strconv"
	"time"

	"github.com/etagfs/etagfs/integration/internal/measure"
)

const rowMemoryUsed = "anonymous memory, idle, after all this"

// situation is what a daemon did before it came to rest.
type situation struct {
	row row
	// work is done in a new directory, which stays until the memory is measured; nil: none.
	work func(context.Context, *site) error
}

// situations are measured one after the other, on the same daemons.
func situations() []situation {
	in := func(what string) row { return row{"anonymous memory, idle, " + what, measure.Bytes} }
	return []situation{
		{in("just mounted"), nil},
		{in("10,000 files made"), createMany},
		{in("archive unpacked"), unpackArchive},
		{in("big file written and read"), passBig},
		{in("100,000 files listed by ls -lR"), listMany},
	}
}

// memoryRows are the situations and the end of the run.
func memoryRows() (rows []row) {
	for _, s := range situations() {
		rows = append(rows, s.row)
	}
	return append(rows, row{rowMemoryUsed, measure.Bytes})
}

func createMany(ctx context.Context, s *site) error {
	c := newContent(s.rand, smallBytes)
	return each(ctx, s.sizes.entries, func(i int) error { return writeWhole(s.path(strconv.Itoa(i)), c.next()) })
}

func unpackArchive(ctx context.Context, s *site) error {
	if err := s.makeArchive(); err != nil {
		return err
	}
	_, err := unpack(ctx, s)
	return err
}

func passBig(ctx context.Context, s *site) error {
	_, err := writeBig(ctx, s)
	if err == nil {
		_, err = readBig(ctx, s)
	}
	return err
}

// listMany makes the kernel, and so the daemon, know many files.
func listMany(ctx context.Context, s *site) error {
	const directories = 100
	err := each(ctx, directories, func(i int) error { return s.fill(ctx, strconv.Itoa(i), s.sizes.walked/directories) })
	if err != nil {
		return err
	}
	return program(ctx, "ls", "-lR", s.dir)
}

// measureSituations notes what the daemons hold at rest after different work.
func (b *bench) measureSituations(ctx context.Context, p plan, r *results) error {
	for _, s := range situations() {
		if !p.rows.MatchString(s.row.name) {
			continue
		}
		leave, err := b.workBefore(ctx, p, s, b.mounted(), r)
		if err == nil {
			err = b.measureMemory(ctx, s.row.name, p.sizes.idle, r)
		}
		if err := errors.Join(err, leave()); err != nil {
			return err
		}
	}
	return nil
}

// workBefore does the work of a situation on subjects. leave removes what that made.
func (b *bench) workBefore(ctx context.Context, p plan, s situation, subjects []*subject, r *results) (leave func() error, err error) {
	var dirs []string
	leave = func() error {
		var errs []error
		for _, dir := range dirs {
			errs = append(errs, os.RemoveAll(dir))
		}
		return errors.Join(errs...)
	}
	if s.work == nil {
		return leave, nil
	}
	for _, subject := range subjects {
		at := b.site(p, subject, 0)
		if _, err := at.enter(ctx, scenario{}); err != nil {
			return leave, err
		}
		dirs = append(dirs, at.dir)
		if err := s.work(ctx, at); err != nil {
			r.fail(measure.At(s.row.name, subject.name), 1, err)
		}
	}
	return leave, ctx.Err()
}

// measureMemory notes what the daemons hold after a while without work, in the first round.
func (b *bench) measureMemory(ctx context.Context, name string, idle time.Duration, r *results) error {
	if err := b.settle(ctx); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(idle):
	}
	for _, s := range b.mounted() {
		c := measure.At(name, s.name)
		anonymous, err := s.daemon.process().AnonymousBytes()
		if err != nil {
			r.fail(c, 1, err)
			continue
		}
		r.add(c, 1, measurement{value: anonymous})
	}
	return nil
}
