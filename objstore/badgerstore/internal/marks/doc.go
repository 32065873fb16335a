// Package marks keeps the few numbers that must not live in the key-value
// engine, because they say how far that engine is to be believed.
//
// # Words
//
//   - A slot is a checksummed copy of the marks. There are two, a page apart.
//   - The durable mark is a commit timestamp: everything up to it has been synced.
//   - The lease is a number up to which ids and versions may be given out.
//
// # Guarantees
//
// Write goes to the slot that was not the last one synced, so a torn write
// leaves the other. What a slot says was true before it was written: a mark
// that was never synced is as good as one that was, if it is found. A file
// neither of whose slots is good is ErrCorrupt. A File is safe for concurrent use.
package marks
