// Package record is the encoding of everything the store keeps in its
// key-value engine: keys, and values with a version, tagged fields and a checksum. The
// byte tables are in FORMAT.md of package badgerstore.
//
// # Words
//
//   - A field is a tag, a length and bytes. Tags below 0x80 are critical: a
//     reader that does not know one refuses the record. Others are optional: a reader
//     that does not know one keeps it when it writes the record again.
//   - A place is a directory and a stored name in it. The stored name of a
//     directory ends in "/", so that keys in one directory sort as S3 sorts them.
//   - An embedded object lives in its only entry; a free one under its id. Directories are
//     always free, files become free with their second name.
//
// # Guarantees
//
// Decoding never panics and never trusts: a value whose checksum, which covers the
// key, does not match is ErrCorrupt. Zero fields take no bytes. Encoding is
// deterministic. Decoded values share no memory with their input.
//
// # What it does not do
//
// It reads and writes no files and knows nothing of transactions.
package record
