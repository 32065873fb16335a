// Package differential runs random system calls on a mount and on a filesystem of the kernel's own, and compares.
//
// A sequence is made from a seed: calls of four processes on a few names, with several descriptors per file, duplicates, descriptors
// inherited by a child, and mappings. The same sequence is carried out on both sides, one call after the other,
// by processes of each side's own; after each call the results must be equal: errno, counts, bytes, sizes,
// modes, links, listings. Where data and holes lie is up to a filesystem, but what lseek(2) says of them must be true of the bytes. At
// the end all that is left is compared once more.
//
// The mount has isolation=mount: only then are processes on one machine promised what a local disk gives them. A user's own mount is
// compared too, by that user. When all is closed, a mount has nothing open and nothing staged.
//
// A sequence that differs is shrunk to one from which neither a call nor two can be taken away, and printed, with the line that runs it again.
// Seeds that found something are kept in the test and run every time.
//
// Calls with odd arguments (offsets that overflow, names too long or of any bytes, flags and requests that nobody knows) are compared
// too, each of a sequence until the sides may differ for a reason.
//
// Two more tests use the same processes. One has them call at the same time, and looks for errors that a local disk never
// has. The other compares two mounts of a store, with the default isolation, with a model that knows which version each
// descriptor was opened on: who must lose, what is read, and that what a loser had is kept;
// it is shown to find a daemon that lets a loser win, or serves bytes nobody wrote. Both comparisons fail if in less than three of ten sequences two
// processes had a file open for writing at the same time.
package differential
