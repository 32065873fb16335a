package crash

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// mutation replaces the one occurrence of a piece of source by another.
type mutation struct {
	file string // from the top level
	old  string
	new  string
}

// buildMutant builds this test binary with mutations in the source. A
// mutation that does not apply fails the test: it has to follow the source.
func buildMutant(t *testing.T, mutations ...mutation) (executable string) {
	t.Helper()
	if _, err := exec.LookPath("go"); err != nil {
		t.Skipf("needs go: to build mutants: %v", err)
	}
	dir := t.TempDir()
	replace := map[string]string{}
	for _, m := range mutations {
		path, err := filepath.Abs(filepath.Join("..", "..", m.file))
		if err != nil {
			t.Fatal(err)
		}
		source := path
		if again, ok := replace[path]; ok {
			source = again
		}
		text, err := os.ReadFile(source)
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(text), m.old); n != 1 {
			t.Fatalf("%s has %d times\n%s", m.file, n, m.old)
		}
		replace[path] = filepath.Join(dir, strings.ReplaceAll(m.file, "/", "_"))
		text = []byte(strings.Replace(string(text), m.old, m.new, 1))
		if err := os.WriteFile(replace[path], text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	executable = filepath.Join(dir, "mutant")
	build := exec.Command("go", "test", "-c", "-overlay", filepath.Join(dir, "overlay.json"), "-o", executable, ".")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return executable
}
