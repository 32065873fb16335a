package crossmounts

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/etagfs/etagfs/integration/mounttest"
)

// increment adds one to the number in FILE, COUNT times, trying again when another process was first.
func increment(args []string) error {
	count, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	for range count {
		for wait := time.Millisecond; ; wait = min(2*wait, 100*time.Millisecond) {
			err := incrementOnce(args[0])
			if err == nil {
				break
			}
			if !errors.Is(err, syscall.EBUSY) {
				return err
			}
			<-time.After(rand.N(wait))
		}
	}
	return nil
}

func incrementOnce(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	var n int
	if _, err := fmt.Fscan(f, &n); err != nil {
		return errors.Join(fmt.Errorf("read the counter: %w", err), f.Close())
	}
	if _, err := f.WriteAt([]byte(strconv.Itoa(n+1)), 0); err != nil {
		return errors.Join(err, f.Close())
	}
	return f.Close()
}

// C3: of 8 processes on each of 4 mounts no increment is lost, whatever kind of mount it was made on.
func TestCounterOfEightProcessesOnFourMounts(t *testing.T) {
	const mounts, processes = 4, 8
	forEachKind(t, mounts, faults{}, func(t *testing.T, g *group) {
		each := rounds(5, 50)
		put(t, g.mounts[0].Path("counter"), "0")
		var all []*exec.Cmd
		for i := range mounts * processes {
			all = append(all, mounttest.Command(t, "increment", g.mounts[i%mounts].Path("counter"), strconv.Itoa(each)))
		}
		run(t, all...)
		for _, m := range g.mounts {
			check(t, m.Path("counter"), strconv.Itoa(mounts*processes*each))
		}
	})
}
