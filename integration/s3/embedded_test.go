package s3_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// memory is where Linux keeps files that no disk has to hold.
const memory = "/dev/shm"

// Every test of package s3server holds on the embedded engine, too.
func TestServerOnTheEmbeddedEngine(t *testing.T) {
	if testing.Short() {
		t.Skip("long: runs without -short")
	}
	if _, err := exec.LookPath("go"); err != nil {
		t.Skipf("needs go: %v", err)
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "go", "test", "-v", "-count=1", "-timeout=15m", "-overlay="+overlay(t, root), "./objstore/s3server")
	cmd.Dir = root
	if _, err := os.Stat(memory); err == nil { // a thousand stores are opened; what they survive is tested elsewhere
		cmd.Env = append(os.Environ(), "TMPDIR="+memory)
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	passed := strings.Count(string(out), "\n--- PASS")
	t.Logf("%d tests passed", passed)
	if passed == 0 {
		t.Error("no test ran")
	}
}

// overlay names a file that tells the go command to put the embedded engine in place of the oracle.
func overlay(t *testing.T, root string) string {
	t.Helper()
	replaced := filepath.Join(root, "objstore", "s3server", "stores_test.go")
	if _, err := os.Stat(replaced); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(map[string]map[string]string{"Replace": {
		replaced: filepath.Join(root, "integration", "s3", "testdata", "stores_test.go"),
	}})
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "overlay.json")
	if err := os.WriteFile(name, text, 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}
