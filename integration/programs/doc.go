// Package programs runs the everyday use of programs on mounts, and compares it with the same use of the native filesystem.
//
// A use is a shell script in a directory of its own: it runs once on the native filesystem, and once on a mount of each isolation.
// What it says, how it ends, and the tree it leaves (names, kinds, modes, link counts, sizes and contents) must be the same, and
// nothing may have lost against another write. A script that fails on the native filesystem is a mistake in the script.
//
// Programs that a machine lacks are skips. ETAGFS_LONG=1 adds the uses that take long: those of npm, of Python's virtual environments,
// of git's submodules, and of Go with the build cache in the mount.
package programs
