package badgerstore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/faultstore"
	"github.com/etagfs/etagfs/objstore/objstoretest"
)

// refusals make one call in twelve or so fail: before it begins, in the midst of its bytes, or when it is done.
func refusals(seed uint64) faultstore.Injector {
	const share = 1.0 / 12
	return faultstore.Randomly(share, seed, faultstore.Any(
		faultstore.When(faultstore.Match{Phase: faultstore.Before}, faultstore.Fail(objstore.ErrUnavailable)),
		faultstore.When(faultstore.Match{Phase: faultstore.Body}, faultstore.Fail(objstore.ErrUnavailable)),
		faultstore.When(faultstore.Match{Phase: faultstore.After}, faultstore.LostReply()),
	))
}

// errNotWhole is a store that a check finds something in.
var errNotWhole = errors.New("the store is not whole")

// Whoever uses a store and is not told what became of a call, gives up in the midst of a body, or does not get what it asks for,
// leaves a store that is whole: a check finds nothing, neither while it is open nor when it is opened again.
//
// The users are the cases of the conformance suite, which end where something fails; what that is, is drawn from the seed. A case
// that finds nothing wrong, and one that is refused, say nothing of the store here.
func TestStoreIsWholeAfterCallersWithFaults(t *testing.T) {
	const seed = 1
	var struck atomic.Int64
	for i, c := range objstoretest.Cases() {
		rule := refusals(seed + uint64(i))
		injector := faultstore.Call("count", func(ctx context.Context, op faultstore.Op) error {
			err := rule.Decide(ctx, op)
			if err != nil {
				struck.Add(1)
			}
			return err
		})
		err := c.Check(t.Context(), objstoretest.Config{
			Open: func(ctx context.Context) (*objstoretest.Subject, error) {
				return faultySubject(ctx, t, injector)
			},
			Sizes: []int64{int64(ProfileMount.sizes().inlineBytes), 64 << 10},
			Short: true,
		})
		if errors.Is(err, errNotWhole) || err != nil && strings.HasPrefix(err.Error(), "panic: ") {
			t.Errorf("%s, with faults by %v: %v", c.Name, rule, err)
		}
	}
	if n := struck.Load(); n < 100 {
		t.Errorf("only %d calls failed", n)
	}
}

// faultySubject is a new store with faults, which is looked at when it is closed.
func faultySubject(ctx context.Context, t *testing.T, injector faultstore.Injector) (*objstoretest.Subject, error) {
	base, err := os.MkdirTemp(testDir(t), "")
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(base, "store")
	e, err := Open(ctx, dir, Options{Create: true}, testParts(t))
	if err != nil {
		return nil, err
	}
	b, err := e.bucket(ctx, MainBucket)
	if err != nil {
		return nil, err
	}
	faulty := faultstore.NewBucket(b, b, injector)
	return &objstoretest.Subject{Store: faulty, Namespace: faulty, Close: func() error {
		return errors.Join(wholeAndClosed(e), wholeWhenReopened(t, dir), os.RemoveAll(base))
	}}, nil
}

func wholeAndClosed(e *Engine) error {
	err := e.checkInvariants()
	if err != nil {
		err = fmt.Errorf("%w while it is open: %w", errNotWhole, err)
	}
	return errors.Join(err, e.Close())
}

func wholeWhenReopened(t *testing.T, dir string) error {
	e, err := Open(context.Background(), dir, Options{}, testParts(t))
	if err != nil {
		return fmt.Errorf("%w, and does not open: %w", errNotWhole, err)
	}
	return wholeAndClosed(e)
}
