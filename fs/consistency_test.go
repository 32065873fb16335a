package fs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Every test CONSISTENCY.md names exists, and every promise has one.
func TestConsistencyDocumentNamesTests(t *testing.T) {
	document, err := os.ReadFile("CONSISTENCY.md")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	var source strings.Builder
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		source.Write(text)
	}
	promises := 0
	name := regexp.MustCompile(`^[A-Z]\w+$`)
	for line := range strings.Lines(string(document)) {
		cells := strings.Split(line, "|")
		if len(cells) != 6 || !strings.HasPrefix(strings.TrimSpace(cells[1]), "C") {
			continue
		}
		promises++
		found := 0
		for _, test := range regexp.MustCompile(`[,;]\s*`).Split(strings.TrimSpace(cells[4]), -1) {
			if !name.MatchString(test) {
				continue
			}
			found++
			if !strings.Contains(source.String(), "func Test"+test+"(") {
				t.Errorf("%s names the test %s, which there is not", strings.TrimSpace(cells[1]), test)
			}
		}
		if found == 0 {
			t.Errorf("%s names no test", strings.TrimSpace(cells[1]))
		}
	}
	if promises != 11 {
		t.Errorf("%d promises, want 11", promises)
	}
}
