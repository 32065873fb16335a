package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
)

// event is one line of go test -json (go doc test2json).
type event struct {
	Action      string
	Package     string
	ImportPath  string // of build output
	Test        string
	Output      string
	Elapsed     float64
	FailedBuild string
}

// name identifies a test across packages. An empty test is the package itself.
type name struct{ pkg, test string }

func (n name) String() string {
	if n.test == "" {
		return n.pkg
	}
	return n.pkg + " " + n.test
}

// verdict is what became of a test that counts.
type verdict struct {
	name   name
	reason string   // of a skip or a failure that needs one
	output string   // of a failure
	args   []string // of the go test it failed in
}

// report collects what the events of any number of go test runs say.
type report struct {
	// Constant.
	out       io.Writer
	required  map[string]bool
	logLine   *regexp.Regexp
	reason    *regexp.Regexp
	needsWord *regexp.Regexp

	// Of the tests that have not ended; emptied as their package ends.
	output map[name][]string
	ended  map[name]string // action by which it ended; "" while it runs

	args []string // of the go test that is being read

	passed   int
	failed   []verdict
	unsteady []verdict // failed, and passed when they were run again; they are counted in passed
	skipped  []verdict
}

func newReport(out io.Writer, required []string) *report {
	r := &report{
		out:       out,
		required:  make(map[string]bool),
		logLine:   regexp.MustCompile(`^\s*\S+\.go:\d+: (.*)`),
		reason:    regexp.MustCompile(`^(needs \S|long: |pending: )`),
		needsWord: regexp.MustCompile(`^needs ([^\s:,]+)`),
		output:    make(map[name][]string),
		ended:     make(map[name]string),
	}
	for _, word := range required {
		r.required[strings.TrimSpace(word)] = true
	}
	return r
}

func (r *report) failures() int { return len(r.failed) }

// read takes in the events of one run to their end.
func (r *report) read(events io.Reader) error {
	lines := bufio.NewReader(events)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			r.line(line)
		}
		if errors.Is(err, io.EOF) {
			r.endUnfinished()
			return nil
		}
		if err != nil {
			return fmt.Errorf("read go test events: %w", err)
		}
	}
}

func (r *report) line(line []byte) {
	var e event
	if json.Unmarshal(line, &e) != nil {
		fmt.Fprintf(r.out, "%s", line) // not an event: the go command speaks
		return
	}
	n := name{e.Package, e.Test}
	switch e.Action {
	case "build-output":
		fmt.Fprint(r.out, e.Output)
	case "start", "run":
		r.ended[n] = ""
	case "output":
		r.output[n] = append(r.output[n], e.Output)
	case "pass", "fail", "skip":
		r.end(n, e)
	}
}

func (r *report) end(n name, e event) {
	r.ended[n] = e.Action
	if n.test != "" {
		return
	}
	r.endPackage(n.pkg, e)
}

// endPackage turns everything known about a package into verdicts.
func (r *report) endPackage(pkg string, e event) {
	before := r.failures()
	for _, n := range r.testsOf(pkg) {
		if r.counts(n) {
			r.judge(n)
		}
	}
	if e.Action == "fail" && r.failures() == before {
		r.fail(name{pkg: pkg}, packageFailure(e))
	}
	word := "ok  "
	if r.failures() > before {
		word = "FAIL"
	}
	if e.Action != "skip" { // a package without test files
		elapsed := time.Duration(e.Elapsed * float64(time.Second)).Round(time.Millisecond)
		fmt.Fprintf(r.out, "%s  %-55s %8s\n", word, pkg, elapsed)
	}
	for n := range r.ended {
		if n.pkg == pkg {
			delete(r.ended, n)
			delete(r.output, n)
		}
	}
}

func packageFailure(e event) string {
	if e.FailedBuild != "" {
		return "does not build"
	}
	return "failed outside its tests"
}

func (r *report) testsOf(pkg string) []name {
	var tests []name
	for n := range r.ended {
		if n.pkg == pkg && n.test != "" {
			tests = append(tests, n)
		}
	}
	slices.SortFunc(tests, func(a, b name) int { return strings.Compare(a.test, b.test) })
	return tests
}

// counts says whether n stands for itself: it has no subtests, or it failed
// and they did not.
func (r *report) counts(n name) bool {
	children, failedChildren := 0, 0
	for other, action := range r.ended {
		if other.pkg == n.pkg && strings.HasPrefix(other.test, n.test+"/") {
			children++
			if action == "fail" || action == "" {
				failedChildren++
			}
		}
	}
	return children == 0 || (r.ended[n] != "pass" && r.ended[n] != "skip" && failedChildren == 0)
}

func (r *report) judge(n name) {
	switch r.ended[n] {
	case "pass":
		r.passed++
	case "skip":
		r.skip(n, r.skipReason(n))
	case "fail":
		r.fail(n, "")
	default:
		r.fail(n, "did not end: panic or time limit")
	}
}

// skipReason is the first thing the test logged that has the form of a
// reason, or else the last thing it logged: some tests log more as they end.
func (r *report) skipReason(n name) string {
	last := ""
	for _, line := range r.output[n] {
		m := r.logLine.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		last = strings.TrimSpace(m[1])
		if r.reason.MatchString(last) {
			return last
		}
	}
	return last
}

func (r *report) skip(n name, reason string) {
	if reason == "" {
		r.fail(n, "skipped without saying why")
		return
	}
	if !r.reason.MatchString(reason) {
		r.fail(n, "skipped for a reason that is neither \"needs X\", \"long:\" nor \"pending:\": "+reason)
		return
	}
	if m := r.needsWord.FindStringSubmatch(reason); m != nil && r.required[m[1]] {
		r.fail(n, "skipped, but ETAGFS_REQUIRE demands it: "+reason)
		return
	}
	r.skipped = append(r.skipped, verdict{name: n, reason: reason})
}

func (r *report) fail(n name, reason string) {
	fmt.Fprintf(r.out, "--- FAIL: %s", n)
	if reason != "" {
		fmt.Fprintf(r.out, ": %s", reason)
	}
	fmt.Fprintln(r.out)
	for _, line := range r.output[n] {
		fmt.Fprint(r.out, "    ", line)
	}
	if n.test != "" && r.ended[n] == "" { // what killed it is in the package's output
		for _, line := range r.output[name{pkg: n.pkg}] {
			fmt.Fprint(r.out, "    ", line)
		}
	}
	r.failed = append(r.failed, verdict{n, reason, strings.Join(r.output[n], ""), r.args})
}

// endUnfinished fails what was still running when the events ended.
func (r *report) endUnfinished() {
	packages := make(map[string]bool)
	for n := range r.ended {
		packages[n.pkg] = true
	}
	for _, pkg := range slices.Sorted(maps.Keys(packages)) {
		r.endPackage(pkg, event{Action: "fail"})
	}
}

// brokenRun counts a go test that failed without naming a test.
func (r *report) brokenRun(args string, err error) {
	r.fail(name{pkg: "go test " + args}, err.Error())
}

// finish prints the explanations and the closing line, and returns the number of failures.
func (r *report) finish() int {
	byReason := make(map[string][]string)
	for _, v := range r.skipped {
		byReason[v.reason] = append(byReason[v.reason], v.name.String())
	}
	for _, reason := range slices.Sorted(maps.Keys(byReason)) {
		fmt.Fprintf(r.out, "\nskipped: %s\n", reason)
		for _, test := range byReason[reason] {
			fmt.Fprintf(r.out, "    %s\n", test)
		}
	}
	r.list("failed", r.failed)
	r.list("failed, and passed "+againCount+" times when run again alone (a defect of the test, or worse: see above)", r.unsteady)
	fmt.Fprintf(r.out, "\n%d passed, %d failed, %d skipped\n", r.passed, len(r.failed), len(r.skipped))
	return len(r.failed)
}

// list prints the names of verdicts, if there are any.
func (r *report) list(title string, verdicts []verdict) {
	if len(verdicts) > 0 {
		fmt.Fprintf(r.out, "\n%s:\n", title)
	}
	for _, v := range verdicts {
		fmt.Fprintf(r.out, "    %s", v.name)
		if v.reason != "" {
			fmt.Fprintf(r.out, ": %s", v.reason)
		}
		fmt.Fprintln(r.out)
	}
}
