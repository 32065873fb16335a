// Package cache keeps on a local disk what a store elsewhere cannot keep for a mount: the bytes of
// writers until they are committed, the bytes of writers that lost, and blocks of what was read.
//
// # Words
//
//   - An [Area] is a directory for one bucket. Any number of processes may use it at a time.
//   - A session is the part of an area that one process stages in, locked while the process lives.
//   - A stage is a base and what one writer changed. Ranges of it are data, which is in the stage's file,
//     or zeros; what is neither is the base's below the limit, and zeros from there on.
//   - The limit is where the base ends for a stage: truncation lowers it for good.
//   - To fill a stage is to fetch what it still needs of its base.
//   - A slot is the two files of a stage, of its data and its journal. Other stages use it afterwards.
//   - A journal says whose a changed stage is and which ranges are data. That of a stage without changes is empty.
//   - A [Committer] is the store's side: it makes bytes the content of an object, and finds versions.
//   - [Blocks] is a bounded set of checksummed blocks of versions that were read. A reader holds on to
//     those of an object that is small enough to be fetched whole.
//
// # Guarantees
//
// What a write to a stage has returned survives the death of the process: [Area.Sweep] keeps it as a conflict, with
// what of its base can still be had. A sweep leaves sessions alone whose process lives, and what it
// could not keep to the next one. A write that fails changes nothing that can be read. A commit sends the bytes
// as they are when it begins; writers wait for its end, readers do not. After a failed commit the stage is as it was.
//
// What [Stage.Keep] has returned survives the loss of power. Bytes of a base that are no longer there read as zeros in
// it, and its detail says which.
//
// A block is checked each time it is read. One that is damaged is fetched again. Only versions are cached, so
// nothing in it is ever stale. Buffers of blocks never take more than BlocksOptions.MemoryBytes.
//
// # Lock order
//
// Stage.token, Area.keeping, Stage.mu, Area.mu. The token is held over a commit or keep, and so over calls of the
// store; Stage.mu is held shared over reads of the base. Blocks.mu stands alone.
//
// # What it does not do
//
// It does not decide conditions. A stage is not durable: power that is lost takes what was not committed or
// kept. A commit sends all of an object, however little of it has changed, once it is whole.
package cache
