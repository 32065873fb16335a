// Package awschunked decodes the aws-chunked bodies of S3: chunks that may be
// signed, and a trailer that may be signed too.
//
// # Words
//
//   - A chunk is a line with its size in hex, and in the signed modes its
//     signature, then its bytes. A chunk of size 0 is the last.
//   - The trailer is one line, "name:value", announced by x-amz-trailer; in
//     the signed mode its signature follows on a line of its own.
//   - The declared length is x-amz-decoded-content-length.
//
// # Guarantees
//
// A [Reader] never yields more bytes than declared, and io.EOF only after exactly as many,
// all signatures checked, the trailer well-formed and nothing behind it. Bytes come
// out before the signature of their chunk was checked, as
// chunks may be larger than memory: whoever reads must hold them back until io.EOF.
// Memory is one small buffer whatever the body says. Refusals are
// [s3code.Error] values: IncompleteBody for a body that is short, too long or badly
// framed, InvalidChunkSizeError, MalformedTrailerError, SignatureDoesNotMatch.
// Errors of the underlying reader pass through.
//
// # What it does not do
//
// It knows no checksums: the value in the trailer is for the caller to check.
package awschunked
