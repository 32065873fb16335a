package crossmounts

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
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

// recordsThatMakeTheirFile is C3 and C4: each process opens a log that may not be there yet (O_CREAT and O_APPEND), writes a record
// and closes. Whose close succeeds has the record in the file, once; who hears EBUSY then has it kept, and not in the file. An
// open may be refused with EBUSY, too, and with nothing else.
func recordsThatMakeTheirFile(t *testing.T, p pair) {
	for round := range rounds(p.g.fewer(20), 500) {
		name := fmt.Sprint("log", round)
		var answers [4]error
		var written [4]bool
		begin := make(chan struct{})
		var racers sync.WaitGroup
		for racer := range answers {
			racers.Go(func() {
				<-begin
				written[racer], answers[racer] = appendRecord(p.on(racer%2, name), recordOf(racer))
			})
		}
		close(begin)
		racers.Wait()
		for i := range p.g.mounts {
			got, err := os.ReadFile(p.on(i, name))
			if err != nil {
				t.Fatal(err)
			}
			checkRecords(t, string(got), answers[:])
		}
		for racer, err := range answers {
			if err != nil && written[racer] {
				checkKeptRecord(t, p, racer, name)
			}
		}
		if t.Failed() {
			t.Fatalf("round %d: the racers heard %v", round, answers)
		}
	}
}

func recordOf(racer int) string { return fmt.Sprintf("record of %d\n", racer) }

// appendRecord adds a record to a log, which it makes if need be.
func appendRecord(path, record string) (written bool, err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return false, err
	}
	_, err = f.WriteString(record)
	return err == nil, errors.Join(err, f.Close())
}

// checkRecords expects in a log the records of those who heard nil, and no others.
func checkRecords(t *testing.T, log string, answers []error) {
	t.Helper()
	all := 0
	for racer, err := range answers {
		want := 1
		if err != nil {
			wants(t, "append", err, syscall.EBUSY)
			want = 0
		}
		all += want * len(recordOf(racer))
		if got := strings.Count(log, recordOf(racer)); got != want {
			t.Errorf("the record of %d, who heard %v, is there %d times", racer, err, got)
		}
	}
	if len(log) != all {
		t.Errorf("there are %d bytes, want %d: %q", len(log), all, log)
	}
}

// checkKeptRecord expects that the mount of a racer shows its record as kept.
func checkKeptRecord(t *testing.T, p pair, racer int, name string) {
	t.Helper()
	for _, dir := range p.kept(t, racer%2, name) {
		if mine, err := os.ReadFile(filepath.Join(dir, "mine")); err == nil && string(mine) == recordOf(racer) {
			return
		}
	}
	t.Errorf("the record of %d is neither in the log nor kept", racer)
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
