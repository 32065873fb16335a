package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/etagfs/etagfs/mount"
	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore"
)

func scrubCommand(t *terminal) *cobra.Command {
	var rate string
	c := &cobra.Command{
		Use:   "scrub STORE",
		Short: "Read all of a store from its disk and look for damage",
		Long: `Scrub reads every file of a store that has records or bytes in it and compares
them with their checksums. It prints a line for each thing that is damaged or
missing, as etagfs check does, and exits 8 then. The store may be mounted or
served meanwhile; a mount or server scrubs by itself now and then (mount -o
scrub-every, serve --scrub-every). When that was, and what came of it, is in the
file scrub of the store.

Unlike etagfs check --payload it does not look at what records say of each other,
nor say which objects have the bytes.`,
		Args: arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			bytes, err := mount.ParseBytes(rate)
			if err != nil {
				return usageErrorf("--rate %s %v", rate, err)
			}
			return t.scrub(c.Context(), args[0], badgerstore.ScrubOptions{RateBytes: bytes})
		},
	}
	c.Flags().StringVar(&rate, "rate", "0", "bytes to read in a second at most, as 20M; 0: any")
	return c
}

// scrub prints damage, and what was looked at. The error counts the former.
func (t *terminal) scrub(ctx context.Context, store string, options badgerstore.ScrubOptions) error {
	var scrubbed badgerstore.Scrubbed
	meter := t.newMeter(verbScrub)
	err := t.upkeepOf(ctx, store, job{Verb: verbScrub, Scrub: options}, badgerstore.Options{}, func(n news) error {
		switch {
		case n.Progress != nil:
			meter.show(*n.Progress)
		case n.Scrubbed != nil:
			scrubbed = *n.Scrubbed
		case n.Finding != nil:
			meter.end()
			return t.printFinding(n.Finding.whole(), "")
		}
		return nil
	})
	if meter.end(); err != nil {
		return err
	}
	if scrubbed.Damage > 0 {
		return &objstore.Error{Op: "scrub", Key: store, Kind: objstore.ErrCorrupt, Detail: fmt.Sprintf("%d findings are damage", scrubbed.Damage)}
	}
	if t.json {
		return t.printJSON(scrubbed)
	}
	_, err = fmt.Fprintf(t.out, "%s verified, no damage\n", bytesText(scrubbed.Bytes))
	return err
}

const (
	// scrubEveryDefault is how often a store that is in use is scrubbed.
	scrubEveryDefault = 7 * 24 * time.Hour
	// scrubRateDefault is how much of it is read in a second.
	scrubRateDefault = 16 << 20
	// scrubDelay is how long a process has a store before it begins to scrub: there is enough to do at first.
	scrubDelay = time.Hour
	// scrubRetry is how long it waits after a scrub that failed.
	scrubRetry = time.Hour
)

// scrubbing scrubs a store now and then until it is closed.
type scrubbing struct {
	engine *badgerstore.Engine
	every  time.Duration
	rate   int64
	logger *slog.Logger

	stop    context.CancelFunc
	working sync.WaitGroup
}

// scrubNowAndThen begins to scrub a store every so often; never if every is not positive. delay is how long it waits at first.
func scrubNowAndThen(engine *badgerstore.Engine, every time.Duration, rate int64, delay time.Duration, logger *slog.Logger) *scrubbing {
	ctx, stop := context.WithCancel(context.Background())
	s := &scrubbing{engine: engine, every: every, rate: rate, logger: logger, stop: stop}
	if every > 0 {
		s.working.Go(func() { s.run(ctx, delay) })
	}
	return s
}

// Close waits for what is being read.
func (s *scrubbing) Close() {
	s.stop()
	s.working.Wait()
}

func (s *scrubbing) run(ctx context.Context, wait time.Duration) {
	for {
		timer := time.NewTimer(max(wait, s.due()))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
		wait = 0
		if err := s.once(ctx); err != nil && ctx.Err() == nil {
			s.logger.Error("the store could not be scrubbed to its end", "error", err)
			wait = scrubRetry
		}
	}
}

// due is how long it is until the next scrub should begin.
func (s *scrubbing) due() time.Duration {
	last, err := s.engine.LastScrub()
	if err != nil || last.Ended.IsZero() {
		return 0
	}
	return time.Until(last.Begun.Add(s.every))
}

func (s *scrubbing) once(ctx context.Context) error {
	done, err := s.engine.Scrub(ctx, badgerstore.ScrubOptions{RateBytes: s.rate, Resume: true}, nil, func(f badgerstore.Finding) error {
		s.logger.Error("a scrub found damage", "kind", f.Kind.String(), "bucket", f.Bucket, "key", string(f.Key), "what", f.Text)
		return nil
	})
	if err == nil {
		s.logger.Info("scrubbed", "bytes", done.Bytes, "damage", done.Damage, "took", done.Ended.Sub(done.Begun).Round(time.Second))
	}
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// scrubOf is how a mount scrubs its store.
func scrubOf(o mount.Options) (every time.Duration, rate int64) {
	every, rate = scrubEveryDefault, scrubRateDefault
	if o.ScrubEvery.Set {
		every = o.ScrubEvery.Value
	}
	if o.ScrubRateBytes > 0 {
		rate = o.ScrubRateBytes
	}
	return every, rate
}
