package main

import (
	"context"

	"golang.org/x/sys/unix"
)

const (
	rowBigWrite  = "big: write+fsync+close"
	rowEditFirst = "big: edit 4 KiB+fsync, first"
	rowEditLast  = "big: edit 4 KiB+fsync, last"
)

func bigFile() scenario {
	return scenario{
		name:  "big file",
		about: "1 GiB; time of the whole, or per access; an edit is open, pwrite, fsync, close; first and last 100 of 10,000 edits",
		steps: []step{
			{row: row{name: rowBigWrite}, setup: true, run: writeBig},
			{row: row{name: "big: read"}, run: readBig},
			{row: row{name: "big: read again"}, run: readBig},
			{row: row{name: "big: random read 4 KiB"}, run: readRandomly},
			{row: row{name: rowEditFirst}, setup: true, run: editFirst},
			{row: row{name: rowEditLast}, run: editLast},
			{row: row{name: "big: random write 4 KiB"}, run: writeRandomly},
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
	p := make([]byte, chunkBytes)
	return s.time(ctx, 1, func() error {
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
