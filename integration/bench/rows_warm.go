package main

import (
	"context"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

const (
	rowReadWithin = "open+read+close, warm, at once"
	rowReadBeyond = "open+read+close, warm, after a pause"
	rowStatWithin = "stat, warm, at once"
	rowStatBeyond = "stat, warm, after a pause"
	rowFstat      = "fstat"
	rowPread      = "pread 4 KiB"
)

// loopbackPause is longer than a second, loopback's timeouts.
const loopbackPause = 1300 * time.Millisecond

func warmFiles() scenario {
	return scenario{
		name:  "warm files",
		about: "4 KiB each, all used a moment before, or 1.3 s before, which is longer than loopback's timeouts of a second",
		begin: func(ctx context.Context, s *site) error {
			if err := os.Mkdir(s.path("all"), 0o755); err != nil {
				return err
			}
			c := newContent(s.rand, smallBytes)
			err := each(ctx, s.sizes.files, func(i int) error { return writeWhole(s.smallFile(i), c.next()) })
			if err != nil {
				return err
			}
			return s.subject.drain(ctx)
		},
		steps: []step{
			{row: row{name: rowReadWithin}, run: warm(false, readSmall)},
			{row: row{name: rowReadBeyond}, run: warm(true, readSmall)},
			{row: row{name: rowStatWithin}, run: warm(false, statSmall)},
			{row: row{name: rowStatBeyond}, run: warm(true, statSmall)},
			{row: row{name: rowFstat}, run: withOpen(statOpen)},
			{row: row{name: rowPread}, run: withOpen(readOpen)},
		},
	}
}

// warm does something to every small file, pauses if it is to, and times the same once more.
func warm(paused bool, use func(path string) error) func(context.Context, *site) (measurement, error) {
	return func(ctx context.Context, s *site) (measurement, error) {
		all := func() error {
			order := s.order(1)
			return each(ctx, len(order), func(i int) error { return use(s.smallFile(order[i])) })
		}
		before := func() error {
			if err := all(); err != nil {
				return err
			}
			if paused {
				return wait(ctx, s.sizes.pause)
			}
			return nil
		}
		return s.timeAfter(ctx, s.sizes.files, before, all)
	}
}

// wait is for things to be forgotten that are remembered for so long.
func wait(ctx context.Context, pause time.Duration) error {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func readSmall(path string) error {
	var p [smallBytes]byte
	return with(path, unix.O_RDONLY, func(f file) error { return f.read(p[:]) })
}

func statSmall(path string) error {
	var st unix.Stat_t
	return unix.Stat(path, &st)
}

// withOpen times calls on one open file.
func withOpen(call func(file) error) func(context.Context, *site) (measurement, error) {
	return func(ctx context.Context, s *site) (m measurement, err error) {
		err = with(s.smallFile(0), unix.O_RDONLY, func(f file) error {
			repeat := func() error { return each(ctx, s.sizes.accesses, func(int) error { return call(f) }) }
			m, err = s.timeAfter(ctx, s.sizes.accesses, repeat, repeat)
			return err
		})
		return m, err
	}
}

func statOpen(f file) error {
	var st unix.Stat_t
	return unix.Fstat(int(f), &st)
}

func readOpen(f file) error {
	var p [smallBytes]byte
	return f.readAt(p[:], 0)
}
