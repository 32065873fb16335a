// Package checksum computes and checks the checksums of S3 objects.
//
// # Words
//
//   - An [Algorithm] is one of the ten S3 knows. Content-MD5 and the signed
//     SHA-256 of a body use two of them, with refusals of their own.
//   - A full-object checksum is over the bytes of the object. A composite one
//     is over the checksums of its parts, printed "base64-N".
//   - An [Assembly] makes either of the checksums of parts, without the bytes:
//     CRCs of parts can be combined into that of the whole.
//
// # Guarantees
//
// [Hashes] computes any number of algorithms in one pass. Digests are
// big-endian and compared as bytes, not as text. Refusals are [s3code.Error]
// values with S3's codes and messages.
//
// # What it does not do
//
// It keeps nothing and reads nothing by itself.
package checksum
