// Package crash ends stores in the middle of their work and looks at what is
// left: processes killed, power cut, disks full or failing.
//
// # Words
//
//   - A worker is a process that works on a store: this test binary executing
//     itself. It tells what it is about to do and what was acknowledged over a
//     pipe, so that what it said is known whatever becomes of it.
//   - A call is one operation of a worker, see [op]. Calls of one lane follow
//     each other and touch names of their own; lanes run concurrently. Every
//     content is a function of lane and call number, so that bytes tell who
//     wrote them.
//   - A target is what calls are made on: the embedded store through its API,
//     or a directory through system calls (a mount, or the ground truth: a
//     directory of the native filesystem).
//   - A history is what was started and acknowledged, in order. What is found
//     after a crash is a survey. The cut says how many calls of each lane the
//     survey shows; there is none if bytes are torn or what was acknowledged is gone.
//
// # What is checked
//
// After a kill: every acknowledged call is in the cut, a call in flight is there
// as a whole or not at all, staged bytes that were not committed are kept copies.
//
// After a power cut: every durable call is in the cut, and the cut is closed: no
// call is in it while one acknowledged before its start, of whatever lane, is
// not. So survivors are a prefix of the commits in every order that could be observed.
//
// Both: no version is given twice, one chain of increments has no gap and no
// fork, the store's own check finds neither damage nor anything left over.
//
// # How power is cut
//
// The store lies on an ext4, xfs or btrfs image mounted through a loop device. The
// worker, or the daemon whose mount it works in, is stopped, a few of its dirty pages are
// written back as the kernel may do at any moment, and the image is copied beneath the upper page cache.
// The copy is mounted: it has what was synced, the journal is replayed, the
// rest is gone. On btrfs a synced file says nothing of names that were removed before: there what was staged for a call that is
// durable may come back, and become a kept copy of bytes nobody has lost.
//
// # That the suites can fail
//
// They run on plain directories, which tear files and forget order, and on
// mutants: the engine, or the whole program, built with one line changed (go build -overlay). Each
// must be caught. Journals hide a store that does not sync directories: package
// badgerstore has a disk that forgets names.
package crash
