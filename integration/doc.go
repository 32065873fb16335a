// Package integration holds the tests that look at the project as a whole:
// which package may import which, how its source is written, and, in the
// directories below, what happens on real mounts.
//
//   - testreport runs go test, counts and explains.
//   - mounttest starts the built program as a child process for one test.
//
// Nothing outside integration may import anything in it.
package integration
