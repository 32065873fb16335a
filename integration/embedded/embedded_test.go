package embedded

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Every test of package fs holds on the embedded engine, too.
func TestFilesystemOnTheEmbeddedEngine(t *testing.T) {
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
	cmd := exec.CommandContext(t.Context(), "go", "test", "-v", "-count=1", "-timeout=8m",
		"-overlay="+overlay(t, root), "./fs", "-model.rounds=10")
	cmd.Dir = root
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

// overlay names a file that tells the go command which file to put in place of which.
func overlay(t *testing.T, root string) string {
	t.Helper()
	replaced := filepath.Join(root, "fs", "stores_test.go")
	if _, err := os.Stat(replaced); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(map[string]map[string]string{"Replace": {
		replaced: filepath.Join(root, "integration", "embedded", "testdata", "stores_test.go"),
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
