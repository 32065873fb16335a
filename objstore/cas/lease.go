package cas

import (
	"context"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"sync"
	"time"

	"github.com/etagfs/etagfs/objstore"
)

// Lease is one that is held. It renews itself until it is released or lost.
type Lease struct {
	// Constant.
	store  Store
	key    objstore.Key
	cancel context.CancelFunc // ends renewals
	done   chan struct{}      // closed when they have ended
	lost   chan struct{}      // closed when the lease is lost
	timer  *time.Timer        // loses it

	// Of the goroutine that renews; after done, of Release.
	record  record
	version objstore.Version

	losing  sync.Once
	loss    error // readable once lost is closed
	release sync.Once
	result  error // of Release
}

// Fence is the lease's fencing token: greater than that of every holder before, less than that of any after.
func (l *Lease) Fence() uint64 { return l.record.Fence }

// Lost is closed when the lease is lost: nobody else holds it yet, but soon somebody may. Another holder counts
// the whole TTL; a third of it is left to stop in.
func (l *Lease) Lost() <-chan struct{} { return l.lost }

// Release ends the lease, so that who waits need not wait for the TTL. It returns an error with the cause [Lost] if
// the lease was lost before. If the store cannot be told the lease ends with its TTL, and that is the error.
func (l *Lease) Release(ctx context.Context) error {
	l.release.Do(func() { l.result = l.end(ctx) })
	return l.result
}

// hold begins to renew a lease that was written in a call begun at began; false if that is too long ago.
func (l *Lease) hold(ctx context.Context, began time.Time) bool {
	left := time.Until(l.until(began))
	if left <= 0 {
		return false
	}
	l.lost, l.done = make(chan struct{}), make(chan struct{})
	ctx, l.cancel = context.WithCancel(context.WithoutCancel(ctx))
	l.timer = time.AfterFunc(left, func() { l.lose("it could not be renewed in time") })
	go l.renewal(ctx)
	return true
}

// until is when a lease that was written in a call begun at began is not held any more.
func (l *Lease) until(began time.Time) time.Time { return began.Add(l.record.ttl() * 2 / 3) }

// lose ends the lease.
func (l *Lease) lose(why string) {
	l.losing.Do(func() {
		l.loss = &objstore.Error{Op: "lease", Key: string(l.key), Kind: objstore.ErrPrecondition, Detail: why, Err: Lost}
		close(l.lost)
	})
	l.cancel()
}

// renewal renews the lease until ctx ends.
func (l *Lease) renewal(ctx context.Context) {
	defer close(l.done)
	wait := l.record.ttl() / renewPart
	for pause(ctx, wait) == nil {
		began := time.Now()
		switch err := l.write(ctx, l.record); {
		case err == nil:
			if !l.timer.Stop() {
				return // it was lost meanwhile
			}
			l.timer.Reset(time.Until(l.until(began)))
			wait = l.record.ttl() / renewPart
		case errors.Is(err, Lost):
			l.lose(err.Error())
			return
		default:
			wait = mathrand.N(l.record.ttl() / againPart)
		}
	}
}

// write puts a record of this holder in place of its last one. After an answer that does not tell, it looks
// at what is there: what is ours is built on the next time, and anything else is [Lost].
func (l *Lease) write(ctx context.Context, r record) error {
	r.Renewal = l.record.Renewal + 1
	version, err := r.write(ctx, l.store, l.key, objstore.IfVersion(l.version))
	if err == nil {
		l.record.Renewal, l.version = r.Renewal, version
		return nil
	}
	if !unsure(err) {
		return err
	}
	now, seen := look(ctx, l.store, l.key)
	switch {
	case objstore.KindOf(seen) == objstore.ErrInvalid:
		return fmt.Errorf("its object was overwritten by something else: %w", Lost)
	case seen != nil:
		return seen
	case now.Holder == l.record.Holder:
		l.record.Renewal, l.version = max(now.Renewal, l.record.Renewal), now.version
		return err
	case now.Holder == "" && r.Holder == "" && now.Fence == r.Fence:
		return nil // this release was heard
	case now.Holder == "":
		return fmt.Errorf("its object was removed or emptied: %w", Lost)
	}
	return fmt.Errorf("%q has it now, with token %d: %w", now.Name, now.Fence, Lost)
}

// releaseTries is how often a release is tried.
const releaseTries = 5

func (l *Lease) end(ctx context.Context) error {
	l.cancel()
	<-l.done
	inTime := l.timer.Stop()
	free := l.record
	free.Holder, free.Name = "", ""
	var err error
	for range releaseTries {
		if err = l.write(ctx, free); err == nil || errors.Is(err, Lost) || pause(ctx, mathrand.N(l.record.ttl()/againPart)) != nil {
			break
		}
	}
	select {
	case <-l.lost:
		return l.loss
	default:
	}
	if err == nil && !inTime {
		err = Lost
	}
	return err
}
