package hostile

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/etagfs/etagfs/integration/mounttest"
)

// swapper exchanges two names as fast as it can, until it is stopped.
type swapper struct {
	stop, ended chan struct{}
	times       int // it has; once it has ended
}

func swap(a, b string) *swapper {
	s := &swapper{stop: make(chan struct{}), ended: make(chan struct{})}
	go func() {
		defer close(s.ended)
		for {
			select {
			case <-s.stop:
				return
			default:
			}
			if unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE) == nil { // one of them may not be there now
				s.times++
			}
			runtime.Gosched()
		}
	}()
	return s
}

func (s *swapper) end() int {
	close(s.stop)
	<-s.ended
	return s.times
}

// Nobody who exchanges a file of a store, while that is mounted, for a link to a file of another's, has the program change that.
// (Directories are found by their paths: who can exchange those is who has the store, and OPERATIONS.md tells root to be that user.)
func TestFilesThatAreSwappedInAStoreDoNoHarm(t *testing.T) {
	mounttest.Need(t, "fuse", "root", "binary")
	store := begun(t)
	const mounts = 5 // at different moments of what somebody does
	for _, name := range []string{
		"FORMAT", "lock", "ballast", "marks", "etagfs.log", "badger/MANIFEST", "badger/KEYREGISTRY", "badger/DISCARD",
	} {
		t.Run(name, func(t *testing.T) {
			for range mounts {
				v, dir := newVictim(t), filepath.Join(t.TempDir(), "store")
				if out, err := exec.Command("cp", "-a", store, dir).CombinedOutput(); err != nil {
					t.Fatalf("%v: %s", err, out)
				}
				at, aside := filepath.Join(dir, name), dir+".aside"
				if _, err := os.Stat(at); err != nil {
					t.Fatal(err)
				}
				if err := traps()[0].plant(v, aside); err != nil {
					t.Fatal(err)
				}
				s := swap(at, aside)
				attempt(t, dir)
				if times := s.end(); times < 10 {
					t.Errorf("swapped %d times: this shows nothing", times)
				}
				if after := v.state(t); after != v.before {
					t.Errorf("the victim was\n%sand is\n%s", v.before, after)
				}
			}
		})
	}
}
