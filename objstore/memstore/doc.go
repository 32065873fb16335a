// Package memstore is the smallest correct implementation of
// [objstore.Store], [objstore.Namespace] and [objstore.Buckets]: everything
// is in Go maps behind one mutex. It is the oracle other stores are compared
// with, and the store behind tests of the layers above.
//
// # Words
//
//   - A node is an object: file, directory, symlink or special file, with its
//     permanent id. Its content is immutable; a commit replaces it.
//   - A directory maps stored names to nodes. The stored name of a directory
//     ends in "/", so that the object "a" and the directory "a/" can stand side by
//     side and a depth-first walk yields keys in byte order.
//   - The shown name is what the namespace calls an entry: the stored name
//     without its slash, or an escape (see [objstore.EscapeName]).
//   - A directory is explicit if it was made on purpose; then it is also the object "a/".
//     Others are implied by the keys below them and go with the last of them.
//   - A draft is a content being written; a [stage] wraps one.
//   - An upload is a multipart upload; its parts are contents of their own until they are assembled.
//   - A tx is one mutation. It records how to undo itself, so that a request of
//     several steps is applied as a whole or not at all.
//
// # Guarantees
//
// Those of package objstore. Content is shared between versions in chunks, so
// a commit costs what was written since the last, not the size of the file.
// Times of commits never go back, even if the clock does. Watchers run with
// the mutex held: in commit order, before the mutation returns.
//
// # Lock order
//
// stage.mu, then Engine.mu. Content is hashed under stage.mu alone, but for appends.
//
// # What it does not do
//
// Nothing is durable: [objstore.Durability] is ignored and nothing survives the
// process. Space is not limited.
package memstore
