package main

import (
	"context"
	"fmt"
	"os"
	"strings"
)

const (
	rowGitAdd    = "git add"
	rowGitStatus = "git status"
	rowSQLite    = "SQLite commit"
	rowBuild     = "C build"
)

func repository() scenario {
	return scenario{
		name:  "repository",
		about: "the archive's tree of 2,000 files; git as it is configured; status after a pause of 1.3 s; time of the whole",
		begin: func(ctx context.Context, s *site) error {
			if err := s.makeArchive(); err != nil {
				return err
			}
			if err := program(ctx, "tar", "-xf", s.archive(), "-C", s.dir); err != nil {
				return err
			}
			return program(ctx, "git", "init", "-q", s.path("tree"))
		},
		steps: []step{
			{row: row{name: rowGitAdd}, setup: true, run: gitAdd},
			{row: row{name: rowGitStatus}, run: gitStatus},
		},
	}
}

func (s *site) git(ctx context.Context, args ...string) error {
	return program(ctx, "git", append([]string{"-C", s.path("tree")}, args...)...)
}

func gitAdd(ctx context.Context, s *site) (measurement, error) {
	return s.time(ctx, 1, func() error { return s.git(ctx, "add", "-A") })
}

// gitStatus times a status that finds its index up to date.
func gitStatus(ctx context.Context, s *site) (measurement, error) {
	before := func() error {
		if err := s.git(ctx, "status", "--porcelain"); err != nil {
			return err
		}
		return wait(ctx, s.sizes.pause)
	}
	return s.timeAfter(ctx, 1, before, func() error { return s.git(ctx, "status", "--porcelain") })
}

func programs() scenario {
	return scenario{
		name:  "programs",
		about: "sqlite3, one row for each transaction, rollback journal; cc -O0 of 40 files by make -j2, time of the whole",
		begin: func(_ context.Context, s *site) error { return s.writeSources() },
		steps: []step{
			{row: row{name: rowSQLite}, run: commitSQLite},
			{row: row{name: rowBuild}, run: build},
		},
	}
}

func commitSQLite(ctx context.Context, s *site) (measurement, error) {
	database := s.path("database")
	if err := program(ctx, "sqlite3", database, "create table t(a integer primary key, b text)"); err != nil {
		return measurement{}, err
	}
	const insert = "insert into t(b) values ('a row of ordinary length, with some text');\n"
	return s.time(ctx, s.sizes.commits, func() error {
		return program(ctx, "sqlite3", database, strings.Repeat(insert, s.sizes.commits))
	})
}

// writeSources makes a C program of several files.
func (s *site) writeSources() error {
	var objects, calls, declarations strings.Builder
	for i := range s.sizes.sources {
		fmt.Fprintf(&objects, " f%d.o", i)
		fmt.Fprintf(&declarations, "int f%d(int);\n", i)
		fmt.Fprintf(&calls, "\tn = f%d(n);\n", i)
		text := fmt.Sprintf("#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n#include \"all.h\"\nint f%d(int n) { char s[32]; sprintf(s, \"%%d\", n); return atoi(s) + (int)strlen(s); }\n", i)
		if err := os.WriteFile(s.path(fmt.Sprintf("f%d.c", i)), []byte(text), 0o644); err != nil {
			return err
		}
	}
	for name, text := range map[string]string{
		"all.h":    declarations.String(),
		"main.c":   "#include <stdio.h>\n#include \"all.h\"\nint main(void) {\n\tint n = 0;\n" + calls.String() + "\tprintf(\"%d\\n\", n);\n\treturn 0;\n}\n",
		"Makefile": "all: main.o" + objects.String() + "\n\tcc -o program $^\n%.o: %.c all.h\n\tcc -O0 -c -o $@ $<\n",
	} {
		if err := os.WriteFile(s.path(name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func build(ctx context.Context, s *site) (measurement, error) {
	return s.time(ctx, 1, func() error { return program(ctx, "make", "-s", "-j2", "-C", s.dir) })
}
