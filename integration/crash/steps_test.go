package crash

import (
	"math/rand/v2"
	"os"
	"path/filepath"
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

// sweep lets workers be killed before each counted call, one round for each,
// until one makes all its calls; or before some of them, step apart on
// average. It returns how often each was the last, by name and kind of file.
func sweep(t *testing.T, rng *rand.Rand, step int, counted func(fileCall) bool, round func(crashPoint) error) map[string]int {
	t.Helper()
	kills := map[string]int{}
	for n := 1; ; n += 1 + rng.IntN(2*step-1) {
		kill := &killBefore{n: n, counted: counted}
		if err := round(crashPoint{answers: -1, trace: &tracer{kill.live}}); err != nil {
			t.Fatalf("killed before call %d, %s, then: %v", n, kill.last, err)
		}
		if !kill.killed() {
			return kills
		}
		kills[kill.last.name+" "+fileKind(kill.last.path)]++
	}
}

// fileKind is a word for files like this one; empty for most directories.
func fileKind(path string) string {
	if ext := filepath.Ext(path); ext != "" {
		return ext
	}
	switch base := filepath.Base(path); base {
	case "MANIFEST", "MANIFEST-REWRITE", "marks", "badger":
		return base
	}
	return ""
}

// A directory whose every change is a new file, synced and renamed, survives
// a kill at each of its steps; so the sweeps below blame stores.
func TestCarefulDirectorySurvivesAKillAtEveryFileCall(t *testing.T) {
	dir := t.TempDir()
	r := newRun(os.Args[0], orders{
		Target: "careful files", Dir: dir, Lanes: 1, Calls: 8, Seed: randomSeed(t),
		Mix: mix{Sizes: []int64{100}},
	})
	rng := rand.New(rand.NewPCG(r.orders.Seed, 0))
	inDir := func(c fileCall) bool { return strings.HasPrefix(c.path, dir) }
	kills := sweep(t, rng, 1, inDir, func(at crashPoint) error {
		r.orders.Seed = rng.Uint64()
		return r.round(at, func(*process) error { return nil })
	})
	for _, call := range []string{"openat .new", "write .new", "fsync .new", "renameat .new", "fsync "} {
		if kills[call] == 0 {
			t.Errorf("no kill before %s, only %v", call, kills)
		}
	}
}

// ofLogs are the calls that rotate, flush and sync: those on the files of the
// key-value engine, its directory, and the marks.
func ofLogs(c fileCall) bool {
	switch kind := fileKind(c.path); kind {
	case ".mem", ".sst", ".vlog", "MANIFEST", "MANIFEST-REWRITE", "marks", "badger":
		return true
	}
	return false
}

// callsOfLogs are all of them that a store makes, but for those on the value log, which is never used. Logs and tables
// are written through mappings, which takes no call; a log is never synced by Badger, only by us.
var callsOfLogs = map[string][]string{
	".mem":             {"openat", "fallocate", "ftruncate", "fdatasync", "unlinkat"},
	".sst":             {"openat", "ftruncate", "msync", "unlinkat"},
	"MANIFEST":         {"openat", "fallocate", "write", "fsync"},
	"MANIFEST-REWRITE": {"openat", "write", "fsync", "renameat"},
	"badger":           {"fsync"},
	"marks":            {"pwrite", "fdatasync"},
}

// step is how far apart kills are: everywhere if rounds are asked for.
func step(few int) int {
	if *roundsFlag > 0 {
		return 1
	}
	return few
}

// checkKills makes sure that a sweep met what it is about: each call at least once, if it was long.
func checkKills(t *testing.T, kills map[string]int) {
	t.Helper()
	t.Logf("kills: %v", kills)
	if *roundsFlag == 0 {
		return
	}
	for file, calls := range callsOfLogs {
		for _, call := range calls {
			if kills[call+" "+file] == 0 {
				t.Errorf("no kill before %s of %s", call, file)
			}
		}
	}
}

func stepOrders(t *testing.T) orders {
	calls := 40
	if *roundsFlag > 0 {
		calls = 160 // so many that tables are compacted and removed
	}
	return orders{
		Target: "embedded", Lanes: 2, Calls: calls, Seed: randomSeed(t),
		Mix: mix{Durable: 0.1, Sizes: []int64{16 << 10}, Keys: true},
	}
}

// C8: killed at any file call of rotation, flush and sync the store opens
// again and has what it acknowledged.
func TestKillAtEveryFileCallOfTheLogs(t *testing.T) {
	o := stepOrders(t)
	o.Dir = filepath.Join(t.TempDir(), "store")
	r := newRun(buildMutant(t, smallLogs()), o)
	rng := rand.New(rand.NewPCG(o.Seed, 0))
	checkKills(t, sweep(t, rng, step(5), ofLogs, func(at crashPoint) error {
		r.orders.Seed = rng.Uint64()
		return r.round(at, func(*process) error { return nil })
	}))
}

// C8: with the power cut at any of them it opens again, has what was durable, and of the rest a prefix.
func TestPowerCutAtEveryFileCallOfTheLogs(t *testing.T) {
	p := newPowerRun(t, "ext4", buildMutant(t, smallLogs()), stepOrders(t))
	checkKills(t, sweep(t, p.rng, step(5), ofLogs, p.round))
}

// C4, C8: killed at any file call of staging the store opens again, has what it acknowledged, keeps what was
// staged, and nothing is left of the rest.
func TestKillAtEveryFileCallOfStaging(t *testing.T) {
	r := newRun(os.Args[0], orders{
		Target: "embedded", Dir: filepath.Join(t.TempDir(), "store"), Lanes: 2, Calls: 6, Seed: randomSeed(t),
		Mix: mix{Durable: 0.1, Sizes: []int64{100, 64 << 10}, Keys: true, Holds: true},
	})
	rng := rand.New(rand.NewPCG(r.orders.Seed, 0))
	ofStaging := func(c fileCall) bool { return strings.Contains(c.path, "/staging") }
	kills := sweep(t, rng, step(3), ofStaging, func(at crashPoint) error {
		r.orders.Seed = rng.Uint64()
		return r.round(at, func(*process) error { return nil })
	})
	t.Logf("kills: %v", kills)
}
