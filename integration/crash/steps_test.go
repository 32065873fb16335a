package crash

import (
	"math/rand/v2"
	"os"
	"strings"
	"testing"
)

// killBefore kills a worker before the nth call that is counted. It is
// not killed if it makes fewer.
type killBefore struct {
	n       int
	counted func(fileCall) bool

	made int
	last fileCall
}

func (k *killBefore) live(c fileCall) bool {
	if !k.counted(c) {
		return true
	}
	k.made++
	k.last = c
	return k.made < k.n
}

func (k *killBefore) killed() bool { return k.made >= k.n }

// nothing is a crash that is somebody else's doing.
func nothing(*process) error { return nil }

// sweep kills a worker before each of the calls that are counted, one round
// for each, until one makes all its calls. It returns the names of the calls.
func sweep(t *testing.T, r *run, counted func(fileCall) bool) map[string]bool {
	t.Helper()
	rng := rand.New(rand.NewPCG(r.orders.Seed, 0))
	names := map[string]bool{}
	for n := 1; ; n++ {
		kill := &killBefore{n: n, counted: counted}
		r.orders.Seed = rng.Uint64()
		if err := r.round(crashPoint{answers: -1, trace: &tracer{kill.live}}, nothing); err != nil {
			t.Fatalf("killed before call %d, %s, then: %v", n-1, kill.last, err)
		}
		names[kill.last.name] = true
		if !kill.killed() {
			return names
		}
	}
}

// A directory whose every change is a new file, synced and renamed, survives
// a kill at each of its steps; so the suites that kill stores at each step blame stores.
func TestCarefulDirectorySurvivesAKillAtEveryFileCall(t *testing.T) {
	dir := t.TempDir()
	r := newRun(os.Args[0], orders{
		Target: "careful files", Dir: dir, Lanes: 1, Calls: 8, Seed: randomSeed(t),
		Mix: mix{Sizes: []int64{100}},
	})
	names := sweep(t, r, func(c fileCall) bool { return strings.HasPrefix(c.path, dir) })
	for _, name := range []string{"openat", "write", "fsync", "renameat"} {
		if !names[name] {
			t.Errorf("no kill before %s, only %v", name, names)
		}
	}
}
