// Package mounts tests the promises on real mounts, through system calls and programs. ETAGFS_LONG=1 makes tests of
// freshness between mounts run up to ten thousand rounds.
package mounts
