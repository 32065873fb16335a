package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/etagfs/etagfs/integration/internal/measure"
	"github.com/etagfs/etagfs/integration/mounttest"
)

func tinySizes() sizes {
	return sizes{
		files: 16, entries: 20, few: 4, walked: 200, archive: 120, bigBytes: 2 << 20,
		accesses: 10, edits: 6, editsTimed: 2, closes: 20, sources: 2, commits: 2, putsDivisor: 400,
	}
}

// newTestBench has everything that needs no mount.
func newTestBench(t *testing.T) *bench {
	b, err := newBench(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(b.dir); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the work directory is still there: %v", err)
		}
	})
	if err := b.addNative(); err != nil {
		t.Fatal(err)
	}
	b.engines = engines()
	return b
}

func TestEveryRowIsMeasuredInEveryRound(t *testing.T) {
	mounttest.Need(t, "root", "git", "sqlite3", "make", "cc")
	b := newTestBench(t)
	p := plan{rows: regexp.MustCompile(""), rounds: 2, sizes: tinySizes()}
	r := newResults(p.rounds)
	for _, table := range b.tables() {
		for _, s := range table.scenarios {
			if err := b.run(t.Context(), p, s, table.subjects, r); err != nil {
				t.Fatal(err)
			}
			for _, row := range s.rows() {
				for _, subject := range table.subjects {
					if got := measure.Summarize(r.values[measure.At(row.name, subject.name)]); got.N != p.rounds || got.Least <= 0 {
						t.Errorf("%s on %s: %+v", row.name, subject.name, got)
					}
				}
			}
		}
	}
	for _, f := range r.failures {
		t.Error(f)
	}
	left, err := os.ReadDir(b.path(nativeName))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestARowBringsTheStepsItBuildsOn(t *testing.T) {
	b := newTestBench(t)
	p := plan{rows: regexp.MustCompile("^unlink$"), rounds: 1, sizes: tinySizes()}
	r := newResults(p.rounds)
	if err := b.run(t.Context(), p, smallFiles(), b.filesystems, r); err != nil {
		t.Fatal(err)
	}
	if len(r.failures) > 0 {
		t.Error(r.failures)
	}
	ran := func(row string) bool { return r.measured(measure.At(row, nativeName)) }
	if !ran("unlink") || !ran(rowCreate) || ran("lstat") {
		t.Errorf("unlink %v, its setup %v, another %v", ran("unlink"), ran(rowCreate), ran("lstat"))
	}
	shown := asked(smallFiles().rows(), p, r)
	if !slices.Equal(shown, []row{{name: "unlink"}}) {
		t.Errorf("shown: %v", shown)
	}
}

func TestEveryRoundBeginsWithAnotherSubject(t *testing.T) {
	var order []string
	s := scenario{name: "order", steps: []step{{row: row{name: "order"}, run: func(_ context.Context, s *site) (measurement, error) {
		order = append(order, s.subject.name)
		return measurement{value: 1}, nil
	}}}}
	b := newTestBench(t)
	subjects := []*subject{{name: "a", dir: b.dir}, {name: "b", dir: b.dir}, {name: "c", dir: b.dir}}
	if err := b.run(t.Context(), plan{rows: regexp.MustCompile(""), rounds: 2}, s, subjects, newResults(2)); err != nil {
		t.Fatal(err)
	}
	if want := []string{"a", "b", "c", "b", "c", "a", "c", "a", "b"}; !slices.Equal(order, want) {
		t.Errorf("got %v, want %v", order, want)
	}
}

func TestAFailedStepIsNotedAndTheOthersGoOn(t *testing.T) {
	broken := errors.New("broken")
	s := scenario{name: "s", steps: []step{{row: row{name: "row"}, run: func(_ context.Context, s *site) (measurement, error) {
		if s.subject.name == "bad" {
			return measurement{}, broken
		}
		return measurement{value: 1}, nil
	}}}}
	b, r := newTestBench(t), newResults(1)
	subjects := []*subject{{name: "bad", dir: b.dir}, {name: "good", dir: b.dir}}
	if err := b.run(t.Context(), plan{rows: regexp.MustCompile(""), rounds: 1}, s, subjects, r); err != nil {
		t.Fatal(err)
	}
	if len(r.failures) != 2 || !errors.Is(r.failures[1].err, broken) || !r.measured(measure.At("row", "good")) {
		t.Errorf("%+v", r)
	}
}

func TestAnInterruptEndsARun(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	b := newTestBench(t)
	err := b.run(ctx, plan{rows: regexp.MustCompile(""), rounds: 3, sizes: tinySizes()}, smallFiles(), b.filesystems, newResults(3))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestADaemonThatDoesNotMountIsToldWithItsWords(t *testing.T) {
	dir := t.TempDir()
	script := filepath.Join(dir, "daemon")
	if err := os.WriteFile(script, []byte("#!/bin/sh\necho no fuse here >&2\nexit 3\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	_, err := startDaemon(t.Context(), "daemon", filepath.Join(dir, "mnt"), script)
	if err == nil || !bytes.Contains([]byte(err.Error()), []byte("no fuse here")) {
		t.Errorf("got %v", err)
	}
}

func TestPeersAreNamesAndPaths(t *testing.T) {
	peer := t.TempDir()
	b := newTestBench(t)
	if err := b.addPeers("peer=" + peer + ","); err != nil {
		t.Fatal(err)
	}
	last := b.filesystems[len(b.filesystems)-1]
	if last.name != "peer" || filepath.Dir(last.dir) != peer || last.device != 0 {
		t.Errorf("%+v", last)
	}
	for _, bad := range []string{"peer", "=" + peer, "peer=relative", "peer=/does/not/exist"} {
		if err := b.addPeers(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestCommandLine(t *testing.T) {
	s, err := parse([]string{"-quick", "-rounds", "7", "-rows", "^lstat$"}, io.Discard)
	if err != nil || s.rounds != 7 {
		t.Fatal(s, err)
	}
	p, err := s.plan()
	if err != nil || p.rounds != 7 || p.sizes != quickSizes() || !p.rows.MatchString("lstat") {
		t.Error(p, err)
	}
	for _, bad := range [][]string{{"-rounds", "0"}, {"argument"}, {"-nonsense"}} {
		if _, err := parse(bad, io.Discard); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
	if _, err := (settings{rows: "("}).plan(); err == nil {
		t.Error("a broken expression was taken")
	}
}

func TestMemorySituationsLeaveNothing(t *testing.T) {
	b := newTestBench(t)
	p := plan{rows: regexp.MustCompile(""), rounds: 1, sizes: tinySizes()}
	native, r := b.filesystems[0], newResults(1)
	for _, s := range situations() {
		leave, err := b.workBefore(t.Context(), p, s, b.filesystems, r)
		made, readErr := os.ReadDir(native.dir)
		if err := errors.Join(err, readErr, leave()); err != nil {
			t.Fatal(err)
		}
		if (len(made) > 0) != (s.work != nil) {
			t.Errorf("%s: %d directories while memory is measured", s.row.name, len(made))
		}
	}
	left, err := os.ReadDir(native.dir)
	if err != nil || len(left) > 0 || len(r.failures) > 0 {
		t.Errorf("left behind: %v, %v; failed: %v", left, err, r.failures)
	}
}
