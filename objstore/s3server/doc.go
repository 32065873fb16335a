// Package s3server speaks S3's HTTP API over any [objstore.Store]. Beside S3 it answers what its
// EXTENSIONS.md lists.
//
// # Words
//
//   - An operation is one of S3's, by its name there. A route leads from an
//     address and a method to one; a sub-resource is the query parameter that
//     selects another operation than the method alone.
//   - A call is one request on its way through the server: signed, routed,
//     allowed, handled, answered, logged.
//   - A test is the condition a request brings in its headers. It is decided on
//     the current state, and handed to the store as an [objstore.Cond] that says:
//     what was decided on has not changed. So the store evaluates it
//     in its committer, and the early look only saves the body's way.
//   - A payload is a request's body on its way into a store: unwrapped, counted and hashed.
//
// # Guarantees
//
// Checks come in this order: signature, bucket, permission, legality of the headers,
// existence of the object, condition, commit. A refused request leaves no trace, and a body is
// compared with its checksums and signatures before anything of it can be seen. A parameter
// that selects an operation this server does not have is answered 501, never with the operation
// without it. What a client is told never contains a path of this machine, a secret or the
// cause of an internal failure; the log has the cause, and never a secret or a signature.
//
// Success of a write means [objstore.Durable].
//
// A refused request is answered at once, whatever is left of its body. Up to 256 KiB of that are read and dropped for
// Limits.DrainTime, so that the connection can be used for the next request. If more is announced or comes, or less comes
// in time, or the body is malformed, or the client had asked whether to send it, the connection is closed: first for writing, then, when the client closes it too or Limits.LingerTime is
// over, altogether. So a client that sends on is not reset before it could read the answer. The log and the metrics tell of the answer,
// and not of what is dropped.
//
// # Lock order
//
// settings.mu alone. No lock is held while a body is read or written.
//
// # What it does not do
//
// No versions of objects, no access control lists, no encryption, no lifecycle: requests for them
// are refused. TLS, listening and shutdown belong to net/http and to whoever starts it, see [Server.HTTP].
package s3server
