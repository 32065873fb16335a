package s3clients_test

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

// known is what a suite finds wrong that is right, by the name of its test, with the reason.
func known(t *testing.T, file string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	reasons := make(map[string]string)
	for n, line := range strings.Split(string(text), "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, reason, _ := strings.Cut(line, " ")
		if reasons[name] != "" || strings.TrimSpace(reason) == "" {
			t.Fatalf("%s:%d: a test has one line and a reason: %q", file, n+1, line)
		}
		reasons[name] = strings.TrimSpace(reason)
	}
	return reasons
}

// judge compares what a suite said of each of its tests, empty for a success, with what is known.
func judge(t *testing.T, failures, reasons map[string]string) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(failures)) {
		switch failed, expected := failures[name] != "", reasons[name] != ""; {
		case failed && !expected:
			t.Errorf("%s: %s", name, failures[name])
		case !failed && expected:
			t.Errorf("%s succeeds: its line can go", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(reasons)) {
		if _, ran := failures[name]; !ran {
			t.Errorf("%s has a line and was not run", name)
		}
	}
	t.Logf("%d tests, %d of them known to differ", len(failures), len(reasons))
}
