// Package integration holds the tests that look at the project as a whole:
// which package may import which, how its source is written, and, in the
// directories below, what happens on real mounts.
//
//   - testreport runs go test, counts and explains.
//   - mounttest starts the built program as a child process for one test.
//   - mounts has the tests on real mounts, one per promise and more.
//   - programs runs what people do with everyday programs, and compares with the native filesystem.
//   - load keeps mounts busy: random calls on a file, the programs of others, a soak.
//   - embedded runs the tests of package fs on the embedded engine.
//   - s3 runs the S3 server over the embedded engine, with the SDK of AWS.
//   - s3clients runs clients and suites of others against etagfs serve.
//   - s3stores runs the S3 client against servers of others.
//   - hostile runs the program among other users, who look for its secrets and plant names in its way.
//   - packaging installs the program, and runs the commands of the documents.
//   - crash kills daemons and cuts the power; bench measures mounts and
//     stores, benchs3 the S3 server; internal/measure has what both share.
//
// Nothing outside integration may import anything in it.
package integration
