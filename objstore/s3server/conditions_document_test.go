package s3server

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Each row of the document names tests, and there are such tests.
func TestEveryConditionHasATest(t *testing.T) {
	text, err := os.ReadFile("CONDITIONS.md")
	if err != nil {
		t.Fatal(err)
	}
	exist := testNames(t, ".", "internal/*")
	row := regexp.MustCompile(`^\| ([0-9]\.[0-9]+[a-z]*) \|.*\|([^|]*)\|$`)
	rows := make(map[string]bool)
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| row") {
			continue
		}
		found := row.FindStringSubmatch(line)
		if found == nil {
			t.Errorf("no row: %s", line)
			continue
		}
		if rows[found[1]] {
			t.Errorf("%s is there twice", found[1])
		}
		rows[found[1]] = true
		for name := range strings.FieldsFuncSeq(found[2], func(r rune) bool { return strings.ContainsRune(" ,", r) }) {
			if !exist["Test"+name] {
				t.Errorf("%s: there is no Test%s", found[1], name)
			}
		}
		if strings.TrimSpace(found[2]) == "" {
			t.Errorf("%s has no test", found[1])
		}
	}
	if len(rows) < 80 {
		t.Errorf("only %d rows", len(rows))
	}
}

// testNames are the names of the tests in some directories.
func testNames(t *testing.T, dirs ...string) map[string]bool {
	t.Helper()
	names := make(map[string]bool)
	for _, dir := range dirs {
		files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range parsed.Decls {
				if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil {
					names[f.Name.Name] = true
				}
			}
		}
	}
	return names
}
