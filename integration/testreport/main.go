// Command testreport runs go test and says what came out of it.
//
//	testreport 'GO TEST ARGUMENTS' ['GO TEST ARGUMENTS' ...]
//
// Each argument is one go test command line, run one after the other. The
// output of failing tests is printed as it ends, then every skip with its
// reason, then every failure by name; the last line is always
//
//	N passed, N failed, N skipped
//
// A test counts once: tests that have subtests are represented by them. A
// package that does not build, panics, or runs out of time counts as failed,
// and so does a skip that gives no reason of a known kind. Reasons begin with "needs X" (something
// the machine lacks), "long: " or "pending: ". "needs X" is a failure if X is in the
// comma-separated list ETAGFS_REQUIRE.
//
// If one or two tests fail, each is run again by itself, twice; if it passes, it is counted as passed and listed under a
// heading of its own, its first output above. Many tests run beside foreign programs and on machines that stand still at times.
// What guards a promise is never given a second chance (type chance).
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	report := newReport(os.Stdout, strings.Split(os.Getenv("ETAGFS_REQUIRE"), ","))
	for _, line := range os.Args[1:] {
		if err := runGoTest(ctx, strings.Fields(line), report); err != nil {
			report.brokenRun(line, err)
		}
	}
	report.tryAgain(ctx)
	stop()
	if failed := report.finish(); failed > 0 {
		os.Exit(1)
	}
}

// runGoTest feeds the events of one go test to report. A failure that the
// events do not tell of is returned.
func runGoTest(ctx context.Context, args []string, report *report) error {
	cmd := exec.CommandContext(ctx, "go", append([]string{"test", "-json"}, args...)...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.Stderr = os.Stderr
	events, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start go test: %w", err)
	}
	before := report.failures()
	report.args = args
	readErr := report.read(events)
	io.Copy(io.Discard, events) // the child must not block on a pipe nobody reads
	if err := cmd.Wait(); err != nil && report.failures() == before {
		return fmt.Errorf("go test: %w", err)
	}
	return readErr
}
