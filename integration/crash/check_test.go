package crash

import (
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
)

// Stores that leave something behind, or lose count, are caught by the store's own check after a
// kill, or it would show nothing that it never speaks up in the other tests.
func TestKillsCatchStoresThatLeaveSomethingBehind(t *testing.T) {
	for _, test := range []struct {
		name string
		mutation
		says string
	}{
		{"payload files nobody committed stay", mutation{"objstore/badgerstore/recovery.go",
			"e.blobs.Orphans(low, e.removeUnused)", "error(nil)"}, "garbage orphan: "},
		{"payload files that were replaced stay", mutation{"objstore/badgerstore/garbage.go",
			"g.Unlink = append(g.Unlink[:len(g.Unlink):len(g.Unlink)], work[0])", "g.Unlink = g.Unlink[:len(g.Unlink):len(g.Unlink)]"}, "garbage orphan: "},
		{"a shared payload is counted once", mutation{"objstore/badgerstore/refs.go",
			"refs.Count += n", "refs.Count = 1"}, "damage undercounted: "},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRun(buildMutant(t, test.mutation), orders{
				Target: "embedded", Dir: filepath.Join(scratch(t), "store"), Lanes: 8, Calls: -1, Seed: randomSeed(t), Mix: everyday(),
			})
			const roundsMax = 100
			err := r.kills(rand.New(rand.NewPCG(r.orders.Seed, 0)), roundsMax)
			if err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("not caught in %d rounds, or not as %q: %v", roundsMax, test.says, err)
				return
			}
			first, _, _ := strings.Cut(err.Error(), "\n")
			t.Logf("caught: %s", first)
		})
	}
}
