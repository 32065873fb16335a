package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/etagfs/etagfs/objstore"
)

// sweepPeriod is how often abandoned uploads are looked for.
const sweepPeriod = time.Hour

// sweep drops uploads nobody finished, now and then every period.
func sweep(ctx context.Context, buckets objstore.Buckets, age time.Duration, logger *slog.Logger) (stop func()) {
	if age <= 0 {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(sweepPeriod)
		defer tick.Stop()
		for {
			if err := sweepOnce(ctx, buckets, time.Now().Add(-age), logger); err != nil && ctx.Err() == nil {
				logger.Warn("sweep of abandoned uploads", "error", err)
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	}()
	return func() { cancel(); <-ended }
}

func sweepOnce(ctx context.Context, buckets objstore.Buckets, before time.Time, logger *slog.Logger) error {
	all, err := buckets.ListBuckets(ctx)
	if err != nil {
		return err
	}
	for _, b := range all {
		store, err := buckets.Bucket(ctx, b.Name)
		if err != nil {
			return err
		}
		uploads, ok := store.(objstore.Uploads)
		if !ok || !store.Capabilities().Multipart {
			continue
		}
		n, err := uploads.AbortUploadsBefore(ctx, before)
		if err != nil {
			return err
		}
		if n > 0 {
			logger.Info("dropped abandoned uploads", "bucket", b.Name, "uploads", n)
		}
	}
	return nil
}
