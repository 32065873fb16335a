package containers

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The recipe of the README works as it is written, but for names and the build, which are the test's.
func TestRecipeOfTheReadmeWorks(t *testing.T) {
	needDocker(t)
	recipe := readRecipe(t)
	name := newDockerName(t)
	for _, word := range []string{"server", "host"} {
		recipe = strings.ReplaceAll(recipe, "--name "+word, "--name "+name+"-"+word+" --network-alias "+word)
	}
	recipe = strings.NewReplacer(
		"create private", "create "+name, "--network private", "--network "+name, "-v store:", "-v "+name+":",
		" etagfs serve", " "+os.Getenv(imageVariable)+" serve", " etagfs mount", " "+os.Getenv(imageVariable)+" mount",
		"exec host", "exec "+name+"-host",
	).Replace(recipe)
	t.Cleanup(func() {
		must(t, exec.Command("sh", "-c", "docker rm -f -v "+name+"-host "+name+"-server; docker network rm "+name+"; docker volume rm "+name))
	})
	before, health, ok := strings.Cut(recipe, "docker exec")
	if !ok {
		t.Fatalf("the recipe asks for no health:\n%s", recipe)
	}
	must(t, exec.Command("sh", "-ec", before))
	late := time.NewTimer(readyTime)
	defer late.Stop()
	for {
		out, err := exec.Command("sh", "-ec", "docker exec"+health).CombinedOutput()
		if err == nil {
			break
		}
		select {
		case <-time.After(readyInterval):
		case <-late.C:
			t.Fatalf("%v: %s", err, out)
		}
	}
	w := handsOf(t, exec.Command("docker", "exec", "-i", "-e", roleVariable+"=hands", name+"-host", "/containers.test"))
	w.put("/mnt/f", "hello")
	w.expect("/mnt/f", "hello")
}

// readRecipe is the lines of the README that are to be typed, without those that build.
func readRecipe(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "## Use etagfs in your own container tests\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var lines []string
	for line := range strings.Lines(section) {
		if code, ok := strings.CutPrefix(line, "    "); ok && !strings.Contains(code, " build ") {
			lines = append(lines, code)
		}
	}
	if len(lines) == 0 {
		t.Fatal("there is no recipe")
	}
	return strings.Join(lines, "")
}
