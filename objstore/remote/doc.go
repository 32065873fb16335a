// Package remote is an [objstore.Store] and [objstore.Namespace] that a server of this program has: one bucket of it,
// reached over a socket or a network.
//
// # Words
//
//   - A session is what the server knows of this store: the readers and stages it holds, by handles. It
//     outlives connections, and ends when the store is closed, has not been heard of for its lease, or the server ends.
//   - A request has a number in its session, the same in every attempt.
//   - A fence names the file locks of this store at the server, until their lease runs out: then the next are of another.
//   - A stage keeps what was written here, and pushes all that differs from its base when it is committed or kept.
//     What it is written to is its scratch: of this machine's staging ([Store.StageIn]), or a file without a name.
//   - Silence is the time since which no attempt of any request was answered.
//
// # Lost connections
//
// Requests are sent again until the silence is as long as Options.Patience. From then on, until the server answers,
// each is tried once, for a second. A server that takes nothing more of a request, or sends nothing more of an answer, for that long has not
// answered. The server answers a repetition as it answered
// the first. If the session is gone, because the server began anew, a new one is begun, which asks first for what that had: readers
// on the version they read, which fails if that is gone (ErrUnavailable), and file locks; commits, puts, deletes, copies and renames by
// key are recognised by their write ids. Of other changes, and of those without an answer in time, the outcome is
// ErrUnknown. A body that cannot be read twice is not sent again: what became of it is asked for.
//
// # Clocks
//
// What is signed is signed by the server's clock once the server has refused a request for its time, and said its own. Leases are measured,
// and never compared with another's clock.
//
// # Coherence
//
// Changes are told in order, and those made here before they are acknowledged here. Those of others may be told after
// they were acknowledged, but for who has a lease ([Store.Hold], [Store.Trust]): as long as it lasts, a change is acknowledged to who
// made it only after this store has said that it was told of it. Then, and only then, names and attributes that were
// asked for once, or were told of, are answered from memory, and so is that a name is not in a directory that was listed or
// made meanwhile. A change is told with the attributes it has led to: what was changed here is known without another request. The server is told
// that changes are known here when it says that somebody waits for that, and with each renewal. A lease is for a second at most, counts from before it was asked for, and ends
// when the server stops telling of changes, as it does when it ends. It is renewed while it is used. Opening always asks the server.
// Changes made while a session was lost are not told: what was remembered is forgotten each time the server begins to tell.
//
// # File locks
//
// They are kept by signs of life and gone a few seconds after the last one. When the server begins anew they are reclaimed, unless
// it may have given them up before: then, and if it expects nobody, they are gone. A commit of an
// object that was locked here names the fence: if the locks are gone it is refused, as one whose condition
// does not hold.
//
// # Lock order
//
// stage.writing, then stage.mu, reader.mu, Store.mu, pins.mu, feed.mu, lease.mu, locker.mu. A reader's is held while it is opened again. records.mu
// is taken under feed.mu or alone.
//
// # What it does not do
//
// It speaks no S3, and claims none of uploads, appends, tags, documents and the feed of keys. Without a staging, what was written and
// neither committed nor kept is gone when its process is; with one, what the server cannot keep is kept here.
// What was read of a kept copy cannot be reclaimed.
package remote
