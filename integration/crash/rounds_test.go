package crash

import (
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// rounds is how many crashes a test makes: few in every run, or as many as the flag says.
func rounds(few int) int {
	if *roundsFlag > 0 {
		return *roundsFlag
	}
	return few
}

// scratch is a directory for stores and images: in memory, if that is
// possible, where syncing need not wait for a disk. Kills and cuts are the same there.
func scratch(t *testing.T) string {
	switch {
	case *keepFlag != "":
		return *keepFlag
	case os.Getuid() == 0:
		return newTmpfs(t, "1g")
	}
	return t.TempDir()
}

// randomSeed is the seed of a test. The line printed on failure reruns it.
func randomSeed(t *testing.T) uint64 {
	t.Helper()
	seed := *seedFlag
	if seed == 0 {
		seed = rand.Uint64() >> 1
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("rerun: go test ./integration/crash -count=1 -run '^%s$' -seed=%d", t.Name(), seed)
		}
	})
	return seed
}

// moment is when to crash: after up to callsMax calls, or, once in a while, at any
// time after the start, when the store is still being opened or was just opened.
func moment(rng *rand.Rand, callsMax int) (at crashPoint, cancel func()) {
	if rng.IntN(5) > 0 {
		return crashPoint{answers: rng.IntN(callsMax)}, func() {}
	}
	const openTime = 60 * time.Millisecond
	signal := make(chan struct{})
	timer := time.AfterFunc(time.Duration(rng.Int64N(int64(openTime))), func() { close(signal) })
	return crashPoint{answers: callsMax, signal: signal}, func() { timer.Stop() }
}

// untilShown makes rounds, after n of them, until they have shown something: a hundred commits each on the average. When a crash
// comes is drawn, and most may have come early.
func (r *run) untilShown(n int, round func() error) error {
	const commits, times = 100, 10
	for range times * n {
		if len(r.versions) >= commits*n {
			return nil
		}
		if err := round(); err != nil {
			return err
		}
	}
	return fmt.Errorf("%d commits in %d rounds: this shows nothing", len(r.versions), n+times*n)
}

// newTmpfs mounts a small filesystem in memory.
func newTmpfs(t *testing.T, size string) (dir string) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root: to mount a small tmpfs")
	}
	dir = t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}
