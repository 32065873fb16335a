package s3clients_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/etagfs/etagfs/integration/internal/foreign"
	"github.com/etagfs/etagfs/integration/mounttest"
)

const (
	minioGoModule = "github.com/minio/minio-go/v7@v7.4.1"
	// minioGoTime is how long the whole suite may take, of which it takes one on a quiet machine.
	minioGoTime = 8 * time.Minute
)

// minio-go's functional tests. The checksum kinds of 2026 are among those they know.
func TestMinioGoSuite(t *testing.T) {
	mounttest.Need(t, "binary")
	program := filepath.Join(cached(t, "minio-go@v7.4.1", "minio-go", buildMinioGo), "functional")
	s := serve(t)
	ctx, cancel := context.WithTimeout(t.Context(), minioGoTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, program)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "SERVER_ENDPOINT="+s.addr(), "ACCESS_KEY="+accessKey, "SECRET_KEY="+secretKey,
		"ENABLE_HTTPS=0", "RUN_ON_FAIL=1", "MINT_MODE=full", "TMPDIR="+t.TempDir())
	out, err := cmd.Output()
	if ctx.Err() != nil {
		t.Fatalf("not done after %v: %v", minioGoTime, err)
	}
	failures, left := minioGoResults(t, out)
	if len(failures) < 60 {
		t.Errorf("only %d tests\n%s", len(failures), tail(string(out), 5))
	}
	slices.Sort(left)
	t.Logf("what this server does not have, by its own answer: %s", strings.Join(slices.Compact(left), " "))
	judge(t, failures, known(t, filepath.Join("testdata", "minio-go.txt")))
}

// minioGoResults reads a line of JSON per result: what failed by test, and which tests gave up on an answer
// of 501. A test may have several results.
func minioGoResults(t *testing.T, out []byte) (failures map[string]string, left []string) {
	t.Helper()
	failures = make(map[string]string)
	for line := range bytes.Lines(out) {
		var r struct{ Name, Status, Alert, Message, Error string }
		if err := json.Unmarshal(line, &r); err != nil {
			t.Fatalf("no result: %q", line)
		}
		name := strings.TrimPrefix(r.Name, "minio-go: ")
		switch r.Status {
		case "PASS":
			failures[name] += ""
		case "NA":
			left = append(left, name)
		default:
			failures[name] += r.Message + ": " + r.Error + "; "
		}
	}
	return failures, left
}

// buildMinioGo builds the tests, one file of the module with a build tag, in a copy of it: it must
// lie beside the package it tests, and cannot while the tag puts both into one directory.
func buildMinioGo(dir string) error {
	module, err := moduleDir(minioGoModule)
	if err != nil {
		return err
	}
	src := filepath.Join(dir, "src")
	defer os.RemoveAll(src)
	if err := os.CopyFS(src, os.DirFS(module)); err != nil {
		return err
	}
	if err := makeWritable(src); err != nil {
		return err
	}
	if err := os.Mkdir(filepath.Join(src, "functional"), 0o755); err != nil {
		return err
	}
	if err := os.Rename(filepath.Join(src, "functional_tests.go"), filepath.Join(src, "functional", "main.go")); err != nil {
		return err
	}
	cmd := exec.Command("go", "build", "-tags", "mint", "-o", filepath.Join(dir, "functional"), "./functional")
	cmd.Dir = src
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod")
	return foreign.Quietly(cmd)
}

// makeWritable undoes the modes of Go's cache, which os.CopyFS keeps.
func makeWritable(root string) error {
	return filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			err = os.Chmod(path, 0o755)
		}
		return err
	})
}
