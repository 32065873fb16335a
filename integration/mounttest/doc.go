// Package mounttest mounts for a test. The daemon is always a child process: a
// process that serves a mount must not use it.
//
// A test package calls [Main] from TestMain. [Start] then mounts either a store in
// memory, served by the test's own program started again, or, with ETAGFS_BIN naming the built program,
// a store on disk. When the test ends the mount is unmounted and the daemon must
// end by itself, with exit code 0.
//
// A test that is not done by its deadline fails: the daemon's stacks go to the
// log, the connection is aborted, so that every call on the mount returns, and the
// daemon is killed. No daemon and no mount outlives its test.
package mounttest
