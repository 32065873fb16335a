package locks

import (
	"context"
	"errors"
	"testing"
)

// expecting is a table whose predecessor's clients are expected, and two sessions of it.
func expecting() (b *Buckets, t *Table, back, other *Session) {
	b = NewBuckets()
	b.Expect()
	t = b.Table("box")
	return b, t, t.Open(), t.Open()
}

func TestNothingButReclaimsIsGrantedWhileClientsAreExpected(t *testing.T) {
	b, table, back, other := expecting()
	ask := func(s *Session, id uint64) chan error {
		waiting := make(chan error, 1)
		w, err := s.Try(7, record(id, true))
		if w == nil {
			t.Fatalf("an answer at once: %v", err)
		}
		go func() { <-w.Over(); waiting <- w.Err() }()
		return waiting
	}
	tried := ask(other, 1)
	waits, err := other.Request(7, record(2, true))
	if err != nil || isGranted(waits) {
		t.Fatalf("granted: %v, %v", isGranted(waits), err)
	}
	free, err := other.Request(8, record(1, true)) // nobody will want it back
	if err != nil || isGranted(free) {
		t.Fatalf("granted: %v, %v", isGranted(free), err)
	}
	if !back.Reclaim(7, record(1, true)) {
		t.Fatal("a lock cannot be taken back")
	}
	if other.Reclaim(7, record(3, true)) {
		t.Fatal("two took back one lock")
	}
	table.checkInvariants(t)
	b.Settle()
	if err := <-tried; !errors.Is(err, ErrHeld) {
		t.Errorf("who asked to be told at once: %v", err)
	}
	if isGranted(waits) || !isGranted(free) {
		t.Errorf("granted: what is held %v, what is free %v", isGranted(waits), isGranted(free))
	}
	if back.Reclaim(9, record(1, true)) {
		t.Error("a lock is taken back although another may have had it since")
	}
	if err := back.Unlock(context.Background(), 7, record(1, true)); err != nil || !isGranted(waits) {
		t.Errorf("the wait for what was taken back: %v, %v", isGranted(waits), err)
	}
	table.checkInvariants(t)
}

func TestWhatNobodyTookBackIsGrantedInOrder(t *testing.T) {
	b, table, first, second := expecting()
	w1, err := first.Request(7, record(1, true))
	w2, also := second.Try(7, record(1, true))
	if err := errors.Join(err, also); err != nil {
		t.Fatal(err)
	}
	b.Settle()
	if !isGranted(w1) || w1.Err() != nil || !isGranted(w2) || !errors.Is(w2.Err(), ErrHeld) {
		t.Errorf("the first %v %v, the second %v %v", isGranted(w1), w1.Err(), isGranted(w2), w2.Err())
	}
	table.checkInvariants(t)
	if w, err := b.Table("other").Open().Try(7, record(1, true)); w != nil || err != nil {
		t.Errorf("a later table still expects somebody: %v, %v", w, err)
	}
}

func TestSessionThatEndsIsGrantedNothingWhileClientsAreExpected(t *testing.T) {
	b, table, back, other := expecting()
	w, err := other.Try(7, record(1, true))
	if err != nil {
		t.Fatal(err)
	}
	other.Close()
	if !isGranted(w) || !errors.Is(w.Err(), ErrEnded) {
		t.Errorf("%v, %v", isGranted(w), w.Err())
	}
	if !back.Reclaim(7, record(1, true)) {
		t.Error("what was asked for is in the way")
	}
	b.Settle()
	table.checkInvariants(t)
}
