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

// buildMutant builds this test binary with mutations in the source.
func buildMutant(t *testing.T, mutations ...mutation) (executable string) {
	t.Helper()
	return buildWith(t, mutations, "test", "-c")
}

// buildMutantProgram builds the program with mutations in the source.
func buildMutantProgram(t *testing.T, mutations ...mutation) (executable string) {
	t.Helper()
	return buildWith(t, mutations, "build", "../../cmd/etagfs")
}

// buildWith runs the go command, as told, on mutated source. A mutation that does not apply
// fails the test: it has to follow the source.
func buildWith(t *testing.T, mutations []mutation, verb string, args ...string) (executable string) {
	t.Helper()
	if _, err := exec.LookPath("go"); err != nil {
		t.Skipf("needs go: to build mutants: %v", err)
	}
	dir := t.TempDir()
	overlay := filepath.Join(dir, "overlay.json")
	writeOverlay(t, overlay, mutations)
	executable = filepath.Join(dir, "mutant")
	build := exec.Command("go", append([]string{verb, "-overlay", overlay, "-o", executable}, args...)...)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return executable
}

// writeOverlay writes mutated files beside the overlay that names them.
func writeOverlay(t *testing.T, overlay string, mutations []mutation) {
	t.Helper()
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
		replace[path] = filepath.Join(filepath.Dir(overlay), strings.ReplaceAll(m.file, "/", "_"))
		text = []byte(strings.Replace(string(text), m.old, m.new, 1))
		if err := os.WriteFile(replace[path], text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err == nil {
		err = os.WriteFile(overlay, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}
