package crash

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

// everyday is what lanes do on a store of ours: contents on both sides of
// the inline limit, of one block and of several.
func everyday() mix {
	return mix{Durable: 0.1, Sizes: []int64{100, 100, 100, 4096, 16 << 10, 64 << 10, 300 << 10}, Keys: true, Holds: true, Increments: true}
}

// C1, C4, C8: 1. After kill -9 every acknowledged call is there, as a whole. 2. A call in
// flight is there or not, as a whole. 3. What was staged and not committed is a kept copy
// with its bytes; nothing else is. 4. No version is given twice. 5. The store's check finds nothing.
func TestKilledStoreKeepsWhatItAcknowledged(t *testing.T) {
	r := newRun(os.Args[0], orders{
		Target: "embedded", Dir: filepath.Join(scratch(t), "store"), Lanes: 8, Calls: -1, Seed: randomSeed(t), Mix: everyday(),
	})
	n, rng := rounds(100), rand.New(rand.NewPCG(r.orders.Seed, 0))
	if err := r.kills(rng, n); err != nil {
		t.Fatal(err)
	}
	if err := r.untilShown(n, func() error { return r.kills(rng, 1) }); err != nil {
		t.Fatal(err)
	}
	if err := r.finish(); err != nil {
		t.Fatal(err)
	}
}

// kills makes so many rounds, each ended by kill -9, and returns the first error.
func (r *run) kills(rng *rand.Rand, n int) error {
	for round := range n {
		r.orders.Seed = rng.Uint64()
		at, cancel := moment(rng, 800)
		err := r.round(at, func(p *process) error {
			p.kill()
			return nil
		})
		cancel()
		if err != nil {
			return fmt.Errorf("round %d: %w", round, err)
		}
	}
	return nil
}
