// Package staging holds the bytes of writers until they are committed.
//
// # Words
//
//   - A session is the staging directory of one process, locked while it
//     lives. A sweep looks only into sessions nobody holds.
//   - A stage is a base and what one writer changed: segments, each in a layer or zeros.
//   - Its log are records appended to a slot of the session's slot file. They say whose the stage
//     is and what changed. The bytes of few and small writes are in the log
//     itself, so that a small file costs no file here.
//   - A layer is a place of changed bytes: the log, with a copy in memory, or a file. A commit
//     freezes those that are files; later writes go to new ones.
//     Files share a bounded number of descriptors: many stages can be open at once.
//   - A lender is another committed content, some of whose bytes are the stage's: layers that are its blobs, see [Stage.Borrow].
//   - The limit is where the base ends for this stage: truncation lowers it for good.
//   - Sealing also consolidates: what many commits have scattered over a block is written together, so
//     that the cost of reading and of the next small change stays bounded. It gathers, too: many small
//     pieces of one commit are written behind each other.
//   - An epoch ends with each seal. Segments know theirs, and so which commit has them.
//
// # Guarantees
//
// What a write has returned survives the death of the process: [Session.Sweep] finds
// it, with the owner and what the base said it takes to find that again. It changes nothing of
// what it found until that is kept and durable, so that a sweep which dies is made again. A log is cleared before a
// file it names goes. A stage that is left, because the store takes no more writes, is found in the same way. A write that finds no space is ErrNoSpace
// and changes nothing. What is sealed never changes. A failed commit leaves the
// stage as it was; after a successful one the new content is its base.
//
// # Lock order
//
// The seal token, Stage.mu, Session.mu. Stage.mu is held over writes to the page cache
// and reads of the base, never over the hashing of a seal.
//
// # What it does not do
//
// It knows neither the key-value store nor conditions, and makes nothing durable: what it has
// not handed to the blob tree may go with the power.
package staging
