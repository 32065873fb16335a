// Package locks keeps the file locks of a namespace, with the meaning Linux gives them.
//
// # Words
//
//   - A [Lock] covers a range of bytes of an object, shared or exclusive, for an [Owner].
//   - The two spaces, flock(2) and fcntl(2), do not see each other. An OFD lock is in the space of fcntl, with an
//     open file as its owner in place of a process.
//   - A wait is a request that was not granted yet.
//   - To reclaim a lock is to take it in a new table for who held it in one that is gone, with the process that had it. While a
//     table expects that, it grants nothing else.
//
// # Guarantees
//
// No two owners hold overlapping locks of one space, unless both are shared. A lock replaces what its owner held
// in that range: at once when it is granted (fcntl), or before, so that two who convert their shared locks do not
// wait for each other (flock). Neighbouring ranges of an owner are one lock.
//
// Waits are granted in the order they came, as far as they conflict: shared locks that keep coming do not starve an
// exclusive one. Only a process that holds a lock already is not held up by others that merely wait: they may be
// waiting for it. [Table.TryLock] looks at what is held alone, as Linux does.
//
// A wait for fcntl locks that would close a circle of owners ends with [ErrDeadlock]. Waits for flock are not
// examined, as in Linux.
//
// # What it does not do
//
// Mandatory locks, leases of fcntl(2), persistence. It does not know what is committed under a lock.
//
// # Lock order
//
// One mutex, held for no more than a look at what is held and who waits; nothing is called with it held.
package locks
