package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// The servers of others, by their modules. They are built as they come and run as processes of their own.
const (
	minioModule     = "github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c"
	versitygwModule = "github.com/versity/versitygw/cmd/versitygw@v1.8.0"
)

// goProgram builds the command of a Go module, given as PATH@VERSION. It stays in the user's cache.
func goProgram(ctx context.Context, path string) (string, error) {
	command, version, _ := strings.Cut(path, "@")
	name := filepath.Base(command)
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	final := filepath.Join(cache, name+"@"+version)
	if _, err := os.Stat(final); err == nil {
		return filepath.Join(final, name), nil
	}
	dir, err := os.MkdirTemp(cache, "new-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	build := exec.CommandContext(ctx, "go", "install", path)
	build.Env = append(os.Environ(), "GOBIN="+dir, "GOFLAGS=-mod=mod")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w: %s", path, err, out)
	}
	if err := os.Rename(dir, final); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	return filepath.Join(final, name), nil
}

func cacheDir() (string, error) {
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
