package crossmounts

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func put(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func open(t *testing.T, path string, flags int) *os.File {
	t.Helper()
	f, err := os.OpenFile(path, flags, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() }) // an error means that the test has closed it
	return f
}

func write(t *testing.T, f *os.File, content string) {
	t.Helper()
	if _, err := f.WriteString(content); err != nil {
		t.Fatal(err)
	}
}

// check compares a file's content.
func check(t *testing.T, path, want string) {
	t.Helper()
	if got, err := os.ReadFile(path); err != nil || string(got) != want {
		t.Errorf("%s contains %.80q (%v), want %.80q", filepath.Base(path), got, err, want)
	}
}

// absent checks that a name shows nothing.
func absent(t *testing.T, path string) {
	t.Helper()
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is there (%v)", filepath.Base(path), err)
	}
}

// wants fails unless err is errno, or nil for 0.
func wants(t *testing.T, what string, err error, errno syscall.Errno) {
	t.Helper()
	if errno == 0 && err != nil || errno != 0 && !errors.Is(err, errno) {
		t.Errorf("%s: %v, want %v", what, err, errno)
	}
}

// run starts commands together and waits for all.
func run(t *testing.T, commands ...*exec.Cmd) {
	t.Helper()
	for _, c := range commands {
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range commands {
		if err := c.Wait(); err != nil {
			t.Errorf("%s: %v", strings.Join(c.Args[1:], " "), err)
		}
	}
}

// pair is two mounts of a store with a directory in which one test works.
type pair struct {
	g   *group
	dir string
}

func (p pair) a(names ...string) string { return p.on(0, names...) }
func (p pair) b(names ...string) string { return p.on(1, names...) }

func (p pair) on(i int, names ...string) string {
	return p.g.mounts[i].Path(append([]string{p.dir}, names...)...)
}

// kept are the directories of the conflicts at a path that a mount shows.
func (p pair) kept(t *testing.T, i int, name string) (dirs []string) {
	t.Helper()
	all, err := filepath.Glob(p.g.mounts[i].Path(".etagfs", "conflicts", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range all {
		info, err := os.ReadFile(filepath.Join(dir, "info.json"))
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(info, []byte(strconv.Quote(filepath.Join(p.dir, name)))) {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

// awaitKept is the directory of the one conflict at a path that mount i comes to show: what a process left is found in the background.
func (p pair) awaitKept(t *testing.T, i int, name string) string {
	t.Helper()
	tries, deadline := time.NewTicker(20*time.Millisecond), time.After(time.Minute)
	defer tries.Stop()
	for {
		if dirs := p.kept(t, i, name); len(dirs) == 1 {
			return dirs[0]
		}
		select {
		case <-tries.C:
		case <-deadline:
			t.Fatalf("%d copies of %s are kept", len(p.kept(t, i, name)), name)
		}
	}
}

// checkKept compares what lost at a path by handles of mount i. Every mount shows it if the kind says so.
func (p pair) checkKept(t *testing.T, i int, name string, want ...string) {
	t.Helper()
	shows := []int{i}
	if _, ok := p.g.lacks[commonKept]; !ok {
		shows = []int{0, 1}
	}
	slices.Sort(want)
	for _, i := range shows {
		var got []string
		for _, dir := range p.kept(t, i, name) {
			mine, err := os.ReadFile(filepath.Join(dir, "mine"))
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, string(mine))
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("mount %d shows as kept %q, want %q", i, got, want)
		}
	}
}
