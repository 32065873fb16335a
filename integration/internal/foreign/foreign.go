// Package foreign builds programs of others that tests and measurements run: servers to be a client of, clients and suites to
// be a server for. They come as Go modules at a fixed version, are built as they are, run as processes of their own, and stay
// in a cache between runs: $ETAGFS_TEST_CACHE, else etagfs-foreign in the user's cache directory.
package foreign

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// The servers of others.
const (
	MinIO     = "github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c"
	Versitygw = "github.com/versity/versitygw/cmd/versitygw@v1.8.0"
)

// Program is the file of the command of a Go module, given as PATH@VERSION. It is built if the cache does not have it.
func Program(ctx context.Context, path string) (string, error) {
	name, entry := names(path)
	dir, err := Built(entry, func(dir string) error {
		cmd := exec.CommandContext(ctx, "go", "install", path)
		cmd.Env = append(os.Environ(), "GOBIN="+dir, "GOFLAGS=-mod=mod")
		return Quietly(cmd)
	})
	return filepath.Join(dir, name), err
}

// InCache reports whether Program would not have to build.
func InCache(path string) bool {
	_, entry := names(path)
	dir, err := cache()
	if err == nil {
		_, err = os.Stat(filepath.Join(dir, entry))
	}
	return err == nil
}

// names are those of a module's program and of its directory in the cache.
func names(path string) (name, entry string) {
	command, version, _ := strings.Cut(path, "@")
	name = filepath.Base(command)
	return name, name + "@" + version
}

// Built is a directory of the cache that build filled, now or in an earlier run. Other processes may build the same at the
// same time.
func Built(name string, build func(dir string) error) (string, error) {
	cache, err := cache()
	if err != nil {
		return "", err
	}
	final := filepath.Join(cache, name)
	if _, err := os.Stat(final); err == nil {
		return final, nil
	}
	dir, err := os.MkdirTemp(cache, "new-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	if err := build(dir); err != nil {
		return "", err
	}
	if err := os.Rename(dir, final); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	return final, nil
}

func cache() (string, error) {
	dir := os.Getenv("ETAGFS_TEST_CACHE")
	if dir == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return "", err
		}
		dir = filepath.Join(user, "etagfs-foreign")
	}
	return dir, os.MkdirAll(dir, 0o755)
}

// Quietly runs a command and returns the end of what it wrote only if it failed.
func Quietly(cmd *exec.Cmd) error {
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = time.Second
	if err := cmd.Run(); err != nil {
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		return fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, strings.Join(lines[max(0, len(lines)-5):], "\n"))
	}
	return nil
}
