package crash

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// fillUp writes a file until the filesystem has not a byte left.
func fillUp(name string) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	for chunk := make([]byte, 1<<20); err == nil; {
		_, err = f.Write(chunk)
		if errors.Is(err, unix.ENOSPC) && len(chunk) > 1 {
			chunk, err = chunk[:len(chunk)/2], nil
		}
	}
	if errors.Is(err, unix.ENOSPC) {
		err = nil
	}
	return errors.Join(err, f.Close())
}

// refusals counts what a run answered with "no space", and what it did after the first.
type refusals struct {
	refused      int
	removedAfter int
	wroteAfter   int
}

func refusalsOf(h *history) (r refusals) {
	for _, calls := range h.lanes {
		refused := false
		for _, c := range calls {
			switch {
			case c.failed && c.op.Kind != opIncrement:
				r.refused++
				refused = true
			case refused && c.ended != 0 && c.op.Kind == opRemove:
				r.removedAfter++
			case refused && c.ended != 0 && c.op.Kind == opWrite && c.op.Size > 0:
				r.wroteAfter++
			}
		}
	}
	return r
}

// C8, C10 on a disk filled by the store itself: writers are told that there is
// no space, nothing acknowledged is lost, removing works and makes room again,
// and the full store opens after a kill.
func TestFullDiskRefusesWritesAndLosesNothing(t *testing.T) {
	dir := newTmpfs(t, "64m")
	r := newRun(os.Args[0], orders{
		Target: "embedded on a full disk", Dir: filepath.Join(dir, "store"), Lanes: 8, Calls: -1, Seed: randomSeed(t),
		Mix: mix{Durable: 0.1, Sizes: []int64{1000, 2 << 20, 4 << 20}, Keys: true},
	})
	rng := rand.New(rand.NewPCG(r.orders.Seed, 0))
	var all refusals
	for round := range rounds(6) {
		r.orders.Seed = rng.Uint64()
		err := r.round(crashPoint{answers: 300 + rng.IntN(200)}, func(p *process) error {
			p.kill()
			return nil
		})
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		got := refusalsOf(r.history)
		all.refused += got.refused
		all.removedAfter += got.removedAfter
		all.wroteAfter += got.wroteAfter
	}
	if err := r.finish(); err != nil {
		t.Fatal(err)
	}
	if all.refused == 0 || all.removedAfter == 0 || all.wroteAfter == 0 {
		t.Errorf("this shows nothing: %+v", all)
	}
}

// newSmallDisk mounts a disk of the given kind and size.
func newSmallDisk(t *testing.T, kind string, bytes int64) (dir string) {
	t.Helper()
	if kind == "tmpfs" {
		return newTmpfs(t, strconv.FormatInt(bytes, 10))
	}
	needImages(t, kind)
	im, err := newImage(scratch(t), kind, bytes)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := im.unmount(); err != nil {
			t.Error(err)
		}
	})
	return im.dir
}

// C8, C10 on a disk that somebody else fills to the last byte while commits go
// on: the process lives, writers are told that there is no space, removing works, and nothing acknowledged
// is lost by a kill then; once the other has gone the store opens and everything works.
func TestDiskFilledFromOutsideDuringCommits(t *testing.T) {
	for _, kind := range []string{"tmpfs", "ext4"} {
		t.Run(kind, func(t *testing.T) { fillFromOutside(t, newSmallDisk(t, kind, 96<<20)) })
	}
}

func fillFromOutside(t *testing.T, dir string) {
	other := filepath.Join(dir, "other")
	r := newRun(os.Args[0], orders{
		Target: "embedded", Dir: filepath.Join(dir, "store"), Lanes: 8, Calls: -1, Seed: randomSeed(t),
		Mix: mix{Durable: 0.2, Sizes: []int64{100, 1000, 16 << 10, 300 << 10}, Keys: true},
	})
	rng := rand.New(rand.NewPCG(r.orders.Seed, 0))
	var full refusals
	for round := range rounds(10) {
		r.orders.Seed = rng.Uint64()
		if err := r.fillUnder(rng, other); err != nil {
			t.Fatalf("round %d, being filled: %v", round, err)
		}
		got := refusalsOf(r.history)
		full.refused += got.refused
		full.removedAfter += got.removedAfter
		if err := os.Remove(other); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.finish(); err != nil {
		t.Fatal(err)
	}
	if full.refused == 0 || full.removedAfter == 0 {
		t.Errorf("this shows nothing: %+v", full)
	}
}

// fillUnder fills the disk under a worker that goes on for a while, and kills it.
func (r *run) fillUnder(rng *rand.Rand, other string) error {
	return r.round(crashPoint{answers: rng.IntN(300), more: 300}, func(*process) error { return fillUp(other) })
}
