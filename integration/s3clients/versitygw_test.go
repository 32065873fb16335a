package s3clients_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/etagfs/etagfs/integration/internal/foreign"
	"github.com/etagfs/etagfs/integration/mounttest"
)

// versitygwTime is how long one of its tests may take.
const versitygwTime = time.Minute

// versitygwGroups are the tests of versitygw that are about the protocol, not about versitygw.
func versitygwGroups() *regexp.Regexp {
	return regexp.MustCompile(`^(PutObject|GetObject|HeadObject|CompleteMultipartUpload|UnsignedStreamingPayloadTrailer|Authentication|PresignedAuth)_|^ListObjects|^SignedStreamingPayload`)
}

// versitygw's own integration tests, one process each, as one that fails leaves its bucket behind.
func TestVersitygwSuite(t *testing.T) {
	mounttest.Need(t, "binary")
	program := goProgram(t, foreign.Versitygw)
	s := serve(t, "--region", region)
	failures := make(map[string]string)
	for _, name := range versitygwTests(t, program) {
		if failures[name] = runVersitygw(t, program, s, name); failures[name] != "" {
			s.clear()
		}
	}
	if len(failures) < 200 {
		t.Errorf("only %d tests", len(failures))
	}
	judge(t, failures, known(t, filepath.Join("testdata", "versitygw.txt")))
}

// versitygwTests is the names of the groups' tests, as the program lists them.
func versitygwTests(t *testing.T, program string) (names []string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), program, "test", "--help").Output()
	if err != nil {
		t.Fatal(err)
	}
	groups := versitygwGroups()
	for _, line := range strings.Split(string(out), "\n") {
		if name, _, _ := strings.Cut(strings.TrimSpace(line), " "); groups.MatchString(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// runVersitygw runs one test and returns what went wrong, empty if nothing did.
func runVersitygw(t *testing.T, program string, s *server, name string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), versitygwTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, "test", "--access", accessKey, "--secret", secretKey, "--endpoint", s.URL, name)
	cmd.Dir = filepath.Dir(program) // some tests start it again from where they are
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "AWS_") })
	out, err := cmd.CombinedOutput()
	var failed *exec.ExitError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &failed):
		return failureOf(string(out))
	default:
		return err.Error()
	}
}

// failureOf is the line of a suite's output that tells what failed.
func failureOf(out string) string {
	out = regexp.MustCompile(`\x1b\[[0-9;]*m`).ReplaceAllString(out, "")
	for _, line := range strings.Split(out, "\n") {
		if text, ok := strings.CutPrefix(line, "FAIL "); ok {
			return strings.TrimSpace(text)
		}
	}
	return "failed: " + strings.TrimSpace(tail(out, 5))
}
