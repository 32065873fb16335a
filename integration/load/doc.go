// Package load works on mounts for long: what a test of one call does not find, many calls do.
//
// TestFileExercise makes random calls on one file (writes, reads, mappings, truncations, holes, copies, syncs), closes and opens it
// one time in twenty, and compares every byte with a copy in memory. It prints the seed that runs it again.
//
// The programs that others test filesystems with (fio with verification, dbench, fs_mark, and each stressor of stress-ng's class for
// filesystems, compared with the native filesystem) run for a moment each, if they are installed; ETAGFS_LONG=1, which make
// stress sets, gives them longer.
//
// TestSoak, which make soak runs, keeps a mount busy for MINUTES and looks at what the daemon takes: memory and descriptors must not
// grow, nor goroutines.
//
// The tests of little memory put every process into a control group that allows 64 MiB, of version 1 or 2, where such can be made: 64
// writers through mounts of every kind and to a server, and a listing of ENTRIES names, which make listing runs with a million.
package load
