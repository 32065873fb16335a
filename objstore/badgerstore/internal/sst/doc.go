// Package sst reads what can be read of a damaged table of Badger, and writes whole ones.
//
// # Words
//
//   - A block is what a table has a checksum of, about 4 KiB: entries in the order of their keys, where each of them begins,
//     how many they are, the checksum, and its length.
//   - The index says where blocks begin. It has a checksum too, and is not needed: blocks follow each other from the
//     beginning of the table, and each can be told by its checksum.
//   - A key ends with its version, 8 bytes; of one key the newest version comes first.
//
// # Guarantees
//
// Of a block that is whole everything is read. Of another are read the entries whose values are whole by their own
// checksums, which are the caller's; entries whose values are not, so that somebody finds out what they were of; and marks of
// deletion only if one of the latter explains the damage: nothing else tells whether a mark names the key that was deleted.
// What is read is in order, each key once.
package sst
