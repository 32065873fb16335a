// Package sigv4 verifies AWS Signature Version 4 as Amazon S3 does.
//
// # Words
//
//   - The source of a signature is the Authorization header, the query (a
//     presigned URL) or the fields of a POST form. A request without any is anonymous.
//   - The scope is date, region, service and "aws4_request"; a signing key is derived for one.
//   - The payload mode is what x-amz-content-sha256 says of the body. In the
//     signed streaming modes each chunk carries a signature over its bytes and the
//     signature before it: the [Chain], whose first link is the request's own.
//
// # Guarantees
//
// A request passes only if its signature covers the method, the path, the whole
// query, the Host header, every x-amz-* header and what x-amz-content-sha256
// says, was made within fifteen minutes of now (or, presigned, has not expired),
// and was made for this service and region. The comparison takes constant time.
// No other header may be trusted on a presigned URL unless [Signed.Covers] it.
// Refusals are [s3code.Error] values with S3's own codes and messages; the
// body is not read: its digest is for the caller to compare.
//
// The path is canonicalised by decoding it and encoding it again, nothing is
// normalised; a client that signed the path in the very form it sent (with %2F, say)
// is understood as well. Both forms decode to the same key, so neither can
// stand for another request.
//
// A [Verifier] is safe for concurrent use. Its cache of signing keys is
// guarded by one leaf lock.
//
// # What it does not do
//
// It signs nothing, keeps no users and decides no permissions. SigV2 and SigV4A are
// refused by name. There are no session tokens.
package sigv4
