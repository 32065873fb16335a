// Package s3clients runs clients and test suites that no one here wrote against the built program's
// etagfs serve, a child process on loopback.
//
// # Words
//
//   - A foreign program is one of others: a package of the distribution, a Go module or an npm package. Those
//     of Go and npm are fetched and built when a test needs them, pinned, into a directory of the user's cache
//     (ETAGFS_TEST_CACHE names another), never into this module.
//   - A suite is a foreign program that judges by itself. What it finds wrong that is right has a line with a
//     reason in testdata: the name of the test, then why. A line whose test passes, or is not run, is an error
//     as much as a failure without a line.
//
// # Guarantees
//
// Whatever a client does, the server's log has no answer of 5xx but 501, and the server ends with exit
// code 0: every test checks that when it ends. A test of a machine that lacks its client is skipped as
// "needs X".
//
// What AWS documents, or was recorded to answer, wins over what a client or a suite expects.
package s3clients
