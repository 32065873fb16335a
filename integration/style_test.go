package integration

import (
	"fmt"
	"go/ast"
	"go/token"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The hard stops. Most functions have about ten lines and most files about 150.
const (
	functionLinesMax = 70
	fileLinesMax     = 600
)

// promises is the number of the last promise, C1 to C11.
const promises = 11

func readText(t *testing.T, name string) string {
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// rule finds what is wrong with the source, as "path:line: what".
type rule struct {
	name string
	find func(s sources) []string
	// bad is a file that breaks the rule, to show that the rule can fail.
	badPath string
	bad     string
}

func rules() []rule {
	long := "package p\n\nfunc f() {\n" + strings.Repeat("\tf()\n", functionLinesMax) + "}\n"
	return []rule{
		{"functions have at most 70 lines", longFunctions, "p/p.go", long},
		{"files have at most 600 lines", longFiles, "p/p.go", "package p\n" + strings.Repeat("\n", fileLinesMax)},
		{"nothing is left to do", leftovers, "p/p.go", "package p\n\n// TO" + "DO: more\n"},
		{"every package says what it is, once", packageComments, "p/p.go", "package p\n"},
		{"every exported identifier is documented", undocumented, "p/p.go", "package p\n\ntype T int\n"},
		{"errors are told apart by kind, not by text", errorText, "p/p.go",
			"package p\n\nfunc f(err error) bool { return strings.Contains(err.Error(), \"not found\") }\n"},
		{"packages have no state and no init", packageState, "p/p.go", "package p\n\nvar calls int\n"},
		{"nothing sleeps", sleeps, "p/p_test.go", "package p\n\nfunc f() { time.Sleep(1) }\n"},
		{"who skips a test says what it needs", vagueSkips, "p/p_test.go", "package p\n\nfunc f() { t.Skip(\"not today\") }\n"},
		{"nothing is called manager, helper or util", vagueNames, "p/p.go", "package p\n\ntype nodeManager struct{}\n"},
	}
}

func TestStyle(t *testing.T) {
	s := readSources(t)
	for _, r := range rules() {
		t.Run(r.name, func(t *testing.T) {
			for _, finding := range r.find(s) {
				t.Error(finding)
			}
		})
	}
}

func TestStyleRulesCanFail(t *testing.T) {
	for _, r := range rules() {
		t.Run(r.name, func(t *testing.T) {
			s := sources{fset: token.NewFileSet()}
			s.addText(t, r.badPath, r.bad)
			if len(r.find(s)) != 1 {
				t.Errorf("found %q in\n%s", r.find(s), r.bad)
			}
		})
	}
}

// Each promise is named by the name or the comment of at least one test.
func TestEveryPromiseHasATest(t *testing.T) {
	id := regexp.MustCompile(`C(\d+)`)
	named := make(map[string]bool)
	for _, f := range readSources(t).files {
		if !f.test() {
			continue
		}
		for _, d := range f.syntax.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || !strings.HasPrefix(fn.Name.Name, "Test") {
				continue
			}
			for _, m := range id.FindAllStringSubmatch(fn.Name.Name+" "+fn.Doc.Text(), -1) {
				named[m[1]] = true
			}
		}
	}
	for n := 1; n <= promises; n++ {
		if !named[strconv.Itoa(n)] {
			t.Errorf("no test names promise C%d", n)
		}
	}
}

func longFunctions(s sources) (found []string) {
	for _, f := range s.files {
		for _, d := range f.syntax.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			if lines := s.codeLines(f, fn); lines > functionLinesMax {
				found = append(found, fmt.Sprintf("%s:%d: %s has %d lines", f.path, s.line(fn.Pos()), fn.Name.Name, lines))
			}
		}
	}
	return found
}

// codeLines is the length of fn. The rows of a test's table do not count.
func (s sources) codeLines(f sourceFile, fn *ast.FuncDecl) int {
	span := func(n ast.Node) int { return s.line(n.End()) - s.line(n.Pos()) }
	lines := span(fn) + 1
	ast.Inspect(fn, func(n ast.Node) bool {
		table, ok := n.(*ast.CompositeLit)
		if ok && f.test() {
			lines -= span(table)
		}
		return !ok
	})
	return lines
}

func longFiles(s sources) (found []string) {
	for _, f := range s.files {
		if lines := strings.Count(f.text, "\n"); lines > fileLinesMax {
			found = append(found, fmt.Sprintf("%s: has %d lines", f.path, lines))
		}
	}
	return found
}

func leftovers(s sources) (found []string) {
	mark := regexp.MustCompile(`\b(TODO|FIXME|XXX|HACK)\b`)
	for _, f := range s.files {
		for _, group := range f.syntax.Comments {
			if m := mark.FindString(group.Text()); m != "" {
				found = append(found, fmt.Sprintf("%s:%d: says %s", f.path, s.line(group.Pos()), m))
			}
		}
	}
	return found
}

func packageComments(s sources) (found []string) {
	for dir, files := range s.packageFiles() {
		comments := 0
		for _, f := range files {
			if f.syntax.Doc != nil {
				comments++
			}
		}
		if comments != 1 {
			found = append(found, fmt.Sprintf("%s: %d package comments", dir, comments))
		}
	}
	return found
}

func undocumented(s sources) (found []string) {
	for _, f := range s.files {
		if f.test() || f.syntax.Name.Name == "main" {
			continue
		}
		for _, d := range f.syntax.Decls {
			for _, name := range undocumentedIn(d) {
				found = append(found, fmt.Sprintf("%s:%d: %s", f.path, s.line(d.Pos()), name))
			}
		}
	}
	return found
}

// undocumentedIn lists the exported names d declares without a comment on them
// or on their group. Methods of unexported types are nobody's to read.
func undocumentedIn(d ast.Decl) (names []string) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Name.IsExported() && d.Doc == nil && ast.IsExported(receiver(d)) {
			names = append(names, d.Name.Name)
		}
	case *ast.GenDecl:
		if d.Doc != nil {
			return nil
		}
		for _, spec := range d.Specs {
			names = append(names, undocumentedSpec(spec)...)
		}
	}
	return names
}

func undocumentedSpec(spec ast.Spec) (names []string) {
	switch spec := spec.(type) {
	case *ast.TypeSpec:
		if spec.Doc == nil && spec.Name.IsExported() {
			names = append(names, spec.Name.Name)
		}
	case *ast.ValueSpec:
		for _, name := range spec.Names {
			if spec.Doc == nil && spec.Comment == nil && name.IsExported() {
				names = append(names, name.Name)
			}
		}
	}
	return names
}

// receiver is the name of the type fn is a method of, or fn's own.
func receiver(fn *ast.FuncDecl) string {
	if fn.Recv == nil {
		return fn.Name.Name
	}
	name := ""
	ast.Inspect(fn.Recv.List[0].Type, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok && name == "" {
			name = id.Name
		}
		return true
	})
	return name
}

// errorText finds the text of an error compared or searched. Tests may: what
// a person reads is a promise too.
func errorText(s sources) (found []string) {
	for _, f := range s.files {
		if f.forTests() {
			continue
		}
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			if searchesErrorText(n) {
				found = append(found, fmt.Sprintf("%s:%d: looks into the text of an error", f.path, s.line(n.Pos())))
			}
			return true
		})
	}
	return found
}

func searchesErrorText(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.BinaryExpr:
		return (n.Op == token.EQL || n.Op == token.NEQ) && (isErrorCall(n.X) || isErrorCall(n.Y))
	case *ast.SwitchStmt:
		return n.Tag != nil && isErrorCall(n.Tag)
	case *ast.CallExpr:
		fun, ok := n.Fun.(*ast.SelectorExpr)
		searching := []string{"Contains", "HasPrefix", "HasSuffix", "EqualFold", "Index", "MatchString", "Cut", "Split"}
		return ok && slices.Contains(searching, fun.Sel.Name) && slices.ContainsFunc(n.Args, isErrorCall)
	}
	return false
}

func isErrorCall(e ast.Expr) bool {
	call, ok := e.(*ast.CallExpr)
	if !ok || len(call.Args) != 0 {
		return false
	}
	fun, ok := call.Fun.(*ast.SelectorExpr)
	return ok && fun.Sel.Name == "Error"
}

func sleeps(s sources) (found []string) {
	for _, f := range s.files {
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok || sel.Sel.Name != "Sleep" {
				return true
			}
			if x, ok := sel.X.(*ast.Ident); ok && x.Name == "time" {
				found = append(found, fmt.Sprintf("%s:%d: time.Sleep: wait for what happens instead", f.path, s.line(n.Pos())))
			}
			return true
		})
	}
	return found
}

// vagueSkips finds tests that are skipped for a reason that is none to testreport: each is a failure when it comes to that.
func vagueSkips(s sources) (found []string) {
	reason := regexp.MustCompile("^[\"`](needs \\S|long: |pending: )")
	for _, f := range s.files {
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) == 0 {
				return true
			}
			fun, isMethod := call.Fun.(*ast.SelectorExpr)
			text, isText := call.Args[0].(*ast.BasicLit)
			if isMethod && isText && (fun.Sel.Name == "Skip" || fun.Sel.Name == "Skipf") && !reason.MatchString(text.Value) {
				found = append(found, fmt.Sprintf("%s:%d: skips for %s: say what it needs", f.path, s.line(n.Pos()), text.Value))
			}
			return true
		})
	}
	return found
}

func vagueNames(s sources) (found []string) {
	vague := regexp.MustCompile(`(?i)(manager|helper|utils?)$`)
	for _, f := range s.files {
		if vague.MatchString(f.syntax.Name.Name) {
			found = append(found, fmt.Sprintf("%s: package %s", f.path, f.syntax.Name.Name))
		}
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			if spec, ok := n.(*ast.TypeSpec); ok && vague.MatchString(spec.Name.Name) {
				found = append(found, fmt.Sprintf("%s:%d: type %s", f.path, s.line(n.Pos()), spec.Name.Name))
			}
			return true
		})
	}
	return found
}
