// Package blob keeps immutable payload files beside the key-value store.
//
// # Words
//
//   - A blob is a file named by an id that is never reused. Ids grow; 4,096 of them share a directory.
//   - Its checksum block has a checksum per 64 KiB, the digests of whole 4 MiB
//     blocks, and says which object and version it was written for. It lies
//     behind the content in the same file, which nobody but this package reads, or,
//     for a *bare* blob, in a file of its own: then the kernel may serve the
//     blob itself without showing more than the content.
//   - A blob is unsynced from Adopt to the next Sync.
//
// # Guarantees
//
// ReadAt returns verified bytes or ErrCorrupt, never the checksum block. OpenChecked gives a file away only
// for bytes that ReadAt, or itself, found good a short while ago, or that have been in memory
// since their checksums were taken on their way there. A
// blob's name appears only when its bytes are complete. After Sync returned, every blob
// adopted before the call survives power loss: files, their directories, and the parents of those that
// are new. Descriptors are shared and bounded, but for those given away; running out of them makes reads wait, not fail.
//
// # Lock order
//
// Store.mu is a leaf and never held over I/O but the closing of descriptors.
// Sync calls are serialised by syncMu, taken before mu.
//
// # What it does not do
//
// No reference counts, no policy when to sync, remove or verify.
package blob
