package main

import (
	"context"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

const (
	rowBigWrite  = "big: write+fsync+close"
	rowBigCold   = "big: read, cold"
	rowBigRead   = "big: read"
	rowBigAgain  = "big: read again"
	rowBigRandom = "big: random read 4 KiB"
	rowBigWrites = "big: random write 4 KiB"
	rowEditFirst = "big: edit 4 KiB+fsync, first"
	rowEditLast  = "big: edit 4 KiB+fsync, last"
)

func bigFile() scenario {
	return scenario{
		name:  "big file",
		about: "1 GiB; time of the whole, or per access; an edit is open, pwrite, fsync, close; first and last 100 of 10,000 edits",
		steps: []step{
			{row: row{name: rowBigWrite}, setup: true, run: writeBig},
			{row: row{name: rowBigRead}, run: readBig},
			{row: row{name: rowBigAgain}, run: readBig},
			{row: row{name: rowBigRandom}, run: readRandomly},
			{row: row{name: rowBigCold}, run: readBigCold},
			{row: row{name: rowEditFirst}, setup: true, local: true, run: editFirst},
			{row: row{name: rowEditLast}, local: true, run: editLast},
			{row: row{name: rowBigWrites}, run: writeRandomly},
		},
	}
}

func (s *site) big() string { return s.path("big") }

// offset is that of a random 4 KiB block of the big file.
func (s *site) offset() int64 { return s.rand.Int64N(s.sizes.bigBytes/smallBytes) * smallBytes }

func writeBig(ctx context.Context, s *site) (measurement, error) {
	c := newContent(s.rand, chunkBytes)
	return s.time(ctx, 1, func() error {
		return with(s.big(), unix.O_WRONLY|unix.O_CREAT|unix.O_TRUNC, func(f file) error {
			err := each(ctx, int(s.sizes.bigBytes/chunkBytes), func(int) error { return f.write(c.next()) })
			if err != nil {
				return err
			}
			return f.sync()
		})
	})
}

func readBig(ctx context.Context, s *site) (measurement, error) {
	return s.readBigAfter(ctx, func() error { return nil })
}

// readBigCold reads what is in no page cache: neither the kernel's of the mount nor that of the disk below it.
func readBigCold(ctx context.Context, s *site) (measurement, error) {
	return s.readBigAfter(ctx, dropPages)
}

// dropPages empties the page cache of the machine, which takes root.
func dropPages() error {
	if err := os.WriteFile("/proc/sys/vm/drop_caches", []byte("1"), 0); err != nil {
		return fmt.Errorf("empty the page cache: %w", err)
	}
	return nil
}

func (s *site) readBigAfter(ctx context.Context, prepare func() error) (measurement, error) {
	p := make([]byte, chunkBytes)
	return s.timeAfter(ctx, 1, prepare, func() error {
		return with(s.big(), unix.O_RDONLY, func(f file) error {
			return each(ctx, int(s.sizes.bigBytes/chunkBytes), func(int) error { return f.read(p) })
		})
	})
}

func readRandomly(ctx context.Context, s *site) (measurement, error) {
	p := make([]byte, smallBytes)
	return s.time(ctx, s.sizes.accesses, func() error {
		return with(s.big(), unix.O_RDONLY, func(f file) error {
			return each(ctx, s.sizes.accesses, func(int) error { return f.readAt(p, s.offset()) })
		})
	})
}

func writeRandomly(ctx context.Context, s *site) (measurement, error) {
	c := newContent(s.rand, smallBytes)
	return s.time(ctx, s.sizes.accesses, func() error {
		return with(s.big(), unix.O_RDWR, func(f file) error {
			return each(ctx, s.sizes.accesses, func(int) error { return f.writeAt(c.next(), s.offset()) })
		})
	})
}

func editFirst(ctx context.Context, s *site) (measurement, error) {
	return s.time(ctx, s.sizes.editsTimed, func() error { return s.edit(ctx, s.sizes.editsTimed) })
}

func editLast(ctx context.Context, s *site) (measurement, error) {
	between := s.sizes.edits - 2*s.sizes.editsTimed
	if err := s.edit(ctx, between); err != nil {
		return measurement{}, err
	}
	return editFirst(ctx, s)
}

func (s *site) edit(ctx context.Context, times int) error {
	c := newContent(s.rand, smallBytes)
	return each(ctx, times, func(int) error {
		return with(s.big(), unix.O_RDWR, func(f file) error {
			if err := f.writeAt(c.next(), s.offset()); err != nil {
				return err
			}
			return f.sync()
		})
	})
}
