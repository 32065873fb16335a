// Package space keeps the disk from filling up. The key-value store maps its
// files into memory and dies by SIGBUS when a page finds no block, so every
// write asks here first and is refused long before.
//
// # Words
//
//   - The reserve is free space that writers may not use: room for logs,
//     flushes and compactions of what was accepted.
//   - The ballast is a file of allocated blocks. When others have filled the disk all the same it goes as soon as something
//     essential is to be written, and no sooner: they would have that, too. It comes back when there is
//     room. Without it a full store could not even be opened to delete from.
//   - In flight are bytes admitted and not yet written.
//
// # Guarantees
//
// Reserve admits n bytes only if, once they and all in flight are written,
// reserve and ballast are whole. The space of a released ballast is never
// given to writers. ReserveEssential, for deletes and bookkeeping, may use
// the reserve and half of the ballast.
//
// The file system is asked each time, but where it had a gibibyte more than all this: then its answer
// is good for ten milliseconds, as a commit has better to do than to ask again.
//
// Room and Await are for those who write without asking for each byte: they say whether, or wait
// until, ReserveEssential would admit that much.
//
// # Lock order
//
// Guard.mu is a leaf; statfs and the ballast's own calls are made under it.
package space
