// Command bench measures a mount of etagfs beside the filesystem below it,
// go-fuse's loopback example and any other mounted directory, and the embedded
// store beside plain Badger transactions.
//
//	bench [-etagfs bin/etagfs] [-dir DIR] [-rounds N] [-rows REGEXP] [-quick] [-bars] [-json]
//
//	bench -scale N [-plot FILE]
//
// -peers s3fs,rclone mounts these over etagfs serve; what they still upload after close is counted. -scale measures mounts of a
// store that grows to N files instead. -plot draws what was measured.
//
// PEER_DIRS=name=/path,name=/path adds directories that are mounted already.
//
// # How it measures
//
// A scenario is a list of steps in one new directory; each step is a row of
// the output. A round runs a scenario on every subject, and each round begins
// with another subject, so that whatever else the machine does meets all of
// them. Before each step everything written so far is synced and the daemons
// have come to rest. One more round goes before the measured ones: it warms
// everything up, and in it the kernel's trace of FUSE requests is on.
//
// # How to read it
//
//   - A time is per operation: the whole step divided by the operations in it.
//     The median of the rounds comes first, then the least and the most.
//   - "vs native" is the ratio of this subject to the native directory, formed
//     round by round: median (least..most). For times less than 1 is faster, for
//     rates (in /s) more than 1 is. Call nothing within 1.3 a difference
//     on a machine that does other things too.
//   - "requests" counts what a caller waits for: FUSE requests per operation, without
//     RELEASE, FORGET and INTERRUPT, which nobody waits for. On an idle virtual machine
//     each costs tens of microseconds, whatever the daemon does. The list
//     below each table says which. Counting needs root and a kernel with
//     the trace event fuse_request_send; "-" means it could not be counted.
//   - "anonymous memory" is what a daemon holds that the kernel cannot take
//     back: Anonymous in /proc/PID/smaps_rollup, after 35 seconds without a
//     request. What was made stays while it is measured, and so does what the kernel remembers of it.
//   - With -bars a table at the end says which of the project's bars are met.
//
// The rows named "big" use one file of 1 GiB (64 MiB with -quick) and read it
// while the disk's own page cache holds it. Subjects that a step fails on
// are listed with the error; the exit code is then 1, as it is when -bars finds
// a bar missed.
//
// # What it does not do
//
// It asserts nothing about time, empties no cache of the machine but the page cache (for "big: read, cold", which takes root), and leaves
// nothing behind: mounts, daemons and files go, also on an interrupt.
package main
