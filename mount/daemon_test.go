package mount

import (
	"context"
	"errors"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestDaemonIsFoundUntilItEnds(t *testing.T) {
	m := ours(t, noMount)
	wantFate(t, m, FateUnknown) // it has not been announced
	presence := announce(t, m.presenceNames()[0])
	d := daemonOf(m)
	if d == nil || d.PID() != os.Getpid() {
		t.Fatalf("found %+v, want process %d", d, os.Getpid())
	}
	wantFate(t, m, FateAlive)
	others := m
	others.user = "another"
	if daemonOf(others) != nil {
		t.Error("somebody else is believed to serve a user's mount")
	}
	short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if words, err := d.Ended(short); words != "" || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("it has not ended, but waiting for it says %q, %v", words, err)
	}
	if err := presence.Close(""); err != nil {
		t.Fatal(err)
	}
	if words, err := d.Ended(t.Context()); words != "" || err != nil {
		t.Errorf("it ended well, and says %q, %v", words, err)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	wantFate(t, m, FateUnknown)
}

// Whoever waits for a daemon is told its last words, all of those who do, and who comes later is not.
func TestLastWordsAreToldToAllWhoWait(t *testing.T) {
	m := ours(t, noMount)
	presence := announce(t, m.presenceNames()[0])
	first, second, gone := daemonOf(m), daemonOf(m), daemonOf(m)
	if err := gone.Close(); err != nil {
		t.Fatal(err)
	}
	const words = "the disk is broken"
	if err := presence.Close(words + strings.Repeat("!", 2*wordsBytesMax)); err != nil {
		t.Fatal(err)
	}
	for _, d := range []*Daemon{first, second} {
		if said, err := d.Ended(t.Context()); len(said) != wordsBytesMax || !strings.HasPrefix(said, words) || err != nil {
			t.Errorf("%d bytes were said: %.40q, %v", len(said), said, err)
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
	if daemonOf(m) != nil {
		t.Error("it is there still")
	}
}

// noMount is no mount's number: a mount that has it is found by its device.
const noMount = -1

// ours is a mount with this number in mountinfo, of a device that no other test has.
func ours(t *testing.T, number int) mounted {
	return mounted{id: number, device: "test/" + t.TempDir(), user: strconv.Itoa(os.Getuid())}
}

// announce takes a name.
func announce(t *testing.T, name string) *Presence {
	t.Helper()
	taken, err := (&Mount{presence: name}).Announce()
	if err != nil {
		t.Fatal(err)
	}
	return taken
}

func wantFate(t *testing.T, m mounted, want Fate) {
	t.Helper()
	if got, err := fateOf(m); err != nil || got != want {
		t.Errorf("its fate is %v, %v; want %v", got, err, want)
	}
}

// withIDs are two mounts of one device, one after the other, as the kernel tells them apart.
func withIDs(t *testing.T) (first, second mounted) {
	t.Helper()
	table, err := mountTable("self")
	if err != nil {
		t.Fatal(err)
	}
	var numbers []int
	for _, m := range table {
		if _, ok := uniqueID(m.id); ok {
			numbers = append(numbers, m.id)
		}
	}
	if len(numbers) < 2 {
		t.Skip("needs two mounts, and a kernel that tells them apart")
	}
	first = ours(t, numbers[0])
	second = first
	second.id = numbers[1]
	return first, second
}

// A process that goes on after its mount was taken away is not taken for the daemon of the next mount with its device's number.
func TestDaemonOfAnEarlierMountOfADeviceIsNotTakenForAnothers(t *testing.T) {
	earlier, next := withIDs(t)
	stays := announce(t, earlier.presenceNames()[0])
	wantFate(t, earlier, FateAlive)
	wantFate(t, next, FateUnknown)
	serves := announce(t, next.presenceNames()[0])
	wantFate(t, next, FateAlive)
	if err := errors.Join(stays.Close(""), serves.Close("")); err != nil {
		t.Error(err)
	}
	wantFate(t, next, FateUnknown)
}

// A daemon that knows its mount by the device only is found: it is of an earlier version, or in a sandbox.
func TestDaemonWithTheNameOfItsDeviceIsFound(t *testing.T) {
	m, _ := withIDs(t)
	names := m.presenceNames()
	presence := announce(t, names[len(names)-1])
	wantFate(t, m, FateAlive)
	if err := presence.Close(""); err != nil {
		t.Error(err)
	}
}

// The number of a device is given again while the daemon that had it is still ending: the next daemon is found once that
// has ended.
func TestDaemonIsFoundThoughAnotherHadItsDevice(t *testing.T) {
	m := ours(t, noMount)
	name := m.presenceNames()[0]
	ending, next, inVain := announce(t, name), announce(t, name), announce(t, name)
	if err := inVain.Close(""); err != nil { // while it waits
		t.Error(err)
	}
	if err := ending.Close(""); err != nil {
		t.Fatal(err)
	}
	<-next.done
	wantFate(t, m, FateAlive)
	if err := next.Close(""); err != nil {
		t.Error(err)
	}
	wantFate(t, m, FateUnknown)
}
