package packaging

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/etagfs/etagfs/integration/mounttest"
)

// checked begins the blocks of a document that a test runs, one after the other in one directory.
const checked = "```sh checked\n"

// documents are all of them, from the top of the tree.
func documents(t *testing.T) (found []string) {
	t.Helper()
	err := filepath.WalkDir(top, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
		case entry.IsDir() && slices.Contains([]string{top + "/bin", top + "/data", top + "/mnt"}, path):
			return filepath.SkipDir
		case filepath.Ext(path) == ".md":
			found = append(found, strings.TrimPrefix(path, top+"/"))
		}
		return err
	})
	if err != nil || len(found) < 5 {
		t.Fatalf("found %q, %v", found, err)
	}
	return found
}

// blocks are the commands of a document that are run.
func blocks(t *testing.T, document string) (found []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(top, document))
	if err != nil {
		t.Fatal(err)
	}
	for _, rest := range strings.Split(string(text), "\n"+checked)[1:] {
		block, _, ended := strings.Cut(rest, "\n```")
		if !ended {
			t.Fatalf("%s: a block does not end", document)
		}
		found = append(found, block)
	}
	return found
}

// script is what a person would type, in a shell that ends at the first failure. A command with the comment "# prints TEXT" must
// print that; one with "# fails" must.
func script(blocks []string) string {
	var text strings.Builder
	text.WriteString("set -eu\nmake() { command make --no-print-directory -o build \"$@\"; }\n")
	for line := range strings.Lines(strings.Join(blocks, "\n") + "\n") {
		line = strings.TrimSuffix(line, "\n")
		command, prints, says := strings.Cut(line, "# prints ")
		failing, _, fails := strings.Cut(line, "# fails")
		switch {
		case says:
			fmt.Fprintf(&text, "said=$(%s)\ncase $said in *%s*) ;; *) echo \"%s: $said\"; exit 1 ;; esac\n",
				command, quoted(prints), strings.NewReplacer(`"`, "'", "$", "", "`", "'").Replace(line))
		case fails:
			fmt.Fprintf(&text, "if %s; then exit 1; fi\n", strings.TrimSpace(failing))
		default:
			text.WriteString(line + "\n")
		}
	}
	return text.String()
}

func quoted(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// The commands of the documents do what the documents say, from the first to the last.
func TestCommandsInDocumentsWork(t *testing.T) {
	mounttest.Need(t, "fuse", "root", "binary", "make", "python3")
	least := map[string]int{"README.md": 6, "cmd/etagfs/OPERATIONS.md": 1}
	for _, document := range documents(t) {
		found := blocks(t, document)
		if len(found) < least[document] {
			t.Fatalf("%s: only %d blocks are run", document, len(found))
		}
		if len(found) == 0 {
			continue
		}
		t.Run(document, func(t *testing.T) {
			dir := tree(t)
			if out, err := typed(dir, script(found)); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
			nothingIsLeftMounted(t, dir)
		})
	}
}

// Who mounts with make is told commands that work: what to do next, and how to unmount.
func TestMakeMountSaysHowToGoOn(t *testing.T) {
	mounttest.Need(t, "fuse", "root", "binary", "make")
	told := regexp.MustCompile("(?m)^(?:  |Unmount with: )(.*)$")
	for store, arguments := range map[string]string{"data": "", "elsewhere": " STORE=./elsewhere MNT=./files"} {
		dir := tree(t)
		said, err := typed(dir, script([]string{"make mount" + arguments}))
		if err != nil {
			t.Fatalf("%v\n%s", err, said)
		}
		commands := told.FindAllSubmatch(said, -1)
		if len(commands) != 3 {
			t.Errorf("it says %d commands:\n%s", len(commands), said)
		}
		var all []string
		for _, command := range commands {
			all = append(all, string(command[1]))
		}
		out, err := typed(dir, script(append(all, "./bin/etagfs cat "+store+" greeting # prints hello")))
		if err != nil || !bytes.Contains(out, []byte("greeting")) {
			t.Errorf("%q: %v\n%s", all, err, out)
		}
		nothingIsLeftMounted(t, dir)
	}
}

// tree is a directory with what a person who has built the program would type commands in.
func tree(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	link(t, filepath.Join(dir, "bin", "etagfs"), mounttest.Binary())
	makefile, err := filepath.Abs(filepath.Join(top, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	link(t, filepath.Join(dir, "Makefile"), makefile)
	return dir
}

// typed is what a script in dir prints.
func typed(dir, script string) ([]byte, error) {
	cmd := exec.Command("sh", "-c", script)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "HOME="+dir, "MAKEFLAGS=", "XDG_CACHE_HOME="+dir+"/cache")
	return cmd.CombinedOutput()
}

func nothingIsLeftMounted(t *testing.T, dir string) {
	t.Helper()
	left, err := os.ReadFile("/proc/self/mounts")
	if err == nil && !bytes.Contains(left, []byte(" "+dir+"/")) {
		return
	}
	t.Errorf("something is left mounted (%v)", err)
	if out, err := exec.Command("sh", "-c", "umount -l "+dir+"/mnt* "+dir+"/files").CombinedOutput(); err != nil {
		t.Logf("%v: %s", err, out)
	}
}

func link(t *testing.T, name, target string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, name); err != nil {
		t.Fatal(err)
	}
}

// What a script is made of can fail.
func TestScriptOfADocumentNoticesWhatIsWrong(t *testing.T) {
	for block, good := range map[string]bool{
		"echo one two   # prints one": true,
		"echo two       # prints one": false,
		"false          # fails":      true,
		"true           # fails":      false,
		"false\ntrue":                 false,
		"true   # a remark":           true,
	} {
		if err := exec.Command("sh", "-c", script([]string{block})).Run(); (err == nil) != good {
			t.Errorf("%q: %v", block, err)
		}
	}
}

// Every text that the troubleshooting section explains is one the program says: each of its pieces, between what differs from case to
// case, stands in one string of the source.
func TestExplainedTextsAreInTheSource(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(top, "cmd/etagfs/OPERATIONS.md"))
	if err != nil {
		t.Fatal(err)
	}
	said := sourceStrings(t)
	explained := regexp.MustCompile("(?m)^### `([^`]+)`(?:, or .*)?$").FindAllStringSubmatch(string(text), -1)
	if len(explained) < 20 {
		t.Fatalf("only %d texts are explained", len(explained))
	}
	for _, heading := range explained {
		for piece := range strings.SplitSeq(heading[1], "…") {
			if piece != " " && !strings.Contains(said, piece) {
				t.Errorf("nothing says %q, of %q", piece, heading[1])
			}
		}
	}
	upgrading, err := os.ReadFile(filepath.Join(top, "cmd/etagfs/UPGRADING.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, quote := range []string{"another version of the protocol", "this program knows formats up to", "which this program does not know"} {
		if !bytes.Contains(upgrading, []byte(quote)) || !strings.Contains(said, quote) {
			t.Errorf("%q is not both said and explained", quote)
		}
	}
}

// sourceStrings are the strings in the program's source, a line each; those that are added up are one.
func sourceStrings(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(top, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && (entry.Name() == "integration" || entry.Name() == "bin" || path != top && strings.HasPrefix(entry.Name(), ".")) {
			return filepath.SkipDir
		}
		if filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if e, ok := n.(ast.Expr); ok {
				if text, ok := constant(e); ok {
					all.WriteString(text + "\n")
					return false
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}

// constant is the value of a string, or of a sum of strings.
func constant(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		text, err := strconv.Unquote(e.Value)
		return text, err == nil && e.Kind == token.STRING
	case *ast.BinaryExpr:
		left, okLeft := constant(e.X)
		right, okRight := constant(e.Y)
		return left + right, okLeft && okRight && e.Op == token.ADD
	}
	return "", false
}

// Every link of a document to a file of the tree leads somewhere.
func TestLinksInDocumentsLeadSomewhere(t *testing.T) { linksLead(t, top, documents(t)) }

// linksLead fails the test if a link in one of the documents below dir leads to no file.
func linksLead(t *testing.T, dir string, documents []string) {
	t.Helper()
	links := 0
	target := regexp.MustCompile(`\]\(([^)#]+)(#[^)]*)?\)`)
	for _, document := range documents {
		text, err := os.ReadFile(filepath.Join(dir, document))
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range target.FindAllSubmatch(text, -1) {
			name := string(match[1])
			if strings.Contains(name, "://") {
				continue
			}
			links++
			if _, err := os.Stat(filepath.Join(dir, filepath.Dir(document), name)); err != nil {
				t.Errorf("%s: %v", document, err)
			}
		}
	}
	if links < 20 {
		t.Errorf("only %d links were looked at", links)
	}
}
