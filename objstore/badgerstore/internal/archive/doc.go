// Package archive is a directory of backups. BACKUP.md beside package badgerstore has its format.
//
// # Words
//
//   - A piece is a file that is named by the SHA-256 of its bytes. It is never changed.
//   - A manifest is one backup: it names the pieces that the records of a store and the list of its blobs are in.
//   - An item is a record or a line of that list. Where a piece ends depends on the items around, so that
//     the pieces of what did not change are those of the backup before.
//
// # Guarantees
//
// A piece has its name only once its bytes are on the disk, and a manifest once all its pieces are: who is
// interrupted leaves the manifests before as they were. What is read of a piece is compared with its name, a manifest
// with the digest in its last line; damage is ErrCorrupt and names the file. One process writes at a time.
//
// # What it does not do
//
// It does not know what is in records and blobs.
package archive
