// Command etagfs mounts a conditional object store as a directory and works
// on stores that are not mounted.
//
// It parses flags, turns a store's URL into a store, prints results, and maps
// the kinds of errors to exit codes (exitcodes.go, a stable interface). All
// meaning lives in the packages it wires together.
package main
