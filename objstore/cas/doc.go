// Package cas is what programs build from conditional puts when they share objects: an update that never
// overwrites what it has not seen, a lease with fencing tokens, the election of a leader, and an upload that happens once.
//
// # Words
//
//   - An update reads an object, computes the next content, and puts that on condition that the object still is what
//     was read. One that lost begins again, after a pause of random length.
//   - A lease is an object whose content says who holds it. Its holder renews it; who waits for it watches it.
//   - A fencing token is a number that grows with every holder of a lease.
//   - A holder is dead to those who wait once they have seen its record unchanged for as long as the record asks for, its TTL.
//
// # Guarantees
//
// [Update] and [UpdateFile] apply a change to the version it was computed from, or not at all: of any number of
// processes that add one to a number, none is lost and none counts twice. Where the outcome of a put stays unknown, they say so
// ([objstore.ErrUnknown]) and do not try again. A store that remembers write ids is asked again, with the same id.
//
// Of a lease there is one holder at a time, if the clocks of two machines run at the same speed to within a tenth. What
// the clocks show does not matter, for nobody compares times of two machines. A holder counts from the moment it began its last
// renewal that was confirmed, and stops at two thirds of the TTL; who takes over counts the whole TTL, from the moment the record was
// read. Replies that get lost do not matter either: every record differs from all others, so who heard nothing reads whose it is.
//
// A process that is stopped, or a machine that sleeps, does not see time pass. It may go on for a moment with a lease that is
// another's by then, whatever lock it uses; that is what fencing tokens are for. A lease's token is greater than all
// before it, and [Options.Fence] makes an update refuse, for good, to follow one with a greater token. The token is
// in the lease's object: who deletes that lets tokens begin again. Releasing a lease leaves the object in place.
//
// # Which stores
//
// Any [objstore.Store] that honours IfAbsent and IfVersion on puts, those over S3 included; a [Store] is the part of one
// that is needed. Stores of this program also have file locks (package locks), with waits in the order of their arrival. They are not used
// here: they live in the memory of the process that has the store, other stores have none, and they give out no tokens.
// One protocol means that a lease is one lease, however its holders reach the store.
//
// # What it does not do
//
// Leases are not fair: of those who wait, any may be next. A lease costs a put every fifth of its TTL while it is held,
// and a get every tenth of the TTL, half a second at most, for each who waits.
//
// # Lock order
//
// There are no locks: a lease's record belongs to the goroutine that renews it, and to Release once that has ended.
package cas
