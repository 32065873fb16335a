package crash

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// leaver is a store that leaves something behind, or loses count.
type leaver struct {
	name string
	mutation
	says string // the check
	// tells are what its own worker may come upon before the check does, if it has the time: a payload that is gone.
	tells []string
}

func leavers() []leaver {
	return []leaver{
		{name: "payload files nobody committed stay", mutation: mutation{"objstore/badgerstore/recovery.go",
			"e.blobs.Orphans(low, e.removeUnused)", "error(nil)"}, says: "garbage orphan: "},
		{name: "payload files that were replaced stay", mutation: mutation{"objstore/badgerstore/garbage.go",
			"g.Unlink = append(g.Unlink[:len(g.Unlink):len(g.Unlink)], work[0])", "g.Unlink = g.Unlink[:len(g.Unlink):len(g.Unlink)]"}, says: "garbage orphan: "},
		{name: "a shared payload is counted once", mutation: mutation{"objstore/badgerstore/refs.go",
			"refs.Count += n", "refs.Count = 1"}, says: "damage undercounted: ", tells: []string{" is missing", " is lost"}},
	}
}

// Stores that leave something behind, or lose count, are caught by the store's own check after a
// kill, or it would show nothing that it never speaks up in the other tests.
func TestKillsCatchStoresThatLeaveSomethingBehind(t *testing.T) {
	for _, test := range leavers() {
		t.Run(test.name, func(t *testing.T) {
			executable, dir, seed := buildMutant(t, test.mutation), scratch(t), randomSeed(t)
			rng := rand.New(rand.NewPCG(seed, 0))
			const storesMax = 50
			for store := range storesMax {
				r := newRun(executable, orders{
					Target: "embedded", Dir: filepath.Join(dir, strconv.Itoa(store)), Lanes: 8, Calls: -1, Seed: seed, Mix: everyday(),
				})
				const roundsMax = 1000 // one in ten or so catches it
				err := r.kills(rng, roundsMax)
				if err == nil {
					t.Fatalf("not caught in %d rounds", roundsMax)
				}
				first, _, _ := strings.Cut(err.Error(), "\n")
				if t.Logf("store %d: %s", store, first); strings.Contains(err.Error(), test.says) {
					return
				}
				if !test.isToldIn(err) {
					t.Fatalf("not caught as %q: %v", test.says, err)
				}
				if err := os.RemoveAll(r.orders.Dir); err != nil {
					t.Fatal(err)
				}
			}
			t.Errorf("not caught as %q in %d stores", test.says, storesMax)
		})
	}
}

// isToldIn reports whether its worker came upon what it did.
func (l leaver) isToldIn(err error) bool {
	for _, words := range l.tells {
		if strings.Contains(err.Error(), words) {
			return true
		}
	}
	return false
}
