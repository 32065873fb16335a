package main

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/cas"
	"github.com/etagfs/etagfs/objstore/memstore"
)

// slowToOpen is a store that is asked a number of times, and then is being opened when a call is called off.
type slowToOpen struct {
	cas.Store
	answers int
}

func (s *slowToOpen) Get(ctx context.Context, key objstore.Key, cond objstore.Cond) (objstore.Reader, error) {
	if s.answers--; s.answers >= 0 {
		return s.Store.Get(ctx, key, cond)
	}
	<-ctx.Done()
	return nil, &unopened{ctx.Err()}
}

// TestWaitThatEndsWhileAStoreIsOpenedIsALeaseNotHeld: the code is 4, and the sentence says how long it waited, for whom if that
// was seen, and what can be done, in no words of the program's insides.
func TestWaitThatEndsWhileAStoreIsOpenedIsALeaseNotHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memstore.NewBucket(memstore.Options{})
		holder, err := cas.Acquire(t.Context(), store, "l", cas.LeaseOptions{Name: "first"})
		if err != nil {
			t.Fatal(err)
		}
		for answers, want := range []string{
			"lock l: not held after 1s: the store did not answer in that time: look whether it can be reached, or give --wait more time",
			`lock l: not held after 1s: held by "first" with token 1: give --wait more time, or end that process; ` +
				"of a dead one the lease is free 15s after its last renewal",
		} {
			err := opened(leaseLock{wait: time.Second}.run(t.Context(), &slowToOpen{store, answers}, "l"))
			if exitCode(err) != 4 || err.Error() != want {
				t.Errorf("seen %d times: exit code %d, %v", answers, exitCode(err), err)
			}
		}
		if err := holder.Release(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
