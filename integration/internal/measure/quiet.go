package measure

import (
	"context"
	"time"
)

const (
	quietTime    = 60 * time.Millisecond // without a clock tick of work
	quietTimeMax = 5 * time.Second       // a process that is never quiet is measured as it is
)

// WaitQuiet waits until the processes have used no processor time for a while.
func WaitQuiet(ctx context.Context, processes []Process) error {
	if len(processes) == 0 {
		return ctx.Err()
	}
	poll := time.NewTicker(quietTime / 3)
	defer poll.Stop()
	begun := time.Now()
	since, before := begun, time.Duration(0)
	for {
		now := time.Now()
		used, err := allTime(processes)
		if err != nil {
			return err
		}
		if used != before {
			since, before = now, used
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

func allTime(processes []Process) (sum time.Duration, err error) {
	for _, p := range processes {
		used, err := p.ProcessorTime()
		if err != nil {
			return 0, err
		}
		sum += used
	}
	return sum, nil
}
