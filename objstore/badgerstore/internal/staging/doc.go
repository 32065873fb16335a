// Package staging holds the bytes of writers until they are committed.
//
// # Words
//
//   - A session is the staging directory of one process, locked while it
//     lives. A sweep looks only into sessions nobody holds.
//   - A stage is a base and what one writer changed: segments, each in a layer or zeros. Its
//     log, records appended to a slot of the session's slot file, says whose
//     it is and what changed; small data is in the log itself.
//   - A layer is a place of changed bytes: the log with a copy in memory for few, a file for more.
//   - Sealing freezes the layers a commit needs; later writes go to new ones.
//
// # Guarantees
//
// What a write has returned survives the death of the process: [Sweep] finds
// it, with the owner and the version it is based on. A write that cannot be
// stored is ErrNoSpace when it is written and changes nothing. A sealed content never changes. A failed
// commit leaves the stage as it was, a successful one makes the new content its base.
//
// # Lock order
//
// Stage.mu, then Session.mu. Stage.mu is held over writes to the page cache
// and reads from the base, never over hashing for a seal or a sync.
//
// # What it does not do
//
// It knows neither the key-value store nor conditions, and makes nothing durable: what it has
// not handed to the blob tree may go with the power.
package staging
