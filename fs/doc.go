// Package fs gives POSIX meaning to a conditional object store.
package fs
