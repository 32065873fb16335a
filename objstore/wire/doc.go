// Package wire is how a namespace is spoken of between a server of this program and its client: messages,
// and the frames they travel in. The requests that carry them, and what they mean, are described in
// the server's EXTENSIONS.md.
//
// # Words
//
//   - A [Message] is one request or reply. Its Code method names its fields once, for both directions.
//   - A frame is a length, a CRC-32C and that many bytes. A message is one frame; a body is any number of
//     them and an empty one, and a message that says how it ended.
//   - A handle is a number for what a server holds for a session: a reader or a stage.
//
// # Guarantees
//
// What was damaged or cut off on its way is never taken for a message or for data. Decoding refuses what
// is longer than it says, and never takes more memory than there are bytes.
//
// # What it does not do
//
// No HTTP, no signatures, no retries.
package wire
