package crash

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// needImages skips a test that cannot mount an image of kind.
func needImages(t *testing.T, kind string) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root: to mount filesystem images")
	}
	if _, err := os.Stat("/dev/loop-control"); err != nil {
		t.Skipf("needs loop devices: %v", err)
	}
	if _, err := exec.LookPath("mkfs." + kind); err != nil {
		t.Skipf("needs mkfs.%s: %v", kind, err)
	}
	known, err := os.ReadFile("/proc/filesystems")
	if err != nil {
		t.Fatal(err)
	}
	if kind == "btrfs" && !bytes.Contains(known, []byte("\tbtrfs\n")) {
		t.Skip("needs btrfs in the kernel")
	}
}

// powerRun is a run whose store lies on an image and whose crashes are power cuts.
type powerRun struct {
	*run
	rng     *rand.Rand
	image   *image
	scratch string
}

func newPowerRun(t *testing.T, kind, executable string, o orders) *powerRun {
	t.Helper()
	needImages(t, kind)
	p := &powerRun{rng: rand.New(rand.NewPCG(o.Seed, 0)), scratch: scratch(t)}
	im, err := newImage(p.scratch, kind, imageBytes)
	if err != nil {
		t.Fatal(err)
	}
	p.image = im
	t.Cleanup(func() {
		if err := p.image.unmount(); err != nil {
			t.Error(err)
		}
	})
	o.Dir = p.store()
	if err := os.Mkdir(o.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := commitJournal(im.dir); err != nil {
		t.Fatal(err)
	}
	p.run = newRun(executable, o)
	p.loss = lossPower
	return p
}

func (p *powerRun) store() string { return filepath.Join(p.image.dir, "store") }

// round lets a worker work until the crash point and cuts the power. The store goes on on the copy.
func (p *powerRun) round(at crashPoint) error {
	p.orders.Seed = p.rng.Uint64()
	p.orders.Dir = p.store()
	var copied *image
	err := p.run.round(at, func(w *process) (err error) {
		stop := w.stop
		if at.trace != nil {
			stop = func() error { return nil } // it is dead
		}
		copied, err = p.cut(stop)
		return err
	})
	return p.goOn(copied, err)
}

// goOn makes what a cut left, if there was one, the image of the next round.
func (p *powerRun) goOn(copied *image, err error) error {
	if copied == nil {
		return err
	}
	err = errors.Join(err, p.image.remove())
	p.image = copied
	return err
}

// cut stops who writes to the store, and copies the image as it is then.
func (p *powerRun) cut(stop func() error) (*image, error) {
	if err := stop(); err != nil {
		return nil, err
	}
	if err := writeBack(p.rng, p.store()); err != nil {
		return nil, err
	}
	if *keepFlag != "" { // what the next round finds before it repairs anything, and what this one found
		last := filepath.Join(p.scratch, "last.img")
		if err := os.Rename(last, filepath.Join(p.scratch, "found.img")); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if err := copySparse(p.image.file, last); err != nil {
			return nil, err
		}
	}
	file := filepath.Join(p.scratch, "a.img")
	if p.image.file == file {
		file = filepath.Join(p.scratch, "b.img")
	}
	return p.image.powerCut(file)
}

// rounds makes so many rounds, each of up to callsMax calls, and returns the first error.
func (p *powerRun) rounds(n, callsMax int) error {
	for round := range n {
		at, cancel := moment(p.rng, callsMax)
		err := p.round(at)
		cancel()
		if err != nil {
			return fmt.Errorf("round %d: %w", round, err)
		}
	}
	return nil
}

// finish looks at what the last cut left.
func (p *powerRun) finish() error {
	p.orders.Dir = p.store()
	return p.run.finish()
}

// smallLogs is a store whose logs rotate and are flushed all the time.
func smallLogs() mutation {
	return mutation{
		file: "objstore/badgerstore/options.go",
		old:  "memTableBytes: 8 << 20, memTables: 2",
		new:  "memTableBytes: 512 << 10, memTables: 2",
	}
}

func storeOrders(t *testing.T) orders {
	return orders{Target: "embedded", Lanes: 8, Calls: -1, Seed: randomSeed(t), Mix: everyday()}
}

// C8: 1. After a power cut every durable call is there. 2. What else is there is a prefix
// of the commits, across files, renames and deletes. 3. No file is torn. 4. No version is given
// twice. 5. What was kept is there. 6. The store opens and its own check finds nothing.
func TestPowerCutLeavesAPrefixWithAllThatWasDurable(t *testing.T) {
	executable := buildMutant(t, smallLogs())
	for kind, few := range map[string]int{"ext4": 20, "xfs": 20, "btrfs": 20} {
		t.Run(kind, func(t *testing.T) {
			p := newPowerRun(t, kind, executable, storeOrders(t))
			n := rounds(few)
			if err := p.rounds(n, 1500); err != nil {
				t.Fatal(err)
			}
			if err := p.untilShown(n, func() error { return p.rounds(1, 1500) }); err != nil {
				t.Fatal(err)
			}
			if err := p.finish(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// Stores that leave out one step are caught, or the test above would show nothing. One
// that does not sync directories is not among them: the journals of ext4 and xfs hide it. Package badgerstore
// catches that one, on a disk that forgets names (TestPowerLossTestCatchesMutants).
func TestPowerCutCatchesStoresThatLeaveOutAStep(t *testing.T) {
	for _, test := range []struct {
		name string
		mutation
	}{
		{"only the newest log is synced", mutation{"objstore/badgerstore/logs.go", "if n >= l.highest {", "if n == numbers[len(numbers)-1] {"}},
		{"recovery does not look for gaps", mutation{"objstore/badgerstore/recovery.go", "if !whole {", "if !whole && ctx.Err() != nil {"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := newPowerRun(t, "ext4", buildMutant(t, smallLogs(), test.mutation), storeOrders(t))
			const roundsMax = 1000 // one in thirty or so catches it
			if err := p.rounds(roundsMax, 1500); err == nil {
				t.Errorf("not caught in %d rounds", roundsMax)
			} else {
				t.Logf("caught: %v", err)
			}
		})
	}
}

// Directories show what a power cut here can do: a plain one tears files and
// forgets the order of changes, one that does not sync forgets what it
// acknowledged as durable, and one that syncs every step loses nothing.
func TestPowerCutsOfDirectories(t *testing.T) {
	for _, test := range []struct {
		target string
		rounds int
		caught bool
	}{{"files", 30, true}, {"lying files", 30, true}, {"careful files", 5, false}} {
		for _, kind := range []string{"ext4", "xfs"} {
			t.Run(test.target+" on "+kind, func(t *testing.T) {
				p := newPowerRun(t, kind, os.Args[0], orders{
					Target: test.target, Lanes: 4, Calls: -1, Seed: randomSeed(t),
					Mix: mix{Durable: 0.05, Sizes: []int64{100, 5000, 100_000}},
				})
				err := p.rounds(test.rounds, 600)
				if t.Log(err); (err != nil) != test.caught {
					t.Errorf("caught: %t, want %t: %v", err != nil, test.caught, err)
				}
			})
		}
	}
}
