package mount

import (
	"context"
	"errors"
	"os"
	"strconv"
	"testing"
	"time"
)

func TestDaemonIsFoundUntilItEnds(t *testing.T) {
	m := &Mount{device: "test/" + t.TempDir()}
	wantFate(t, m, FateUnknown) // it has not been announced
	presence, err := m.Announce()
	if err != nil {
		t.Fatal(err)
	}
	user := strconv.Itoa(os.Getuid())
	d := daemonOf(m.device, user)
	if d == nil || d.PID() != os.Getpid() {
		t.Fatalf("found %+v, want process %d", d, os.Getpid())
	}
	wantFate(t, m, FateAlive)
	if daemonOf(m.device, "another") != nil {
		t.Error("somebody else is believed to serve a user's mount")
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
	wantFate(t, m, FateUnknown)
}

func wantFate(t *testing.T, m *Mount, want Fate) {
	t.Helper()
	if got, err := fateOf(m.device, strconv.Itoa(os.Getuid())); err != nil || got != want {
		t.Errorf("its fate is %v, %v; want %v", got, err, want)
	}
}

// The number of a device is given again while the daemon that had it is still ending: the next daemon is found once that
// has ended.
func TestDaemonIsFoundThoughAnotherHadItsDevice(t *testing.T) {
	m := &Mount{device: "test/" + t.TempDir()}
	ending, err := m.Announce()
	if err != nil {
		t.Fatal(err)
	}
	next, err := m.Announce()
	if err != nil {
		t.Fatal(err)
	}
	inVain, err := m.Announce()
	if err != nil {
		t.Fatal(err)
	}
	if err := inVain.Close(); err != nil { // while it waits
		t.Error(err)
	}
	if err := ending.Close(); err != nil {
		t.Fatal(err)
	}
	<-next.(*presence).done
	wantFate(t, m, FateAlive)
	if err := next.Close(); err != nil {
		t.Error(err)
	}
	wantFate(t, m, FateUnknown)
}
