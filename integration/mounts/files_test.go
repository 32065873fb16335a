package mounts

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"

	"github.com/etagfs/etagfs/integration/mounttest"
)

// start is a mount with default options.
func start(t testing.TB) *mounttest.Mount {
	t.Helper()
	return mounttest.Start(t, mounttest.Options{})
}

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
		t.Errorf("%s contains %q (%v), want %q", filepath.Base(path), got, err, want)
	}
}

// wants fails unless err is errno, or nil for 0.
func wants(t *testing.T, what string, err error, errno syscall.Errno) {
	t.Helper()
	if errno == 0 && err != nil || errno != 0 && !errors.Is(err, errno) {
		t.Errorf("%s: %v, want %v", what, err, errno)
	}
}

// kept are the losers' contents.
func kept(t *testing.T, m *mounttest.Mount) []string {
	t.Helper()
	paths, err := filepath.Glob(m.Path(".etagfs", "conflicts", "*", "mine"))
	if err != nil {
		t.Fatal(err)
	}
	contents := []string{}
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		contents = append(contents, string(content))
	}
	return contents
}

func checkKept(t *testing.T, m *mounttest.Mount, want ...string) {
	t.Helper()
	got := kept(t, m)
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("kept are %q, want %q", got, want)
	}
}

// shell runs a script in the mount and returns its output.
func shell(t *testing.T, m *mounttest.Mount, script string) string {
	t.Helper()
	cmd := exec.Command("bash", "-euc", script)
	cmd.Dir = m.Dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s\n%v\n%s", script, err, out)
	}
	return string(out)
}

// fdPath leads to an open file.
func fdPath(f *os.File) string {
	return filepath.Join("/proc/self/fd", strconv.Itoa(int(f.Fd())))
}
