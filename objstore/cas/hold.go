package cas

import (
	"context"
	"errors"

	"github.com/etagfs/etagfs/objstore"
)

// Hold waits for the lease called key and calls f with its token. The context of f ends when the lease is lost,
// a third of the TTL before anybody else may hold it: f must have returned by then. The error is that
// of f, or one with the cause [Lost] if the lease was lost before f returned.
func Hold(ctx context.Context, s Store, key objstore.Key, opt LeaseOptions, f func(ctx context.Context, fence uint64) error) error {
	l, err := Acquire(ctx, s, key, opt)
	if err != nil {
		return err
	}
	return l.While(ctx, f)
}

// While calls f as [Hold] does, and releases the lease.
func (l *Lease) While(ctx context.Context, f func(ctx context.Context, fence uint64) error) error {
	held, cancel := context.WithCancelCause(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		select {
		case <-l.Lost():
			cancel(Lost)
		case <-held.Done():
		}
	}()
	err := f(held, l.Fence())
	cancel(nil)
	<-watched
	// A store that does not hear of the release sees the lease end with its TTL.
	released := l.Release(context.WithoutCancel(ctx))
	if errors.Is(released, Lost) {
		return errors.Join(released, err)
	}
	return err
}

// Lead is [Hold] for those who lead in turns: who loses the lease stands for election again. It returns what f
// returns of its own accord, and when ctx ends.
func Lead(ctx context.Context, s Store, key objstore.Key, opt LeaseOptions, f func(ctx context.Context, fence uint64) error) error {
	for {
		err := Hold(ctx, s, key, opt, f)
		if !errors.Is(err, Lost) || ctx.Err() != nil {
			return err
		}
	}
}
