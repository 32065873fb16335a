package main

import (
	"context"
	"time"
)

const (
	quietTime    = 60 * time.Millisecond // without a clock tick of work
	quietTimeMax = 5 * time.Second       // a daemon that is never quiet is measured as it is
)

// waitQuiet waits until the daemons have used no processor time for a while.
func waitQuiet(ctx context.Context, daemons []*daemon) error {
	if len(daemons) == 0 {
		return ctx.Err()
	}
	poll := time.NewTicker(quietTime / 3)
	defer poll.Stop()
	begun := time.Now()
	since, before := begun, uint64(0)
	for {
		now := time.Now()
		ticks, err := allTicks(daemons)
		if err != nil {
			return err
		}
		if ticks != before {
			since, before = now, ticks
		}
		if now.Sub(since) >= quietTime || now.Sub(begun) >= quietTimeMax {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-poll.C:
		}
	}
}

func allTicks(daemons []*daemon) (sum uint64, err error) {
	for _, d := range daemons {
		ticks, err := d.ticks()
		if err != nil {
			return 0, err
		}
		sum += ticks
	}
	return sum, nil
}
