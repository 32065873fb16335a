package integration

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"strings"
)

// packageState finds init functions and package variables other than
//
//   - blank ones (static assertions) and embedded files,
//   - errors (by their name, errSomething), and checksum tables made by crc32.MakeTable,
//   - tables: array, slice and map literals that no code assigns to.
//
// What only tests run is free to have flags and the like, but no init. One that keeps the main thread is none.
func packageState(s sources) (found []string) {
	assigned := assignedNames(s)
	for _, f := range s.files {
		for _, d := range f.syntax.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Name.Name == "init" && d.Recv == nil && !keepsMainThread(d) {
					found = append(found, fmt.Sprintf("%s:%d: init", f.path, s.line(d.Pos())))
				}
			case *ast.GenDecl:
				if d.Tok != token.VAR || f.forTests() || embeds(d) {
					continue
				}
				for _, name := range stateIn(d, f.dir(), assigned) {
					found = append(found, fmt.Sprintf("%s:%d: variable %s", f.path, s.line(d.Pos()), name))
				}
			}
		}
	}
	return found
}

// keepsMainThread reports whether all a function does is to keep its goroutine on its thread: a program that needs its main thread has no
// other place to do so.
func keepsMainThread(d *ast.FuncDecl) bool {
	if len(d.Body.List) != 1 {
		return false
	}
	statement, ok := d.Body.List[0].(*ast.ExprStmt)
	if !ok {
		return false
	}
	call, ok := statement.X.(*ast.CallExpr)
	return ok && types.ExprString(call.Fun) == "runtime.LockOSThread"
}

func embeds(d *ast.GenDecl) bool {
	if d.Doc == nil {
		return false
	}
	for _, c := range d.Doc.List { // Doc.Text leaves directives out
		if strings.HasPrefix(c.Text, "//go:embed ") {
			return true
		}
	}
	return false
}

// stateIn lists the variables of d that are state.
func stateIn(d *ast.GenDecl, dir string, assigned map[string]bool) (names []string) {
	for _, spec := range d.Specs {
		values := spec.(*ast.ValueSpec)
		for i, name := range values.Names {
			isError := strings.HasPrefix(strings.ToLower(name.Name), "err")
			constant := i < len(values.Values) && (isError || constantLike(values.Values[i])) && !assigned[dir+"."+name.Name]
			if name.Name != "_" && !constant {
				names = append(names, name.Name)
			}
		}
	}
	return names
}

func constantLike(value ast.Expr) bool {
	switch value := value.(type) {
	case *ast.CompositeLit:
		switch value.Type.(type) {
		case *ast.ArrayType, *ast.MapType:
			return true
		}
	case *ast.CallExpr:
		fun, ok := value.Fun.(*ast.SelectorExpr)
		if !ok {
			return false
		}
		pkg, ok := fun.X.(*ast.Ident)
		return ok && pkg.Name+"."+fun.Sel.Name == "crc32.MakeTable"
	}
	return false
}

// assignedNames are the names, by directory, that stand alone, indexed or
// addressed where something is assigned. Locals of the same name count too:
// a table should have a name of its own.
func assignedNames(s sources) map[string]bool {
	assigned := make(map[string]bool)
	mark := func(dir string, e ast.Expr) {
		for {
			switch x := e.(type) {
			case *ast.IndexExpr:
				e = x.X
				continue
			case *ast.Ident:
				assigned[dir+"."+x.Name] = true
			}
			return
		}
	}
	for _, f := range s.files {
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.AssignStmt:
				for _, left := range n.Lhs {
					if n.Tok != token.DEFINE {
						mark(f.dir(), left)
					}
				}
			case *ast.IncDecStmt:
				mark(f.dir(), n.X)
			case *ast.UnaryExpr:
				if n.Op == token.AND {
					mark(f.dir(), n.X)
				}
			}
			return true
		})
	}
	return assigned
}
