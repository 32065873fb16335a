package crash

import (
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
}

// powerRun is a run whose store lies on an image and whose crashes are power cuts.
type powerRun struct {
	*run
	rng     *rand.Rand
	image   *image
	scratch string
}

func newPowerRun(t *testing.T, kind string, o orders) *powerRun {
	t.Helper()
	needImages(t, kind)
	p := &powerRun{rng: rand.New(rand.NewPCG(o.Seed, 0)), scratch: t.TempDir()}
	im, err := newImage(p.scratch, kind)
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
	p.run = newRun(os.Args[0], o)
	p.loss = lossPower
	return p
}

func (p *powerRun) store() string { return filepath.Join(p.image.dir, "store") }

// round lets a worker work for some calls and cuts the power. The store goes on on the copy.
func (p *powerRun) round(callsMax int) error {
	p.orders.Seed = p.rng.Uint64()
	p.orders.Dir = p.store()
	var copied *image
	err := p.run.round(crashPoint{answers: p.rng.IntN(callsMax)}, func(w *process) error {
		if err := w.stop(); err != nil {
			return err
		}
		if err := writeBack(p.rng, p.store()); err != nil {
			return err
		}
		file := filepath.Join(p.scratch, "a.img")
		if p.image.file == file {
			file = filepath.Join(p.scratch, "b.img")
		}
		var err error
		copied, err = p.image.powerCut(file)
		return err
	})
	if copied == nil {
		return err
	}
	if rmErr := p.image.remove(); err == nil {
		err = rmErr
	}
	p.image = copied
	return err
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
				p := newPowerRun(t, kind, orders{
					Target: test.target, Lanes: 4, Calls: -1, Seed: randomSeed(t),
					Mix: mix{Durable: 0.05, Sizes: []int64{100, 5000, 100_000}},
				})
				var err error
				for n := 0; n < test.rounds && err == nil; n++ {
					err = p.round(600)
				}
				if caught := err != nil; caught != test.caught {
					t.Errorf("caught: %t, want %t: %v", caught, test.caught, err)
				}
			})
		}
	}
}
