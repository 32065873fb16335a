package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// module is a small module whose tests end in every way a test can end.
var module = map[string]string{
	"go.mod":                "module example.test\n\ngo 1.26\n",
	"fine/fine_test.go":     "package fine\n\nimport \"testing\"\n\nfunc TestOne(t *testing.T) {}\n\nfunc TestTwo(t *testing.T) {\n\tt.Run(\"a\", func(t *testing.T) {})\n\tt.Run(\"b\", func(t *testing.T) { t.Cleanup(func() { t.Log(\"the end\") }); t.Skip(\"needs fuse: no /dev/fuse\") })\n\tt.Run(\"c\", func(t *testing.T) { t.Skip(\"long: run with ETAGFS_LONG=1\") })\n}\n",
	"wrong/wrong_test.go":   "package wrong\n\nimport \"testing\"\n\nfunc TestParent(t *testing.T) {\n\tt.Run(\"child\", func(t *testing.T) { t.Error(\"broken here\") })\n}\n\nfunc TestParentItself(t *testing.T) {\n\tt.Run(\"child\", func(t *testing.T) {})\n\tt.Error(\"after the child\")\n}\n\nfunc TestSilent(t *testing.T) { t.SkipNow() }\n\nfunc TestVague(t *testing.T) { t.Skip(\"not today\") }\n",
	"builds/builds_test.go": "package builds\n\nfunc TestX(t *testing.T) {}\n",
	"panics/panics_test.go": "package panics\n\nimport \"testing\"\n\nfunc TestFine(t *testing.T) {}\n\nfunc TestPanics(t *testing.T) { panic(\"oh\") }\n",
	"exits/exits_test.go":   "package exits\n\nimport (\n\t\"os\"\n\t\"testing\"\n)\n\nfunc TestMain(m *testing.M) {\n\tm.Run()\n\tos.Exit(3)\n}\n\nfunc TestFine(t *testing.T) {}\n",
	"hangs/hangs_test.go":   "package hangs\n\nimport \"testing\"\n\nfunc TestHangs(t *testing.T) { select {} }\n\nfunc TestNeverRuns(t *testing.T) {}\n",
	"empty/empty.go":        "package empty\n",
	"chance/chance_test.go": chances,
}

// chances are tests that fail the first time they are run.
const chances = `package chance

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func once(t *testing.T) bool {
	path := filepath.Join(os.Getenv("CHANCE_DIR"), strings.ReplaceAll(t.Name(), "/", "-"))
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL, 0o666)
	f.Close()
	return err == nil
}

func TestAlone(t *testing.T) {
	t.Run("a (b)", func(t *testing.T) {
		if once(t) {
			t.Error("by chance")
		}
	})
}

// C3, C5: a promise.
func TestPromise(t *testing.T) {
	if once(t) {
		t.Error("broken")
	}
}

func TestRandom(t *testing.T) {
	if once(t) {
		t.Error("wrong; run again with SEED=1")
	}
}

func TestAlways(t *testing.T) { t.Error("always") }
`

func enterModule(t *testing.T) {
	dir := t.TempDir()
	for path, text := range module {
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
}

func TestReportCountsEveryEnd(t *testing.T) {
	enterModule(t)
	cases := []struct {
		args, require string
		closing       string
		said          []string
	}{
		{"./fine", "", "2 passed, 0 failed, 2 skipped", []string{"skipped: needs fuse: no /dev/fuse\n    example.test/fine TestTwo/b"}},
		{"./fine", "root,fuse", "2 passed, 1 failed, 1 skipped", []string{"TestTwo/b: skipped, but ETAGFS_REQUIRE demands it"}},
		{"./wrong", "", "1 passed, 4 failed, 0 skipped", []string{"broken here", "after the child", "TestSilent: skipped without saying why", "TestVague: skipped for a reason that is neither"}},
		{"./builds", "", "0 passed, 1 failed, 0 skipped", []string{"undefined: testing", "example.test/builds: does not build"}},
		{"./panics", "", "1 passed, 1 failed, 0 skipped", []string{"panic: oh", "example.test/panics TestPanics"}},
		{"./exits", "", "1 passed, 1 failed, 0 skipped", []string{"example.test/exits: failed outside its tests"}},
		{"-timeout=100ms ./hangs", "", "0 passed, 1 failed, 0 skipped", []string{"example.test/hangs TestHangs"}},
		{"./empty", "", "0 passed, 0 failed, 0 skipped", nil},
		{"-nonsense ./fine", "", "0 passed, 1 failed, 0 skipped", []string{"does not build"}},
		{"./fine ./nowhere", "", "2 passed, 1 failed, 2 skipped", nil},
	}
	for _, c := range cases {
		t.Run(strings.ReplaceAll(c.args+" "+c.require, "/", ""), func(t *testing.T) {
			var out strings.Builder
			r := newReport(&out, strings.Split(c.require, ","))
			if err := runGoTest(context.Background(), strings.Fields(c.args), r); err != nil {
				r.brokenRun(c.args, err)
			}
			failed := r.finish()
			if !strings.HasSuffix(out.String(), "\n"+c.closing+"\n") {
				t.Errorf("closing line is not %q", c.closing)
			}
			if (failed > 0) == strings.Contains(c.closing, " 0 failed") {
				t.Errorf("finish returned %d", failed)
			}
			for _, text := range c.said {
				if !strings.Contains(out.String(), text) {
					t.Errorf("does not say %q", text)
				}
			}
			if t.Failed() {
				t.Logf("the report:\n%s", out.String())
			}
		})
	}
}

// A go test that dies leaves a stream that just ends.
func TestReportFailsWhatTheStreamLeavesOpen(t *testing.T) {
	var out strings.Builder
	r := newReport(&out, nil)
	err := r.read(strings.NewReader(`{"Action":"start","Package":"p"}
{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestA","Output":"hello\n"}
`))
	if err != nil {
		t.Fatal(err)
	}
	if r.finish() != 1 || !strings.Contains(out.String(), "p TestA: did not end") {
		t.Errorf("the report:\n%s", out.String())
	}
}

func TestFailuresAreTriedAgainUnlessTheyGuardAPromise(t *testing.T) {
	enterModule(t)
	cases := []struct {
		run, closing string
		said         string
	}{
		{"TestAlone", "1 passed, 0 failed, 0 skipped", "when run again alone"},
		{"TestPromise", "0 passed, 1 failed, 0 skipped", "failed:\n    example.test/chance TestPromise"},
		{"TestRandom", "0 passed, 1 failed, 0 skipped", "failed:\n    example.test/chance TestRandom"},
		{"TestAlways", "0 passed, 1 failed, 0 skipped", "trying again: go test -count=2"},
		{"Test(Alone|Always)", "1 passed, 1 failed, 0 skipped", "failed:\n    example.test/chance TestAlways"},
		{"Test.*", "0 passed, 4 failed, 0 skipped", "failed:\n    example.test/chance TestAlone/a_(b)"},
	}
	for _, c := range cases {
		t.Run(c.run, func(t *testing.T) {
			t.Setenv("CHANCE_DIR", t.TempDir())
			var out strings.Builder
			r := newReport(&out, nil)
			args := []string{"-run=^" + c.run + "$", "./chance"}
			if err := runGoTest(context.Background(), args, r); err != nil {
				t.Fatal(err)
			}
			r.tryAgain(context.Background())
			r.finish()
			if !strings.HasSuffix(out.String(), "\n"+c.closing+"\n") || !strings.Contains(out.String(), c.said) {
				t.Errorf("the report does not say %q and %q:\n%s", c.said, c.closing, out.String())
			}
		})
	}
}
