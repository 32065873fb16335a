package main

import (
	"context"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

const (
	// againMax is how many tests that failed may have been chance: of more, something is broken.
	againMax = 2
	// againCount is how often one of them has to pass.
	againCount = "2"
	// againTime bounds that, builds included.
	againTime = "3m"
)

// chance decides which failures may be the machine's or a foreign program's, and so are tried again.
//
// A broken promise that shows once in a thousand runs is a broken promise. So nothing is tried again that guards one: a
// test whose comment names a promise (C1 to C11), one that ran with a seed, a data race, a panic, and what did not end.
type chance struct {
	promise *regexp.Regexp // in the comment of a test
	grave   *regexp.Regexp // in the output of a test
}

func newChance() chance {
	return chance{
		promise: regexp.MustCompile(`\bC(1[01]|[1-9])\b`),
		grave:   regexp.MustCompile(`(?i)DATA RACE|panic:|seed|rerun|run again`),
	}
}

// allows reports whether v may be tried again.
func (c chance) allows(ctx context.Context, v verdict) bool {
	if v.name.test == "" || v.reason != "" || c.grave.MatchString(v.output) {
		return false
	}
	comment, found := commentOf(ctx, v.name)
	return found && !c.promise.MatchString(comment)
}

// commentOf is what is said above the function of a test, if that can be read.
func commentOf(ctx context.Context, n name) (comment string, found bool) {
	dir, err := exec.CommandContext(ctx, "go", "list", "-f", "{{.Dir}}", n.pkg).Output()
	if err != nil {
		return "", false
	}
	files, _ := filepath.Glob(filepath.Join(strings.TrimSpace(string(dir)), "*_test.go"))
	function, _, _ := strings.Cut(n.test, "/")
	for _, path := range files {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			continue
		}
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == function {
				return f.Doc.Text(), true
			}
		}
	}
	return "", false
}

// tryAgain runs the failures that may be chance again, each alone. Those that pass now are unsteady: they
// count as passed, and the report names them.
func (r *report) tryAgain(ctx context.Context) {
	if len(r.failed) > againMax {
		return
	}
	c := newChance()
	var left []verdict
	for _, v := range r.failed {
		if ctx.Err() != nil || !c.allows(ctx, v) || !passesAlone(ctx, r.out, v) {
			left = append(left, v)
			continue
		}
		r.unsteady = append(r.unsteady, v)
		r.passed++
	}
	r.failed = left
}

// passesAlone runs one test by itself and says so.
func passesAlone(ctx context.Context, out io.Writer, v verdict) bool {
	args := againArgs(v)
	fmt.Fprintf(out, "\ntrying again: go test %s\n", strings.Join(args, " "))
	said, err := exec.CommandContext(ctx, "go", append([]string{"test"}, args...)...).CombinedOutput()
	fmt.Fprintf(out, "%s", said)
	return err == nil && !strings.Contains(string(said), "[no tests to run]")
}

// againArgs is the command line that runs v alone: the flags of the one it failed in, but for what selects and repeats.
func againArgs(v verdict) []string {
	var args []string
	for _, arg := range v.args {
		flag, _, _ := strings.Cut(arg, "=")
		if strings.HasPrefix(flag, "-") && flag != "-run" && flag != "-count" && flag != "-timeout" {
			args = append(args, arg)
		}
	}
	parts := strings.Split(v.name.test, "/")
	for i, part := range parts {
		parts[i] = "^" + regexp.QuoteMeta(part) + "$"
	}
	return append(args, "-count="+againCount, "-timeout="+againTime, "-run="+strings.Join(parts, "/"), v.name.pkg)
}
