// Package embedded runs the tests of package fs, which know no store but the oracle, on the embedded
// engine: the same files, with testdata/stores_test.go in place of fs/stores_test.go.
package embedded
