package sessions

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/etagfs/etagfs/objstore"
)

const term = time.Hour

// told are changes of which a client with a lease was told of some.
func told(t *testing.T, now time.Time, known, all int) *changes {
	t.Helper()
	c := newChanges()
	c.begun = true
	for range known {
		c.add(objstore.Change{Kind: objstore.ChangeAttr})
	}
	if got := c.renew(uint64(known), now, term); got != term {
		t.Fatalf("a lease of %s", got)
	}
	for range all - known {
		c.add(objstore.Change{Kind: objstore.ChangeAttr})
	}
	for i := range c.queue {
		c.queue[i].at = now
	}
	return c
}

// Who renews its lease and never says that it was told of a change has it no longer than a term after that.
func TestLeaseEndsATermAfterAnUntoldChange(t *testing.T) {
	now := time.Now()
	c := told(t, now, 2, 4)
	for _, later := range []time.Duration{term / 4, term / 2, term, 2 * term} {
		if got, want := c.renew(2, now.Add(later), term), max(term-later, 0); got != want {
			t.Errorf("after %s: %s are left instead of %s", later, got, want)
		}
	}
	if got := c.renew(4, now.Add(2*term), term); got != term {
		t.Errorf("once it was told: %s", got)
	}
}

// After a change was acknowledged without waiting, there is no lease before the client was told of it.
func TestNoLeaseBeforeMissedChangesAreTold(t *testing.T) {
	now := time.Now()
	c := told(t, now.Add(-2*term), 1, 3)
	c.settle() // does not wait: the lease is over
	c.add(objstore.Change{Kind: objstore.ChangeAttr})
	for number, want := range map[uint64]time.Duration{1: 0, 2: 0} {
		if got := c.renew(number, now, term); got != want {
			t.Errorf("told of %d: %s", number, got)
		}
	}
	if got := c.renew(3, now, term); got <= 0 || got > term {
		t.Errorf("told of all that were missed: %s", got)
	}
}

// A lease is not given for changes that nobody was told of, nor on what is not known any more.
func TestNoLeaseForWhatWasNotTold(t *testing.T) {
	now := time.Now()
	c := told(t, now, 1, 2)
	if got := c.renew(3, now, term); got != 0 {
		t.Errorf("told of what was not: %s", got)
	}
	fresh := newChanges()
	if got := fresh.renew(0, now, term); got != 0 {
		t.Errorf("without being told of anything: %s", got)
	}
	for range 3 * changesKept {
		c.add(objstore.Change{Kind: objstore.ChangeAttr})
	}
	if got := c.renew(1, now, term); got != 0 {
		t.Errorf("what follows is not known any more: %s", got)
	}
}

// C5: who has missed changes that are not known any more is told where to go on once it may not answer from what it remembers any longer.
func TestC5WhatWasMissedIsPassedOnlyAfterTheLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, began := told(t, time.Now(), 1, 1), time.Now()
		for range 3 * changesKept {
			c.add(objstore.Change{Kind: objstore.ChangeAttr})
		}
		if _, known := c.after(1); known {
			t.Fatal("nothing was forgotten")
		}
		number, err := c.pass(t.Context())
		if err != nil || number != c.last() || time.Since(began) < term {
			t.Errorf("on from %d of %d after %s (%v)", number, c.last(), time.Since(began), err)
		}
		if got := c.renew(number, time.Now(), term); got != term {
			t.Errorf("once it was passed: a lease of %s", got)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := c.pass(ctx); err == nil {
			t.Error("who has gone is waited for")
		}
	})
}

// Whoever waits goes on when the client was told, or its session ends.
func TestSettleReturnsOnceToldOrEnded(t *testing.T) {
	for name, end := range map[string]func(*changes){
		"told":  func(c *changes) { c.renew(2, time.Now(), 0) },
		"ended": func(c *changes) { c.close() },
	} {
		c := told(t, time.Now(), 1, 2)
		done := make(chan struct{})
		go func() {
			c.settle()
			close(done)
		}()
		select {
		case <-done:
			t.Errorf("%s: before", name)
		default:
		}
		end(c)
		<-done
	}
}

// slowToWatch is a store that begins to tell of changes when it is let.
type slowToWatch struct {
	objstore.Namespace
	asked chan struct{}
	let   chan struct{}
	tells atomic.Bool
}

func (s *slowToWatch) Watch(func(objstore.Change)) func() {
	s.asked <- struct{}{}
	<-s.let
	s.tells.Store(true)
	return func() {}
}

// A client that asks for changes again, because its connection broke, hears that it is told of them, and gets a lease, only
// once it is: before that some could be missed.
func TestWhoAsksForChangesAgainWaitsUntilTheyAreTold(t *testing.T) {
	ns := &slowToWatch{asked: make(chan struct{}), let: make(chan struct{})}
	c := newChanges()
	var all sync.WaitGroup
	ask := func() {
		c.watch(ns)
		if !ns.tells.Load() {
			t.Error("what the client hears is not so")
		}
	}
	all.Go(ask)
	<-ns.asked
	all.Go(ask)
	for range 100 { // the second goes as far as it can
		runtime.Gosched()
	}
	if got := c.renew(0, time.Now(), term); got != 0 {
		t.Errorf("a lease of %s on what is not told", got)
	}
	close(ns.let)
	all.Wait()
	if got := c.renew(0, time.Now(), term); got != term {
		t.Errorf("a lease of %s", got)
	}
}
