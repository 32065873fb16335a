// Package fs gives POSIX meaning to a conditional object store: names, open
// files, commits, conflicts, and what a kernel may keep cached. It knows neither
// FUSE nor errno nor which store is below. CONSISTENCY.md beside it says what two
// clients may see.
//
// # Words
//
//   - A [View] says which bytes of an object are meant: a committed version, or the working
//     copy of a writer. A kernel bridge keys its nodes by it.
//   - A [Handle] is an open file. One that may write is a transaction: it has a
//     base, the version it was opened on or last committed, and a
//     stage, its private copy, made at the first change.
//   - A pin is a store's reader of one version, shared by the handles that show it.
//   - A pending create is a file that the mount shows and the store does not
//     have: its first commit publishes it. Its object id and so its st_ino are
//     those it will keep.
//   - A published file was made with O_EXCL: the store has it, empty, at once.
//   - A follower is a reader of a writer's view. It stays pinned to what that writer commits next.
//   - A loser is a transaction whose commit found another version. Its bytes
//     are kept, and it never commits again.
//   - A handle is detached when its file loses its last name through this mount: it
//     goes on as POSIX has it and its bytes go with it.
//   - A nameless file was made without a name (O_TMPFILE): it is detached until a link commits it under its first.
//   - A deferred flush was answered before its commit, because nothing but a create or truncate
//     had been done and the caller holds another descriptor.
//   - To refresh a handle is to move it on to what is committed now, as a lock does. The base moves after the kernel
//     has forgotten what it had.
//   - A working copy is, with IsolateMount, the one transaction of all handles on a file; see shared.go.
//   - A process knows a name, with GuardProcess, if it has read the file there: what it does to the name is conditional on that version. See guard.go.
//   - To rebase is to append to the current version what a purely appending
//     transaction has appended to its base.
//
// # Guarantees
//
// The promises C1 to C11 of CONSISTENCY.md. In short: an open sees one committed
// state and keeps it; [Handle.Flush] and [Handle.Sync] are conditional on the base; who comes second
// gets [ErrBusy], and before that its bytes are a conflict in the store. What a
// call has been answered is what the kernel's caches show from then on.
//
// # The life of a write
//
//  1. [FS.Lookup] gives a view; [FS.Open] pins its version, or answers ErrStale if it is not current.
//  2. The first [Handle.WriteAt] makes the stage from the pinned base; the
//     store's stage keeps the bytes, the transaction counts changes and remembers whether all were appends.
//  3. [Handle.Flush] takes the name, if the file is pending, and the transaction.
//  4. Nothing changed, or detached: done. A loser: what is new is kept in place of the old copy, ErrBusy.
//  5. The commit is asked for under a deadline of its own, on condition of the base; by object
//     id, so that renames are followed; by name and absence for a pending create.
//  6. It succeeds: the new version is the base, followers are pinned to it, a copy kept by an
//     earlier failure is dropped.
//  7. It is refused: an unlink of this mount may be the reason (detached: done), or the
//     transaction only appended (rebase, and 5 again).
//  8. Else the bytes are kept, one line is logged, and the answer is ErrBusy. A failure of another
//     kind keeps them too and is answered as what it is; after an unknown outcome
//     nothing is tried again.
//  9. The locks are released. The store's watch has queued what changed; the queue
//     is emptied: readers of a file that only grew move on, the kernel forgets what is stale.
//  10. The caller is answered. [Handle.Release] commits or keeps what no flush could see.
//
// # Lock order
//
// A lock is taken only while locks above it, or none, are held.
//
//	notices.draining          over calls of Kernel: with no other lock held
//	transaction.refreshing    over store calls and calls of Kernel; tried only, below notices.draining
//	nameLocks (in key order)  over store calls
//	└ transaction.refreshing  of a file that is being created
//	└ transaction.committing  over store calls
//	  ├ FS.attributes         over store calls
//	  └ file.appending        over store calls
//	    └ transaction.content over store calls
//	      └ FS.removing       over store calls; shared, but for the barrier in awaitRemoval, which is outside content
//	        └ (the store's own locks)
//	          └ notices.mu
//	FS.mu
//	├ transaction.mu
//	│ └ uncommitted.mu, of its file
//	├ reading.mu
//	├ listings.mu
//	└ notices.mu
//	Dir.mu                    over Lookup and the store's listing
//	└ listings.mu
//	keptArea.pruning          over store calls, alone
//	keptArea.mu               alone
//	history.mu                alone
//	controlFile.mu            over what makes its text
//	accesses.mu               below all others
//	guard.mu                  over questions about processes
//
// FS.mu and what is below it are held for a few instructions and may be taken under any lock above
// but the store's. The store's watch runs under the store's locks and takes listings.mu and notices.mu, each alone.
//
// Operations on names, which the kernel calls with its directory locks held, never wait for the
// kernel and so never for notices.draining.
//
// # What it does not do
//
// Permissions, beyond what a kernel with default_permissions cannot check: the control directory. Keeping locks. Its own
// process's uncommitted bytes are shown to
// a caller only if its thread or the opener's is still known to belong to the same process.
package fs
