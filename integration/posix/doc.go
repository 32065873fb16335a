// Package posix compares system calls on a mount with the same calls on a filesystem of the kernel's own.
//
// A trial is one call in a small directory made for it. What comes of it is a line of text: the error or what the call returned, and
// which names there are afterwards with type, mode, owner, link count and size, and with the letters m and c if mtime and ctime moved.
// The lines must be the same on both filesystems, but for the trials deviations() lists with their reasons; one that is listed and does
// not deviate is a failure, too. ETAGFS_LONG=1 runs all combinations where the short form draws some of them.
package posix
