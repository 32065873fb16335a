package cas_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/cas"
	"github.com/etagfs/etagfs/objstore/faultstore"
	"github.com/etagfs/etagfs/objstore/memstore"
)

// All tests here run on a clock of their own: time passes when everybody waits.

const ttl = 10 * time.Second

// wait is for who does something that takes time.
func wait(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// witness sees who holds a lease.
type witness struct {
	t *testing.T

	mu      sync.Mutex
	holders int
	tokens  []uint64 // in the order of the holders
}

// hold is what a holder does: nobody else may, and its token is greater than all before.
func (w *witness) hold(ctx context.Context, fence uint64, d time.Duration) {
	w.mu.Lock()
	w.holders++
	if w.holders != 1 {
		w.t.Errorf("%d hold the lease at once", w.holders)
	}
	if n := len(w.tokens); n > 0 && fence <= w.tokens[n-1] {
		w.t.Errorf("token %d comes after %d", fence, w.tokens[n-1])
	}
	w.tokens = append(w.tokens, fence)
	w.mu.Unlock()
	wait(ctx, d)
	w.mu.Lock()
	w.holders--
	w.mu.Unlock()
}

// unreliable loses requests and answers, and takes its time.
func unreliable(seed uint64) faultstore.Injector {
	var mu sync.Mutex
	rng := rand.New(rand.NewPCG(seed, 1))
	slow := faultstore.Call("slow", func(ctx context.Context, _ faultstore.Op) error {
		mu.Lock()
		d := time.Duration(rng.Int64N(int64(ttl / 20)))
		if rng.IntN(50) == 0 {
			d = ttl + time.Duration(rng.Int64N(int64(ttl))) // a network that is cut off, or a machine that sleeps in a call
		}
		mu.Unlock()
		wait(ctx, d)
		return nil
	})
	fails := func(p float64, phase faultstore.Phase, err error) faultstore.Injector {
		return faultstore.When(faultstore.Match{Phase: phase}, faultstore.Randomly(p, seed, faultstore.Fail(err)))
	}
	return faultstore.Any(slow,
		fails(0.1, faultstore.Before, objstore.ErrUnavailable),
		fails(0.1, faultstore.Before, objstore.ErrUnknown),
		faultstore.When(faultstore.Match{Kinds: []faultstore.Kind{faultstore.OpPut}, Phase: faultstore.After}, faultstore.Randomly(0.2, seed+1, faultstore.LostReply())))
}

func TestTwoNeverHoldALeaseAtOnceAndTokensGrow(t *testing.T) {
	for _, remembers := range []bool{true, false} {
		for round := range 10 {
			seed := rand.Uint64()
			t.Run(fmt.Sprintf("remembers=%v/%d", remembers, round), func(t *testing.T) {
				t.Logf("seed %d", seed)
				synctest.Test(t, func(t *testing.T) { contend(t, seed, remembers) })
			})
		}
	}
}

// contend has six contend for a lease for a while.
func contend(t *testing.T, seed uint64, remembers bool) {
	inner := memstore.NewBucket(memstore.Options{})
	seen := &witness{t: t}
	ctx, cancel := context.WithTimeout(t.Context(), 100*ttl)
	defer cancel()
	var group sync.WaitGroup
	for i := range uint64(6) {
		group.Go(func() {
			var store cas.Store = faultstore.New(inner, unreliable(seed+10*i))
			if !remembers {
				store = forgetful{store}
			}
			rng := rand.New(rand.NewPCG(seed, i))
			for ctx.Err() == nil {
				err := cas.Hold(ctx, store, "lease", cas.LeaseOptions{TTL: ttl}, func(ctx context.Context, fence uint64) error {
					seen.hold(ctx, fence, time.Duration(rng.Int64N(int64(2*ttl))))
					return nil
				})
				known := err == nil || errors.Is(err, cas.Lost) || errors.Is(err, objstore.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded)
				if !known {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	if len(seen.tokens) < 10 {
		t.Errorf("the lease was held %d times only", len(seen.tokens))
	}
}

func TestWhoTriesOnceDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memstore.NewBucket(memstore.Options{})
		once := cas.LeaseOptions{TTL: ttl, Once: true, Name: "first"}
		first, err := cas.Acquire(t.Context(), store, "l", once)
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		_, err = cas.Acquire(t.Context(), store, "l", once)
		if objstore.KindOf(err) != objstore.ErrPrecondition || !strings.Contains(err.Error(), `held by "first" with token 1`) || !time.Now().Equal(began) {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
		if err := first.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
		again, err := cas.Acquire(t.Context(), store, "l", once)
		if err != nil {
			t.Fatal(err)
		}
		if err := again.Release(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestTheLeaseOfADeadHolderIsTakenOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := memstore.NewBucket(memstore.Options{})
		cut := faultstore.NewToggle(faultstore.Fail(objstore.ErrUnavailable))
		first, err := cas.Acquire(t.Context(), faultstore.New(inner, cut), "lease", cas.LeaseOptions{TTL: ttl, Name: "first"})
		if err != nil {
			t.Fatal(err)
		}
		wait(t.Context(), 5*ttl) // it is renewed meanwhile
		impatient, cancel := context.WithTimeout(t.Context(), 3*ttl)
		defer cancel()
		_, err = cas.Acquire(impatient, inner, "lease", cas.LeaseOptions{TTL: ttl})
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), `held by "first" with token 1`) {
			t.Errorf("who waited for a living holder was told %v", err)
		}
		cut.Set(true)
		died := time.Now()
		second, err := cas.Acquire(t.Context(), inner, "lease", cas.LeaseOptions{TTL: ttl})
		if err != nil {
			t.Fatal(err)
		}
		if waited := time.Since(died); waited > 2*ttl {
			t.Errorf("the takeover took %s", waited)
		}
		select {
		case <-first.Lost():
		default:
			t.Error("the first does not know that it has lost the lease")
		}
		if second.Fence() != first.Fence()+1 {
			t.Errorf("token %d comes after %d", second.Fence(), first.Fence())
		}
		cut.Set(false)
		if err := first.Release(t.Context()); !errors.Is(err, cas.Lost) {
			t.Errorf("the first was told %v", err)
		}
		wait(t.Context(), 3*ttl)
		if err := second.Release(t.Context()); err != nil {
			t.Errorf("the second was told %v", err)
		}
	})
}

func TestAReleaseHandsOverAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memstore.NewBucket(memstore.Options{})
		first, err := cas.Acquire(t.Context(), store, "lease", cas.LeaseOptions{TTL: ttl})
		if err != nil {
			t.Fatal(err)
		}
		released := time.Now()
		if err := errors.Join(first.Release(t.Context()), first.Release(t.Context())); err != nil {
			t.Error(err)
		}
		second, err := cas.Acquire(t.Context(), store, "lease", cas.LeaseOptions{TTL: ttl})
		if err != nil {
			t.Fatal(err)
		}
		if waited := time.Since(released); waited > time.Second || second.Fence() != 2 {
			t.Errorf("token %d after %s", second.Fence(), waited)
		}
		if err := second.Release(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// Each put of a lease's life loses its answer in turn: it changes nothing.
func TestLostRepliesLoseNoLease(t *testing.T) {
	for nth := range int64(8) {
		synctest.Test(t, func(t *testing.T) {
			inner := memstore.NewBucket(memstore.Options{})
			puts := faultstore.Match{Kinds: []faultstore.Kind{faultstore.OpPut}, Phase: faultstore.After}
			store := forgetful{faultstore.New(inner, faultstore.When(puts, faultstore.Nth(nth+1, faultstore.LostReply())))}
			l, err := cas.Acquire(t.Context(), store, "lease", cas.LeaseOptions{TTL: ttl})
			if err != nil {
				t.Fatal(err)
			}
			wait(t.Context(), ttl)
			if err := l.Release(t.Context()); err != nil {
				t.Errorf("put %d unheard: %v", nth+1, err)
			}
			if got := content(t, inner, "lease"); !strings.Contains(got, `"holder":""`) {
				t.Errorf("put %d unheard: left as %s", nth+1, got)
			}
		})
	}
}

func TestALeaseWhoseObjectIsReplacedOrRemovedIsLost(t *testing.T) {
	for name, spoil := range map[string]func(context.Context, *memstore.Bucket) error{
		"replaced": func(ctx context.Context, s *memstore.Bucket) error {
			_, err := s.Put(ctx, "lease", strings.NewReader("mine now"), objstore.Unconditional(), objstore.PutOptions{})
			return err
		},
		"removed": func(ctx context.Context, s *memstore.Bucket) error {
			return s.Delete(ctx, "lease", objstore.Unconditional(), objstore.DeleteOptions{})
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := memstore.NewBucket(memstore.Options{})
				err := cas.Hold(t.Context(), store, "lease", cas.LeaseOptions{TTL: ttl}, func(ctx context.Context, _ uint64) error {
					if err := spoil(ctx, store); err != nil {
						return err
					}
					wait(ctx, ttl)
					if !errors.Is(context.Cause(ctx), cas.Lost) {
						t.Errorf("the holder goes on: %v", context.Cause(ctx))
					}
					return ctx.Err()
				})
				if !errors.Is(err, cas.Lost) {
					t.Error(err)
				}
			})
		})
	}
}

func TestAnObjectThatIsNoLeaseIsLeftAlone(t *testing.T) {
	store := memstore.NewBucket(memstore.Options{})
	for _, text := range []string{"hello", `{"etagfs":"other"}`, strings.Repeat("x", 20<<10)} {
		if _, err := store.Put(t.Context(), "k", strings.NewReader(text), objstore.Unconditional(), objstore.PutOptions{}); err != nil {
			t.Fatal(err)
		}
		_, err := cas.Acquire(t.Context(), store, "k", cas.LeaseOptions{})
		if objstore.KindOf(err) != objstore.ErrInvalid || content(t, store, "k") != text {
			t.Errorf("%.20q: %v", text, err)
		}
	}
	if _, err := cas.Acquire(t.Context(), store, "l", cas.LeaseOptions{TTL: time.Millisecond}); objstore.KindOf(err) != objstore.ErrInvalid {
		t.Errorf("a TTL of a millisecond: %v", err)
	}
}

func TestAStoreThatStaysSilentIsGivenUpAfterTheTTL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := faultstore.New(memstore.NewBucket(memstore.Options{}), faultstore.Fail(objstore.ErrUnavailable))
		began := time.Now()
		_, err := cas.Acquire(t.Context(), store, "lease", cas.LeaseOptions{TTL: ttl})
		if objstore.KindOf(err) != objstore.ErrUnavailable || time.Since(began) < ttl {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
	})
}

// Whoever is cut off leads no longer, and stands again when it is back.
func TestLeadersFollowOneAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := memstore.NewBucket(memstore.Options{})
		seen := &witness{t: t}
		ctx, cancel := context.WithCancel(t.Context())
		var group sync.WaitGroup
		for range 3 {
			cut := faultstore.NewToggle(faultstore.Fail(objstore.ErrUnavailable))
			group.Go(func() {
				for ctx.Err() == nil {
					err := cas.Lead(ctx, faultstore.New(inner, cut), "leader", cas.LeaseOptions{TTL: ttl}, func(ctx context.Context, fence uint64) error {
						cut.Set(true) // a leader does not last
						seen.hold(ctx, fence, 100*ttl)
						cut.Set(false)
						return ctx.Err()
					})
					if err == nil {
						t.Error("a leader has resigned")
					}
				}
			})
		}
		wait(ctx, 20*ttl)
		cancel()
		group.Wait()
		if n := len(seen.tokens); n < 8 {
			t.Errorf("there were %d leaders in 20 terms", n)
		}
	})
}
