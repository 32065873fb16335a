package integration

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// sourceFile is one Go file of the project.
type sourceFile struct {
	path   string // from the top level
	text   string
	syntax *ast.File
}

func (f sourceFile) dir() string { return path.Dir(f.path) }
func (f sourceFile) test() bool  { return strings.HasSuffix(f.path, "_test.go") }

// forTests reports whether only tests run f.
func (f sourceFile) forTests() bool {
	return f.test() || within(f.path, "objstore/objstoretest") || within(f.path, "integration")
}

// sources is everything the style tests look at.
type sources struct {
	fset  *token.FileSet
	files []sourceFile
}

func readSources(t *testing.T) sources {
	s := sources{fset: token.NewFileSet()}
	err := filepath.WalkDir("..", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		top := filepath.Dir(name) == ".."
		if entry.IsDir() {
			if entry.Name() == "testdata" || top && (strings.HasPrefix(entry.Name(), ".git") || slices.Contains([]string{"bin", "data", "mnt"}, entry.Name())) {
				return filepath.SkipDir
			}
			return nil
		}
		if filepath.Ext(name) == ".go" {
			s.add(t, name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(s.files) < 10 {
		t.Fatalf("only %d Go files found", len(s.files))
	}
	return s
}

func (s *sources) add(t *testing.T, name string) {
	relative, err := filepath.Rel("..", name)
	if err != nil {
		t.Fatal(err)
	}
	s.addText(t, filepath.ToSlash(relative), readText(t, name))
}

func (s *sources) addText(t *testing.T, relative, text string) {
	syntax, err := parser.ParseFile(s.fset, relative, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	s.files = append(s.files, sourceFile{relative, text, syntax})
}

func (s sources) line(p token.Pos) int { return s.fset.Position(p).Line }

// packageFiles groups the files that are no tests by directory.
func (s sources) packageFiles() map[string][]sourceFile {
	packages := make(map[string][]sourceFile)
	for _, f := range s.files {
		if !f.test() {
			packages[f.dir()] = append(packages[f.dir()], f)
		}
	}
	return packages
}
