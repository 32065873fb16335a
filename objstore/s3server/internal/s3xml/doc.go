// Package s3xml reads and writes the XML documents of S3.
//
// # Words
//
//   - A [Request] is a document a client sends, a [Response] one it gets. Some are both.
//   - URL encoding is what encoding-type=url asks for: XML 1.0 cannot say all keys.
//
// # Guarantees
//
// [Decode] reads at most the given number of bytes and elements, a bounded depth, no document type
// and no entities but XML's own five. What is not well-formed, has an unknown element, an element
// twice that may stand once, or a value that makes no sense is MalformedXML, as S3 holds
// documents against a schema; a document that is too long is MaxMessageLengthExceeded. Namespaces and
// attributes are not looked at.
//
// [Encode] writes elements in S3's order. A character that XML 1.0 cannot say
// is written as a reference to it: a strict reader then fails instead of taking the key for
// another, and a lenient one gets the key. Only in errors, which everyone must be able to read, it
// becomes U+FFFD. Bytes that are not UTF-8 become U+FFFD.
//
// # What it does not do
//
// It checks no limits of S3 (numbers of keys, parts or tags) and quotes no ETags.
package s3xml
