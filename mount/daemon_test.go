package mount

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"
)

func TestDaemonIsFoundUntilItEnds(t *testing.T) {
	m := &Mount{device: "test/" + t.TempDir()}
	if served(m.device) {
		t.Fatal("there is one before it is announced")
	}
	presence, err := m.Announce()
	if err != nil {
		t.Fatal(err)
	}
	d := daemonOf(m.device)
	if d == nil || d.PID() != os.Getpid() || !served(m.device) {
		t.Fatalf("found %+v, want process %d", d, os.Getpid())
	}
	short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := d.Ended(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("it has not ended, but waiting for it says %v", err)
	}
	if err := presence.Close(); err != nil {
		t.Fatal(err)
	}
	if err := d.Ended(t.Context()); err != nil {
		t.Error(err)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	if served(m.device) {
		t.Error("it is still found")
	}
}
