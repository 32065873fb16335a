package crossmounts

import (
	"bytes"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/etagfs/etagfs/integration/mounttest"
)

// C3: lines appended on two mounts are merged: each that was acknowledged is there exactly once, and those of one
// process in their order.
func TestAppendsFromTwoMounts(t *testing.T) {
	forEachKind(t, 2, faults{}, func(t *testing.T, g *group) {
		if unknown := appends(t, g, rounds(g.fewer(25), 500)); unknown > 0 {
			t.Errorf("%d closes failed", unknown)
		}
	})
}

// C3: the same when connections are cut: after a request was delivered, so that only its answer is lost, and before.
func TestAppendsWithAnswersLost(t *testing.T) {
	seed := seedOf(t)
	forEachKind(t, 2, faults{seed: seed, replies: 12, requests: 40, apart: 6}, func(t *testing.T, g *group) {
		g.cut.begin()
		unknown := appends(t, g, rounds(25, 500))
		cuts := g.cut.end()
		t.Logf("%d connections were cut, %d outcomes are unknown", cuts, unknown)
		if cuts == 0 {
			t.Error("nothing was cut")
		}
	})
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
	name := strings.ReplaceAll(t.Name(), "/", "$/^")
	t.Logf("again: %s=%d go test ./integration/crossmounts -count=1 -run '^%s$'", seedVariable, seed, name)
	return seed
}

// appends has four processes on two mounts append lines to one file, and checks the file on both. It returns how many
// closes have not said what became of their line.
func appends(t *testing.T, g *group, lines int) (unknown int) {
	t.Helper()
	put(t, g.mounts[0].Path("log"), "")
	tags := []string{"a", "b", "c", "d"}
	said := make([]bytes.Buffer, len(tags))
	var all []*exec.Cmd
	for i, tag := range tags {
		cmd := mounttest.Command(t, "append", g.mounts[i%2].Path("log"), strconv.Itoa(lines), tag)
		cmd.Stdout = &said[i]
		all = append(all, cmd)
	}
	run(t, all...)
	for _, m := range g.mounts {
		got, err := os.ReadFile(m.Path("log"))
		if err != nil {
			t.Fatal(err)
		}
		unknown = 0
		for i, tag := range tags {
			unknown += mounttest.CheckAppended(t, tag, lines, said[i].String(), string(got))
		}
	}
	return unknown
}
