package s3clients_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// cacheDir is where foreign programs stay between runs.
func cacheDir(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("ETAGFS_TEST_CACHE")
	if dir == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			t.Skipf("needs a cache directory: %v", err)
		}
		dir = filepath.Join(user, "etagfs-foreign")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// cached is a directory of the cache that build filled, now or in an earlier run. A machine that cannot
// build it lacks the program. Tests of other processes may build the same at the same time.
func cached(t *testing.T, name, program string, build func(dir string) error) string {
	t.Helper()
	final := filepath.Join(cacheDir(t), name)
	if _, err := os.Stat(final); err == nil {
		return final
	}
	dir, err := os.MkdirTemp(filepath.Dir(final), "new-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := build(dir); err != nil {
		t.Skipf("needs %s: %v", program, err)
	}
	if err := os.Rename(dir, final); err != nil && !errors.Is(err, fs.ErrExist) {
		t.Fatal(err)
	}
	return final
}

// goProgram builds a command of a Go module, given as PATH@VERSION.
func goProgram(t *testing.T, path string) string {
	t.Helper()
	command, version, _ := strings.Cut(path, "@")
	name := filepath.Base(command)
	dir := cached(t, name+"@"+version, name, func(dir string) error {
		cmd := exec.CommandContext(t.Context(), "go", "install", path)
		cmd.Env = append(os.Environ(), "GOBIN="+dir, "GOFLAGS=-mod=mod")
		return quietly(cmd)
	})
	return filepath.Join(dir, name)
}

// moduleDir is the source of a Go module, given as PATH@VERSION, unpacked in Go's own cache.
func moduleDir(path string) (string, error) {
	cmd := exec.Command("go", "mod", "download", "-json", path)
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod")
	cmd.Dir = os.TempDir() // no module's
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	var module struct{ Dir string }
	if err := json.Unmarshal(out, &module); err != nil {
		return "", err
	}
	return module.Dir, nil
}

// quietly runs a command and returns what it wrote only if it failed.
func quietly(cmd *exec.Cmd) error {
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = time.Second
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, bytes.TrimSpace([]byte(tail(out.String(), 5))))
	}
	return nil
}
