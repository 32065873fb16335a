package containers

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The Kubernetes example has only kinds and fields that Kubernetes knows, and what reads it finds those it does not.
func TestKubernetesExampleIsWellFormed(t *testing.T) {
	needDocker(t) // as the other examples do: the types take a while to compile
	if _, err := exec.LookPath("go"); err != nil {
		t.Skipf("needs go: %v", err)
	}
	program := filepath.Join(t.TempDir(), "manifests")
	compile := exec.Command("go", "build", "-o", program, ".")
	compile.Dir = filepath.Join("testdata", "manifests")
	must(t, compile)
	example := filepath.Join("example", "kubernetes.yaml")
	must(t, exec.Command(program, example))
	text, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	for _, right := range []string{"readinessProbe:", "kind: Service\n", "replicas: 3"} {
		wrong := filepath.Join(t.TempDir(), "wrong.yaml")
		if err := os.WriteFile(wrong, []byte(strings.Replace(string(text), right, "wrong"+right, 1)), 0o644); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command(program, wrong).CombinedOutput(); err == nil {
			t.Errorf("without %q it is taken: %s", right, out)
		}
	}
}
