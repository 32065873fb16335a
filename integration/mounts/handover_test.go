package mounts

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/etagfs/etagfs/integration/mounttest"
)

// ownerAmong is the mount that has the store.
func ownerAmong(t *testing.T, mounts []*mounttest.Mount) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(mounts[0].Store, "lock"))
	var owner struct{ PID int }
	if err := errors.Join(err, json.Unmarshal(text, &owner)); err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(mounts, func(m *mounttest.Mount) bool { return m.PID() == owner.PID })
	if i < 0 {
		t.Fatalf("process %d has the store, which is no mount", owner.PID)
	}
	return i
}

// C1, C3, C4, C8: whoever has the store is killed again and again while processes on all mounts write. Another takes over, nothing
// acknowledged is lost or done twice, nothing is torn, and what lost is kept.
func TestOwnersAreKilledUnderWriters(t *testing.T) {
	rng := rand.New(rand.NewPCG(seedOf(t), 0))
	m := together(t, "socket", 3)
	writers := mounttest.StartReplacers(t, m)
	for range rounds(3, 30) {
		writers.Await(rng.IntN(20)+1, func(int) bool { return true })
		at := ownerAmong(t, m)
		m[at].Kill()
		writers.Forget()
		writers.Await(2+rng.IntN(5), func(mount int) bool { return mount != at }) // through another
		m[at].Restart()
		writers.Await(1, func(mount int) bool { return mount == at })
	}
	writers.Finish()
}

// seedVariable is the seed of random tests.
const seedVariable = "ETAGFS_SEED"

// seedOf is the seed of a test. It is told with the line that runs it again.
func seedOf(t *testing.T) uint64 {
	t.Helper()
	seed := rand.Uint64()
	if s := os.Getenv(seedVariable); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("again: %s=%d go test ./integration/mounts -count=1 -run '^%s$'", seedVariable, seed, t.Name())
	return seed
}
