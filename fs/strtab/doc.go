// Package strtab keeps strings side by side in memory: a string table, as that of an object file.
//
// Strings that live long and were made one by one, each among much that is gone since, keep the spans of Go's heap they
// lie in. Copied into a [Table] they take what they are long.
package strtab
