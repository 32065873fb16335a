package crossmounts

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/etagfs/etagfs/integration/mounttest"
)

// appendOften appends lines that begin with TAG to FILE, COUNT times, opening it anew for each. It tells of each
// line whether the close has answered.
func appendOften(args []string) error {
	count, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	for i := range count {
		line := fmt.Sprintf("%s %d", args[1], i)
		err := appendLine(args[0], line)
		if err != nil && !errors.Is(err, syscall.EIO) {
			return err
		}
		fmt.Println(err == nil, line)
	}
	return nil
}

func appendLine(path, line string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(f, line)
	return errors.Join(err, f.Close())
}

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
		cmd := mounttest.Command(t, "append", g.mounts[i%2].Path("log"), tag, strconv.Itoa(lines))
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
			unknown += checkAppended(t, tag, lines, said[i].String(), string(got))
		}
	}
	return unknown
}

// checkAppended compares what a process was told of its lines with what is in the file.
func checkAppended(t *testing.T, tag string, lines int, said, file string) (unknown int) {
	t.Helper()
	var found []string
	for line := range strings.Lines(file) {
		if strings.HasPrefix(line, tag+" ") {
			found = append(found, strings.TrimSuffix(line, "\n"))
		}
	}
	told := 0
	for answer := range strings.Lines(said) {
		told++
		known, line, _ := strings.Cut(strings.TrimSuffix(answer, "\n"), " ")
		isNext := len(found) > 0 && found[0] == line
		if known == "true" && !isNext {
			t.Fatalf("%q was acknowledged, and the next line of %s is %q", line, tag, append(found, "")[0])
		}
		if known != "true" {
			unknown++
		}
		if isNext {
			found = found[1:]
		}
	}
	if told != lines || len(found) != 0 {
		t.Errorf("%s: %d lines were answered, and too much is there: %q", tag, told, found)
	}
	return unknown
}
