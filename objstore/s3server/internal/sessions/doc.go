// Package sessions answers the requests of package wire over a store: what S3 has no words for.
//
// # Words
//
//   - A session is what the server knows of one client: the readers and stages it holds for it, by handles, the
//     outcomes of its latest requests, and the changes it is told of.
//   - A lease is a client's right to answer from what it remembers.
//   - An outcome is the reply to a request that changes something. A request that arrives again gets it again.
//
// # Guarantees
//
// A request that changes the store has an effect once, however often it arrives in its session, and a reply is
// the same each time. A body that was cut off has no effect and no outcome. A session that sends nothing for its
// lease ends: its readers and stages are closed. Nothing but the store outlives the server: commits, puts, deletes, copies and
// renames by key carry write ids, for which the store keeps what became of them.
//
// A change is acknowledged, to whomever, after every other client with a lease has said that it was told of it, or its lease ran
// out. Nobody waits longer than one term after the change, and for a client whose lease ran out not again: it
// gets another after it was told of all it has missed. If those are more than are remembered for it, it is told so once it has no lease:
// it forgets what it knew, and goes on.
//
// An answer says how many changes it may show: a client that waits until it was told of them never answers from something older
// than what it has said. A rename is announced to those who remember names beside the sessions (Options.Moving) before it is made.
//
// File locks are leased: they end when the client was not heard of for Options.LockLease, and what it commits then
// under the fence it had them by is refused, as what lost its condition.
//
// A client whose session is gone with its server has its readers and locks again in the next session of another server on the same store,
// if it asks for them while that expects it, and before anything that could conflict is granted.
//
// # Lock order
//
// Table.mu, under which Options.Clients is told who came, then session.mu, then leased.mu; handle.mu before both. None is held while the store is called, but handle.mu is
// while a stage is pushed. Watchers of the store take changes.mu alone.
//
// # What it does not do
//
// It knows no HTTP and decides no permissions: who calls does.
package sessions
