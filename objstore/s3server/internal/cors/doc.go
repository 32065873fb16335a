// Package cors decides, by the CORS configuration of a bucket, which pages of
// other sites may use it from a browser.
//
// # Words
//
//   - A preflight is a browser's question, before the request, whether it may be made.
//   - A rule matches if it allows the origin and the method, and in a preflight
//     all headers the browser names. The first that matches counts.
//
// # Guarantees
//
// The header fields are those S3 sends. Allowed origins are compared byte by byte, with at most one
// wildcard in each; allowed headers likewise, in any case. [Rules] are immutable and safe for concurrent use.
//
// # What it does not do
//
// It protects nothing: it tells browsers what to show. Who may do what is decided elsewhere.
package cors
