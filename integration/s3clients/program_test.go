package s3clients_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/etagfs/etagfs/integration/internal/foreign"
)

// cached is a directory of the cache that build filled. A machine that cannot build it lacks the program.
func cached(t *testing.T, name, program string, build func(dir string) error) string {
	t.Helper()
	dir, err := foreign.Built(name, build)
	if err != nil {
		t.Skipf("needs %s: %v", program, err)
	}
	return dir
}

// goProgram builds a command of a Go module, given as PATH@VERSION.
func goProgram(t *testing.T, path string) string {
	t.Helper()
	program, err := foreign.Program(t.Context(), path)
	if err != nil {
		command, _, _ := strings.Cut(path, "@")
		t.Skipf("needs %s: %v", filepath.Base(command), err)
	}
	return program
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
