package load

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/etagfs/etagfs/integration/mounttest"
)

const (
	// samples are taken of what the daemon has, in equal distances. The first third is not looked at: caches fill.
	samples = 30
	// What the last third may have more than the second, beside a tenth.
	memoryBytesMore = 16 << 20
	descriptorsMore = 16
	// goroutinesMore is what may be left of a load, beside those of an idle daemon.
	goroutinesMore = 32
)

// sample is what a daemon has at some moment.
type sample struct{ memoryBytes, descriptors int }

func takeSample(t *testing.T, pid int) (s sample) {
	t.Helper()
	proc := filepath.Join("/proc", strconv.Itoa(pid))
	status, err := os.ReadFile(filepath.Join(proc, "status"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "RssAnon:")
	if _, err := fmt.Sscan(rest, &s.memoryBytes); err != nil {
		t.Fatal(err)
	}
	s.memoryBytes <<= 10
	open, err := os.ReadDir(filepath.Join(proc, "fd"))
	if err != nil {
		t.Fatal(err)
	}
	s.descriptors = len(open)
	return s
}

// A mount that is kept busy takes no more memory, descriptors and goroutines after a long time than after a short one.
func TestSoak(t *testing.T) {
	minutes := number(t, "MINUTES", 0)
	if minutes == 0 {
		t.Skip("long: make soak")
	}
	idle := mounttest.Start(t, mounttest.Options{Deadline: time.Duration(minutes)*time.Minute + time.Hour}).Goroutines()
	forEachIsolation(t, func(t *testing.T, m *mounttest.Mount) {
		deadline := time.Now().Add(time.Duration(minutes) * time.Minute / 2)
		all := soak(t, m, deadline)
		checkFlat(t, all)
		if left := m.Goroutines(); left > idle+goroutinesMore {
			t.Errorf("%d goroutines are left, %d are those of an idle daemon\n%s", left, idle, m.Log())
		} else {
			t.Logf("%d goroutines at the end, %d in an idle daemon", left, idle)
		}
	})
}

// soak keeps m busy until then and takes samples.
func soak(t *testing.T, m *mounttest.Mount, until time.Time) (all []sample) {
	t.Helper()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	var load sync.WaitGroup
	busy := func(once func(round uint64) error) {
		load.Go(func() {
			for round := uint64(0); time.Now().Before(until) && !t.Failed(); round++ {
				if err := once(round); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range uint64(2) {
		busy(func(round uint64) error {
			_, err := exerciseOnce(m.Path(fmt.Sprint("f", i)), seed+2*round+i, 500, callsOnAFile())
			return err
		})
		busy(func(round uint64) error { return churn(m.Path(fmt.Sprintf("d%d-%d", i, round))) })
	}
	tick := time.NewTicker(time.Until(until) / (samples + 1))
	defer tick.Stop()
	for range samples {
		<-tick.C
		all = append(all, takeSample(t, m.PID()))
	}
	load.Wait()
	return all
}

// churn makes a directory of everything, changes all of it, and removes it.
func churn(dir string) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	for i := range 50 {
		path := filepath.Join(dir, strconv.Itoa(i))
		err := errors.Join(
			os.WriteFile(path, make([]byte, i*1000), 0o644),
			unix.Setxattr(path, "user.k", []byte("v"), 0),
			os.Symlink("elsewhere", path+".soft"),
			os.Link(path, path+".hard"),
			os.Rename(path+".hard", path+".moved"),
			lockAndAppend(filepath.Join(dir, "log")),
			os.Chmod(path, 0o600),
		)
		if err != nil {
			return err
		}
		if _, err := os.ReadDir(dir); err != nil {
			return err
		}
	}
	return os.RemoveAll(dir)
}

func lockAndAppend(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		return errors.Join(err, f.Close())
	}
	_, err = f.WriteString("line\n")
	return errors.Join(err, f.Close())
}

// checkFlat compares the last third of the samples with the second.
func checkFlat(t *testing.T, all []sample) {
	t.Helper()
	middle := func(part []sample) (s sample) {
		by := func(of func(sample) int) int {
			var values []int
			for _, s := range part {
				values = append(values, of(s))
			}
			slices.Sort(values)
			return values[len(values)/2]
		}
		return sample{by(func(s sample) int { return s.memoryBytes }), by(func(s sample) int { return s.descriptors })}
	}
	before, after := middle(all[samples/3:2*samples/3]), middle(all[2*samples/3:])
	t.Logf("anonymous memory %d MiB, then %d MiB; descriptors %d, then %d", before.memoryBytes>>20, after.memoryBytes>>20, before.descriptors, after.descriptors)
	if after.memoryBytes > before.memoryBytes*11/10+memoryBytesMore {
		t.Errorf("memory grows: %v", all)
	}
	if after.descriptors > before.descriptors*11/10+descriptorsMore {
		t.Errorf("descriptors grow: %v", all)
	}
}
